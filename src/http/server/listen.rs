//! [`Server`]: what it may be told, and how it starts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;

use super::connection::{self, Config};
use super::{Request, Respond, Serving};
use crate::net::{TcpListener, ToSocketAddrs};
use crate::server::StreamServer;
use crate::time::Duration;

/// An HTTP/1.1 server. See the [module](super).
///
/// | limit | if nothing is said |
/// |---|---|
/// | [`max_connections`](Self::max_connections) at once | 10,000 |
/// | [`max_head`](Self::max_head), bytes of a request line and its headers | 64 KiB |
/// | [`max_headers`](Self::max_headers) | 100 |
/// | [`max_body`](Self::max_body), bytes | 2 MiB |
/// | [`header_timeout`](Self::header_timeout), for a whole head | 30 s |
/// | [`body_timeout`](Self::body_timeout), for each next piece of a body | 30 s |
/// | [`write_timeout`](Self::write_timeout), for each next piece of an answer to be taken | 30 s |
/// | [`idle_timeout`](Self::idle_timeout), between two requests | 75 s |
/// | [`grace`](Self::grace), for the requests in progress when it is stopped | 10 s |
#[must_use = "it serves nobody until it is started"]
pub struct Server {
    server: StreamServer,
    limits: Limits,
    tls: Option<Arc<ServerConfig>>,
}

/// How long, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) body: Duration,
    pub(super) write: Duration,
    pub(super) idle: Duration,
    pub(super) max_head: usize,
    pub(super) max_headers: usize,
    pub(super) max_body: u64,
    pub(super) half_close: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            max_head: 64 << 10,
            max_headers: 100,
            max_body: 2 << 20,
            half_close: false,
        }
    }
}

impl Server {
    /// Listens on the first of the addresses that is free; port 0 is any. Suspends for a lookup.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Server> {
        TcpListener::bind(addr).map(Server::from)
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.server.local_addr()
    }

    /// As [`StreamServer::max_connections`].
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_connections(mut self, most: usize) -> Server {
        self.server = self.server.max_connections(most);
        self
    }

    /// How long [`Serving::stop`] waits for the requests in progress.
    pub fn grace(mut self, grace: Duration) -> Server {
        self.server = self.server.grace(grace);
        self
    }

    /// How long a head may take, from its first byte (of the first request: from the connection) to its last. Who is
    /// late is told so, with status 408.
    pub fn header_timeout(mut self, timeout: Duration) -> Server {
        self.limits.head = timeout;
        self
    }

    /// How long a handler that reads a body waits for its next piece.
    pub fn body_timeout(mut self, timeout: Duration) -> Server {
        self.limits.body = timeout;
        self
    }

    /// How long a client may take nothing of what is to be written to it.
    pub fn write_timeout(mut self, timeout: Duration) -> Server {
        self.limits.write = timeout;
        self
    }

    /// How long a connection may stay without a request.
    pub fn idle_timeout(mut self, timeout: Duration) -> Server {
        self.limits.idle = timeout;
        self
    }

    /// How long a request line and its headers may be together, in bytes. What is longer is answered with status
    /// 431.
    pub fn max_head(mut self, bytes: usize) -> Server {
        self.limits.max_head = bytes;
        self
    }

    /// How many headers a request may have. More are answered with status 431.
    pub fn max_headers(mut self, count: usize) -> Server {
        self.limits.max_headers = count;
        self
    }

    /// How long a request's body may be, in bytes. One that says that it is longer is answered with status 413; for one that does not
    /// say, reading it fails.
    pub fn max_body(mut self, bytes: u64) -> Server {
        self.limits.max_body = bytes;
        self
    }

    /// Are clients served that shut down their sending half when they have asked? Then one that leaves is not noticed
    /// until something is written to it.
    pub fn half_close(mut self, is_allowed: bool) -> Server {
        self.limits.half_close = is_allowed;
        self
    }

    /// Speaks TLS. The configuration should offer no other protocol than `http/1.1`, or none.
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Server {
        self.tls = Some(config);
        self
    }

    /// Starts to serve, and returns at once. Each request runs `handler` in a green thread of its own.
    ///
    /// # Errors
    ///
    /// As [`StreamServer::start`].
    pub fn start<H, R>(self, handler: H) -> io::Result<Serving>
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: Respond,
    {
        let config = Config {
            handler: Arc::new(handler),
            limits: self.limits,
            tls: self.tls,
        };
        self.server
            .start_with(move |stream, peer, crew| connection::serve(stream, peer, crew, &config))
    }

    /// Serves until its listener fails. Suspends.
    ///
    /// If the caller is cancelled, so are all requests. What is to be stopped otherwise is [started](Self::start).
    ///
    /// # Errors
    ///
    /// As [`StreamServer::serve_forever`].
    pub fn serve_forever<H, R>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: Respond,
    {
        self.start(handler)?.hold()
    }
}

impl From<TcpListener> for Server {
    fn from(listener: TcpListener) -> Server {
        Server {
            server: listener.into(),
            limits: Limits::default(),
            tls: None,
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("server", &self.server)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
