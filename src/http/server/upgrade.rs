//! [`Upgraded`]: a connection that has left HTTP.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use hyper::body::{Buf as _, Bytes};
use rustls::{ServerConnection, Stream};

use crate::net::TcpStream;

/// A connection that speaks another protocol from now on; see [`Body::upgrade`](super::Body::upgrade).
///
/// It has no time-outs but those that are set on [`get_ref`](Self::get_ref).
pub struct Upgraded {
    /// What had come before the upgrade, and belongs to the new protocol.
    early: Bytes,
    stream: Arc<TcpStream>,
    session: Option<Box<ServerConnection>>,
}

impl Upgraded {
    pub(super) fn new(
        early: Bytes,
        stream: Arc<TcpStream>,
        session: Option<ServerConnection>,
    ) -> Upgraded {
        Upgraded {
            early,
            stream,
            session: session.map(Box::new),
        }
    }

    /// The connection below, of which this may have read something already. Without TLS, a
    /// [clone](TcpStream::try_clone) of it may be written to by another thread while this one reads.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Does TLS lie between?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.session.is_some()
    }
}

impl Read for Upgraded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.early.is_empty() {
            let length = self.early.len().min(buf.len());
            self.early.copy_to_slice(&mut buf[..length]);
            return Ok(length);
        }
        let mut stream = &*self.stream;
        match &mut self.session {
            None => stream.read(buf),
            Some(session) => Stream::new(&mut **session, &mut stream).read(buf),
        }
    }
}

impl Write for Upgraded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut stream = &*self.stream;
        match &mut self.session {
            None => stream.write(buf),
            Some(session) => Stream::new(&mut **session, &mut stream).write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stream = &*self.stream;
        match &mut self.session {
            None => Ok(()),
            Some(session) => Stream::new(&mut **session, &mut stream).flush(),
        }
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("stream", &self.stream)
            .field("is_tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}
