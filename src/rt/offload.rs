//! Work that blocks in the kernel, on an elastic pool of OS threads, while the caller is parked.
//!
//! A job owns all it touches. A caller that leaves (it was cancelled) leaves the job running; the
//! result is then dropped on the pool, never written into a stack that is gone.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::clock::Instant;
use super::current;
use super::inherited;
use super::park;
use super::reason::Reason;
use super::report;
use super::shared::Shared;
use super::wait_queue::WaitQueue;
use crate::sys::fork;
use crate::sys::sync::{Condvar, Mutex, MutexGuard};

/// How long a thread of a pool waits for its next job before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A pool of OS threads that grows with the jobs, up to a limit, and shrinks when they are done.
pub(crate) struct Pool {
    name: &'static str,
    limit: usize,
    /// One more than the fork generation of its threads; 0 if it never had any.
    born: AtomicU32,
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

struct Job {
    errand: Option<Errand>,
    run: Box<dyn FnOnce() + Send>,
}

/// The pool of `offload`, for files and for what users give it.
static GENERAL: Pool = Pool::new("sylvan-offload", 256);

/// Where a job puts its result.
struct Slot<R> {
    result: Mutex<Option<thread::Result<R>>>,
    done: WaitQueue,
}

impl Pool {
    /// A pool of at most `limit` threads with this name.
    pub(crate) const fn new(name: &'static str, limit: usize) -> Pool {
        Pool {
            name,
            limit,
            born: AtomicU32::new(0),
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            work: Condvar::new(),
        }
    }

    /// Queues a job, and starts a thread for it if none is idle.
    ///
    /// If no thread can be started and none exists, the calling thread does all that is queued.
    ///
    /// # Panics
    ///
    /// In a forked child of the process whose threads these were.
    fn submit(&'static self, job: Job) {
        let born = fork::generation() + 1;
        let before = self
            .born
            .compare_exchange(0, born, Ordering::Relaxed, Ordering::Relaxed);
        assert!(
            before.is_ok() || before == Err(born),
            "this process was forked; the threads of '{}' are its parent's",
            self.name
        );
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            drop(state);
            self.work.notify_one();
            return;
        }
        if state.threads == self.limit {
            return;
        }
        state.threads += 1;
        drop(state);
        let thread = thread::Builder::new().name(self.name.to_owned());
        if thread.spawn(|| self.serve()).is_err() {
            let mut state = self.lock();
            state.threads -= 1;
            let nobody = state.threads == 0;
            let jobs = nobody.then(|| std::mem::take(&mut state.jobs));
            drop(state);
            jobs.into_iter().flatten().for_each(Job::run);
        }
    }

    /// A thread of the pool.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job.run();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let timed_out;
            (state, timed_out) = self.work.wait_timeout(state, KEEP_ALIVE);
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// A job that is under way on behalf of a runtime, from when it is queued until it has run: it may wake
/// a green thread there.
struct Errand(Arc<Shared>);

impl Errand {
    fn new(runtime: Arc<Shared>) -> Errand {
        runtime.job_begins();
        Errand(runtime)
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.job_has_ended();
    }
}

impl Job {
    /// A panic, of a job that nobody waits for, ends the job and not the pool's thread.
    fn run(self) {
        let runtime = self.errand.as_ref().map(|errand| errand.0.clone());
        let run = AssertUnwindSafe(|| current::with_ambient(runtime, self.run));
        if let Err(payload) = panic::catch_unwind(run) {
            let message = report::Message(payload.as_ref());
            report::error(format_args!("an offloaded job panicked: {message}"));
        }
    }
}

/// Runs `job` on an OS thread made for work that blocks, and suspends until it is done.
///
/// Other green threads run meanwhile. From a plain OS thread `job` runs in place. What `job` spawns goes
/// to the caller's runtime, and the caller's [`ContextVar`](crate::task::ContextVar)s hold in it. If
/// the caller is cancelled it leaves at once; `job` runs to its end, and its result is dropped.
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
    pool: &'static Pool,
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
pub(crate) fn detach_to(pool: &'static Pool, job: impl FnOnce() + Send + 'static) {
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
