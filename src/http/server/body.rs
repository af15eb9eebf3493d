//! [`Body`]: what a response carries.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;

use hyper::body::Bytes;

use super::exchange::{Exchange, Piece};
use super::upgrade::Upgraded;

/// The body of a response: all of it, or what makes it piece by piece.
///
/// Text and bytes are made into one by [`From`].
///
/// ```
/// use std::io::Write;
/// use sylvan::http::server::Body;
///
/// let whole = Body::from("hello");
/// let endless = Body::from_writer(|writer| loop {
///     writer.write_all(b"data: tick\n\n")?;
///     writer.flush()?; // on its way
///     sylvan::thread::sleep(std::time::Duration::from_secs(1));
/// });
/// ```
pub struct Body(pub(super) Kind);

pub(super) enum Kind {
    Whole(Bytes),
    Pieces { length: Option<u64>, write: Source },
    Upgrade(Box<dyn FnOnce(Upgraded) + Send>),
}

type Source = Box<dyn FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send>;

/// Where a body is written to; see [`Body::from_writer`].
///
/// It keeps some KiB before it sends them; `flush` sends what it has. Both wait while the client does not take what was
/// sent before. If the client has left they fail, if they are not unwound.
pub struct BodyWriter<'exchange> {
    exchange: &'exchange Exchange,
    buffer: Vec<u8>,
}

/// So much is sent at once.
const PIECE: usize = 16 << 10;

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Body {
        Body(Kind::Whole(Bytes::new()))
    }

    /// A body that `write` writes, in the handler's green thread after the handler has returned. The head of the response is sent
    /// meanwhile.
    ///
    /// It is sent in chunks, unless the response has a `Content-Length`. If `write` fails or panics, the connection is closed
    /// before the end of the body, by which the client knows.
    #[must_use]
    pub fn from_writer(
        write: impl FnOnce(&mut BodyWriter<'_>) -> io::Result<()> + Send + 'static,
    ) -> Body {
        Body(Kind::Pieces {
            length: None,
            write: Box::new(write),
        })
    }

    /// A body that is read from `reader` until its end, as [`from_writer`](Self::from_writer) says.
    #[must_use]
    pub fn from_reader(reader: impl Read + Send + 'static) -> Body {
        Body::from_writer(|writer| copy(reader, writer))
    }

    /// As [`from_reader`](Self::from_reader), for a reader that has so many bytes. If it has fewer, that is a failure.
    #[must_use]
    pub fn from_sized_reader(reader: impl Read + Send + 'static, length: u64) -> Body {
        Body(Kind::Pieces {
            length: Some(length),
            write: Box::new(move |writer| copy(reader.take(length), writer)),
        })
    }

    /// No body: the connection itself, for another protocol. `converse` gets it in the handler's green thread when the head of the
    /// response has been sent, which must have the status 101 and its headers. With
    /// another status that is a failure of the handler: the client is answered with 500, and `converse` is not called.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use sylvan::http::server::{Body, Request, Response, StatusCode, header};
    ///
    /// fn handle(_: Request) -> Response {
    ///     let echo = Body::upgrade(|mut connection| {
    ///         let mut buffer = [0; 100];
    ///         while let Ok(length @ 1..) = connection.read(&mut buffer) {
    ///             let _ = connection.write_all(&buffer[..length]);
    ///         }
    ///     });
    ///     let mut response = Response::new(echo);
    ///     *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    ///     response.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
    ///     response.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
    ///     response
    /// }
    /// ```
    #[must_use]
    pub fn upgrade(converse: impl FnOnce(Upgraded) + Send + 'static) -> Body {
        Body(Kind::Upgrade(Box::new(converse)))
    }
}

fn copy(mut reader: impl Read, writer: &mut BodyWriter<'_>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE];
        match reader.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                piece.truncate(length);
                writer.send(piece)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl<'exchange> BodyWriter<'exchange> {
    pub(super) fn new(exchange: &'exchange Exchange) -> BodyWriter<'exchange> {
        BodyWriter {
            exchange,
            buffer: Vec::new(),
        }
    }

    pub(super) fn send_rest(&mut self) -> io::Result<()> {
        let rest = mem::take(&mut self.buffer);
        if rest.is_empty() {
            return Ok(());
        }
        self.send(rest)
    }

    fn send(&self, piece: Vec<u8>) -> io::Result<()> {
        self.exchange.give_piece(Piece::Data(piece.into()))
    }
}

impl Write for BodyWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= PIECE {
            self.send_rest()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_rest()
    }
}

impl Default for Body {
    fn default() -> Body {
        Body::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body(Kind::Whole(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Bytes::from(bytes).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Bytes::from_static(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Body {
        Body::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => f.debug_tuple("Body").field(&bytes.len()).finish(),
            Kind::Pieces { length, .. } => f.debug_tuple("Body").field(length).finish(),
            Kind::Upgrade(_) => f.write_str("Body(upgrade)"),
        }
    }
}

impl fmt::Debug for BodyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").finish_non_exhaustive()
    }
}
