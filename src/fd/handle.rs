//! [`Handle`]: a descriptor whose operations suspend the green thread instead of blocking the OS thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::description::Description;
#[cfg(feature = "http")]
use super::message::poll_hang_up;
#[cfg(feature = "http")]
use crate::rt::Ticket;
use crate::rt::{Direction, Reason};

/// A descriptor and what it shares with its clones.
///
/// Every operation is a closure that makes one attempt and never blocks: it says `WouldBlock`
/// instead. The one loop around it, which waits and tries again, is the kernel's `Source::perform`.
pub(crate) struct Handle<T> {
    // Dropped first: the kernel must forget the descriptor before it is closed and its number reused.
    registration: Registration,
    inner: T,
}

/// What the kernel may know of one descriptor, until this is dropped.
struct Registration {
    description: Arc<Description>,
    fd: RawFd,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.description.source.forget_fd(self.fd);
    }
}

impl<T: AsFd> Handle<T> {
    /// A descriptor whose description nobody else in this crate holds.
    pub(crate) fn new(inner: T, description: Description) -> Handle<T> {
        Handle::with(inner, Arc::new(description))
    }

    /// A descriptor that came from elsewhere, with the options it came with.
    pub(crate) fn adopt(inner: T) -> Handle<T> {
        let description = Description::adopt(inner.as_fd());
        Handle::new(inner, description)
    }

    /// Another descriptor of the same description.
    pub(crate) fn share(&self, duplicate: T) -> Handle<T> {
        Handle::with(duplicate, Arc::clone(&self.registration.description))
    }

    fn with(inner: T, description: Arc<Description>) -> Handle<T> {
        let fd = inner.as_fd().as_raw_fd();
        Handle {
            registration: Registration { description, fd },
            inner,
        }
    }

    /// The descriptor, for whatever neither waits nor transfers.
    pub(crate) fn get(&self) -> &T {
        &self.inner
    }

    /// Lets the descriptor go, in the mode the user set.
    pub(crate) fn into_inner(self) -> T {
        let Handle {
            registration,
            inner,
        } = self;
        registration.description.release_nonblocking(inner.as_fd());
        drop(registration);
        inner
    }

    /// What all clones share.
    pub(crate) fn description(&self) -> &Description {
        &self.registration.description
    }

    /// Do operations say `WouldBlock` instead of waiting?
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.description().is_nonblocking()
    }

    /// Makes operations say `WouldBlock` instead of waiting, on all clones.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.description()
            .set_nonblocking(self.inner.as_fd(), nonblocking)
    }

    /// Limits the waits of the read side, on all clones; the kernel's own limit is the caller's part.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.description().read_timeout().set(timeout);
    }

    /// Limits the waits of the write side, on all clones; the kernel's own limit is the caller's part.
    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.description().write_timeout().set(timeout);
    }

    /// Waits for the read side as often as `attempt` says `WouldBlock`.
    #[inline]
    pub(crate) fn read_with<R>(
        &self,
        reason: Reason,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let timeout = self.description().read_timeout().get();
        self.read_with_timeout(reason, timeout, attempt)
    }

    /// Waits for the write side as often as `attempt` says `WouldBlock`.
    #[inline]
    pub(crate) fn write_with<R>(
        &self,
        reason: Reason,
        attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let timeout = self.description().write_timeout().get();
        self.write_with_timeout(reason, timeout, attempt)
    }

    /// As [`read_with`](Self::read_with), for a stream's attempt to read `wanted` bytes.
    ///
    /// When that gives fewer it may have drained its side, and the call that would only say `WouldBlock` is spared.
    #[inline]
    pub(crate) fn read_stream(
        &self,
        reason: Reason,
        wanted: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let description = self.description();
        let timeout = description.read_timeout().get();
        self.perform(Direction::Read, reason, timeout, |fd| {
            attempt(fd).map(|count| (count, description.is_drained_by_read(count, wanted)))
        })
    }

    /// As [`write_with`](Self::write_with), for a stream's attempt to write `wanted` bytes.
    #[inline]
    pub(crate) fn write_stream(
        &self,
        reason: Reason,
        wanted: usize,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let description = self.description();
        let timeout = description.write_timeout().get();
        self.perform(Direction::Write, reason, timeout, |fd| {
            attempt(fd).map(|count| (count, description.is_drained_by_write(count, wanted)))
        })
    }

    /// Is there nothing to read, as far as the kernel has told?
    #[cfg(feature = "http")]
    pub(crate) fn was_silent(&self) -> bool {
        self.description().source.was_silent()
    }

    /// Makes the calling green thread the one that every change of readiness wakes. `false`: there is one already.
    #[cfg(feature = "http")]
    #[must_use]
    pub(crate) fn watch(&self) -> bool {
        self.description().source.watch()
    }

    /// As [`read_stream`](Self::read_stream), without waiting, for the watcher. An inner error: it would have
    /// waited.
    #[cfg(feature = "http")]
    pub(crate) fn try_read_stream(
        &self,
        wanted: usize,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<Result<usize, Ticket>> {
        let Registration { description, fd } = &self.registration;
        description.source.attempt(*fd, Direction::Read, || {
            let count = attempt(self.inner.as_fd())?;
            Ok((count, description.is_drained_by_read(count, wanted)))
        })
    }

    /// As [`write_stream`](Self::write_stream), without waiting, for the watcher. An inner error: it would have
    /// waited.
    #[cfg(feature = "http")]
    pub(crate) fn try_write_stream(
        &self,
        wanted: usize,
        attempt: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<Result<usize, Ticket>> {
        let Registration { description, fd } = &self.registration;
        description.source.attempt(*fd, Direction::Write, || {
            let count = attempt(self.inner.as_fd())?;
            Ok((count, description.is_drained_by_write(count, wanted)))
        })
    }

    /// Is the connection gone, both ways? Never suspends, and costs next to nothing while it is whole. The watcher is woken
    /// when it goes.
    #[cfg(feature = "http")]
    pub(crate) fn is_cut(&self) -> bool {
        let Registration { description, fd } = &self.registration;
        // Of one that cannot be watched nothing is known.
        let has_been_shut = description.source.has_been_shut(*fd).unwrap_or(false);
        has_been_shut && poll_hang_up(self.inner.as_fd())
    }

    /// Has something changed since an attempt would have waited?
    #[cfg(feature = "http")]
    pub(crate) fn has_news(&self, ticket: Ticket) -> bool {
        self.description().source.has_news(ticket)
    }

    /// Waits for the read side under a limit of the call's own.
    pub(crate) fn read_with_timeout<R>(
        &self,
        reason: Reason,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.perform(Direction::Read, reason, timeout, |fd| {
            attempt(fd).map(|value| (value, false))
        })
    }

    /// Waits for the write side under a limit of the call's own.
    pub(crate) fn write_with_timeout<R>(
        &self,
        reason: Reason,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.perform(Direction::Write, reason, timeout, |fd| {
            attempt(fd).map(|value| (value, false))
        })
    }

    /// As [`read_with`](Self::read_with), for attempts that have no flag to keep them from blocking,
    /// and so depend on the descriptor's mode.
    pub(crate) fn read_by_mode<R>(
        &self,
        reason: Reason,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.read_with(reason, |fd| {
            self.description().attempt_by_mode(fd, &mut attempt)
        })
    }

    /// Holds the descriptor in non-blocking mode from here on; see [`read_by_mode`](Self::read_by_mode).
    pub(crate) fn hold_nonblocking(&self) {
        self.description().hold_nonblocking(self.inner.as_fd());
    }

    /// Notes that the descriptor was created in non-blocking mode, for our own use.
    pub(crate) fn note_held_nonblocking(&self) {
        self.description().note_held_nonblocking();
    }

    /// Lets the descriptor go back to the user's mode, while we keep it.
    pub(crate) fn release_nonblocking(&self) {
        self.description().release_nonblocking(self.inner.as_fd());
    }

    #[inline]
    fn perform<R>(
        &self,
        direction: Direction,
        reason: Reason,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        let mut attempt = || attempt(self.inner.as_fd());
        // The user's non-blocking mode is no business of the kernel: nothing waits, nothing yields.
        if self.description().is_nonblocking() {
            return attempt().map(|(value, _)| value);
        }
        let Registration { description, fd } = &self.registration;
        description
            .source
            .perform(*fd, direction, reason, timeout, attempt)
    }
}
