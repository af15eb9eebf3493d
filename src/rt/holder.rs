//! Who holds a lock: a word in the lock, for the deadlock report of those who wait for it.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::current;
use super::park;

/// The number of the task that has taken a lock.
pub(crate) struct Holder(AtomicU64);

/// What a [`Holder`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeldBy {
    /// It was not told: nobody, or several at once.
    Unknown,
    /// A plain OS thread.
    OsThread,
    /// The task with this number.
    Task(u64),
}

const UNKNOWN: u64 = 0;
/// No task has this number.
pub(super) const OS_THREAD: u64 = u64::MAX;

impl Holder {
    pub(crate) const fn new() -> Holder {
        Holder(AtomicU64::new(UNKNOWN))
    }

    /// The calling thread has taken the lock. One that gives it up need not say so.
    #[inline(always)]
    pub(crate) fn set(&self) {
        self.0.store(current::number(), Ordering::Relaxed);
    }

    /// It is held by several now, or by nobody.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Runs `wait`, in which the calling thread waits for the lock. A report can tell meanwhile whose it is.
    pub(crate) fn while_waiting<R>(&self, wait: impl FnOnce() -> R) -> R {
        struct Forget(*const Holder);
        impl Drop for Forget {
            fn drop(&mut self) {
                note(self.0);
            }
        }
        let _before = Forget(note(self));
        wait()
    }

    pub(super) fn get(&self) -> HeldBy {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => HeldBy::Unknown,
            OS_THREAD => HeldBy::OsThread,
            number => HeldBy::Task(number),
        }
    }
}

/// Notes in the calling thread's record what it waits for; returns what stood there. (A destructor that
/// runs in the midst of one wait may begin another.)
fn note(holder: *const Holder) -> *const Holder {
    park::with_current(|task| {
        // SAFETY: the current task's record outlives its own frames.
        unsafe { task.as_ref() }.awaits.replace(holder)
    })
}

/// Who holds what the task waits for.
///
/// # Safety
///
/// The task is parked on a hub of the calling OS thread: then it stands in the frames that borrow the
/// lock.
pub(super) unsafe fn of(awaits: *const Holder) -> HeldBy {
    // SAFETY: by the caller's promise; null where it waits for no such lock.
    unsafe { awaits.as_ref() }.map_or(HeldBy::Unknown, Holder::get)
}

/// Waits for no lock.
pub(super) const NONE: *const Holder = ptr::null();
