//! What a hub does at this moment, for the watchdog and whoever else looks from another OS thread.
//!
//! Only the hub's OS thread writes, a plain store each time. `README.md`, section "Reports", says why a
//! reader never takes one task for another.

use std::ptr;

use super::task::Task;
use crate::sys::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sys::sync::{AtomicBool, AtomicPtr, AtomicU64};

/// Alone on its cache lines: it is written at every switch.
#[repr(align(128))]
pub(crate) struct Pulse {
    runs: AtomicU64,
    running: AtomicPtr<Task>,
    asleep: AtomicBool,
}

/// A task that runs, and the number of this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) run: u64,
    pub(crate) task: *const Task,
}

impl Pulse {
    pub(crate) fn new() -> Pulse {
        Pulse {
            runs: AtomicU64::new(0),
            running: AtomicPtr::new(ptr::null_mut()),
            asleep: AtomicBool::new(false),
        }
    }

    /// The hub resumes a task.
    #[inline(always)]
    pub(crate) fn begin(&self, task: *mut Task) {
        self.runs.store(self.runs.load(Relaxed) + 1, Release);
        self.running.store(task, Release);
    }

    /// The task has suspended or ended.
    #[inline(always)]
    pub(crate) fn end(&self) {
        self.running.store(ptr::null_mut(), Relaxed);
    }

    /// How many times the hub has resumed a task.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Relaxed)
    }

    /// The run that goes on now. The task's address must not be followed: it may have ended.
    pub(crate) fn beat(&self) -> Option<Beat> {
        let run = self.runs.load(Acquire);
        let task = self.running.load(Acquire);
        let same = self.runs.load(Relaxed) == run;
        (same && !task.is_null()).then_some(Beat { run, task })
    }

    /// The hub begins or ends its sleep in the kernel.
    pub(crate) fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Release);
    }

    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Acquire)
    }
}
