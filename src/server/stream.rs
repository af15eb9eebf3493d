//! [`StreamServer`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::crew::Crew;
use super::patience::{Patience, Trouble};
use super::serving::Serving;
use crate::net::{TcpListener, TcpStream, ToSocketAddrs};
use crate::task::Outcome;
use crate::time::Duration;

/// A TCP server: a green thread for each connection. See the [module](super).
///
/// # Differences from gevent
///
/// The number of connections is bounded from the start, and a graceful stop waits for the grace of the server, 10 s
/// if it is not told otherwise. gevent's `pool` is [`max_connections`](Self::max_connections).
#[derive(Debug)]
#[must_use = "it serves nobody until it is started"]
pub struct StreamServer {
    listener: TcpListener,
    max_connections: usize,
    grace: Duration,
}

/// How many are served at once, unless something else was said: so many descriptors a process often has.
const MAX_CONNECTIONS: usize = 10_000;
pub(super) const GRACE: Duration = Duration::from_secs(10);

impl StreamServer {
    /// Listens on the first of the addresses that is free; port 0 is any. Suspends for a lookup.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<StreamServer> {
        TcpListener::bind(addr).map(StreamServer::from)
    }

    /// At most so many connections at once, 10,000 if nothing is said. While there are as many, none is accepted.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_connections(mut self, most: usize) -> StreamServer {
        assert!(most > 0, "a server without connections serves nobody");
        self.max_connections = most;
        self
    }

    /// How long [`Serving::stop`] waits for the connections before it cancels them, 10 s if nothing is said.
    pub fn grace(mut self, grace: Duration) -> StreamServer {
        self.grace = grace;
        self
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Starts to serve, and returns at once. Each connection runs `handler` with its stream, and the address
    /// of its peer, in a green thread of its own.
    ///
    /// A handler returns nothing, or a `Result` whose error is counted and logged.
    ///
    /// # Errors
    ///
    /// What the system says if the address cannot be told, or the default runtime cannot be started.
    pub fn start<H, R>(self, handler: H) -> io::Result<Serving>
    where
        H: Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        self.start_with(move |stream, peer, _| handler(stream, peer))
    }

    /// Serves until it is stopped by the failure of its listener. Suspends.
    ///
    /// If the caller is cancelled, so are all connections. What is to be stopped otherwise is
    /// [started](Self::start).
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use sylvan::net::TcpStream;
    /// use sylvan::server::StreamServer;
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let server = StreamServer::bind("127.0.0.1:0").unwrap();
    ///     let address = server.local_addr().unwrap();
    ///     let server = thread::spawn(|| server.serve_forever(|mut stream, _| stream.write_all(b"hello")));
    ///
    ///     let mut greeting = String::new();
    ///     TcpStream::connect(address).unwrap().read_to_string(&mut greeting).unwrap();
    ///     assert_eq!(greeting, "hello");
    ///     server.cancel();
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`Serving::wait`].
    pub fn serve_forever<H, R>(self, handler: H) -> io::Result<()>
    where
        H: Fn(TcpStream, SocketAddr) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        self.start(handler)?.hold()
    }

    /// As [`start`](Self::start), for a handler that looks whether the server stops.
    pub(crate) fn start_with<H, R>(self, handler: H) -> io::Result<Serving>
    where
        H: Fn(TcpStream, SocketAddr, &Arc<Crew>) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        let address = self.local_addr()?;
        // It waits for whoever comes, whatever its listener was used for before.
        self.listener.set_nonblocking(false)?;
        let crew = Crew::new(self.max_connections);
        let handler = Arc::new(handler);
        let accepting = crew.clone();
        Serving::start(address, self.grace, crew, move || {
            accept(&self.listener, address, &accepting, &handler)
        })
    }
}

impl From<TcpListener> for StreamServer {
    fn from(listener: TcpListener) -> StreamServer {
        StreamServer {
            listener,
            max_connections: MAX_CONNECTIONS,
            grace: GRACE,
        }
    }
}

fn accept<H, R>(
    listener: &TcpListener,
    address: SocketAddr,
    crew: &Arc<Crew>,
    handler: &Arc<H>,
) -> io::Error
where
    H: Fn(TcpStream, SocketAddr, &Arc<Crew>) -> R + Send + Sync + 'static,
    R: Outcome,
{
    let mut patience = Patience::new();
    loop {
        let slot = crew.slot();
        let accepted = listener.accept().and_then(|(stream, peer)| {
            let (handler, told) = (handler.clone(), crew.clone());
            crew.serve(slot, peer, move || handler(stream, peer, &told))
        });
        match accepted {
            Ok(()) => patience.succeeded(),
            Err(error) => match Trouble::of(&error) {
                Trouble::Peer => crew.count_refused(),
                Trouble::Scarcity => patience.wait(&format_args!("to accept on {address}"), &error),
                Trouble::Ours => return error,
            },
        }
    }
}
