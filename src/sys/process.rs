//! What std does not tell of the process, and of the end of a thread.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// Is the calling OS thread the one the process began with?
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: both calls only return numbers.
    unsafe { libc::gettid() == libc::getpid() }
}

/// The kernel's number of the calling OS thread.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: it only returns a number.
    unsafe { libc::gettid() }
}

/// Calls `callback` when the calling OS thread ends, before the destructors of all thread-locals that it
/// has by now. Does nothing where the C library has no such call (musl).
pub(crate) fn at_thread_exit(callback: extern "C" fn(*mut c_void)) {
    type Register =
        unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int;
    // SAFETY: a name that ends in a null byte.
    let register = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_thread_atexit_impl".as_ptr()) };
    if register.is_null() {
        return;
    }
    // SAFETY: a function of this name has this type, by the C++ ABI that it implements.
    let register: Register = unsafe { mem::transmute(register) };
    // SAFETY: the callback is a function of this program; null stands for the program itself. A failure
    // (no memory) leaves the thread as it was.
    unsafe { register(callback, ptr::null_mut(), ptr::null_mut()) };
}

/// A descriptor that becomes readable when the child process of this number has ended. The caller has not waited for
/// the child yet, so that the number is still its.
pub(crate) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: it takes two numbers, and what it returns is nobody else's.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let Ok(fd @ 0..) = c_int::try_from(fd) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: the descriptor has just been opened, close-on-exec, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends the process without running anything of it: no destructors, no handlers, whatever its threads do.
#[cfg(feature = "process-pool")]
pub(crate) fn exit_at_once(status: c_int) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(status) }
}

/// Has the program more rights than whoever started it (set-user-ID)? Its environment is not to be believed then.
#[cfg(feature = "process-pool")]
pub(crate) fn is_privileged() -> bool {
    // SAFETY: it only returns a number.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Makes standard input empty. Whatever it was is closed.
#[cfg(feature = "process-pool")]
pub(crate) fn stdin_from_null() -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let null = std::fs::File::open("/dev/null")?;
    // SAFETY: both numbers are those of open descriptors; std has no state that depends on what lies behind 0.
    match unsafe { libc::dup2(null.as_raw_fd(), libc::STDIN_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
