//! `poll(2)` on one descriptor: how a plain OS thread waits, and how a hub waits with nanoseconds.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// The error number of an operation that would have to wait.
pub(crate) const WOULD_BLOCK: i32 = libc::EAGAIN;

/// Which readiness to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// Blocks the calling OS thread until `fd` is ready or has failed, or `timeout` is over.
///
/// Returns whether it is ready; `EINTR` counts as not ready, the caller looks at its clock again.
pub(crate) fn wait(fd: RawFd, direction: Direction, timeout: Option<Duration>) -> io::Result<bool> {
    let mut entry = libc::pollfd {
        fd,
        events: match direction {
            Direction::Read => libc::POLLIN,
            Direction::Write => libc::POLLOUT,
        },
        revents: 0,
    };
    let time = timeout.map(|duration| libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one valid pollfd, and a timespec that lives across the call or null.
    let ready = unsafe { libc::ppoll(&raw mut entry, 1, time, std::ptr::null()) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(false),
            _ => Err(error),
        };
    }
    if entry.revents & libc::POLLNVAL != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(ready > 0)
}

/// Blocks the calling OS thread until the other end of a connected socket is closed.
#[cfg(feature = "process-pool")]
pub(crate) fn wait_for_hangup(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        // A hang-up is always reported.
        events: 0,
        revents: 0,
    };
    loop {
        // SAFETY: one valid pollfd.
        if unsafe { libc::poll(&raw mut entry, 1, -1) } > 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
