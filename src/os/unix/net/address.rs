//! Addresses as the crate socket2 has them, and what has to be waited for on an OS thread.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use socket2::SockAddr;

use crate::rt;

/// The OS threads that wait for others to make room: a pool of their own, for that may take for ever.
pub(super) static WAITERS: LazyLock<rt::OffloadPool> =
    LazyLock::new(|| rt::OffloadPool::new("sylvan-unix", 64));

/// That of this path. The errors are std's.
pub(super) fn of_path(path: &Path) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(path)
}

/// The same for socket2.
pub(super) fn for_socket(address: &SocketAddr) -> io::Result<SockAddr> {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => SockAddr::unix(path),
        (None, Some(name)) => SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat())),
        // It has no name, and so nobody is there.
        (None, None) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// What came as the address of a sender. One without a name has none at all, not even a family.
pub(super) fn of_sender(address: &SockAddr) -> io::Result<SocketAddr> {
    if address.len() == 0 {
        return of_path(Path::new(""));
    }
    if !address.is_unix() {
        // std's words.
        let other = "file descriptor did not correspond to a Unix socket";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, other));
    }
    if let Some(name) = address.as_abstract_namespace() {
        return SocketAddr::from_abstract_name(name);
    }
    // A path that fills all the room there is std takes from the kernel, and from nobody else: what came from there has
    // come all the same.
    let path = address.as_pathname().unwrap_or(Path::new(""));
    of_path(path).or_else(|_| of_path(Path::new("")))
}
