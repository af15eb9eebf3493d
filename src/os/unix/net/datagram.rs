//! [`UnixDatagram`].

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use super::address::{WAITERS, for_socket, of_path, of_sender};
use crate::fd::{self as door, Handle};
use crate::rt::{self, Reason};

/// A socket for datagrams to other processes of this machine. None is lost: who sends to a full queue waits.
///
/// ```
/// use sylvan::os::unix::net::UnixDatagram;
///
/// let (one, other) = UnixDatagram::pair()?;
/// one.send(b"across")?;
/// let mut datagram = [0; 16];
/// let count = other.recv(&mut datagram)?;
/// assert_eq!(&datagram[..count], b"across");
/// # std::io::Result::Ok(())
/// ```
///
/// # Differences from std
///
/// What sends and receives suspends the green thread. For the rest they are those of
/// [`UdpSocket`](crate::net::UdpSocket).
pub struct UnixDatagram {
    io: Handle<net::UnixDatagram>,
}

impl UnixDatagram {
    /// Binds to this path, which must not exist.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if it does.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        UnixDatagram::bind_addr(&of_path(path.as_ref())?)
    }

    /// Binds to this address.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixDatagram> {
        net::UnixDatagram::bind_addr(socket_addr).map(UnixDatagram::adopt)
    }

    /// One without a name.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn unbound() -> io::Result<UnixDatagram> {
        net::UnixDatagram::unbound().map(UnixDatagram::adopt)
    }

    /// Two that are connected with each other, and have no name.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((UnixDatagram::adopt(one), UnixDatagram::adopt(other)))
    }

    /// Names the path that `send` sends to, and from which alone datagrams are received. Never suspends.
    ///
    /// # Errors
    ///
    /// If nobody is there.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.io.get().connect(path)
    }

    /// As [`connect`](Self::connect), with an address.
    ///
    /// # Errors
    ///
    /// If nobody is there.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        self.io.get().connect_addr(socket_addr)
    }

    /// Receives a datagram, and where it comes from. Suspends until there is one. What does not fit into the buffer is
    /// lost.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, address) = self
            .io
            .read_with(Reason::UnixRead, |fd| door::receive_from_any(fd, buf))?;
        Ok((count, of_sender(&address)?))
    }

    /// Receives a datagram. Suspends until there is one. What does not fit into the buffer is lost.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .read_with(Reason::UnixRead, |fd| door::receive(fd, buf))
    }

    /// Sends a datagram to this path. Suspends while the queue there is full.
    ///
    /// ```
    /// use sylvan::os::unix::net::UnixDatagram;
    ///
    /// # let folder = std::env::temp_dir().join(format!("sylvan-datagram-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("inbox");
    /// let inbox = UnixDatagram::bind(&path)?;
    /// UnixDatagram::unbound()?.send_to(b"a letter", &path)?;
    /// let mut letter = [0; 16];
    /// let (count, sender) = inbox.recv_from(&mut letter)?;
    /// assert!(&letter[..count] == b"a letter" && sender.is_unnamed());
    /// # std::fs::remove_dir_all(folder)?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.send_to_addr(buf, &of_path(path.as_ref())?)
    }

    /// As [`send_to`](Self::send_to), with an address.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        rt::spend();
        let address = for_socket(socket_addr)?;
        let fd = std::os::fd::AsFd::as_fd(self.io.get());
        match door::send_to_any(fd, buf, &address) {
            // The queue there is full, and the readiness of this socket says nothing of that one.
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock && !self.io.is_nonblocking() =>
            {
                let (socket, datagram) = (self.io.get().try_clone()?, buf.to_vec());
                let address = socket_addr.clone();
                let send = move || socket.send_to_addr(&datagram, &address);
                rt::offload_to(&WAITERS, Reason::UnixWrite, send)
            }
            result => result,
        }
    }

    /// Sends a datagram to where this is connected. Suspends while the queue there is full.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.io
            .write_with(Reason::UnixWrite, |fd| door::send(fd, buf))
    }
}

super::methods::socket_methods!(UnixDatagram, net::UnixDatagram);
crate::fd::adopted_traits!(UnixDatagram, net::UnixDatagram);
