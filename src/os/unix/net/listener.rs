//! [`UnixListener`] and the iterator over its connections.

use std::io;
use std::iter::FusedIterator;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use super::address::of_path;
use super::stream::UnixStream;
use crate::fd::Handle;
use crate::rt::Reason;

/// A socket that accepts connections from other processes of this machine.
///
/// Its path stays when it is dropped, as std's does; who binds it again removes it first.
///
/// # Differences from std
///
/// They are those of [`TcpListener`](crate::net::TcpListener), but for the backlog, which is std's.
pub struct UnixListener {
    io: Handle<net::UnixListener>,
}

impl UnixListener {
    /// Listens at this path, which must not exist.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) if it does.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&of_path(path.as_ref())?)
    }

    /// Listens at this address.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        net::UnixListener::bind_addr(socket_addr).map(UnixListener::adopt)
    }

    /// The next connection, and the address it comes from, which seldom has a name. Suspends until there is one.
    ///
    /// # Errors
    ///
    /// What the system call gives. If the process has no descriptor left, the connection stays in the line and a later
    /// call gets it.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let attempt = |_: std::os::fd::BorrowedFd<'_>| self.io.get().accept();
        let (socket, address) = self.io.read_by_mode(Reason::Accept, attempt)?;
        Ok((UnixStream::adopt(socket), address))
    }

    /// Another handle on the same listener, with a descriptor of its own.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<UnixListener> {
        let duplicate = self.io.get().try_clone()?;
        let io = self.io.share(duplicate);
        Ok(UnixListener { io })
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// Makes `accept` return `WouldBlock` instead of waiting, or wait again.
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

    /// The connections, for ever: each step is an [`accept`](Self::accept).
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    fn adopt(socket: net::UnixListener) -> UnixListener {
        let io = Handle::adopt(socket);
        io.hold_nonblocking();
        UnixListener { io }
    }

    fn release(self) -> net::UnixListener {
        self.io.into_inner()
    }
}

crate::fd::adopted_traits!(UnixListener, net::UnixListener);

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// The connections of a [`UnixListener`], made by [`incoming`](UnixListener::incoming).
///
/// # Differences from std
///
/// `next` suspends the green thread.
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl FusedIterator for Incoming<'_> {}
