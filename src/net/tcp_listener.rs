//! [`TcpListener`] and the iterator over its connections.

use std::io;
use std::iter::FusedIterator;
use std::net::{self, SocketAddr};
use std::os::fd::BorrowedFd;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::address::{ToSocketAddrs, each_address};
use super::tcp_stream::TcpStream;
use crate::fd::{Description, Handle};
use crate::rt::Reason;

/// How many connections may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A TCP socket that accepts connections.
///
/// ```
/// use sylvan::net::{TcpListener, TcpStream};
/// use sylvan::thread;
///
/// # fn main() -> std::io::Result<()> {
/// # sylvan::run(|| {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let client = thread::spawn(move || TcpStream::connect(address));
///
/// let (stream, peer) = listener.accept()?;
/// assert_eq!(stream.peer_addr()?, peer);
/// assert_eq!(client.join().unwrap()?.local_addr()?, peer);
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Differences from std
///
/// * `accept` suspends the green thread. Several green threads may accept from one listener: they
///   take turns in the order in which they came.
/// * The backlog is 4096, not 128: ten thousand green threads may well connect at once.
/// * While sylvan has the descriptor it is in non-blocking mode, as seen through
///   [`as_raw_fd`](std::os::fd::AsRawFd) or a duplicate that std holds, because Linux has no other way to
///   keep `accept` from blocking. What leaves by [`From`] or `into_raw_fd` is in the mode that was
///   set. Descriptors 0 to 2 never are.
pub struct TcpListener {
    io: Handle<net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first of the addresses that is free; port 0 is any. Suspends for a lookup.
    ///
    /// ```
    /// use sylvan::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, or of the lookup.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_address(addr, bind)
    }

    /// The address it listens on.
    ///
    /// ```
    /// use sylvan::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// assert!(listener.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// Another handle on the same listener, with a descriptor of its own.
    ///
    /// ```
    /// use sylvan::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let clone = listener.try_clone()?;
    /// assert_eq!(listener.local_addr()?, clone.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        let duplicate = self.io.get().try_clone()?;
        let io = self.io.share(duplicate);
        Ok(TcpListener { io })
    }

    /// The next connection and the address it comes from. Suspends until there is one.
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let (_, peer) = listener.accept()?;
    /// assert_eq!(peer, client.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives. If the process has no descriptor left, the connection stays
    /// in the line and a later call gets it.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, address) = self.io.read_by_mode(Reason::Accept, attempt_to_accept)?;
        // The socket has an owner before anything can fail.
        let io = Handle::new(
            net::TcpStream::from(socket),
            self.io.description().accepted(),
        );
        match address.as_socket() {
            Some(address) => Ok((TcpStream { io }, address)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "invalid argument",
            )),
        }
    }

    /// The connections, for ever: each step is an [`accept`](Self::accept).
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// for stream in listener.incoming().take(1) {
    ///     assert_eq!(stream?.peer_addr()?, client.local_addr()?);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Sets `IP_TTL`: how many hops a packet may take.
    ///
    /// ```
    /// use sylvan::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// listener.set_ttl(100)?;
    /// assert_eq!(listener.ttl()?, 100);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get().set_ttl(ttl)
    }

    /// The value of `IP_TTL`. See [`set_ttl`](Self::set_ttl).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get().ttl()
    }

    /// Sets `IPV6_V6ONLY`, which the system only allows before the socket is bound.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    #[deprecated(note = "this option can only be set before the socket is bound")]
    pub fn set_only_v6(&self, only_v6: bool) -> io::Result<()> {
        #[allow(deprecated)] // std has it, so we have it.
        self.io.get().set_only_v6(only_v6)
    }

    /// The value of `IPV6_V6ONLY`.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    #[deprecated(note = "this option can only be set before the socket is bound")]
    pub fn only_v6(&self) -> io::Result<bool> {
        #[allow(deprecated)] // std has it, so we have it.
        self.io.get().only_v6()
    }

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// ```
    /// use sylvan::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// assert!(listener.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Makes `accept` return `WouldBlock` instead of waiting, or wait again. In this mode it never
    /// suspends.
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use sylvan::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// listener.set_nonblocking(true)?;
    /// assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_nonblocking(nonblocking)
    }

    fn adopt(socket: net::TcpListener) -> TcpListener {
        let io = Handle::adopt(socket);
        io.hold_nonblocking();
        TcpListener { io }
    }

    fn release(self) -> net::TcpListener {
        self.io.into_inner()
    }
}

crate::fd::adopted_traits!(TcpListener, net::TcpListener);

/// The connections of a [`TcpListener`], made by [`incoming`](TcpListener::incoming).
///
/// ```
/// use sylvan::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// let stream = listener.incoming().next().expect("it never ends")?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Differences from std
///
/// `next` suspends the green thread.
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // As std: a server that is started anew need not wait for its predecessor's connections to end.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    let io = Handle::new(net::TcpListener::from(socket), Description::new_tcp());
    io.note_held_nonblocking();
    Ok(TcpListener { io })
}

fn attempt_to_accept(fd: BorrowedFd<'_>) -> io::Result<(Socket, SockAddr)> {
    let listener = SockRef::from(&fd);
    loop {
        match listener.accept() {
            // std does not show this one either.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
