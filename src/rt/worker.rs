//! The OS threads of hubs, and the process-wide runtime.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{io, ptr, thread};

use super::clock::Instant;
use super::deadlock::{OnDeadlock, Reports};
use super::hub::Hub;
use super::report;
use super::shared::{PATIENCE, Seed, Shared};
use crate::sys::fault::AlternateStack;
use crate::sys::fork;
use crate::sys::sync::{Mutex, OnceLock};

/// The stack size of a task that asks for none, in bytes of address space.
const STACK_SIZE: usize = 1 << 20;

/// A hub's OS thread: runs until the runtime has ended.
fn run_worker(seed: Seed, shared: Arc<Shared>) {
    let _alternate_stack = alternate_stack();
    let hub = Hub::new(seed, shared.clone());
    if let Err(error) = hub.reserve_stack() {
        report::error(format_args!("a hub has no stack in reserve: {error}"));
    }
    hub.drive(ptr::null(), Instant::NEVER, &|| {
        shared.ended.load(Ordering::SeqCst)
    });
    if cfg!(not(panic = "unwind")) {
        // Its tasks are still there, and see only now that they are cancelled.
        hub.drive_while_busy(Instant::after(PATIENCE));
    }
    hub.close();
}

pub(super) fn spawn_worker(seed: Seed, shared: Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name(format!("sylvan-hub-{}", seed.index))
        .spawn(move || run_worker(seed, shared))
}

/// Without it an overflow is a bare SIGSEGV: worth a word, not a failure.
pub(super) fn alternate_stack() -> Option<AlternateStack> {
    AlternateStack::install()
        .inspect_err(|error| {
            report::error(format_args!(
                "stack overflows of green threads cannot be reported: {error}"
            ));
        })
        .ok()
}

/// The default runtime, and the fork generation it was started in.
static DEFAULT: Mutex<Option<(u32, Arc<Shared>)>> = Mutex::new(None);

/// The default runtime, if it was started.
pub(super) fn default_runtime_if_any() -> Option<Arc<Shared>> {
    DEFAULT.lock().as_ref().map(|(_, runtime)| runtime.clone())
}

/// The process-wide runtime of those who spawn from a plain OS thread. It is never closed.
pub(super) fn default_runtime() -> io::Result<Arc<Shared>> {
    let mut default = DEFAULT.lock();
    let Some((generation, runtime)) = &*default else {
        let runtime = start_default()?;
        *default = Some((fork::generation(), runtime.clone()));
        return Ok(runtime);
    };
    if *generation != fork::generation() {
        return Err(io::Error::other(
            "this process was forked; the default runtime's OS threads are its parent's",
        ));
    }
    Ok(runtime.clone())
}

fn start_default() -> io::Result<Arc<Shared>> {
    let hubs = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // Plain OS threads use it, and may hold the other end of anything.
    let reports = Reports {
        on_deadlock: OnDeadlock::Ignore,
        ..Reports::default()
    };
    let (shared, seeds) = Shared::new(hubs, default_stack_size(), reports)?;
    for seed in seeds {
        // If one fails those that have started end again.
        spawn_worker(seed, shared.clone()).inspect_err(|_| shared.end_hubs())?;
    }
    Ok(shared)
}

/// `RUST_MIN_STACK`, as std's threads have it, or one MiB.
pub(super) fn default_stack_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let asked = std::env::var("RUST_MIN_STACK").ok();
        asked
            .and_then(|text| text.parse().ok())
            .unwrap_or(STACK_SIZE)
    })
}
