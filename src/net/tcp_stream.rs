//! [`TcpStream`].

use std::io;
#[cfg(feature = "http")]
use std::io::IoSlice;
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::address::{ToSocketAddrs, each_address};
use crate::fd::{self as door, Description, Handle};
use crate::rt::Reason;
#[cfg(feature = "http")]
use crate::rt::Ticket;

/// A TCP connection.
///
/// ```
/// use std::io::{Read, Write};
/// use sylvan::net::{Shutdown, TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.write_all(b"request")?;
/// stream.shutdown(Shutdown::Write)?;
///
/// let (mut peer, _) = listener.accept()?;
/// let mut request = String::new();
/// peer.read_to_string(&mut request)?;
/// assert_eq!(request, "request");
/// # Ok(())
/// # }
/// ```
///
/// # Differences from std
///
/// * `connect`, `read`, `write` and `peek` suspend the green thread. On a plain OS thread they block, as
///   std's do. Several green threads may read, or write, one stream: they take turns in the order
///   in which they came.
/// * `write` may write less than it is given, as [`Write`](io::Write) allows and as std's does on a stream in
///   non-blocking mode; `write_all` writes all.
/// * The descriptor is in the mode that was set by [`set_nonblocking`](Self::set_nonblocking), blocking at
///   first, so whoever it is given to finds what std would give. Only on descriptors 0 to 2 is
///   the non-blocking mode never set: there it holds for sylvan's own calls alone.
/// * Time-outs and mode that are set behind sylvan's back, on the raw descriptor, go unnoticed. Those
///   set before the stream is made [`From`] a descriptor are honoured.
pub struct TcpStream {
    pub(super) io: Handle<net::TcpStream>,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers. Suspends for the lookup and the connection.
    ///
    /// ```no_run
    /// use sylvan::net::TcpStream;
    ///
    /// let stream = TcpStream::connect("www.rust-lang.org:443")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the last address tried, or of the lookup.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        each_address(addr, |address| connect(address, None))
    }

    /// Connects to one address in limited time. Suspends.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(5))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `timeout` is zero, `TimedOut` when it is over, else what the connection met.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            let message = "cannot set a 0 duration timeout";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        connect(*addr, Some(timeout)).map_err(|error| match error.kind() {
            // Only the end of the wait leaves it at that.
            io::ErrorKind::WouldBlock => {
                io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
            }
            _ => error,
        })
    }

    /// The address of the other end.
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is no other end any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// The address of this end.
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// assert!(stream.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// Shuts one direction down, or both; whoever waits there, on any clone, wakes up.
    ///
    /// ```
    /// use sylvan::net::{Shutdown, TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// stream.shutdown(Shutdown::Both)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is no other end any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }

    /// Another handle on the same connection, with a descriptor of its own. Time-outs and
    /// non-blocking mode are the connection's, and so common to both.
    ///
    /// ```
    /// use std::io::Write;
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let reader = TcpStream::connect(listener.local_addr()?)?;
    /// let mut writer = reader.try_clone()?;
    /// writer.write_all(b"through either")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        let duplicate = self.io.get().try_clone()?;
        let io = self.io.share(duplicate);
        Ok(TcpStream { io })
    }

    /// Limits how long `read` and `peek` wait; `None` is no limit. When the time is over they
    /// return `WouldBlock`, as std does on Unix.
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut stream = TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the limit is zero.
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.io.get().set_read_timeout(dur)?;
        self.io.set_read_timeout(dur);
        Ok(())
    }

    /// Limits how long `write` waits, as [`set_read_timeout`](Self::set_read_timeout) does for `read`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the limit is zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.io.get().set_write_timeout(dur)?;
        self.io.set_write_timeout(dur);
        Ok(())
    }

    /// The limit set by [`set_read_timeout`](Self::set_read_timeout), rounded by the kernel to its ticks.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.get().read_timeout()
    }

    /// The limit set by [`set_write_timeout`](Self::set_write_timeout), rounded by the kernel to its ticks.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.io.get().write_timeout()
    }

    /// Limits the next waits to read, without the system call that lets the kernel know of it; for the
    /// owner of a stream that never leaves this crate.
    #[cfg(feature = "http")]
    pub(crate) fn limit_reads(&self, limit: Option<Duration>) {
        self.io.set_read_timeout(limit);
    }

    /// As [`limit_reads`](Self::limit_reads), for the waits to write.
    #[cfg(feature = "http")]
    pub(crate) fn limit_writes(&self, limit: Option<Duration>) {
        self.io.set_write_timeout(limit);
    }

    /// Is the connection up, and has nothing arrived? Never suspends.
    #[cfg(feature = "http")]
    pub(crate) fn is_open_and_silent(&self) -> bool {
        let peeked = door::peek(std::os::fd::AsFd::as_fd(self.io.get()), &mut [0]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// As [`is_open_and_silent`](Self::is_open_and_silent), as far as the kernel has told by the hub's last turn; `false` if it is
    /// not known.
    #[cfg(feature = "http")]
    pub(crate) fn was_silent(&self) -> bool {
        self.io.was_silent()
    }

    /// Makes the calling green thread the one that every change of readiness wakes, so that it may use the four
    /// below. `false`: there is one already.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn watch(&self) -> bool {
        self.io.watch()
    }

    /// Reads what is there. An inner error: nothing is.
    #[cfg(feature = "http")]
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<Result<usize, Ticket>> {
        let wanted = buf.len();
        self.io.try_read_stream(wanted, |fd| door::receive(fd, buf))
    }

    /// Writes what there is room for. An inner error: there is none.
    #[cfg(feature = "http")]
    pub(crate) fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<Result<usize, Ticket>> {
        let bufs = &bufs[..bufs.len().min(door::MOST_BUFFERS)];
        let wanted = door::total(bufs.iter().map(|buffer| buffer.len()));
        self.io.try_write_stream(wanted, |fd| match bufs {
            [only] => door::send(fd, only),
            _ => door::send_vectored(fd, bufs),
        })
    }

    /// Is the connection gone, both ways?
    #[cfg(feature = "http")]
    pub(crate) fn is_cut(&self) -> bool {
        self.io.is_cut()
    }

    /// Has something changed since that attempt?
    #[cfg(feature = "http")]
    pub(crate) fn has_news(&self, ticket: Ticket) -> bool {
        self.io.has_news(ticket)
    }

    /// Reads without taking what was read. Suspends until there is something.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut stream = TcpStream::connect(listener.local_addr()?)?;
    /// let (mut peer, _) = listener.accept()?;
    /// peer.write_all(b"!")?;
    ///
    /// let mut byte = [0];
    /// assert_eq!(stream.peek(&mut byte)?, 1);
    /// assert_eq!(stream.read(&mut byte)?, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As `read`.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(Reason::TcpRead, |fd| door::peek(fd, buf))
    }

    /// Sets `TCP_NODELAY`: small writes are sent at once.
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get().set_nodelay(nodelay)
    }

    /// Is `TCP_NODELAY` set? See [`set_nodelay`](Self::set_nodelay).
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get().nodelay()
    }

    /// Sets `IP_TTL`: how many hops a packet may take.
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_ttl(100)?;
    /// assert_eq!(stream.ttl()?, 100);
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

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// ```
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// assert!(stream.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Makes the calls that would wait return `WouldBlock` instead, or wait again. What waits already
    /// goes on waiting. In this mode no call suspends.
    ///
    /// ```
    /// use std::io::{ErrorKind, Read};
    /// use sylvan::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut stream = TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_nonblocking(true)?;
    /// assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_nonblocking(nonblocking)
    }

    fn adopt(socket: net::TcpStream) -> TcpStream {
        let io = Handle::adopt(socket);
        TcpStream { io }
    }

    fn release(self) -> net::TcpStream {
        self.io.into_inner()
    }
}

crate::fd::adopted_traits!(TcpStream, net::TcpStream);

crate::fd::stream_traits!(TcpStream, Reason::TcpRead, Reason::TcpWrite);

/// Connects to one address; `WouldBlock` when the time is over.
fn connect(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    let io = Handle::new(net::TcpStream::from(socket), Description::new_tcp());
    io.note_held_nonblocking();

    let address = SockAddr::from(address);
    io.write_with_timeout(Reason::Connect, timeout, |fd| {
        attempt_to_connect(fd, &address)
    })?;
    // Connected, it needs no such help: from here on it is in the mode its user sets.
    io.release_nonblocking();
    Ok(TcpStream { io })
}

/// One attempt: the same system call starts the connection, asks how it goes, and ends it.
fn attempt_to_connect(fd: BorrowedFd<'_>, address: &SockAddr) -> io::Result<()> {
    let Err(error) = SockRef::from(&fd).connect(address) else {
        return Ok(());
    };
    match error.raw_os_error() {
        Some(libc::EISCONN) => Ok(()),
        Some(libc::EINPROGRESS | libc::EALREADY) => Err(io::ErrorKind::WouldBlock.into()),
        _ => Err(error),
    }
}
