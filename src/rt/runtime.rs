//! A runtime: a number of hubs, the tasks they share, and their beginning and end.

use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroUsize;
use std::panic;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use std::{fmt, io, thread};

use crossbeam_deque::{Injector, Steal, Stealer};

use super::cancel::{self, Cancelled};
use super::clock::Instant;
use super::group::Group;
use super::hub::{self, Hub};
use super::idle::Idle;
use super::list::{TaskList, Which};
use super::mailbox::Mailbox;
use super::metrics::{Metrics, Published};
use super::queue::{RunQueue, Runnable};
use super::reactor::Reactor;
use super::reason::Reason;
use super::task::{self, Options, Task, TaskRef};
use super::wait_queue::WaitQueue;
use super::{current, park, report};
use crate::sys::fault::{self, AlternateStack};
use crate::sys::fork;
use crate::sys::sync::{Mutex, MutexGuard, OnceLock};

/// The stack size of a task that asks for none, in bytes of address space.
const STACK_SIZE: usize = 1 << 20;
/// The stack size of the main task of a `run`, as a program's main thread has it.
const MAIN_STACK_SIZE: usize = 8 << 20;
/// A task that does not end when its runtime closes is named after this long, and again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the hubs of a runtime share, and its handles.
pub(crate) struct Shared {
    hubs: Box<[Remote]>,
    /// Unstarted tasks from other OS threads.
    injector: Injector<Runnable>,
    idle: Idle,
    registry: TaskList,
    /// No task is spawned any more.
    closing: AtomicBool,
    /// The hubs' OS threads end.
    ended: AtomicBool,
    stack_size: usize,
    /// The main task of the `run` that goes on now.
    main: Mutex<Option<TaskRef>>,
    stop_requested: AtomicBool,
    stopped: WaitQueue,
}

/// A hub as the other hubs of its runtime see it.
struct Remote {
    mailbox: &'static Mailbox,
    stealer: Option<Stealer<Runnable>>,
    published: Published,
    sources: Arc<AtomicUsize>,
}

/// What a hub is made of before it is brought to its OS thread.
pub(super) struct Seed {
    pub(super) index: usize,
    pub(super) mailbox: &'static Mailbox,
    pub(super) queue: RunQueue,
    pub(super) poll: mio::Poll,
    pub(super) reactor: Arc<Reactor>,
}

// SAFETY: the queue, whose ring is not `Sync`, is empty and goes to its OS thread as a whole.
unsafe impl Send for Seed {}

impl Shared {
    fn new(hubs: usize, stack_size: usize) -> io::Result<(Arc<Shared>, Vec<Seed>)> {
        fork::watch();
        fault::install(report::overflow);
        let seeds = (0..hubs)
            .map(|index| Seed::new(index, hubs > 1))
            .collect::<io::Result<Vec<_>>>()?;
        let remotes = seeds.iter().map(|seed| Remote {
            mailbox: seed.mailbox,
            stealer: seed.queue.stealer(),
            published: Published::default(),
            sources: seed.reactor.registered(),
        });
        let shared = Shared {
            hubs: remotes.collect(),
            injector: Injector::new(),
            idle: Idle::new(),
            registry: TaskList::new(Which::Registry),
            closing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            stack_size,
            main: Mutex::new(None),
            stop_requested: AtomicBool::new(false),
            stopped: WaitQueue::new(),
        };
        Ok((Arc::new(shared), seeds))
    }

    /// The stack size of a task that asks for none.
    pub(crate) fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// How many tasks are alive.
    pub(crate) fn task_count(&self) -> usize {
        self.registry.len()
    }

    /// See [`Handle::metrics`].
    fn metrics(&self) -> Metrics {
        if let Some(hub) = current::hub()
            && ptr::eq(&raw const **hub.runtime(), self)
        {
            hub.publish();
        }
        let (tasks, peak_tasks) = self.registry.len_and_peak();
        let mut metrics = Metrics {
            tasks,
            peak_tasks,
            ..Metrics::default()
        };
        for hub in &self.hubs {
            hub.published.add_to(&mut metrics);
            metrics.sources += hub.sources.load(Ordering::Relaxed);
        }
        metrics
    }

    /// Where a hub publishes its numbers.
    #[inline]
    pub(super) fn published(&self, hub: usize) -> &Published {
        &self.hubs[hub].published
    }

    /// Takes a new task in and queues it where it can be run.
    ///
    /// `stays`: on the hub that spawns it, which must be one of this runtime's.
    ///
    /// # Safety
    ///
    /// `task` is the run machinery's count of a task that was not spawned yet.
    pub(super) unsafe fn spawn(&self, pointer: NonNull<Task>, stays: bool) {
        // SAFETY: counted.
        let task = unsafe { pointer.as_ref() };
        // SAFETY: it leaves both lists in `task_has_ended`.
        unsafe {
            self.registry.insert(task);
            if let Some(group) = &task.group {
                group.enter(task);
            }
        }
        // Looked at after the registration: whoever closes sets it first, and then cancels all that
        // are registered.
        if self.closing.load(Ordering::SeqCst) {
            return self.refuse_closing(pointer);
        }
        match current::hub() {
            Some(hub) if ptr::eq(&raw const **hub.runtime(), self) => hub.enqueue(pointer, stays),
            _ => {
                self.injector.push(Runnable(pointer));
                self.work_was_queued();
            }
        }
    }

    /// The runtime closes: the task ends as cancelled, its captures dropped by the caller.
    #[cold]
    fn refuse_closing(&self, pointer: NonNull<Task>) {
        // SAFETY: counted.
        let task = unsafe { pointer.as_ref() };
        task.cancel();
        report::without_unwinding(|| task.run());
        self.task_has_ended(task);
        // SAFETY: the run machinery's count, which ends here.
        drop(unsafe { TaskRef::from_raw(pointer) });
    }

    /// A task's function has returned, and its stack was given back.
    #[inline]
    pub(super) fn task_has_ended(&self, task: &Task) {
        if let Some(group) = &task.group {
            group.leave(task);
        }
        let last = self.registry.remove(task);
        if last && self.closing.load(Ordering::SeqCst) {
            self.rouse_all();
        }
    }

    /// An unstarted task was queued: a hub that sleeps may take it.
    #[inline]
    pub(super) fn work_was_queued(&self) {
        if let Some(hub) = self.idle.wake_for_work() {
            self.hubs[hub].mailbox.rouse();
        }
    }

    /// Moves tasks from other OS threads to a hub's queue.
    #[inline]
    pub(super) fn take_injected(&self, queue: &RunQueue) -> bool {
        let mut found = false;
        while !self.injector.is_empty() {
            let steal = match queue.deque() {
                Some(deque) => self.injector.steal_batch(deque),
                None => self
                    .injector
                    .steal()
                    .map_success(|runnable| queue.push(runnable.0)),
            };
            match steal {
                Steal::Success(()) => {
                    found = true;
                    // With several hubs a batch is enough: the others take the rest.
                    if queue.deque().is_some() {
                        break;
                    }
                }
                Steal::Retry => {}
                Steal::Empty => break,
            }
        }
        found
    }

    /// Looks for unstarted tasks at the other hubs. Returns whether it brought some home.
    pub(super) fn steal_into(&self, queue: &RunQueue) -> bool {
        if queue.deque().is_none() {
            return self.take_injected(queue);
        }
        self.idle.start_search();
        self.search(queue)
    }

    /// The hub counts as searching; afterwards it does not.
    fn search(&self, queue: &RunQueue) -> bool {
        let found = self.take_injected(queue) || self.steal_from_hubs(queue);
        if let Some(next) = self.idle.stop_search(found) {
            self.hubs[next].mailbox.rouse();
        }
        // Who queued a task behind our back saw us searching, and woke nobody.
        if !found && self.has_unstarted() {
            self.work_was_queued();
        }
        found
    }

    /// Does an unstarted task stand in a queue that others can take from?
    fn has_unstarted(&self) -> bool {
        let stealable = |hub: &Remote| hub.stealer.as_ref().is_some_and(|it| !it.is_empty());
        !self.injector.is_empty() || self.hubs.iter().any(stealable)
    }

    fn steal_from_hubs(&self, queue: &RunQueue) -> bool {
        let Some(deque) = queue.deque() else {
            return false;
        };
        let count = self.hubs.len();
        let start = super::choice::below(count);
        (0..count).any(|step| {
            let victim = &self.hubs[(start + step) % count];
            victim.stealer.as_ref().is_some_and(|stealer| {
                loop {
                    match stealer.steal_batch(deque) {
                        Steal::Success(()) => return true,
                        Steal::Empty => return false,
                        Steal::Retry => {}
                    }
                }
            })
        })
    }

    /// A hub enters itself as sleeping. `false`: there is work, it must not sleep.
    pub(super) fn prepare_sleep(&self, index: usize) -> bool {
        self.idle.sleep(index);
        !self.has_unstarted()
    }

    /// A hub is awake again.
    pub(super) fn after_sleep(&self, index: usize, queue: &RunQueue) {
        if self.idle.wake(index) {
            self.search(queue);
        }
    }

    fn rouse_all(&self) {
        for hub in &self.hubs {
            hub.mailbox.rouse();
        }
    }

    /// See [`Handle::stop`].
    fn stop(&self) {
        self.stop_requested.store(true, Ordering::SeqCst);
        self.stopped.wake_all();
        let main = self.main.lock().clone();
        if let Some(main) = main {
            main.cancel();
        }
    }

    /// From now on no task is spawned; those that are alive are cancelled.
    fn start_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for task in self.registry.snapshot() {
            task.cancel();
        }
    }

    /// Waits until all tasks have been unwound; the calling thread drives the first hub meanwhile.
    fn unwind_all(&self, first_hub: &Hub) {
        let _alternate_stack = alternate_stack();
        while self.task_count() > 0 {
            let until = Instant::after(PATIENCE);
            first_hub.drive(ptr::null(), until, &|| self.task_count() == 0);
            if self.task_count() > 0 && Instant::now() >= until {
                self.name_those_left();
            }
        }
    }

    /// Lets the OS threads of the other hubs end.
    fn end_hubs(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.rouse_all();
    }

    fn name_those_left(&self) {
        for task in self.registry.snapshot() {
            let (reason, _) = task.last_wait();
            let waits = reason.map_or("has not started", Reason::name);
            report::error(format_args!(
                "green thread '{}' (spawned at {}) was cancelled and does not end: {waits}",
                task.display_name(),
                task.identity.spawned_at,
            ));
        }
    }
}

/// `Steal<T>` to `Steal<()>` with an effect.
trait MapSuccess<T> {
    fn map_success(self, effect: impl FnOnce(T)) -> Steal<()>;
}

impl<T> MapSuccess<T> for Steal<T> {
    fn map_success(self, effect: impl FnOnce(T)) -> Steal<()> {
        match self {
            Steal::Success(value) => {
                effect(value);
                Steal::Success(())
            }
            Steal::Retry => Steal::Retry,
            Steal::Empty => Steal::Empty,
        }
    }
}

impl Seed {
    fn new(index: usize, shared: bool) -> io::Result<Seed> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = hub::waker(&poll)?;
        Ok(Seed {
            index,
            mailbox: Mailbox::open(waker),
            queue: RunQueue::new(shared),
            poll,
            reactor: Arc::new(Reactor::new(registry)),
        })
    }
}

/// A hub's OS thread: runs until the runtime has ended.
fn run_worker(seed: Seed, shared: Arc<Shared>) {
    let _alternate_stack = alternate_stack();
    let hub = Hub::new(seed, shared.clone());
    lay_stack_by(&hub);
    hub.drive(ptr::null(), Instant::NEVER, &|| {
        shared.ended.load(Ordering::SeqCst)
    });
    hub.close();
}

fn spawn_worker(seed: Seed, shared: Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new()
        .name(format!("sylvan-hub-{}", seed.index))
        .spawn(move || run_worker(seed, shared))
}

/// Without it an overflow is a bare SIGSEGV: worth a word, not a failure.
fn alternate_stack() -> Option<AlternateStack> {
    AlternateStack::install()
        .inspect_err(|error| {
            report::error(format_args!(
                "stack overflows of green threads cannot be reported: {error}"
            ));
        })
        .ok()
}

fn lay_stack_by(hub: &Hub) {
    if let Err(error) = hub.reserve_stack() {
        report::error(format_args!("a hub has no stack in reserve: {error}"));
    }
}

/// The process-wide runtime of those who spawn from a plain OS thread. It is never closed.
pub(super) fn default() -> Arc<Shared> {
    static DEFAULT: OnceLock<(u32, Arc<Shared>)> = OnceLock::new();
    let start = || {
        let hubs = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let (shared, seeds) = Shared::new(hubs, default_stack_size())?;
        for seed in seeds {
            spawn_worker(seed, shared.clone())?;
        }
        Ok(shared)
    };
    let (generation, runtime) = DEFAULT.get_or_init(|| {
        let runtime = start().unwrap_or_else(|error: io::Error| {
            panic!("the default runtime of green threads cannot be started: {error}")
        });
        (fork::generation(), runtime)
    });
    assert_eq!(
        *generation,
        fork::generation(),
        "this process was forked; the default runtime's OS threads are its parent's"
    );
    runtime.clone()
}

/// `RUST_MIN_STACK`, as std's threads have it, or one MiB.
fn default_stack_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let asked = std::env::var("RUST_MIN_STACK").ok();
        asked
            .and_then(|text| text.parse().ok())
            .unwrap_or(STACK_SIZE)
    })
}

/// Sets up a [`Runtime`].
///
/// ```
/// use sylvan::runtime::Runtime;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::builder().workers(2).build()?;
/// assert_eq!(runtime.run(|| 6 * 7), 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    workers: usize,
    stack_size: Option<usize>,
}

impl Builder {
    /// One hub, and stacks of one MiB.
    pub fn new() -> Builder {
        Builder {
            workers: 1,
            stack_size: None,
        }
    }

    /// The number of hubs, one of which is the thread that calls [`Runtime::run`], while it does.
    ///
    /// With one, the order in which green threads run is deterministic.
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// The stack size, in bytes, of green threads that ask for none. It is address space; only what is
    /// touched costs memory. Sizes are rounded up to 64 KiB, 256 KiB, 1 MiB or 8 MiB.
    ///
    /// The default is the environment variable `RUST_MIN_STACK`, as in std, or else 1 MiB.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Makes the runtime and starts the OS threads of its other hubs.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for zero workers; what the operating system says
    /// if it has no more threads or descriptors.
    pub fn build(self) -> io::Result<Runtime> {
        if self.workers == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a runtime needs at least one worker",
            ));
        }
        let stack_size = self.stack_size.unwrap_or_else(default_stack_size);
        let (shared, mut seeds) = Shared::new(self.workers, stack_size)?;
        let mut runtime = Runtime {
            hub: OwnHub::new(Hub::new(seeds.remove(0), shared.clone())),
            shared: shared.clone(),
            threads: Vec::new(),
            closed: false,
            not_send: PhantomData,
        };
        lay_stack_by(&runtime.hub);
        owned::enter(&runtime.hub);
        for seed in seeds {
            // If one fails, the drop of `runtime` ends those that have started.
            runtime.threads.push(spawn_worker(seed, shared.clone())?);
        }
        Ok(runtime)
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

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
    closed: bool,
    not_send: PhantomData<*mut ()>,
}

/// A hub that can be moved while others point to it, which a `Box` does not promise. Not freed by its
/// drop.
struct OwnHub(NonNull<Hub>);

impl OwnHub {
    fn new(hub: Hub) -> OwnHub {
        OwnHub(NonNull::from(Box::leak(Box::new(hub))))
    }

    /// # Safety
    ///
    /// Nobody points to it, and it is not used again.
    unsafe fn free(&mut self) {
        // SAFETY: made by `Box::leak`; the rest by the caller's promise.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl std::ops::Deref for OwnHub {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        // SAFETY: valid until freed.
        unsafe { self.0.as_ref() }
    }
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
    /// The panic's payload, or [`Cancelled`](crate::task::Cancelled).
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
        let options = Options {
            name: Some("main".to_owned()),
            stack_size: MAIN_STACK_SIZE,
            spawned_at: panic::Location::caller(),
            deadline: Instant::NEVER,
            group: None,
        };
        let _alternate_stack = alternate_stack();
        // SAFETY: we return only after the task has ended.
        let (pointer, join) = unsafe { task::create(options, f) };
        let main = join.task().clone();
        // SAFETY: a new task's count.
        unsafe { self.start_main(pointer) };
        *self.main() = Some(main.clone());
        if self.shared.stop_requested.swap(false, Ordering::SeqCst) {
            main.cancel();
        }
        self.hub.drive(&raw const *main, Instant::NEVER, &|| false);
        self.hub.release_sources();
        *self.main() = None;
        self.shared.stop_requested.store(false, Ordering::SeqCst);
        join.into_result()
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
        owned::leave(&self.hub);
        self.shared.start_closing();
        if current::hub().is_some() {
            self.end_on_green_thread();
        } else {
            self.shared.unwind_all(&self.hub);
        }
        self.shared.end_hubs();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                report::error(format_args!("the OS thread of a hub panicked"));
            }
        }
        self.hub.close();
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
            .field("workers", &self.shared.hubs.len())
            .field("tasks", &self.shared.task_count())
            .finish()
    }
}

/// The first hubs that live on the calling OS thread. It must not end before their tasks: one that is
/// parked may have lent the thread's own thread-locals to tasks on other hubs. So if a `Runtime` was
/// leaked, its tasks are unwound when the thread ends.
mod owned {
    use super::{Hub, NonNull};
    use crate::sys::process::is_main_thread;
    use std::cell::RefCell;

    struct Owned(RefCell<Vec<NonNull<Hub>>>);

    thread_local! {
        static OWNED: Owned = const { Owned(RefCell::new(Vec::new())) };
    }

    /// The hub is not freed before it leaves.
    pub(super) fn enter(hub: &Hub) {
        // An error: the thread ends already, and thread-locals that are gone cannot be lent.
        let _ = OWNED.try_with(|owned| owned.0.borrow_mut().push(NonNull::from(hub)));
    }

    pub(super) fn leave(hub: &Hub) {
        let _ = OWNED.try_with(|owned| owned.0.borrow_mut().retain(|&it| it != NonNull::from(hub)));
    }

    impl Drop for Owned {
        fn drop(&mut self) {
            // With the main thread the whole process ends.
            if is_main_thread() {
                return;
            }
            for hub in self.0.take() {
                // SAFETY: it has not left, so it was not freed.
                let hub = unsafe { hub.as_ref() };
                let shared = hub.runtime();
                shared.start_closing();
                shared.unwind_all(hub);
                shared.end_hubs();
            }
        }
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

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workers", &self.shared.hubs.len())
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
/// Inside a green thread it calls `f` in place; what `f` spawned ends with it in the same way.
///
/// # Panics
///
/// If `f` panics, with its payload, after all others have been unwound; if the operating system has no
/// descriptors for a runtime.
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
