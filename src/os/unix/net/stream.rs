//! [`UnixStream`].

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::{Domain, Socket, Type};

use super::address::{WAITERS, for_socket, of_path};
use crate::fd::Handle;
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
    pub(super) io: Handle<net::UnixStream>,
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
}

super::methods::socket_methods!(UnixStream, net::UnixStream);
crate::fd::adopted_traits!(UnixStream, net::UnixStream);
crate::fd::stream_traits!(UnixStream, Reason::UnixRead, Reason::UnixWrite);
