//! The readiness of one open file description, and the kernel's half of the one `WouldBlock` loop.
//!
//! An operation is tried first. Only if it would block is the descriptor registered, once, with the
//! hub of the task that met it, and the task waits in line at its side of the source, reading or
//! writing. Each side has a readiness word with a tick that counts the kernel's reports: an operation
//! that would have blocked clears "ready" only if the tick is still the one read before the call, so
//! a report that came between is never lost.
//!
//! A report wakes the first in line. Whoever leaves a side that is still ready wakes the next, whether
//! it leaves with success, by time-out or because it was cancelled.
//!
//! A task that waits for several things at once, as one does that drives futures, stands in no line. It is the
//! source's *watcher*: it tries without waiting, keeps the word it has seen as a [`Ticket`], and is woken by
//! every report.

use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::clock::Instant;
use super::current;
use super::hub::Hub;
use super::os_thread;
use super::park;
use super::reactor::{Reactor, Registration};
use super::reason::Reason;
use super::task::TaskRef;
use super::wait_queue::{WaitQueue, Waited};
use crate::sys::poll;
pub(crate) use crate::sys::poll::Direction;
use crate::sys::sync::{Mutex, MutexGuard};

/// See the module's text. Clones of a descriptor share one.
pub(crate) struct Source {
    registration: Mutex<Option<Registration>>,
    read: Side,
    write: Side,
    /// Set once, for good: see the module's text.
    watcher: OnceLock<TaskRef>,
}

/// What a watcher has when an attempt would have blocked: the state of the side before that.
#[cfg(feature = "http")]
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    direction: Direction,
    seen: u32,
}

struct Side {
    /// [`READY`] and [`NO_HINT`], and the tick above them.
    readiness: AtomicU32,
    waiters: WaitQueue,
}

/// An operation may succeed: try it.
const READY: u32 = 1;
/// A short transfer says nothing: the end of the stream, an error or urgent data was reported.
const NO_HINT: u32 = 1 << 1;
const TICK: u32 = 1 << 2;

/// What one event of the kernel says.
#[derive(Clone, Copy)]
pub(super) struct Readiness {
    read: bool,
    write: bool,
    no_hint: bool,
}

impl Readiness {
    pub(super) fn of(event: &mio::event::Event) -> Readiness {
        let failed = event.is_error();
        Readiness {
            read: event.is_readable() || event.is_read_closed() || event.is_priority() || failed,
            write: event.is_writable() || event.is_write_closed() || failed,
            no_hint: event.is_read_closed()
                || event.is_write_closed()
                || event.is_priority()
                || failed,
        }
    }
}

impl Source {
    /// The source of a description of which nothing is known yet.
    pub(crate) fn new() -> Source {
        Source {
            registration: Mutex::new(None),
            read: Side::new(),
            write: Side::new(),
            watcher: OnceLock::new(),
        }
    }

    /// Does `attempt` until it does not fail with `WouldBlock`, suspending in between until the
    /// description is ready in that direction. After `timeout` it fails as std's sockets do, with the
    /// kind `WouldBlock`.
    ///
    /// `attempt` must not block. It returns its value and whether the side is now known to be drained.
    pub(crate) fn perform<R>(
        self: &Arc<Self>,
        fd: RawFd,
        direction: Direction,
        reason: Reason,
        timeout: Option<Duration>,
        mut attempt: impl FnMut() -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        let Some(hub) = current::hub_of_task() else {
            return perform_blocking(fd, direction, timeout, attempt);
        };
        park::spend_or_fail(hub)?;
        let side = self.side(direction);
        let mut deadline = None;
        loop {
            let seen = side.readiness.load(Ordering::Acquire);
            if let Some(result) = side.try_once(seen, &mut attempt) {
                return result;
            }
            let deadline = *deadline.get_or_insert_with(|| deadline_of(timeout));
            self.register(fd, hub)?;
            if side.wait(seen, reason, deadline)? == Waited::TimedOut {
                return Err(io::Error::from_raw_os_error(poll::WOULD_BLOCK));
            }
        }
    }

    /// Was all read that was there, and has nothing been reported since, neither data nor the end? `false` also if nothing
    /// would be reported.
    #[cfg(feature = "http")]
    pub(crate) fn was_silent(&self) -> bool {
        // Either may change at this moment: it was so.
        self.registration().is_some() && !self.read.is_ready()
    }

    /// Makes the calling task the watcher, which every report wakes from now on. `false`: there is one already.
    #[must_use]
    #[cfg(feature = "http")]
    pub(crate) fn watch(&self) -> bool {
        let is_first = self.watcher.set(park::current_task()).is_ok();
        // Whoever reports after this has seen it, and what was reported before is tried.
        for side in [&self.read, &self.write] {
            side.set(READY);
        }
        is_first
    }

    /// Makes one attempt, for the watcher, and does not suspend. An inner error: it would have blocked, and a
    /// report will tell when to try again.
    ///
    /// `attempt` is as that of [`perform`](Self::perform).
    #[cfg(feature = "http")]
    pub(crate) fn attempt<R>(
        self: &Arc<Self>,
        fd: RawFd,
        direction: Direction,
        attempt: impl FnOnce() -> io::Result<(R, bool)>,
    ) -> io::Result<Result<R, Ticket>> {
        let side = self.side(direction);
        let seen = side.readiness.load(Ordering::Acquire);
        if let Some(result) = side.try_once(seen, attempt) {
            return result.map(Ok);
        }
        let Some(hub) = current::hub_of_task() else {
            // A watcher is a green thread.
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.register(fd, hub)?;
        Ok(Err(Ticket { direction, seen }))
    }

    /// Is the attempt that got this ticket to be made again?
    #[cfg(feature = "http")]
    pub(crate) fn has_news(&self, ticket: Ticket) -> bool {
        let side = self.side(ticket.direction);
        side.is_ready() || side.has_reported_since(ticket.seen)
    }

    /// Has the kernel told that one side, or both, will do no more? Reported to the watcher from now on, if not yet.
    #[cfg(feature = "http")]
    pub(crate) fn has_been_shut(self: &Arc<Self>, fd: RawFd) -> io::Result<bool> {
        if let Some(hub) = current::hub_of_task() {
            self.register(fd, hub)?;
        }
        let reported = |side: &Side| side.readiness.load(Ordering::Acquire) & NO_HINT != 0;
        Ok(reported(&self.read) || reported(&self.write))
    }

    /// This descriptor of the description is about to be closed or given away. Those who wait on
    /// other clones register anew.
    pub(crate) fn forget_fd(&self, fd: RawFd) {
        self.unregister_if(|registration| registration.fd == fd);
    }

    /// Its hub ends, or rests.
    pub(super) fn forget_hub(&self, reactor: &Reactor) {
        self.unregister_if(|registration| ptr::eq(&raw const *registration.reactor, reactor));
    }

    /// The kernel reported something.
    pub(super) fn notice(&self, readiness: Readiness) {
        if readiness.read {
            self.read.report(readiness.no_hint);
        }
        if readiness.write {
            self.write.report(readiness.no_hint);
        }
        self.wake_watcher();
    }

    fn unregister_if(&self, condition: impl FnOnce(&Registration) -> bool) {
        let mut registration = self.registration();
        if !registration.as_ref().is_some_and(condition) {
            return;
        }
        // Ended before the lock is let go: who finds no registration may close the descriptor at once.
        let ended = registration.take().map(Registration::end);
        drop(registration);
        if let Some(result) = ended {
            if let Err(error) = result {
                log::debug!("a descriptor could not be deregistered: {error}");
            }
            self.start_over();
        }
    }

    /// Nothing is known any more: all try again.
    fn start_over(&self) {
        for side in [&self.read, &self.write] {
            side.set(READY);
            side.waiters.wake_all();
        }
        self.wake_watcher();
    }

    /// After the words are set: who has looked at them before has this wake-up still to come.
    #[inline]
    fn wake_watcher(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.wake();
        }
    }

    fn register(self: &Arc<Self>, fd: RawFd, hub: &Hub) -> io::Result<()> {
        let mut registration = self.registration();
        if registration.is_none() {
            *registration = Some(hub.reactor().register(self, fd)?);
        }
        Ok(())
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    fn registration(&self) -> MutexGuard<'_, Option<Registration>> {
        self.registration.lock()
    }
}

/// Leaves the side to the next in line, however an attempt ends that need not be made again: it may be the user's, and panic.
struct WakeNext<'side>(&'side Side);

impl Drop for WakeNext<'_> {
    fn drop(&mut self) {
        self.0.wake_next();
    }
}

impl Side {
    fn new() -> Side {
        Side {
            readiness: AtomicU32::new(READY),
            waiters: WaitQueue::new(),
        }
    }

    /// Makes an attempt if the side is ready, as of `seen`; `None`: it is not.
    #[inline(always)]
    fn try_once<R>(
        &self,
        seen: u32,
        attempt: impl FnOnce() -> io::Result<(R, bool)>,
    ) -> Option<io::Result<R>> {
        if seen & READY == 0 {
            return None;
        }
        let leave_to_next = WakeNext(self);
        let result = attempt();
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                mem::forget(leave_to_next);
                self.clear(seen);
                None
            }
            Ok((value, drained)) => {
                if drained && seen & NO_HINT == 0 {
                    self.clear(seen);
                }
                Some(Ok(value))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn report(&self, no_hint: bool) {
        self.set(if no_hint { READY | NO_HINT } else { READY });
        self.waiters.wake_one();
    }

    /// Sets flags and counts the tick.
    fn set(&self, flags: u32) {
        let change = |word: u32| Some((word | flags).wrapping_add(TICK));
        let _always_changed =
            self.readiness
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    /// The side was found not to be ready, as of `seen`; a report since then stands.
    fn clear(&self, seen: u32) {
        let _ = self.readiness.compare_exchange(
            seen,
            seen & !READY,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    fn is_ready(&self) -> bool {
        self.readiness.load(Ordering::Acquire) & READY != 0
    }

    fn has_reported_since(&self, seen: u32) -> bool {
        (self.readiness.load(Ordering::Acquire) ^ seen) >= TICK
    }

    /// Waits until a report makes this one try again; not at all if there was one since `seen`. Even if
    /// another has drained the side by now, that report may have been the end of the registration.
    #[cold]
    fn wait(&self, seen: u32, reason: Reason, deadline: Instant) -> io::Result<Waited> {
        let pass_on = |_| self.wake_next();
        let ready = || self.is_ready() || self.has_reported_since(seen);
        let waited = self.waiters.wait_or_fail(reason, deadline, ready, pass_on);
        if !matches!(waited, Ok(Waited::Ready | Waited::Signalled(_))) {
            self.wake_next();
        }
        waited
    }

    /// Leaves the side to the next in line, if it is still ready.
    #[inline]
    fn wake_next(&self) {
        if !self.waiters.is_empty() && self.is_ready() {
            self.wake_waiter();
        }
    }

    /// Apart, so that who finds nobody does not pay for it.
    #[cold]
    fn wake_waiter(&self) {
        self.waiters.wake_one();
    }
}

/// The same on a plain OS thread, which waits for its own descriptor by `poll(2)`.
fn perform_blocking<R>(
    fd: RawFd,
    direction: Direction,
    timeout: Option<Duration>,
    mut attempt: impl FnMut() -> io::Result<(R, bool)>,
) -> io::Result<R> {
    let mut deadline = None;
    loop {
        let error = match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => error,
            result => return result.map(|(value, _)| value),
        };
        let deadline = *deadline.get_or_insert_with(|| deadline_of(timeout));
        let until = deadline.min(os_thread::checkpoint());
        park::may_wait()?;
        if deadline != Instant::NEVER && Instant::now() >= deadline {
            return Err(error);
        }
        let left = (until != Instant::NEVER).then(|| until.duration_since(Instant::now()));
        poll::wait(fd, direction, left)?;
    }
}

fn deadline_of(timeout: Option<Duration>) -> Instant {
    timeout.map_or(Instant::NEVER, Instant::limit)
}
