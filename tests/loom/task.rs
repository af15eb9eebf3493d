//! The record of a task, as far as a wake-up is concerned: a model of `src/rt/task.rs`.

use std::ptr::NonNull;
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::mpsc;

/// A record. Its memory stays until the model ends, so that who touches a freed one is told so.
pub(crate) struct Task {
    references: AtomicUsize,
    freed: UnsafeCell<bool>,
    cancelled: AtomicBool,
    wake: mpsc::Sender<()>,
    woken: mpsc::Receiver<()>,
}

// SAFETY: only the task's own thread receives; loom runs one thread at a time.
unsafe impl Sync for Task {}
// SAFETY: as above.
unsafe impl Send for Task {}

/// The memory of a record; not one of its counts.
pub(crate) type Record = Arc<Task>;

impl Task {
    /// A record with two counts: the run machinery's, which `park::as_task` gives back, and the
    /// handle's.
    pub(crate) fn record() -> Record {
        let (wake, woken) = mpsc::channel();
        Arc::new(Task {
            references: AtomicUsize::new(2),
            freed: UnsafeCell::new(false),
            cancelled: AtomicBool::new(false),
            wake,
            woken,
        })
    }

    /// Asks the task to end, as `Task::cancel` does.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Blocks until woken.
    pub(crate) fn wait(&self) {
        self.woken.recv().expect("the record has the sender");
    }

    /// Gives one count back.
    pub(crate) fn release(&self) {
        if self.references.fetch_sub(1, Ordering::Release) == 1 {
            self.references.load(Ordering::Acquire);
            // SAFETY: the last one; if it is not, loom says so.
            self.freed.with_mut(|freed| unsafe { *freed = true });
        }
    }

    fn wake(&self) {
        self.assert_alive();
        self.wake.send(()).expect("the record has the receiver");
    }

    fn acquire(&self) {
        self.assert_alive();
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    fn assert_alive(&self) {
        // SAFETY: if it is written meanwhile, loom says so.
        let freed = self.freed.with(|freed| unsafe { *freed });
        assert!(!freed, "a freed record was touched");
    }
}

/// A task that a waker from another OS thread has chosen.
pub(crate) struct Woken(NonNull<Task>);

impl Woken {
    pub(crate) fn new(task: NonNull<Task>) -> Woken {
        // SAFETY: its memory stays until the model ends.
        unsafe { task.as_ref() }.acquire();
        Woken(task)
    }

    pub(crate) fn wake(self) {
        // SAFETY: as above.
        let task = unsafe { self.0.as_ref() };
        task.wake();
        task.release();
    }
}
