//! [`OffloadPool`]: OS threads that come with the jobs and go when they are done.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::{GENERAL, offload_to};
use crate::rt::cancel;
use crate::rt::current;
use crate::rt::reason::Reason;
use crate::rt::report;
use crate::rt::shared::Shared;
use crate::sys::fork;
use crate::sys::sync::{Condvar, Mutex, MutexGuard};

/// How long a thread of a pool waits for its next job before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// OS threads for work that blocks, apart from all others: a pool of one's own for [`offload`](crate::offload).
///
/// A thread is started when a job comes and none is idle, up to a limit; more jobs than that wait in line, first come
/// first served, and their callers are suspended. A thread that has had nothing to do for ten seconds ends.
///
/// Who has much of one kind of blocking work, calls into a slow library, say, gives it a pool of its own: then it can
/// neither keep all threads of the [general](Self::general) one, which files need, nor start too many at once.
///
/// ```
/// use sylvan::runtime::OffloadPool;
/// use sylvan::thread;
///
/// let images = OffloadPool::new("images", 2);
/// let images = &images;
/// sylvan::run(|| {
///     thread::scope(|scope| {
///         for n in 1..=8_u64 {
///             scope.spawn(move || assert_eq!(images.offload(move || n * n), n * n));
///         }
///     });
/// });
/// assert!(images.stats().peak_threads <= 2);
/// assert_eq!(images.stats().finished, 8);
/// ```
///
/// When it is dropped its threads do what is in line, and end.
pub struct OffloadPool {
    core: Arc<Core>,
}

/// What an [`OffloadPool`] does at one moment, and has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct OffloadStats {
    /// OS threads, at work or idle.
    pub threads: usize,
    /// Those that are at work.
    pub busy: usize,
    /// The most there ever were.
    pub peak_threads: usize,
    /// Jobs that no thread has begun.
    pub queued: usize,
    /// Jobs that have been done, those included that panicked or whose callers had left.
    pub finished: u64,
}

/// What the threads have of the pool.
struct Core {
    name: String,
    /// One more than the fork generation of its threads; 0 if it never had any.
    born: AtomicU32,
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    limit: usize,
    threads: usize,
    idle: usize,
    peak_threads: usize,
    finished: u64,
    /// Nobody can bring jobs any more.
    is_closed: bool,
}

pub(super) struct Job {
    pub(super) errand: Option<Errand>,
    pub(super) run: Box<dyn FnOnce() + Send>,
}

impl OffloadPool {
    /// A pool of at most `limit` OS threads, of which there are none yet. They bear its name, or the first 15 bytes of it.
    ///
    /// # Panics
    ///
    /// If the limit is 0, or there is a zero byte in the name.
    #[must_use]
    pub fn new(name: impl Into<String>, limit: usize) -> OffloadPool {
        let name = name.into();
        assert!(limit > 0, "a pool without threads");
        assert!(!name.contains('\0'), "a zero byte in a thread's name");
        let state = State {
            jobs: VecDeque::new(),
            limit,
            threads: 0,
            idle: 0,
            peak_threads: 0,
            finished: 0,
            is_closed: false,
        };
        let core = Core {
            name,
            born: AtomicU32::new(0),
            state: Mutex::new(state),
            work: Condvar::new(),
        };
        OffloadPool {
            core: Arc::new(core),
        }
    }

    /// The one that [`offload`](crate::offload) has, and [`fs`](crate::fs); of 256 threads at most, unless somebody sets
    /// another limit.
    #[must_use]
    pub fn general() -> &'static OffloadPool {
        &GENERAL
    }

    /// Runs `job` on one of its threads, and suspends until it is done; in all else it is [`offload`](crate::offload).
    ///
    /// # Panics
    ///
    /// If `job` panics, with its payload.
    pub fn offload<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        offload_to(self, Reason::Offload, job)
    }

    /// The most OS threads that it may have.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.core.lock().limit
    }

    /// Sets the most OS threads that it may have. Those that are too many end as soon as they have done their jobs.
    ///
    /// ```
    /// use sylvan::runtime::OffloadPool;
    ///
    /// OffloadPool::general().set_limit(64);
    /// assert_eq!(OffloadPool::general().limit(), 64);
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is 0.
    pub fn set_limit(&self, limit: usize) {
        assert!(limit > 0, "a pool without threads");
        let mut state = self.core.lock();
        state.limit = limit;
        let wanted = state.jobs.len().saturating_sub(state.idle);
        let missing = wanted.min(limit.saturating_sub(state.threads));
        drop(state);
        // Idle ones that are too many are to see it.
        self.core.work.notify_all();
        for _ in 0..missing {
            self.core.start_thread();
        }
    }

    /// What it does now, and has done.
    #[must_use]
    pub fn stats(&self) -> OffloadStats {
        let state = self.core.lock();
        OffloadStats {
            threads: state.threads,
            busy: state.threads - state.idle,
            peak_threads: state.peak_threads,
            queued: state.jobs.len(),
            finished: state.finished,
        }
    }

    /// Queues a job, and starts a thread for it if none is idle.
    ///
    /// If no thread can be started and none exists, the calling thread does all that is queued.
    ///
    /// # Panics
    ///
    /// In a forked child of the process whose threads these were.
    pub(super) fn submit(&self, job: Job) {
        let core = &self.core;
        let born = fork::generation() + 1;
        let before = core
            .born
            .compare_exchange(0, born, Ordering::Relaxed, Ordering::Relaxed);
        assert!(
            before.is_ok() || before == Err(born),
            "this process was forked; the threads of '{}' are its parent's",
            core.name
        );
        let mut state = core.lock();
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            drop(state);
            core.work.notify_one();
        } else if state.threads < state.limit {
            drop(state);
            core.start_thread();
        }
    }
}

impl Drop for OffloadPool {
    fn drop(&mut self) {
        self.core.lock().is_closed = true;
        self.core.work.notify_all();
    }
}

impl fmt::Debug for OffloadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffloadPool")
            .field("name", &self.core.name)
            .field("limit", &self.limit())
            .field("stats", &self.stats())
            .finish()
    }
}

impl Core {
    /// Starts one more, if there may be one more.
    fn start_thread(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.threads >= state.limit {
            return;
        }
        state.threads += 1;
        state.peak_threads = state.peak_threads.max(state.threads);
        drop(state);
        let core = self.clone();
        let thread = thread::Builder::new().name(self.name.clone());
        if thread.spawn(move || core.serve()).is_err() {
            let mut state = self.lock();
            state.threads -= 1;
            let nobody = state.threads == 0;
            let jobs = nobody.then(|| std::mem::take(&mut state.jobs));
            drop(state);
            for job in jobs.into_iter().flatten() {
                // It may be somebody else's: what would unwind us is no affair of it.
                cancel::mask(|| job.run());
                self.lock().finished += 1;
            }
        }
    }

    /// A thread of the pool.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if state.threads > state.limit {
                break;
            }
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job.run();
                state = self.lock();
                state.finished += 1;
                continue;
            }
            if state.is_closed {
                break;
            }
            state.idle += 1;
            let timed_out;
            (state, timed_out) = self.work.wait_timeout(state, KEEP_ALIVE);
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// A job that is under way on behalf of a runtime, from when it is queued until it has run: it may wake
/// a green thread there.
pub(super) struct Errand(Arc<Shared>);

impl Errand {
    pub(super) fn new(runtime: Arc<Shared>) -> Errand {
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
            report::contain(|| drop(payload));
        }
    }
}
