//! [`DatagramServer`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::crew::Crew;
use super::patience::{Patience, Trouble};
use super::serving::Serving;
use super::stream::GRACE;
use crate::net::{ToSocketAddrs, UdpSocket};
use crate::task::Outcome;
use crate::time::Duration;

/// A UDP server: a green thread for each datagram. See the [module](super).
///
/// ```
/// use sylvan::net::UdpSocket;
/// use sylvan::server::DatagramServer;
///
/// # fn main() -> std::io::Result<()> {
/// sylvan::run(|| {
///     let serving = DatagramServer::bind("127.0.0.1:0")?
///         .start(|datagram| datagram.reply(&datagram.data.to_ascii_uppercase()))?;
///
///     let client = UdpSocket::bind("127.0.0.1:0")?;
///     client.send_to(b"hello", serving.local_addr())?;
///     let mut answer = [0; 16];
///     let (length, _) = client.recv_from(&mut answer)?;
///     assert_eq!(&answer[..length], b"HELLO");
///     serving.stop();
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it serves nobody until it is started"]
pub struct DatagramServer {
    socket: UdpSocket,
    max_active: usize,
    grace: Duration,
}

/// A datagram that has come, as its handler gets it.
#[derive(Debug)]
pub struct Datagram {
    /// What is in it.
    pub data: Vec<u8>,
    /// Where it came from.
    pub peer: SocketAddr,
    socket: Arc<UdpSocket>,
}

/// How many are handled at once, unless something else was said.
const MAX_ACTIVE: usize = 1000;

/// No datagram is longer.
const LONGEST: usize = 65_536;

impl DatagramServer {
    /// A server on the first of the addresses that is free; port 0 is any. Suspends for a lookup.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::bind`].
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<DatagramServer> {
        UdpSocket::bind(addr).map(DatagramServer::from)
    }

    /// At most so many datagrams are handled at once, 1,000 if nothing is said. While there are as many, none is received; the
    /// kernel keeps some, and drops the rest.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_active(mut self, most: usize) -> DatagramServer {
        assert!(most > 0, "a server without handlers serves nobody");
        self.max_active = most;
        self
    }

    /// How long [`Serving::stop`] waits for the handlers before it cancels them, 10 s if nothing is said.
    pub fn grace(mut self, grace: Duration) -> DatagramServer {
        self.grace = grace;
        self
    }

    /// The address it receives on.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Starts to serve, and returns at once. Each datagram runs `handler` in a green thread of its own.
    ///
    /// A handler returns nothing, or a `Result` whose error is counted and logged.
    ///
    /// # Errors
    ///
    /// What the system says if the address cannot be told, the socket cannot be made to wait without a limit, or the default runtime cannot be started.
    pub fn start<H, R>(self, handler: H) -> io::Result<Serving>
    where
        H: Fn(Datagram) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        let address = self.local_addr()?;
        // It waits for whoever comes, however long that takes, and whatever its socket was used for before.
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(None)?;
        let crew = Crew::new(self.max_active);
        let receiving = crew.clone();
        let socket = Arc::new(self.socket);
        let handler = Arc::new(handler);
        Serving::start(address, self.grace, crew, move || {
            receive(&socket, address, &receiving, &handler)
        })
    }

    /// Serves until its socket fails. Suspends.
    ///
    /// If the caller is cancelled, so are all handlers. What is to be stopped otherwise is [started](Self::start).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`Serving::wait`].
    pub fn serve_forever<H, R>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Datagram) -> R + Send + Sync + 'static,
        R: Outcome,
    {
        self.start(handler)?.hold()
    }
}

impl From<UdpSocket> for DatagramServer {
    fn from(socket: UdpSocket) -> DatagramServer {
        DatagramServer {
            socket,
            max_active: MAX_ACTIVE,
            grace: GRACE,
        }
    }
}

impl Datagram {
    /// Sends a datagram back, from the server's own address. Suspends while the socket's buffer is full.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::send_to`].
    pub fn reply(&self, data: &[u8]) -> io::Result<()> {
        self.socket.send_to(data, self.peer).map(drop)
    }
}

fn receive<H, R>(
    socket: &Arc<UdpSocket>,
    address: SocketAddr,
    crew: &Arc<Crew>,
    handler: &Arc<H>,
) -> io::Error
where
    H: Fn(Datagram) -> R + Send + Sync + 'static,
    R: Outcome,
{
    let mut patience = Patience::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        let slot = crew.slot();
        let received = socket.recv_from(&mut buffer).and_then(|(length, peer)| {
            let datagram = Datagram {
                data: buffer[..length].to_vec(),
                peer,
                socket: socket.clone(),
            };
            let handler = handler.clone();
            crew.serve(slot, peer, move || handler(datagram))
        });
        match received {
            Ok(()) => patience.succeeded(),
            Err(error) => match Trouble::of(&error) {
                Trouble::Peer => crew.count_refused(),
                Trouble::Scarcity => {
                    patience.wait(&format_args!("to receive on {address}"), &error);
                }
                Trouble::Ours => return error,
            },
        }
    }
}
