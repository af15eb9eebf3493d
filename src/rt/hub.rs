//! The hub: the event loop of one OS thread, and the tasks that live on it.
//!
//! The loop runs on the OS thread's own stack and never runs user code there: a task is resumed on its
//! stack, and when it suspends the loop goes on. All here is touched by one OS thread only, so there
//! are no atomics but at the edges: the mailbox, through which other threads wake tasks, and the
//! queues of unstarted tasks.
//!
//! `hub/stacks.rs` has how tasks begin and end, `hub/sleep.rs` how the hub waits.

mod sleep;
mod stacks;

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;

pub(super) use self::sleep::waker;
use self::stacks::Reserve;
use super::cancel;
use super::clock::Instant;
use super::current::Running;
use super::holder::OS_THREAD;
use super::mailbox::Mailbox;
use super::queue::RunQueue;
use super::reactor::Reactor;
use super::reason::Reason;
use super::records::Records;
use super::report;
use super::shared::{Seed, Shared};
use super::task::{Run, Task, TaskRef};
use super::timer::{Expired, Wheel};
use super::watchdog;
use crate::sys::context::Root;
use crate::sys::fork;
use crate::sys::stack::Pool;

/// How many blocking operations a task may do that need not wait, before it yields.
const BUDGET: u32 = 128;
/// How many tasks run between two looks at the clock, the timers and the kernel; fewer, if one spends its budget.
const BATCH: u32 = 64;

/// See the module's text.
pub(crate) struct Hub {
    index: usize,
    runtime: Arc<Shared>,
    mailbox: &'static Mailbox,
    queue: RunQueue,
    /// The loop itself, as the tasks' contexts know it.
    root: Root,
    /// The task that runs now; null while the loop itself runs.
    running: Cell<*const Task>,
    budget: Cell<u32>,
    /// How many more tasks may run in this turn.
    batch: Cell<u32>,
    /// The time as of this turn.
    now: Cell<Instant>,
    timers: RefCell<Wheel>,
    expired: RefCell<Vec<Expired>>,
    stacks: RefCell<Pool>,
    /// Stacks were used since they were last trimmed.
    untrimmed: Cell<bool>,
    reserve: Reserve,
    records: Records,
    poll: RefCell<mio::Poll>,
    events: RefCell<mio::Events>,
    reactor: Arc<Reactor>,
    /// The task whose end ends the drive, and whether it has.
    goal: Cell<*const Task>,
    goal_reached: Cell<bool>,
    /// How many tasks are parked for something outside of the runtime.
    outside: Cell<usize>,
    /// The last inquiry after a deadlock that it has answered.
    answered: Cell<u64>,
    closed: Cell<bool>,
    generation: u32,
}

impl Hub {
    /// Brings up the hub on the calling OS thread.
    pub(super) fn new(seed: Seed, runtime: Arc<Shared>) -> Hub {
        let now = Instant::now();
        Hub {
            index: seed.index,
            runtime,
            mailbox: seed.mailbox.arrive(),
            queue: seed.queue,
            root: Root::default(),
            running: Cell::new(ptr::null()),
            budget: Cell::new(BUDGET),
            batch: Cell::new(0),
            now: Cell::new(now),
            timers: RefCell::new(Wheel::new(now)),
            expired: RefCell::default(),
            stacks: RefCell::new(Pool::new()),
            untrimmed: Cell::new(false),
            reserve: Reserve::default(),
            records: Records::default(),
            poll: RefCell::new(seed.poll),
            events: RefCell::new(mio::Events::with_capacity(1024)),
            reactor: seed.reactor,
            goal: Cell::new(ptr::null()),
            goal_reached: Cell::new(false),
            outside: Cell::new(0),
            answered: Cell::new(0),
            closed: Cell::new(false),
            generation: fork::generation(),
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn mailbox(&self) -> &'static Mailbox {
        self.mailbox
    }

    pub(super) fn runtime(&self) -> &Arc<Shared> {
        &self.runtime
    }

    pub(super) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    #[inline(always)]
    pub(super) fn is_running_task(&self) -> bool {
        !self.running.get().is_null()
    }

    /// The number of the running task; that of all OS threads if none runs.
    #[inline(always)]
    pub(super) fn running_number(&self) -> u64 {
        // SAFETY: the running task's record is alive.
        let task = unsafe { self.running.get().as_ref() };
        task.map_or(OS_THREAD, Task::id)
    }

    /// The time as of this turn.
    #[inline]
    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// Takes note of an inquiry; returns whether it is to be answered.
    pub(super) fn is_new_inquiry(&self, number: u64) -> bool {
        self.answered.replace(number) != number
    }

    /// The task that runs now.
    #[inline(always)]
    pub(super) fn current_task(&self) -> NonNull<Task> {
        match NonNull::new(self.running.get().cast_mut()) {
            Some(task) => task,
            None => report::fatal(format_args!(
                "something would wait on a hub's own stack, where nothing may"
            )),
        }
    }
}

/// Suspending: called on the stack of the running task.
impl Hub {
    /// See [`park`](super::park::park).
    #[inline]
    pub(super) fn park(&self, reason: Reason, deadline: Instant) {
        // SAFETY: the running task's record outlives its frames.
        let task = unsafe { self.current_task().as_ref() };
        let mut until = deadline;
        if task.may_have_to_end() {
            until = until.min(cancel::checkpoint(task));
        }
        if task.seat.notified.replace(false) {
            return;
        }
        task.note_wait(reason, self.now.get());
        task.seat.run.set(Run::Parked);
        let outside = usize::from(reason.is_from_outside());
        self.outside.set(self.outside.get() + outside);
        if until == Instant::NEVER {
            self.suspend(task);
        } else {
            self.suspend_until(task, until);
        }
        self.outside.set(self.outside.get() - outside);
    }

    /// See [`yield_now`](super::park::yield_now).
    #[inline]
    pub(super) fn yield_now(&self) {
        let current = self.current_task();
        // SAFETY: the running task's record outlives its frames.
        let task = unsafe { current.as_ref() };
        if task.may_have_to_end() {
            cancel::checkpoint(task);
        }
        self.let_others_run();
    }

    /// As [`yield_now`](Self::yield_now), but no cancel point.
    #[inline]
    pub(super) fn let_others_run(&self) {
        let current = self.current_task();
        // SAFETY: the running task's record outlives its frames.
        let task = unsafe { current.as_ref() };
        task.note_wait(Reason::Yield, self.now.get());
        task.seat.run.set(Run::Queued);
        self.queue.push(current);
        self.suspend(task);
    }

    /// See [`spend`](super::park::spend). Returns whether it yielded.
    #[inline]
    pub(super) fn spend(&self) -> bool {
        let left = self.budget.get();
        if left > 0 {
            self.budget.set(left - 1);
            return false;
        }
        // It has done as much as many tasks do: the turn ends with it, so that those who wait for the kernel do
        // not wait for a batch of such.
        self.batch.set(0);
        self.yield_now();
        true
    }

    fn suspend_until(&self, task: &Task, until: Instant) {
        let timer = self.timers.borrow_mut().arm(task.address(), until);
        self.suspend(task);
        self.timers.borrow_mut().disarm(timer);
    }

    #[inline(always)]
    fn suspend(&self, task: &Task) {
        match task.context() {
            // SAFETY: the running task runs on its context, which this hub has resumed.
            Some(context) => unsafe { self.root.suspend(context) },
            None => report::fatal(format_args!("a task that has no context would suspend")),
        }
    }

    /// Makes a task of this hub runnable.
    #[inline]
    pub(super) fn wake_local(&self, task: &Task) {
        self.wake_into(task, |task| self.queue.push_woken(task));
    }

    #[inline]
    fn wake_into(&self, task: &Task, queue: impl FnOnce(NonNull<Task>)) {
        match task.seat.run.get() {
            Run::Parked => {
                task.seat.run.set(Run::Queued);
                queue(task.address());
            }
            Run::Running => task.seat.notified.set(true),
            // Queued: it will look at its condition. Unstarted or ended: it waits for nothing.
            Run::Queued | Run::Unstarted | Run::Ended => {}
        }
    }

    /// Queues a new task. `stays`: it must start on this hub.
    #[inline]
    pub(super) fn enqueue(&self, task: NonNull<Task>, stays: bool) {
        if stays {
            self.queue.push(task);
            return;
        }
        let inject = |older| self.runtime.inject(older);
        if self.queue.push_unstarted(task, inject) {
            self.runtime.work_was_queued();
        }
    }
}

/// The loop: runs on the OS thread's own stack.
impl Hub {
    /// Runs tasks until `done` says so (asked once a turn), or `goal` has ended, or `until`.
    pub(super) fn drive(&self, goal: *const Task, until: Instant, done: &dyn Fn() -> bool) {
        let _watched = watchdog::watch(self);
        self.goal.set(goal);
        self.as_current(|| {
            while !done() && self.now.get() < until {
                let busy = self.turn();
                if self.goal_reached.replace(false) {
                    break;
                }
                if !busy {
                    self.sleep(until, done);
                }
            }
        });
        self.goal.set(ptr::null());
    }

    /// Runs what can run now, for a while, and never sleeps.
    pub(super) fn drive_a_turn(&self) {
        self.as_current(|| {
            // A turn that finds nothing to run leaves the kernel to the sleep that follows: here none does.
            self.poll_now();
            self.turn();
        });
    }

    /// Runs what can run until nothing can, or `until`, and never sleeps.
    pub(super) fn drive_while_busy(&self, until: Instant) {
        self.as_current(|| {
            self.poll_now();
            while (self.turn() || self.poll_now()) && self.now.get() < until {}
        });
    }

    /// Runs `f` with this hub as the one of the calling OS thread.
    fn as_current(&self, f: impl FnOnce()) {
        let _running = Running::new(self);
        self.now.set(Instant::now());
        report::without_unwinding(f);
    }

    /// One round: what has come, at most a batch of tasks, and, if more can run, what is ready. Returns whether
    /// more can.
    fn turn(&self) -> bool {
        self.refuse_fork();
        self.take_inbox();
        if self.runtime.take_injected(&self.queue) {
            // Who looked at both queues while it was on its way sleeps now, perhaps.
            self.runtime.work_was_queued();
        }
        self.fire_timers();
        self.run_batch();
        self.publish();
        if !self.queue.is_empty() {
            self.poll_now();
            return true;
        }
        // With nothing left to run the kernel is asked by the sleep that follows, and not twice.
        self.runtime.steal_into(&self.queue)
    }

    /// In a forked child the other OS threads do not exist, and the epoll instance is the parent's.
    #[inline]
    fn refuse_fork(&self) {
        if self.generation != fork::generation() {
            report::fatal(format_args!(
                "this process was forked while a runtime was alive; \
                 its green threads cannot go on in the child"
            ));
        }
    }

    /// Runs at most a batch of tasks.
    fn run_batch(&self) {
        self.batch.set(BATCH);
        while self.batch.get() > 0
            && !self.goal_reached.get()
            && let Some(task) = self.queue.pop()
        {
            self.batch.set(self.batch.get() - 1);
            self.run(task);
        }
    }

    #[inline]
    fn run(&self, pointer: NonNull<Task>) {
        // SAFETY: queued tasks are alive: the run machinery's count is given back in `finish`.
        let task = unsafe { pointer.as_ref() };
        if task.seat.run.get() == Run::Unstarted && !self.start(task) {
            return;
        }
        let Some(context) = task.context() else {
            report::fatal(format_args!("a task that has no context would run"));
        };
        self.queue.prefetch();
        task.seat.run.set(Run::Running);
        task.note_run();
        self.budget.set(BUDGET);
        self.running.set(pointer.as_ptr());
        self.mailbox.pulse.begin(pointer.as_ptr());
        // SAFETY: a task's context is one of this hub's, and the argument is the task.
        let ended = unsafe { self.root.resume(context, pointer.cast()) };
        self.running.set(ptr::null());
        self.mailbox.pulse.end();
        self.refuse_fork();
        if ended {
            self.finish(pointer);
        }
    }

    /// Tells other OS threads what the hub holds.
    #[inline]
    pub(super) fn publish(&self) {
        let stacks = self.stacks.borrow().live();
        // A stack that lies in reserve is in nobody's use.
        let in_reserve = usize::from(self.reserve.is_there());
        let published = self.runtime.published(self.index);
        let outside = self.outside.get();
        published.set(stacks - in_reserve, self.timers.borrow().len(), outside);
    }

    /// Wakes the tasks that other OS threads want awake.
    #[inline]
    fn take_inbox(&self) {
        if self.mailbox.inbox.is_empty() {
            return;
        }
        for entry in self.mailbox.inbox.take() {
            // SAFETY: the sender's count, which ends here.
            let task = unsafe { TaskRef::from_raw(entry) };
            task.unpost();
            self.wake_local(&task);
        }
    }

    #[inline]
    fn fire_timers(&self) {
        self.now.set(Instant::now());
        let mut timers = self.timers.borrow_mut();
        if timers.is_empty() {
            return;
        }
        let mut expired = self.expired.borrow_mut();
        timers.expire(self.now.get(), &mut expired);
        for entry in expired.drain(..) {
            // SAFETY: the timer was armed by this task, which has not run since.
            let task = unsafe { entry.task.as_ref() };
            self.wake_into(task, |task| self.queue.push_due(task));
        }
    }

    /// Nobody will drive the hub for a while, or ever again: its sources register elsewhere.
    pub(super) fn release_sources(&self) {
        self.reactor.release();
    }

    /// Has it ended? Then it must not be driven: its mailbox may be another's.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Ends the hub. All its tasks have ended, or are leaked.
    pub(super) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.release_sources();
        if let Some(stack) = self.reserve.stack.take() {
            self.stacks.borrow_mut().give(stack);
        }
        // A leaked task may still be woken: its mailbox must not become another hub's.
        if self.stacks.borrow().live() == 0 {
            self.mailbox.close();
        }
        self.publish();
    }
}
