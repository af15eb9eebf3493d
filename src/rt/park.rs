//! The one way to suspend.
//!
//! Every wait is a loop around [`park`]: look at the condition, park, look again. A park may return
//! for no reason; it returns soon after a wake-up that came at any time since the caller's record was
//! published, and at the deadline. It is here that a task which was cancelled unwinds, *before* it
//! suspends and never after: what a wake-up has brought is looked at first, so nothing that was handed
//! to the task is lost with it.

use std::io;
use std::ptr::NonNull;
use std::thread;

use super::cancel;
use super::clock::Instant;
use super::current;
use super::hub::Hub;
use super::os_thread;
use super::reason::Reason;
use super::task::{Task, TaskRef};

/// Suspends the calling green thread, or blocks the calling plain OS thread, until woken or
/// `deadline`. Throws if the task is to end.
#[inline]
pub(crate) fn park(reason: Reason, deadline: Instant) {
    match current::hub() {
        Some(hub) => hub.park(reason, deadline),
        None => os_thread::park(reason, deadline),
    }
}

/// Throws if the calling thread is to end; never suspends. For one who has seen the effect of a
/// deadline, or of a group's end, that holds for it as well.
pub(crate) fn checkpoint() {
    with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        let task = unsafe { task.as_ref() };
        // Whoever has cancelled it may not have interrupted it yet, and the caller has seen the effect.
        if task.may_have_to_end() || task.scopes.root().is_cancelled() {
            cancel::checkpoint(task);
        }
    });
}

/// See [`cancel::may_wait`].
#[inline]
pub(crate) fn may_wait() -> io::Result<()> {
    cancel::may_wait()
}

/// Lets all others that can run go first.
#[inline]
pub(crate) fn yield_now() {
    match current::hub() {
        Some(hub) => hub.yield_now(),
        None => thread::yield_now(),
    }
}

/// Accounts for one operation that std documents as blocking and that did not have to wait. A task
/// that does many in a row yields.
#[inline]
pub(crate) fn spend() {
    if let Some(hub) = current::hub() {
        hub.spend();
    }
}

/// As [`spend`], for a call that can fail; see [`may_wait`].
#[inline]
pub(super) fn spend_or_fail(hub: &Hub) -> io::Result<()> {
    if hub.spend() { may_wait() } else { Ok(()) }
}

/// The record of the calling thread, green or not; valid while its frames are.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(NonNull<Task>) -> R) -> R {
    match current::hub() {
        Some(hub) => f(hub.current_task()),
        None => f(os_thread::record()),
    }
}

/// The record of the calling thread, green or not, for as long as one likes.
pub(crate) fn current_task() -> TaskRef {
    with_current(|task| {
        // SAFETY: the current thread's record outlives its own frames.
        unsafe { task.as_ref() }.reference()
    })
}

/// The number of the calling thread, green or not, which no other one ever has.
#[inline]
pub(crate) fn current_id() -> u64 {
    with_current(|task| {
        // SAFETY: the current thread's record outlives its own frames.
        unsafe { task.as_ref() }.id()
    })
}

/// Which of the runs of its hub's tasks is the calling green thread's: the number changes when it is suspended. 0 on a
/// plain OS thread.
#[inline]
pub(crate) fn current_run() -> u32 {
    // It begins anew after 2^32 runs, and may be taken for another then: it is a hint.
    current::hub_of_task().map_or(0, |hub| hub.mailbox().pulse.runs() as u32)
}

/// Does a green thread call?
pub(crate) fn on_green_thread() -> bool {
    current::hub_of_task().is_some()
}

/// Has this moment passed, as far as the caller's hub knows? A hub looks at the clock once a turn, and so before
/// it wakes whom a timer wakes: a waiter that asks here reads no clock, and is never early.
#[inline]
pub(crate) fn has_passed(deadline: Instant) -> bool {
    deadline != Instant::NEVER && now_of_turn() >= deadline
}

/// The time as far as the caller's hub knows.
#[inline]
pub(crate) fn now_of_turn() -> Instant {
    current::hub().map_or_else(Instant::now, Hub::now)
}

/// Sleeps until `deadline`.
pub(crate) fn sleep_until(deadline: Instant) {
    spend();
    while !has_passed(deadline) {
        park(Reason::Sleep, deadline);
    }
}
