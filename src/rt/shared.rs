//! What the hubs of a runtime share: its tasks, the queues of those that have not started, its end.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_deque::{Injector, Steal};

use super::cancel::Cancelled;
use super::clock::Instant;
use super::deadlock::{Deadlock, Reports};
use super::hub::{self, Hub};
use super::idle::Idle;
use super::list::{TaskList, Which};
use super::mailbox::{Mailbox, Waiting};
use super::metrics::{Metrics, Published};
use super::queue::{RunQueue, Stealable};
use super::reactor::Reactor;
use super::task::{Task, TaskRef};
use super::wait_queue::WaitQueue;
use super::worker::alternate_stack;
use super::{current, report};
use crate::sys::fault;
use crate::sys::fork;
use crate::sys::sync::Mutex;

/// A task that does not end when its runtime closes is named after this long, and again.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How many tasks a hub takes from the injector at a time, if there are other hubs.
const SHARE: usize = 32;

/// An unstarted task in the injector, with the run machinery's count of it.
struct Injected(NonNull<Task>);

// SAFETY: an unstarted task may start on any OS thread: its closure is `Send`.
unsafe impl Send for Injected {}

/// What the hubs of a runtime share, and its handles.
pub(crate) struct Shared {
    hubs: Box<[Remote]>,
    /// Unstarted tasks from other OS threads, and those for which the hubs' own queues have no room.
    injector: Injector<Injected>,
    idle: Idle,
    registry: TaskList,
    /// No task is spawned any more.
    closing: AtomicBool,
    /// The hubs' OS threads end.
    pub(super) ended: AtomicBool,
    stack_size: usize,
    /// The main task of the `run` that goes on now.
    pub(super) main: Mutex<Option<TaskRef>>,
    pub(super) stop_requested: AtomicBool,
    pub(super) stopped: WaitQueue,
    pub(super) reports: Reports,
    pub(super) deadlock: Deadlock,
}

/// A hub as the other hubs of its runtime see it.
struct Remote {
    mailbox: &'static Mailbox,
    stealable: Option<Arc<Stealable>>,
    published: Published,
    sources: Arc<AtomicUsize>,
}

/// What a hub is made of before it is brought to its OS thread.
pub(super) struct Seed {
    pub(super) index: usize,
    pub(super) mailbox: Waiting,
    pub(super) queue: RunQueue,
    pub(super) poll: mio::Poll,
    pub(super) reactor: Arc<Reactor>,
}

// SAFETY: the queue, whose ring is not `Sync`, is empty and goes to its OS thread as a whole.
unsafe impl Send for Seed {}

impl Shared {
    pub(super) fn new(
        hubs: usize,
        stack_size: usize,
        reports: Reports,
    ) -> io::Result<(Arc<Shared>, Vec<Seed>)> {
        fork::watch();
        fault::install(report::overflow);
        let seeds = (0..hubs)
            .map(|index| Seed::new(index, hubs > 1))
            .collect::<io::Result<Vec<_>>>()?;
        let remotes = seeds.iter().map(|seed| Remote {
            mailbox: seed.mailbox.mailbox(),
            stealable: seed.queue.stealable().cloned(),
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
            reports,
            deadlock: Deadlock::new(),
        };
        Ok((Arc::new(shared), seeds))
    }

    /// The stack size of a task that asks for none.
    pub(crate) fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// How many hubs there are.
    pub(super) fn hub_count(&self) -> usize {
        self.hubs.len()
    }

    /// The tasks that are alive.
    pub(super) fn tasks(&self) -> Vec<TaskRef> {
        self.registry.snapshot()
    }

    /// How many tasks are alive.
    pub(crate) fn task_count(&self) -> usize {
        self.registry.len()
    }

    /// Does a `run` go on, or the end of the runtime?
    pub(super) fn is_driven(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.main.lock().is_some()
    }

    /// See [`Handle::metrics`].
    pub(super) fn metrics(&self) -> Metrics {
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

    /// Could something but a green thread of this runtime wake one of its tasks? No hub runs.
    pub(super) fn awaits_something(&self) -> bool {
        self.hubs.iter().any(|hub| hub.published.awaits_something())
    }

    /// How many times the hubs have resumed a task.
    pub(super) fn runs(&self) -> u64 {
        let runs = self.hubs.iter().map(|hub| hub.mailbox.pulse.runs());
        runs.fold(0, u64::wrapping_add)
    }

    /// The tasks that have started on the hub with this mailbox.
    pub(super) fn tasks_at(&self, mailbox: &'static Mailbox) -> Vec<TaskRef> {
        let mut tasks = self.registry.snapshot();
        tasks.retain(|task| task.lives_at(mailbox));
        tasks
    }

    /// The living task at this address.
    pub(super) fn find(&self, address: *const Task) -> Option<TaskRef> {
        self.registry.find(|task| ptr::eq(task, address))
    }

    /// The living task with this number.
    pub(super) fn find_number(&self, number: u64) -> Option<TaskRef> {
        self.registry.find(|task| task.id() == number)
    }

    /// Has the end of the runtime begun?
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Ends the sleep of the first hub.
    pub(super) fn rouse_first(&self) {
        self.hubs[0].mailbox.rouse();
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
                self.inject(pointer);
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

    /// Queues an unstarted task for whichever hub takes it.
    pub(super) fn inject(&self, task: NonNull<Task>) {
        self.injector.push(Injected(task));
    }

    /// Moves injected tasks to a hub's queue: all, or its share if there are other hubs. Returns whether there were any.
    #[inline]
    pub(super) fn take_injected(&self, queue: &RunQueue) -> bool {
        !self.injector.is_empty() && self.take_some(queue)
    }

    fn take_some(&self, queue: &RunQueue) -> bool {
        let most = match queue.stealable() {
            Some(_) => (self.injector.len() / self.hubs.len() + 1).min(SHARE),
            None => usize::MAX,
        };
        let mut taken = 0;
        while taken < most {
            match self.injector.steal() {
                Steal::Success(Injected(task)) => {
                    queue.push_unstarted(task, |older| self.inject(older));
                }
                Steal::Retry => continue,
                Steal::Empty => break,
            }
            taken += 1;
        }
        taken > 0
    }

    /// Looks for unstarted tasks at the other hubs. Returns whether it brought some home.
    pub(super) fn steal_into(&self, queue: &RunQueue) -> bool {
        if queue.stealable().is_none() {
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
        let is_there = |hub: &Remote| hub.stealable.as_ref().is_some_and(|it| !it.is_empty());
        !self.injector.is_empty() || self.hubs.iter().any(is_there)
    }

    fn steal_from_hubs(&self, queue: &RunQueue) -> bool {
        let count = self.hubs.len();
        let start = super::choice::below(count);
        let victims = (0..count).map(|step| &self.hubs[(start + step) % count]);
        victims
            .filter_map(|hub| hub.stealable.as_ref())
            .any(|victim| queue.steal(victim))
    }

    /// A hub enters itself as sleeping. Returns how many sleep now; 0: there is work, it must not.
    pub(super) fn prepare_sleep(&self, index: usize) -> usize {
        let sleepers = self.idle.sleep(index);
        if self.has_unstarted() { 0 } else { sleepers }
    }

    /// A hub is awake again.
    pub(super) fn after_sleep(&self, index: usize, queue: &RunQueue) {
        if self.idle.wake(index) {
            self.search(queue);
        }
    }

    /// Ends the sleep of all hubs but one.
    pub(super) fn rouse_others(&self, but: usize) {
        let others = self.hubs.iter().enumerate();
        for (_, hub) in others.filter(|&(index, _)| index != but) {
            hub.mailbox.rouse();
        }
    }

    pub(super) fn rouse_all(&self) {
        for hub in &self.hubs {
            hub.mailbox.rouse();
        }
    }

    /// See [`Handle::stop`].
    pub(super) fn stop(&self) {
        // In one step with the look at whose request it is: it ends the run that goes on now, or else the next
        // one, and not both.
        let main = {
            let main = self.main.lock();
            self.stop_requested.store(true, Ordering::SeqCst);
            main.clone()
        };
        self.stopped.wake_all();
        if let Some(main) = main {
            main.cancel();
        }
    }

    /// A run has ended, and with it the request to stop it.
    pub(super) fn end_run(&self) {
        let mut main = self.main.lock();
        self.stop_requested.store(false, Ordering::SeqCst);
        let ended = main.take();
        drop(main);
        drop(ended);
    }

    /// From now on no task is spawned; those that are alive are cancelled.
    pub(super) fn start_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for task in self.registry.snapshot() {
            task.cancel();
        }
    }

    /// Waits until all tasks have been unwound; the calling thread drives the first hub meanwhile.
    pub(super) fn unwind_all(&self, first_hub: &Hub) {
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
    pub(super) fn end_hubs(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.rouse_all();
    }

    /// Ends, for whoever joins them, the tasks that are leaked with the runtime: those of a build that
    /// aborts on panic. No hub runs any more.
    pub(super) fn abandon_those_left(&self) {
        for task in self.registry.snapshot() {
            if !task.is_complete() {
                task.abandon(Box::new(Cancelled::new()));
            }
        }
    }

    pub(super) fn name_those_left(&self) {
        for task in self.registry.snapshot() {
            report::error(format_args!(
                "green thread '{}' (spawned at {}) was cancelled and does not end: {}",
                task.display_name(),
                task.identity.spawned_at,
                task.state().doing(),
            ));
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
