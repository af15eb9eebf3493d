//! How a hub waits: for the kernel, for other OS threads, for the next timer.

use std::os::fd::AsRawFd;
use std::time::Duration;

use super::Hub;
use crate::rt::clock::Instant;
use crate::rt::reactor::WAKER;
use crate::rt::{deadlock, report, watchdog};
use crate::sys::poll::{self, Direction};

/// How long a hub is idle before it gives back the memory of stacks it does not use.
const TRIM_AFTER: Duration = Duration::from_millis(100);

impl Hub {
    /// Asks the kernel what is ready, without waiting. Returns whether something was.
    pub(super) fn poll_now(&self) -> bool {
        !self.reactor.is_empty() && self.poll(Some(Duration::ZERO))
    }

    /// Nothing to run: waits for the kernel, another OS thread, the next timer or `until`.
    ///
    /// `done` is asked once more after the hub counts as asleep: whoever made it true before that
    /// found nobody to rouse.
    pub(super) fn sleep(&self, until: Instant, done: &dyn Fn() -> bool) {
        if !self.mailbox.inbox.fall_asleep() {
            return;
        }
        let sleepers = self.runtime.prepare_sleep(self.index);
        if sleepers > 0 && !done() {
            let deadline = deadlock::look(self, sleepers);
            // A deadlock may have been told to the main task.
            if self.queue.is_empty() {
                self.rest(until.min(deadline));
            }
        }
        // Awake again, whoever did it: this turns "asleep" into "empty" and delivers what has come.
        self.take_inbox();
        self.runtime.after_sleep(self.index, &self.queue);
    }

    /// Sleeps, and lets the watchdog sleep.
    fn rest(&self, until: Instant) {
        self.mailbox.pulse.set_asleep(true);
        self.wait_for_events(until);
        self.mailbox.pulse.set_asleep(false);
        if self.runtime.reports.watchdog.is_some() {
            watchdog::hub_wakes();
        }
    }

    fn wait_for_events(&self, until: Instant) {
        let next = self
            .timers
            .borrow()
            .next_turn()
            .map_or(until, |next| next.min(until));
        let left = (next != Instant::NEVER).then(|| next.duration_since(Instant::now()));
        let long = left.is_none_or(|left| left > 2 * TRIM_AFTER);
        if self.untrimmed.get() && long {
            // Only if nothing happens for a while is the hub idle.
            if !self.poll(Some(TRIM_AFTER)) {
                self.records.trim();
                self.timers.borrow_mut().trim();
                let more = self.stacks.borrow_mut().trim();
                self.untrimmed.set(more);
            }
            return;
        }
        match left {
            None => {
                self.poll(None);
            }
            // The kernel's epoll counts milliseconds: the whole ones here, the rest below.
            Some(left) if left >= Duration::from_millis(1) => {
                let whole = left.as_millis().min(i32::MAX as u128) as u64;
                self.poll(Some(Duration::from_millis(whole)));
            }
            Some(left) => {
                let descriptor = self.poll.borrow().as_raw_fd();
                match poll::wait(descriptor, Direction::Read, Some(left)) {
                    Ok(false) => {}
                    Ok(true) => {
                        self.poll(Some(Duration::ZERO));
                    }
                    Err(error) => report::fatal(format_args!("a hub cannot wait: {error}")),
                }
            }
        }
    }

    /// Waits for events and tells their sources. Returns whether there were any.
    fn poll(&self, timeout: Option<Duration>) -> bool {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return false,
            Err(error) => report::fatal(format_args!("a hub cannot wait: {error}")),
        }
        self.reactor.dispatch(&events);
        !events.is_empty()
    }
}

/// The waker that goes into a hub's mailbox.
pub(in crate::rt) fn waker(poll: &mio::Poll) -> std::io::Result<mio::Waker> {
    mio::Waker::new(poll.registry(), WAKER)
}
