//! What belongs to an open file description, and so to all its clones: readiness, mode, time-outs.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use std::{io, mem};

use socket2::{Protocol, SockRef};

use super::message::{MOST_AT_ONCE, poll_ready};
use crate::rt::{Direction, Source};

/// See the module's text.
pub(crate) struct Description {
    pub(super) source: Arc<Source>,
    /// The mode the user asked for, whatever mode the descriptor is in.
    nonblocking: AtomicBool,
    /// We keep `O_NONBLOCK` on, though the user may not have asked for it: a listener's case. Locked
    /// while an attempt relies on it, for a clone may leave meanwhile and take the mode with it.
    held_nonblocking: RwLock<bool>,
    read_timeout: Timeout,
    write_timeout: Timeout,
    /// A short transfer means that this side is drained: true of TCP alone.
    short_means_drained: bool,
}

// A description is a kernel object that one system call changes at a time: no panic can leave it half
// changed, as std says of its own sockets.
impl RefUnwindSafe for Description {}

impl Description {
    /// A TCP socket that we have just made, in blocking mode and without time-outs.
    pub(crate) fn new_tcp() -> Description {
        Description::with(false, None, None, true)
    }

    /// A datagram socket that we have just made, in blocking mode and without time-outs.
    pub(crate) fn new_datagram() -> Description {
        Description::with(false, None, None, false)
    }

    /// What is no socket, and so has no time-outs; its mode is the caller's business.
    pub(crate) fn new_plain() -> Description {
        Description::with(false, None, None, false)
    }

    /// A descriptor that came from elsewhere: its options are read, for the user may have set them.
    pub(crate) fn adopt(fd: BorrowedFd<'_>) -> Description {
        // What is no socket, or no descriptor at all, has none of these; its first use tells the user.
        let socket = SockRef::from(&fd);
        Description::with(
            is_nonblocking(fd).unwrap_or(false),
            socket.read_timeout().unwrap_or(None),
            socket.write_timeout().unwrap_or(None),
            socket.protocol().ok().flatten() == Some(Protocol::TCP),
        )
    }

    /// The description of a connection that this listener accepted. Linux copies the listener's
    /// time-outs to it, but not its mode.
    pub(crate) fn accepted(&self) -> Description {
        Description::with(
            false,
            self.read_timeout.get(),
            self.write_timeout.get(),
            self.short_means_drained,
        )
    }

    fn with(
        nonblocking: bool,
        read_timeout: Option<Duration>,
        write_timeout: Option<Duration>,
        short_means_drained: bool,
    ) -> Description {
        Description {
            source: Arc::new(Source::new()),
            nonblocking: AtomicBool::new(nonblocking),
            held_nonblocking: RwLock::new(false),
            read_timeout: Timeout::new(read_timeout),
            write_timeout: Timeout::new(write_timeout),
            short_means_drained,
        }
    }

    /// Did the user ask for `WouldBlock` instead of waiting?
    pub(super) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    /// Follows the user's wish. The descriptor's own mode follows too, so that it is right wherever
    /// it goes, except while we hold it non-blocking, and except for the standard streams.
    pub(super) fn set_nonblocking(&self, fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
        let held = self.lock_shared();
        let must_not_show = nonblocking && is_standard_stream(fd);
        if !*held && !must_not_show {
            set_mode(fd, nonblocking)?;
        }
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// Notes that the descriptor is in non-blocking mode, for our own use.
    pub(super) fn note_held_nonblocking(&self) {
        *self.lock_alone() = true;
    }

    /// Puts the descriptor into non-blocking mode for our own use, unless that would show elsewhere.
    pub(super) fn hold_nonblocking(&self, fd: BorrowedFd<'_>) {
        if is_standard_stream(fd) {
            return;
        }
        let mut held = self.lock_alone();
        if self.is_nonblocking() || set_mode(fd, true).is_ok() {
            *held = true;
        }
    }

    /// Puts the descriptor back into the mode the user set, because it leaves us.
    pub(super) fn release_nonblocking(&self, fd: BorrowedFd<'_>) {
        let mut held = self.lock_alone();
        if mem::take(&mut *held) && !self.is_nonblocking() {
            // It can only fail for a descriptor that is not open, which its next owner will notice.
            let _ = set_mode(fd, false);
        }
    }

    /// Makes an attempt to read that has no flag to keep it from blocking: the mode must do that.
    pub(super) fn attempt_by_mode<R>(
        &self,
        fd: BorrowedFd<'_>,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let held = self.lock_shared();
        if *held {
            return attempt(fd);
        }
        drop(held);
        // A clone left us and took the mode with it, or this is a standard stream. None of our other
        // threads must take what is there between the question and the attempt.
        let _alone = self.lock_alone();
        poll_ready(fd, Direction::Read)?;
        attempt(fd)
    }

    /// Makes an attempt that only the mode keeps from blocking, and puts the descriptor into that mode first, for good.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported), if the mode would show elsewhere.
    pub(super) fn attempt_nonblocking<R>(
        &self,
        fd: BorrowedFd<'_>,
        attempt: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        if !*self.lock_shared() {
            self.hold_nonblocking(fd);
        }
        let held = self.lock_shared();
        if *held {
            attempt()
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn lock_shared(&self) -> RwLockReadGuard<'_, bool> {
        self.held_nonblocking
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_alone(&self) -> RwLockWriteGuard<'_, bool> {
        self.held_nonblocking
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Timeout`].
    pub(super) fn read_timeout(&self) -> &Timeout {
        &self.read_timeout
    }

    /// See [`Timeout`].
    pub(super) fn write_timeout(&self) -> &Timeout {
        &self.write_timeout
    }

    /// Has a read of a stream that wanted so many bytes drained its side, for all one knows? When TCP gives fewer it
    /// has. The end of the stream is no such hint: it stays readable for ever.
    #[inline]
    pub(super) fn is_drained_by_read(&self, count: usize, wanted: usize) -> bool {
        count > 0 && self.is_drained_by_write(count, wanted)
    }

    /// The same of a write.
    #[inline]
    pub(super) fn is_drained_by_write(&self, count: usize, wanted: usize) -> bool {
        count < wanted.min(MOST_AT_ONCE) && self.short_means_drained
    }
}

/// How long an operation of one side may wait, to the nanosecond: the kernel rounds its own copy up to
/// its ticks.
pub(super) struct Timeout(AtomicU64);

impl Timeout {
    /// No limit. Zero is no time-out that can be set.
    const NONE: u64 = 0;

    fn new(timeout: Option<Duration>) -> Timeout {
        let timeout_cell = Timeout(AtomicU64::new(Timeout::NONE));
        timeout_cell.set(timeout);
        timeout_cell
    }

    pub(super) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            Timeout::NONE => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    pub(super) fn set(&self, timeout: Option<Duration>) {
        // More than five centuries is no limit, as `Duration::MAX` is none in the kernel.
        let nanoseconds = timeout.and_then(|timeout| u64::try_from(timeout.as_nanos()).ok());
        self.0
            .store(nanoseconds.unwrap_or(Timeout::NONE), Ordering::Relaxed);
    }
}

/// Is the descriptor itself in non-blocking mode?
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: F_GETFL only reads, whatever the descriptor is.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Sets or clears `O_NONBLOCK`.
pub(crate) fn set_mode(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let mut value = libc::c_int::from(nonblocking);
    // SAFETY: FIONBIO reads one integer, which lives across the call.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut value) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Is it one of the descriptors 0 to 2, or a duplicate of one? Those are shared with the shell and with
/// child processes, which would break if they became non-blocking.
pub(crate) fn is_standard_stream(fd: BorrowedFd<'_>) -> bool {
    identity(fd.as_raw_fd())
        .is_some_and(|own| (0..=2).any(|standard| identity(standard) == Some(own)))
}

/// Device and inode; `None` if the descriptor is not open. Each socket has an inode of its own.
fn identity(fd: RawFd) -> Option<(libc::dev_t, libc::ino_t)> {
    // SAFETY: all zeroes is a valid `stat`, a plain record of numbers.
    let mut status: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: `status` can be written to, and no number of a descriptor can do harm here.
    let result = unsafe { libc::fstat(fd, &raw mut status) };
    (result == 0).then_some((status.st_dev, status.st_ino))
}
