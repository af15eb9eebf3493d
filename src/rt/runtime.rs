//! A runtime: a number of hubs, the tasks they share, and their beginning and end.

use std::marker::PhantomData;
use std::mem;
use std::panic;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{fmt, io, thread};

use super::builder::Builder;
use super::cancel::{self, Cancelled};
use super::cell;
use super::clock::Instant;
use super::ctrl_c;
use super::group::Group;
use super::hub::Hub;
use super::metrics::Metrics;
use super::own_hub::{self, OwnHub};
use super::reason::Reason;
use super::shared::{PATIENCE, Seed, Shared};
use super::task::{Options, Task, TaskRef};
use super::worker::{alternate_stack, default_runtime_if_any, spawn_worker};
use super::{current, inherited, park, report};
use crate::sys::sync::MutexGuard;

/// The stack size of the main task of a `run`, as a program's main thread has it.
const MAIN_STACK_SIZE: usize = 8 << 20;

/// Hubs and the green threads that live on them.
///
/// Most programs need none: [`run`](crate::run) makes one, and a spawn from a plain OS thread uses the
/// process-wide default runtime. A runtime of one's own has several hubs, or keeps its green threads
/// alive between calls of [`run`](Self::run), as asyncio's `run_until_complete` does.
///
/// It cannot be sent to another OS thread: its first hub is the thread that made it. Its
/// [`Handle`] can.
///
/// ```compile_fail,E0277
/// let runtime = sylvan::runtime::Runtime::new().unwrap();
/// std::thread::spawn(move || runtime.run(|| ()));
/// ```
pub struct Runtime {
    shared: Arc<Shared>,
    /// In a place of its own: suspended tasks point to it. Leaked if it is dropped while it runs.
    hub: OwnHub,
    threads: Vec<thread::JoinHandle<()>>,
    ctrl_c: Option<ctrl_c::Listening>,
    closed: bool,
    not_send: PhantomData<*mut ()>,
}

impl Runtime {
    /// A runtime with one hub.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Builder::new().build()
    }

    /// Brings up the hub of the calling OS thread, and starts the threads of the others.
    pub(super) fn start(
        shared: Arc<Shared>,
        mut seeds: Vec<Seed>,
        cancel_on_ctrl_c: bool,
    ) -> io::Result<Runtime> {
        let mut runtime = Runtime {
            hub: OwnHub::new(Hub::new(seeds.remove(0), shared.clone())),
            shared: shared.clone(),
            threads: Vec::new(),
            ctrl_c: None,
            closed: false,
            not_send: PhantomData,
        };
        own_hub::enter(&runtime.hub);
        // Without it who gets no stack would never end.
        runtime.hub.reserve_stack()?;
        for seed in seeds {
            // If one fails, the drop of `runtime` ends those that have started.
            runtime.threads.push(spawn_worker(seed, shared.clone())?);
        }
        if cancel_on_ctrl_c {
            runtime.ctrl_c = Some(ctrl_c::Listening::start(&shared)?);
        }
        Ok(runtime)
    }

    /// Sets up a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// What other threads can do with this runtime.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            shared: self.shared.clone(),
        }
    }

    /// Runs `f` as the main green thread, and the others meanwhile; returns what it returned.
    ///
    /// The others stay alive when it returns: they go on at the next `run`, and those on other hubs at
    /// once. `f` may borrow, and need not be `Send`: it runs on the calling OS thread.
    ///
    /// # Panics
    ///
    /// If `f` panics, with its payload; with [`Cancelled`](crate::task::Cancelled) as payload if it was
    /// cancelled, by [`Handle::stop`] for example; and if the calling thread is a green one or another
    /// `run` of this runtime goes on.
    #[track_caller]
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        self.try_run(f)
            .unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// As [`run`](Self::run); a panic or cancellation of `f` is returned as [`thread::Result`] has it.
    ///
    /// # Errors
    ///
    /// The panic's payload, or [`Cancelled`](crate::task::Cancelled); the latter at once if the runtime was leaked and the OS
    /// thread that made it ends: its destructors find the runtime closed.
    ///
    /// # Panics
    ///
    /// If the calling thread is a green one or another `run` of this runtime goes on.
    #[track_caller]
    pub fn try_run<T>(&self, f: impl FnOnce() -> T) -> thread::Result<T> {
        assert!(
            current::hub().is_none(),
            "a runtime cannot be run from a green thread: its hub would block the other one"
        );
        if self.shared.is_closing() {
            return Err(Box::new(Cancelled::new()));
        }
        let options = Options {
            name: Some("main".into()),
            stack_size: MAIN_STACK_SIZE,
            spawned_at: panic::Location::caller(),
            deadline: Instant::NEVER,
            group: None,
            inherited: inherited::to_inherit(),
        };
        let _alternate_stack = alternate_stack();
        // SAFETY: we return only after the task has ended.
        let (pointer, join) = unsafe { cell::create(options, f) };
        let main = join.task().clone();
        // SAFETY: a new task's count.
        unsafe { self.start_main(pointer) };
        *self.main() = Some(main.clone());
        if self.take_stop_request() {
            main.cancel();
        }
        self.hub.drive(&raw const *main, Instant::NEVER, &|| false);
        self.hub.release_sources();
        if self.hub.has_tasks() {
            own_hub::guard_those_left();
        }
        self.shared.end_run();
        join.into_result()
    }

    /// Was [`Handle::stop`] called while nothing ran?
    fn take_stop_request(&self) -> bool {
        let take = || self.shared.stop_requested.swap(false, Ordering::SeqCst);
        match &self.ctrl_c {
            Some(listening) => listening.begin_run(take),
            None => take(),
        }
    }

    /// # Safety
    ///
    /// As [`Shared::spawn`].
    unsafe fn start_main(&self, pointer: NonNull<Task>) {
        let _running = current::Running::new(&self.hub);
        // SAFETY: by the caller's promise.
        unsafe { self.shared.spawn(pointer, true) };
    }

    /// Runs the green threads until [`Handle::stop`] is called. Returns at once if it was already.
    ///
    /// # Panics
    ///
    /// If the calling thread is a green one.
    #[track_caller]
    pub fn run_forever(&self) {
        let shared = &self.shared;
        let stopped = || shared.stop_requested.load(Ordering::SeqCst);
        let outcome = self.try_run(|| {
            while !stopped() {
                shared
                    .stopped
                    .wait(Reason::Runtime, Instant::NEVER, stopped);
            }
        });
        // `stop` cancels the main green thread, whichever it is: here that is the way to end.
        match outcome {
            Err(payload) if !payload.is::<Cancelled>() => panic::resume_unwind(payload),
            _ => {}
        }
    }

    /// Cancels all green threads, lets them unwind, and waits for them and for the hubs' OS threads.
    ///
    /// Dropping the runtime does the same. One that does not end is named, after 5 seconds and again.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if mem::replace(&mut self.closed, true) {
            return;
        }
        // Otherwise the end of its OS thread has unwound its tasks, and its mailbox may be another hub's.
        if !self.hub.is_closed() {
            self.unwind();
        }
        self.shared.end_hubs();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                report::error(format_args!("the OS thread of a hub panicked"));
            }
        }
        self.shared.abandon_those_left();
        self.hub.close();
        self.ctrl_c = None;
    }

    /// Cancels all tasks, and drives the first hub until they have ended.
    fn unwind(&self) {
        own_hub::leave(&self.hub);
        self.shared.start_closing();
        if cfg!(not(panic = "unwind")) {
            // Nothing can unwind: what does not end by itself in some last turns is leaked, stacks and all.
            self.hub.drive_while_busy(Instant::after(PATIENCE));
        } else if current::hub().is_some() {
            self.end_on_green_thread();
        } else {
            self.shared.unwind_all(&self.hub);
        }
    }

    /// A runtime that is dropped by a green thread of another: its first hub takes turns with the
    /// other one, on this green thread's stack.
    #[cold]
    fn end_on_green_thread(&self) {
        let mut until = Instant::after(PATIENCE);
        loop {
            self.hub.drive_a_turn();
            if self.shared.task_count() == 0 {
                return;
            }
            if Instant::now() >= until {
                self.shared.name_those_left();
                until = Instant::after(PATIENCE);
            }
            cancel::mask(|| park::sleep_until(Instant::after(Duration::from_millis(1))));
        }
    }

    fn main(&self) -> MutexGuard<'_, Option<TaskRef>> {
        self.shared.main.lock()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let from_inside = current::hub().is_some_and(|hub| ptr::eq(hub, &raw const *self.hub));
        if from_inside {
            report::error(format_args!(
                "a runtime is dropped by one of its own green threads: it stops, and is leaked"
            ));
            return self.shared.stop();
        }
        self.end();
        // SAFETY: no task lives on it any more, and it is not used again.
        unsafe { self.hub.free() };
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("workers", &self.shared.hub_count())
            .field("tasks", &self.shared.task_count())
            .finish()
    }
}

/// What can be done with a [`Runtime`] from any thread.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Ends the `run` that goes on: [`run_forever`](Runtime::run_forever) returns, the main green
    /// thread of [`run`](Runtime::run) is cancelled. If none goes on, the next one ends at once.
    ///
    /// A [`run`](Runtime::run) that is ended so unwinds its caller, without a panic's message;
    /// [`try_run`](Runtime::try_run) gives a value instead.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// How many green threads of the runtime are alive.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.shared.task_count()
    }

    /// What the runtime holds now, in numbers.
    ///
    /// It is cheap enough to be asked many times a second. From a green thread of the runtime, what
    /// concerns its own hub is exact; each other hub is seen as of its last turn, so the numbers do not
    /// belong to one instant. All but `peak_tasks` are zero once the runtime is closed.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }

    /// The records of all tasks that are alive.
    pub(crate) fn task_records(&self) -> Vec<TaskRef> {
        self.shared.tasks()
    }

    /// The runtime that a spawn from here would go to, if it is there.
    pub(crate) fn of_caller() -> Option<Handle> {
        let shared = current::runtime_if_any().or_else(default_runtime_if_any)?;
        Some(Handle { shared })
    }

    /// The living task with this number. It is looked for among all.
    pub(crate) fn find(&self, number: u64) -> Option<TaskRef> {
        self.shared.find_number(number)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workers", &self.shared.hub_count())
            .field("tasks", &self.shared.task_count())
            .finish()
    }
}

/// Runs `f` as the main green thread of a runtime with one hub, on the calling OS thread; returns what
/// it returned.
///
/// `f` may borrow and need not be `Send`. Green threads that are still alive when `f` returns are
/// cancelled: they unwind, their destructors run, and `run` waits for them. With one hub the order in
/// which green threads run is deterministic.
///
/// A green thread that swallows its cancellation by `catch_unwind`, again and again, keeps `run` from
/// returning; it is named after 5 seconds, and again.
///
/// Inside a green thread it calls `f` in place; what `f` spawned ends with it in the same way.
///
/// # Panics
///
/// If `f` panics, with its payload, after all others have been unwound; if the operating system has no
/// descriptors or memory for a runtime.
///
/// ```
/// use sylvan::thread;
///
/// let numbers = vec![1, 2, 3];
/// let sum: i32 = sylvan::run(|| {
///     thread::scope(|scope| {
///         let tasks: Vec<_> = numbers.iter().map(|n| scope.spawn(move || n * n)).collect();
///         tasks.into_iter().map(|task| task.join().unwrap()).sum()
///     })
/// });
/// assert_eq!(sum, 14);
/// ```
#[track_caller]
pub fn run<T>(f: impl FnOnce() -> T) -> T {
    if park::on_green_thread() {
        return Group::nested_run(f);
    }
    let runtime = Runtime::new()
        .unwrap_or_else(|error| panic!("a runtime for green threads cannot be made: {error}"));
    let outcome = runtime.try_run(f);
    runtime.close();
    outcome.unwrap_or_else(|payload| panic::resume_unwind(payload))
}
