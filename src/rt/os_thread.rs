//! How a plain OS thread waits: on a condition variable of its own.
//!
//! Not on std's park token, which belongs to the user of that thread.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::cancel;
use super::clock::Instant;
use super::reason::Reason;
use super::task::{Task, TaskRef};
use crate::sys::sync::{Condvar, Mutex};

/// One thread's wake-up: a flag that says "look at your condition again".
#[derive(Default)]
pub(super) struct Parker {
    notified: Mutex<bool>,
    wake: Condvar,
}

impl Parker {
    pub(super) fn unpark(&self) {
        *self.notified.lock() = true;
        self.wake.notify_one();
    }

    /// Blocks the OS thread until unparked or `deadline`.
    fn park(&self, deadline: Instant) {
        let mut notified = self.notified.lock();
        if !*notified {
            notified = if deadline == Instant::NEVER {
                self.wake.wait(notified)
            } else {
                let left = deadline.duration_since(Instant::now());
                self.wake.wait_timeout(notified, left).0
            };
        }
        *notified = false;
    }
}

thread_local! {
    /// The calling thread's record. Without a destructor, so that it can be read to the thread's end.
    static RECORD: Cell<*const Task> = const { Cell::new(ptr::null()) };
    static OWNER: Owner = const { Owner };
}

/// Frees the record when the thread ends, after the thread-locals in it.
struct Owner;

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(task) = NonNull::new(RECORD.get().cast_mut()) else {
            return;
        };
        // SAFETY: the record's own count, given up by `make_record`, comes back only here.
        let record = unsafe { TaskRef::from_raw(task) };
        record.locals.destroy(drop);
        RECORD.set(ptr::null());
    }
}

/// The record of the calling OS thread. It is valid until the thread's destructors have run; what
/// waits after even that gets a record that is leaked.
#[inline]
pub(super) fn record() -> NonNull<Task> {
    NonNull::new(RECORD.get().cast_mut()).unwrap_or_else(make_record)
}

#[cold]
fn make_record() -> NonNull<Task> {
    let record = TaskRef::of_os_thread(Box::default()).into_raw();
    RECORD.set(record.as_ptr());
    // Registers the destructor; an error says that it has run already.
    let _ = OWNER.try_with(|_| ());
    record
}

/// [`park`](super::park::park) on a plain OS thread.
#[cold]
pub(super) fn park(reason: Reason, deadline: Instant) {
    let until = deadline.min(checkpoint());
    // SAFETY: valid, see `record`.
    let task = unsafe { record().as_ref() };
    task.note_wait(reason, Instant::now());
    if let Some(parker) = &task.parker {
        parker.park(until);
    }
}

/// Throws if a scope of the calling OS thread has ended; else tells when to ask again.
pub(super) fn checkpoint() -> Instant {
    // SAFETY: valid, see `record`.
    let task = unsafe { record().as_ref() };
    if task.may_have_to_end() {
        cancel::checkpoint(task)
    } else {
        Instant::NEVER
    }
}
