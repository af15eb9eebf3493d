//! Who runs on this OS thread: the only reader of the thread-local that leads to hub and task.
//!
//! A started green thread never changes its OS thread, so what is read here stays true for it; all the
//! same nothing keeps the hub across a suspension but the frames of the suspension itself.

use std::cell::{Cell, RefCell};
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::holder::OS_THREAD;
use super::hub::Hub;
use super::shared::Shared;

thread_local! {
    static HUB: Cell<*const Hub> = const { Cell::new(ptr::null()) };
    /// The runtime on whose behalf a plain OS thread works (it runs an offloaded job).
    static AMBIENT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
    /// Task numbers handed to this OS thread and not used yet: the next one, and the end.
    static IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The hub that runs on this OS thread, if any.
///
/// The reference is to be used at once: it is valid as long as the hub runs, which the caller, a frame
/// on one of its tasks or of its own, cannot outlive.
#[inline(always)]
pub(super) fn hub<'frame>() -> Option<&'frame Hub> {
    // SAFETY: `Running` below puts back what was there before the hub can go.
    unsafe { HUB.get().as_ref() }
}

/// The hub whose green thread calls; none on a plain OS thread.
#[inline(always)]
pub(super) fn hub_of_task<'frame>() -> Option<&'frame Hub> {
    hub().filter(|hub| hub.is_running_task())
}

/// The number of the running task; that of all OS threads if none runs.
#[inline(always)]
pub(super) fn number() -> u64 {
    hub().map_or(OS_THREAD, Hub::running_number)
}

/// Marks the calling OS thread as running `hub` until dropped.
pub(super) struct Running(*const Hub);

impl Running {
    pub(super) fn new(hub: &Hub) -> Running {
        Running(HUB.replace(hub))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        HUB.set(self.0);
    }
}

/// Lets the others of the hub run, whatever may be due for the calling task.
#[cfg(panic = "unwind")]
pub(super) fn let_others_run() {
    if let Some(hub) = hub_of_task() {
        hub.let_others_run();
    }
}

/// Calls `f` with the runtime that a `spawn` from here goes to. An error: the default one cannot be started.
#[inline]
pub(super) fn with_runtime<R>(f: impl FnOnce(&Arc<Shared>) -> R) -> io::Result<R> {
    if let Some(hub) = hub() {
        return Ok(f(hub.runtime()));
    }
    let runtime = match runtime_if_any() {
        Some(runtime) => runtime,
        None => super::worker::default_runtime()?,
    };
    Ok(f(&runtime))
}

/// The runtime of the calling green thread, or of the job this OS thread runs; none elsewhere.
pub(super) fn runtime_if_any() -> Option<Arc<Shared>> {
    match hub() {
        Some(hub) => Some(hub.runtime().clone()),
        // An error: the OS thread ends, and destroys its thread-locals.
        None => AMBIENT
            .try_with(|ambient| ambient.borrow().clone())
            .ok()
            .flatten(),
    }
}

/// Runs `f` on a plain OS thread on behalf of `runtime`.
pub(super) fn with_ambient<R>(runtime: Option<Arc<Shared>>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<Shared>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let before = self.0.take();
            AMBIENT.with(|ambient| ambient.replace(before));
        }
    }
    let _restore = Restore(AMBIENT.with(|ambient| ambient.replace(runtime)));
    f()
}

/// A number no other task has. OS threads take them in blocks, so that spawning shares no counter.
#[inline]
pub(super) fn next_id() -> u64 {
    const BLOCK: u64 = 1024;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let (mut next, mut end) = IDS.get();
    if next == end {
        next = NEXT.fetch_add(BLOCK, Ordering::Relaxed);
        end = next + BLOCK;
    }
    IDS.set((next + 1, end));
    next
}
