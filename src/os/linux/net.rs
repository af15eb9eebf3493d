//! Linux's own socket options, as [`std::os::linux::net`].

use std::io;

use socket2::SockRef;

use crate::net::TcpStream;

/// What Linux adds to a [`TcpStream`].
///
/// ```
/// use sylvan::net::{TcpListener, TcpStream};
/// use sylvan::os::linux::net::TcpStreamExt;
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.set_quickack(true)?;
/// assert!(stream.quickack()?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Differences from std
///
/// It is a trait of its own: std's is sealed.
pub trait TcpStreamExt: sealed::Sealed {
    /// Sets `TCP_QUICKACK`: acknowledgements are sent at once, until Linux thinks otherwise.
    ///
    /// # Errors
    ///
    /// What the system call gives.
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;

    /// Is `TCP_QUICKACK` set?
    ///
    /// # Errors
    ///
    /// What the system call gives.
    fn quickack(&self) -> io::Result<bool>;
}

impl TcpStreamExt for TcpStream {
    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }

    fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::net::TcpStream {}
}
