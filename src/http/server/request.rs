//! [`RequestBody`]: what a request carries.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::StatusCode;
use hyper::body::{Body as _, Buf as _, Bytes, Incoming};

use super::listen::Limits;
use crate::future;
use crate::time::{self, Duration};

/// The body of a request, which may still be on its way: a reader that suspends until more of it has come.
///
/// Reading fails with the kind
///
/// * `TimedOut`, if nothing comes for longer than the server's [`body_timeout`](super::Server::body_timeout),
/// * `FileTooLarge`, if it is longer than [`max_body`](super::Server::max_body),
/// * `InvalidData`, if it breaks the rules, or the client leaves in the midst of it.
///
/// But for the first, that is final: reading on fails again. A handler may return any of these errors: it is answered as
/// [`Respond`](super::Respond) says.
///
/// A body that is not read to its end costs the connection, unless the rest is short.
pub struct RequestBody {
    peer: SocketAddr,
    /// Most requests have no body, and a request is moved about.
    coming: Option<Box<Coming>>,
}

struct Coming {
    /// Until its end has come.
    incoming: Option<Incoming>,
    /// What has come and was not read.
    piece: Bytes,
    /// How many bytes it may still have.
    left: u64,
    patience: Duration,
    has_unread: Arc<AtomicBool>,
    /// There will be no more of it.
    failure: Option<Failure>,
}

/// What is wrong with a body: the client's doing, and no failure of the handler.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    Late,
    TooLong,
    Broken(Arc<hyper::Error>),
    NoText,
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        peer: SocketAddr,
        limits: &Limits,
        has_unread: &Arc<AtomicBool>,
    ) -> RequestBody {
        let coming = (!incoming.is_end_stream()).then(|| {
            Box::new(Coming {
                incoming: Some(incoming),
                piece: Bytes::new(),
                left: limits.max_body,
                patience: limits.body,
                has_unread: has_unread.clone(),
                failure: None,
            })
        });
        RequestBody { peer, coming }
    }

    /// Does it say that it is longer than it may be?
    pub(super) fn is_too_long(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| {
            let length = coming.length();
            length.is_some_and(|length| length > coming.left)
        })
    }

    /// How long the rest of it is, if the client has said so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.coming
            .as_ref()
            .map_or(Some(0), |coming| coming.length())
    }

    /// The address of the client's end of the connection.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// All of it. Suspends until it has come.
    ///
    /// # Errors
    ///
    /// See the type.
    pub fn bytes(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// All of it, as text in UTF-8. Suspends until it has come.
    ///
    /// # Errors
    ///
    /// See the type; `InvalidData` also if it is not UTF-8.
    pub fn text(mut self) -> io::Result<String> {
        let mut text = String::new();
        self.read_to_string(&mut text)?;
        Ok(text)
    }
}

impl Coming {
    fn length(&self) -> Option<u64> {
        let coming = match &self.incoming {
            None if self.failure.is_some() => None,
            None => Some(0),
            Some(incoming) => incoming.size_hint().exact(),
        };
        coming.map(|coming| coming + self.piece.len() as u64)
    }

    /// The next piece that is not empty; `None` at the end.
    fn next_piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(incoming) = &mut self.incoming {
            let frame = poll_fn(|context| Pin::new(&mut *incoming).poll_frame(context));
            let frame = time::timeout(self.patience, || future::block_on(frame));
            let Some(frame) = frame.map_err(|_| Failure::Late)? else {
                self.incoming = None;
                break;
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Err(self.fail(Failure::Broken(Arc::new(error)))),
            };
            // What is no data are trailers, which nobody reads.
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            let Some(left) = self.left.checked_sub(piece.len() as u64) else {
                return Err(self.fail(Failure::TooLong));
            };
            self.left = left;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        self.failure.clone().map_or(Ok(None), Err)
    }

    /// Wants no more of it: what came behind a piece that is missing would look like the whole.
    fn fail(&mut self, failure: Failure) -> Failure {
        self.incoming = None;
        self.has_unread.store(true, Ordering::Relaxed);
        self.failure = Some(failure.clone());
        failure
    }
}

impl Read for RequestBody {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(coming) = self.coming.as_mut().filter(|_| !buf.is_empty()) else {
            return Ok(0);
        };
        if coming.piece.is_empty() {
            coming.piece = coming.next_piece()?.unwrap_or_default();
        }
        let length = coming.piece.len().min(buf.len());
        coming.piece.copy_to_slice(&mut buf[..length]);
        Ok(length)
    }

    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        let more = String::from_utf8(bytes).map_err(|_| Failure::NoText)?;
        text.push_str(&more);
        Ok(more.len())
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let is_read = self.incoming.as_ref().is_none_or(Incoming::is_end_stream);
        if !is_read {
            self.has_unread.store(true, Ordering::Relaxed);
        }
    }
}

impl Failure {
    /// That of an error which is one of these.
    pub(super) fn status_of(error: &io::Error) -> Option<StatusCode> {
        let failure = error.get_ref()?.downcast_ref()?;
        Some(match failure {
            Failure::Late => StatusCode::REQUEST_TIMEOUT,
            Failure::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Broken(_) | Failure::NoText => StatusCode::BAD_REQUEST,
        })
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        let kind = match failure {
            Failure::Late => io::ErrorKind::TimedOut,
            Failure::TooLong => io::ErrorKind::FileTooLarge,
            Failure::Broken(_) | Failure::NoText => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Late => f.write_str("the body of the request does not come"),
            Failure::TooLong => f.write_str("the body of the request is too long"),
            Failure::Broken(error) => write!(f, "the body of the request is broken: {error}"),
            Failure::NoText => f.write_str("the body of the request is no text in UTF-8"),
        }
    }
}

impl Error for Failure {}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("peer_addr", &self.peer)
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}
