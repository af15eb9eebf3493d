//! TLS for [`StreamServer`], by rustls.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::serving::Serving;
use super::stream::StreamServer;
use crate::net::TcpStream;
use crate::task::Outcome;
use crate::time::{self, Duration};

/// How long a peer may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection whose peer speaks TLS.
///
/// What is written goes out with each `write` that fills a record, and with `flush`. When it is dropped the peer is not told that this
/// is the end: [`close`](Self::close) does that.
pub struct TlsStream {
    inner: StreamOwned<ServerConnection, TcpStream>,
}

impl StreamServer {
    /// As [`start`](Self::start), over TLS. The handshake has been made when `handler` is called.
    ///
    /// A peer whose handshake fails, or takes longer than 10 s, counts as one whose handler failed.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_tls<H, R>(self, config: Arc<ServerConfig>, handler: H) -> io::Result<Serving>
    where
        H: Fn(TlsStream, SocketAddr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        self.start(move |stream, peer| {
            let stream = TlsStream::accept(config.clone(), stream)?;
            handler(stream, peer).into_result().map(drop)
        })
    }
}

impl TlsStream {
    fn accept(config: Arc<ServerConfig>, mut stream: TcpStream) -> io::Result<TlsStream> {
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        time::timeout(HANDSHAKE, || {
            while session.is_handshaking() {
                session.complete_io(&mut stream)?;
            }
            io::Result::Ok(())
        })
        .unwrap_or_else(|elapsed| Err(elapsed.into()))?;
        Ok(TlsStream {
            inner: StreamOwned::new(session, stream),
        })
    }

    /// The connection below. What is read or written there is not TLS.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.inner.sock
    }

    /// What was agreed on: the protocol, the peer's certificates, the name that he asked for.
    #[must_use]
    pub fn session(&self) -> &ServerConnection {
        &self.inner.conn
    }

    /// Sends what is left, and tells the peer that nothing more will come. Suspends.
    ///
    /// # Errors
    ///
    /// What the connection meets.
    pub fn close(mut self) -> io::Result<()> {
        self.inner.conn.send_close_notify();
        self.inner.flush()
    }
}

impl Read for TlsStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf)
    }
}

impl Write for TlsStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", self.get_ref())
            .finish_non_exhaustive()
    }
}
