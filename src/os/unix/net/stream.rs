//! [`UnixStream`].

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::address::{WAITERS, for_socket, of_path};
use crate::io::Io;
use crate::rt::{self, Reason};

/// A connection to another process of this machine.
///
/// ```
/// use sylvan::io::{Read, Write};
/// use sylvan::os::unix::net::UnixStream;
///
/// let (mut one, mut other) = UnixStream::pair()?;
/// one.write_all(b"across")?;
/// let mut word = [0; 6];
/// other.read_exact(&mut word)?;
/// assert_eq!(&word, b"across");
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
///
/// They are those of [`TcpStream`](crate::net::TcpStream).
pub struct UnixStream {
    pub(super) io: Io<net::UnixStream>,
}

impl UnixStream {
    /// Connects to the socket of this path. Suspends while its line is full.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if there is no such path,
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) if nobody listens there.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&of_path(path.as_ref())?)
    }

    /// Connects to the socket of this address. Suspends while its line is full.
    ///
    /// ```
    /// use std::os::linux::net::SocketAddrExt;
    /// use sylvan::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    ///
    /// let name = format!("sylvan-doc-{}", std::process::id());
    /// let address = SocketAddr::from_abstract_name(name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let stream = UnixStream::connect_addr(&address)?;
    /// assert!(stream.peer_addr()?.as_abstract_name().is_some());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        match socket.connect(&for_socket(socket_addr)?) {
            Ok(()) => {
                socket.set_nonblocking(false)?;
                Ok(UnixStream::adopt(socket.into()))
            }
            // Its line is full, and there is nothing that tells when it is not.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let address = socket_addr.clone();
                let connect = move || net::UnixStream::connect_addr(&address);
                rt::offload_to(&WAITERS, Reason::Connect, connect).map(UnixStream::adopt)
            }
            Err(error) => Err(error),
        }
    }

    /// Two that are connected with each other, and have no name.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((UnixStream::adopt(one), UnixStream::adopt(other)))
    }

    /// Another handle on the same connection, with a descriptor of its own. Time-outs and non-blocking mode are the
    /// connection's, and so common to both.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<UnixStream> {
        let duplicate = self.io.get().try_clone()?;
        let io = self.io.share(duplicate);
        Ok(UnixStream { io })
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// Limits how long `read` waits; `None` is no limit. When the time is over it returns `WouldBlock`, as std does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::io::{ErrorKind, Read};
    /// use sylvan::os::unix::net::UnixStream;
    ///
    /// let (mut one, _other) = UnixStream::pair()?;
    /// one.set_read_timeout(Some(Duration::from_millis(10)))?;
    /// assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the limit is zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.get().set_read_timeout(timeout)?;
        self.io.set_read_timeout(timeout);
        Ok(())
    }

    /// Limits how long `write` waits, as [`set_read_timeout`](Self::set_read_timeout) does for `read`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the limit is zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.io.get().set_write_timeout(timeout)?;
        self.io.set_write_timeout(timeout);
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

    /// Makes the calls that would wait return `WouldBlock` instead, or wait again.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.io.set_nonblocking(nonblocking)
    }

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }

    /// Shuts one direction down, or both; whoever waits there, on any clone, wakes up.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }

    pub(super) fn adopt(socket: net::UnixStream) -> UnixStream {
        let io = Io::adopt(socket);
        UnixStream { io }
    }

    fn release(self) -> net::UnixStream {
        self.io.into_inner()
    }
}

crate::io::adopted_traits!(UnixStream, net::UnixStream);
crate::io::stream_traits!(UnixStream, Reason::UnixRead, Reason::UnixWrite);
