//! The way to suspend: a model of `src/rt/park.rs` for threads of a model.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};

use crate::clock::Instant;
use crate::reason::Reason;
use crate::sys;
use crate::task::{Record, Task};

loom::thread_local! {
    static CURRENT: Cell<*const Task> = Cell::new(ptr::null());
}

/// Runs `f` as the task with this record, which ends with it. `None`: a cancel threw out of it.
pub(crate) fn as_task<R>(record: &Record, f: impl FnOnce() -> R) -> Option<R> {
    CURRENT.with(|current| current.set(&raw const **record));
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    sys::set_throwing(false);
    record.release();
    match result {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Thrown>() => None,
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// What a cancel unwinds with.
struct Thrown;

/// A deadline passes at once, which is as good as at any moment: the others run when they like.
pub(crate) fn park(_reason: Reason, deadline: Instant) {
    with_current(|task| {
        // SAFETY: the caller's own record.
        let task = unsafe { task.as_ref() };
        if task.is_cancelled() {
            sys::set_throwing(true);
            panic::resume_unwind(Box::new(Thrown));
        }
        if deadline == Instant::NEVER {
            task.wait();
        } else {
            Instant::pass();
        }
    });
}

pub(crate) fn has_passed(deadline: Instant) -> bool {
    deadline != Instant::NEVER && Instant::now() >= deadline
}

pub(crate) fn with_current<R>(f: impl FnOnce(NonNull<Task>) -> R) -> R {
    let current = CURRENT.with(Cell::get);
    f(NonNull::new(current.cast_mut()).expect("a thread that is no task"))
}
