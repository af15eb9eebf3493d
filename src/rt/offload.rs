//! Work that blocks in the kernel, on an elastic pool of OS threads, while the caller is parked.
//!
//! A job owns all it touches. A caller that leaves (it was cancelled) leaves the job running; the
//! result is then dropped on the pool, never written into a stack that is gone.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, LazyLock};
use std::thread;

use super::clock::Instant;
use super::current;
use super::inherited;
use super::park;
use super::reason::Reason;
use super::wait_queue::WaitQueue;
use crate::sys::sync::{Mutex, MutexGuard};

mod pool;

use pool::{Errand, Job};
pub use pool::{OffloadPool, OffloadStats};

/// The pool of `offload`, for files and for what users give it.
static GENERAL: LazyLock<OffloadPool> = LazyLock::new(|| OffloadPool::new("sylvan-offload", 256));

/// Where a job puts its result.
struct Slot<R> {
    result: Mutex<Option<thread::Result<R>>>,
    done: WaitQueue,
}

/// Runs `job` on an OS thread made for work that blocks, and suspends until it is done.
///
/// Other green threads run meanwhile. From a plain OS thread `job` runs in place. What `job` spawns goes
/// to the caller's runtime, and the caller's [`ContextVar`](crate::task::ContextVar)s hold in it. If
/// the caller is cancelled it leaves at once; `job` runs to its end, and its result is dropped.
///
/// The OS threads are those of a pool that all share, [`OffloadPool::general`](crate::runtime::OffloadPool::general).
///
/// # Panics
///
/// If `job` panics, with its payload.
///
/// ```
/// let sum = sylvan::run(|| sylvan::offload(|| (1..=100).sum::<u32>()));
/// assert_eq!(sum, 5050);
/// ```
///
/// Its job runs on another OS thread, and its result comes from there:
///
/// ```compile_fail,E0277
/// sylvan::run(|| sylvan::offload(|| std::rc::Rc::new(1)));
/// ```
pub fn offload<R: Send + 'static>(job: impl FnOnce() -> R + Send + 'static) -> R {
    offload_to(&GENERAL, Reason::Offload, job)
}

/// As [`offload`], on a pool of one's own.
pub(crate) fn offload_to<R: Send + 'static>(
    pool: &OffloadPool,
    reason: Reason,
    job: impl FnOnce() -> R + Send + 'static,
) -> R {
    if !park::on_green_thread() {
        return job();
    }
    let slot = Arc::new(Slot {
        result: Mutex::new(None),
        done: WaitQueue::new(),
    });
    let theirs = slot.clone();
    let inherited = inherited::to_inherit();
    detach_to(pool, move || {
        let job = || inherited::with_inheritance(inherited, job);
        let result = panic::catch_unwind(AssertUnwindSafe(job));
        theirs.put(result);
    });
    loop {
        if let Some(result) = slot.take() {
            return result.unwrap_or_else(|payload| panic::resume_unwind(payload));
        }
        slot.done
            .wait(reason, Instant::NEVER, || slot.lock().is_some());
    }
}

/// Runs `job` on a pool; nobody waits for it.
pub(crate) fn detach_to(pool: &OffloadPool, job: impl FnOnce() + Send + 'static) {
    pool.submit(Job {
        errand: current::runtime_if_any().map(Errand::new),
        run: Box::new(job),
    });
}

impl<R> Slot<R> {
    fn put(&self, result: thread::Result<R>) {
        *self.lock() = Some(result);
        self.done.wake_all();
    }

    fn take(&self) -> Option<thread::Result<R>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<thread::Result<R>>> {
        self.result.lock()
    }
}
