//! Opening a file if that needs no waiting.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The argument of `openat2`.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// What the system call is told of reading and writing.
pub(crate) mod access {
    pub(crate) const READ: i32 = libc::O_RDONLY;
    pub(crate) const WRITE: i32 = libc::O_WRONLY;
    pub(crate) const READ_WRITE: i32 = libc::O_RDWR;
    pub(crate) const APPEND: i32 = libc::O_APPEND;
    /// The bits of the first three.
    pub(crate) const MASK: i32 = libc::O_ACCMODE;
    /// Only to ask what it is.
    pub(crate) const PATH: i32 = libc::O_PATH;
    /// Not that to which a link leads.
    pub(crate) const NO_FOLLOW: i32 = libc::O_NOFOLLOW;
}

/// Fail with EAGAIN where the path is not all in the kernel's cache.
const RESOLVE_CACHED: u64 = 0x20;

/// The kernel does not know the call (Linux 5.12), or is not allowed to.
static UNKNOWN: AtomicBool = AtomicBool::new(false);

/// Opens a file or a folder that exists, if the kernel finds it in its caches. `None`: it has to be opened in the usual
/// way, on an OS thread that may wait. That is so, too, of pipes, terminals and devices: to open one may wait for
/// others, or be noticed by them. So it is asked first what it is.
///
/// What is opened has `O_NONBLOCK` set, which means nothing to nearly all files and folders: where one has become a pipe
/// in between, nobody is waited for, and reading it fails.
pub(crate) fn open_cached(path: &Path, flags: libc::c_int) -> Option<io::Result<File>> {
    let metadata = match open_path(path, access::PATH | flags & access::NO_FOLLOW)? {
        Ok(looked_at) => looked_at.metadata(),
        Err(error) => return Some(Err(error)),
    };
    let is_stored = metadata.is_ok_and(|metadata| metadata.is_file() || metadata.is_dir());
    is_stored.then(|| open_path(path, flags | libc::O_NONBLOCK))?
}

/// As [`open_cached`], and whatever it is.
pub(crate) fn open_path(path: &Path, flags: libc::c_int) -> Option<io::Result<File>> {
    if UNKNOWN.load(Ordering::Relaxed) {
        return None;
    }
    // One with a zero in it is refused in the usual way.
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let how = How {
        flags: u64::from((flags | libc::O_CLOEXEC).cast_unsigned()),
        mode: 0,
        resolve: RESOLVE_CACHED,
    };
    // SAFETY: the path ends with a zero, and the record has the size that is told.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw const how,
            size_of::<How>(),
        )
    };
    if let Ok(fd @ 0..) = libc::c_int::try_from(fd) {
        // SAFETY: it has just been opened, for us.
        return Some(Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into()));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // What cannot be had in this way may be had in the usual one: a pipe that nobody reads (ENXIO), a lease.
        Some(libc::EAGAIN | libc::ENXIO | libc::EINTR) => None,
        Some(libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG) => {
            if error.raw_os_error() == Some(libc::ENOSYS) {
                UNKNOWN.store(true, Ordering::Relaxed);
            }
            None
        }
        _ => Some(Err(error)),
    }
}
