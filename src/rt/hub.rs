//! The hub: the event loop of one OS thread, and the tasks that live on it.
//!
//! The loop runs on the OS thread's own stack and never runs user code there: a task is resumed on its
//! stack, and when it suspends the loop goes on. All here is touched by one OS thread only, so there
//! are no atomics but at the edges: the mailbox, through which other threads wake tasks, and the
//! queues of unstarted tasks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use super::cancel;
use super::clock::Instant;
use super::current::Running;
use super::deadlock;
use super::holder::OS_THREAD;
use super::mailbox::Mailbox;
use super::no_stack::NoStack;
use super::queue::RunQueue;
use super::reactor::{Reactor, WAKER};
use super::reason::Reason;
use super::records::Records;
use super::report;
use super::shared::{Seed, Shared};
use super::task::{Run, Task, TaskRef};
use super::timer::{Expired, Wheel};
use super::watchdog;
use crate::sys::context::Context;
use crate::sys::fork;
use crate::sys::poll::{self, Direction};
use crate::sys::stack::{Pool, Stack};

/// How many blocking operations a task may do that need not wait, before it yields.
const BUDGET: u32 = 128;
/// How many tasks run between two looks at the clock, the timers and the kernel.
const BATCH: u32 = 64;
/// How long a hub is idle before it gives back the memory of stacks it does not use.
const TRIM_AFTER: Duration = Duration::from_millis(100);

/// See the module's text.
pub(crate) struct Hub {
    index: usize,
    runtime: Arc<Shared>,
    mailbox: &'static Mailbox,
    queue: RunQueue,
    /// The task that runs now; null while the loop itself runs.
    running: Cell<*const Task>,
    budget: Cell<u32>,
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

/// A stack kept for those that could not get one: to drop their captures on.
#[derive(Default)]
struct Reserve {
    stack: Cell<Option<Stack>>,
    holder: Cell<*const Task>,
    waiting: RefCell<VecDeque<NonNull<Task>>>,
}

impl Reserve {
    fn is_there(&self) -> bool {
        let stack = self.stack.take();
        let is_there = stack.is_some();
        self.stack.set(stack);
        is_there
    }
}

impl Hub {
    /// Brings up the hub on the calling OS thread.
    pub(super) fn new(seed: Seed, runtime: Arc<Shared>) -> Hub {
        let now = Instant::now();
        Hub {
            index: seed.index,
            runtime,
            mailbox: seed.mailbox,
            queue: seed.queue,
            running: Cell::new(ptr::null()),
            budget: Cell::new(BUDGET),
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
        task.map_or(OS_THREAD, |task| task.identity.id)
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
        match task.seat.exit.get() {
            // SAFETY: the running task runs on the context this exit belongs to.
            Some(exit) => unsafe { exit.suspend() },
            None => report::fatal(format_args!("a task that has no context would suspend")),
        }
    }

    /// Makes a task of this hub runnable.
    #[inline]
    pub(super) fn wake_local(&self, task: &Task) {
        self.wake_into(task, |task| self.queue.push(task));
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
        } else if self.queue.push_unstarted(task) {
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
            while self.turn() && self.now.get() < until {}
        });
    }

    /// Runs `f` with this hub as the one of the calling OS thread.
    fn as_current(&self, f: impl FnOnce()) {
        let _running = Running::new(self);
        self.now.set(Instant::now());
        report::without_unwinding(f);
    }

    /// One round: what has come, at most a batch of tasks, what is ready. Returns whether there is more.
    fn turn(&self) -> bool {
        self.refuse_fork();
        self.take_inbox();
        self.runtime.take_injected(&self.queue);
        self.fire_timers();
        let ran = self.run_batch();
        self.publish();
        if !self.queue.is_empty() {
            self.poll_now();
            return true;
        }
        (ran && self.poll_now()) || self.runtime.steal_into(&self.queue)
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

    /// Runs at most a batch of tasks. Returns whether there was any.
    fn run_batch(&self) -> bool {
        for count in 0..BATCH {
            let Some(task) = self.queue.pop() else {
                return count > 0;
            };
            self.run(task);
            if self.goal_reached.get() {
                break;
            }
        }
        true
    }

    #[inline]
    fn run(&self, pointer: NonNull<Task>) {
        // SAFETY: queued tasks are alive: the run machinery's count is given back in `finish`.
        let task = unsafe { pointer.as_ref() };
        if task.seat.run.get() == Run::Unstarted && !self.start(task) {
            return;
        }
        // SAFETY: a started task has a context, which only this hub touches; the task itself does
        // not while it runs on it.
        let context = unsafe { &mut *task.seat.context.get() };
        let Some(context) = context else {
            report::fatal(format_args!("a task that has no context would run"));
        };
        self.queue.prefetch();
        task.seat.run.set(Run::Running);
        task.note_run();
        self.budget.set(BUDGET);
        self.running.set(pointer.as_ptr());
        self.mailbox.pulse.begin(pointer.as_ptr());
        let ended = context.resume();
        self.running.set(ptr::null());
        self.mailbox.pulse.end();
        self.refuse_fork();
        if ended {
            self.finish(pointer);
        }
    }

    /// Gives an unstarted task its stack. `false`: there was none, and it was refused.
    fn start(&self, task: &Task) -> bool {
        task.settle(self.mailbox);
        let stack = self.stacks.borrow_mut().take(task.identity.stack_size);
        match stack {
            Ok(stack) => {
                self.prepare(task, stack);
                true
            }
            Err(error) => {
                self.refuse(task, NoStack::new(&error));
                false
            }
        }
    }

    fn prepare(&self, task: &Task, stack: Stack) {
        let pointer = task.address();
        let context = Context::new(stack, move |exit| {
            // SAFETY: the hub keeps the record until this function has returned.
            let task = unsafe { pointer.as_ref() };
            task.seat.exit.set(Some(exit));
            report::without_unwinding(|| task.run());
        });
        // SAFETY: only this hub touches it, and the task does not run.
        unsafe { *task.seat.context.get() = Some(context) };
    }

    /// Ends a task for which there is no stack. Its captures are dropped on the reserve stack, when
    /// that is free.
    #[cold]
    fn refuse(&self, task: &Task, reason: NoStack) {
        task.seat.run.set(Run::Queued);
        task.refuse(Box::new(reason));
        self.reserve.waiting.borrow_mut().push_back(task.address());
        self.use_reserve();
    }

    /// Lets the next refused task use the reserve stack.
    #[cold]
    fn use_reserve(&self) {
        if !self.reserve.holder.get().is_null() {
            return;
        }
        let Some(pointer) = self.reserve.waiting.borrow_mut().pop_front() else {
            return;
        };
        // SAFETY: it has not run, so its record is alive.
        let task = unsafe { pointer.as_ref() };
        // Any stack that is free by now will do.
        let size = task.identity.stack_size;
        let stack = self.reserve.stack.take();
        let Some(stack) = stack.or_else(|| self.stacks.borrow_mut().take(size).ok()) else {
            self.reserve.waiting.borrow_mut().push_front(pointer);
            return;
        };
        self.reserve.holder.set(pointer.as_ptr());
        self.prepare(task, stack);
        self.queue.push(pointer);
    }

    /// Lays a stack by for those that will get none.
    pub(super) fn reserve_stack(&self) -> std::io::Result<()> {
        let stack = self.stacks.borrow_mut().take(RESERVE_SIZE)?;
        self.reserve.stack.set(Some(stack));
        Ok(())
    }

    /// Do started tasks live here?
    pub(super) fn has_tasks(&self) -> bool {
        self.stacks.borrow().live() > usize::from(self.reserve.is_there())
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

    /// Takes back all that a task which has returned still has.
    #[inline]
    fn finish(&self, pointer: NonNull<Task>) {
        // SAFETY: the run machinery's count is given back at the end of this function.
        let task = unsafe { pointer.as_ref() };
        task.seat.run.set(Run::Ended);
        // SAFETY: only this hub touches it.
        let context = unsafe { (*task.seat.context.get()).take() };
        if let Some(context) = context {
            let stack = context.into_stack();
            if ptr::eq(self.reserve.holder.get(), task) {
                self.reserve.holder.set(ptr::null());
                self.reserve.stack.set(Some(stack));
            } else {
                self.stacks.borrow_mut().give(stack);
                self.untrimmed.set(true);
            }
        }
        if !self.reserve.waiting.borrow().is_empty() {
            self.use_reserve();
        }
        if ptr::eq(self.goal.get(), task) {
            self.goal_reached.set(true);
        }
        self.runtime.task_has_ended(task);
        // SAFETY: the run machinery's count, which ends here.
        drop(unsafe { TaskRef::from_raw(pointer) });
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

    /// Asks the kernel what is ready, without waiting. Returns whether something was.
    fn poll_now(&self) -> bool {
        !self.reactor.is_empty() && self.poll(Some(Duration::ZERO))
    }

    /// Nothing to run: waits for the kernel, another OS thread, the next timer or `until`.
    ///
    /// `done` is asked once more after the hub counts as asleep: whoever made it true before that
    /// found nobody to rouse.
    fn sleep(&self, until: Instant, done: &dyn Fn() -> bool) {
        if !self.mailbox.inbox.fall_asleep() {
            return;
        }
        let sleepers = self.runtime.prepare_sleep(self.index);
        if sleepers > 0 && !done() {
            let deadline = deadlock::look(self, sleepers);
            // A deadlock may have been told to the main task.
            if self.queue.is_empty() {
                self.rest(until.min(deadline));
            }
        }
        // Awake again, whoever did it: this turns "asleep" into "empty" and delivers what has come.
        self.take_inbox();
        self.runtime.after_sleep(self.index, &self.queue);
    }

    /// Sleeps, and lets the watchdog sleep.
    fn rest(&self, until: Instant) {
        self.mailbox.pulse.set_asleep(true);
        self.wait_for_events(until);
        self.mailbox.pulse.set_asleep(false);
        if self.runtime.reports.watchdog.is_some() {
            watchdog::hub_wakes();
        }
    }

    fn wait_for_events(&self, until: Instant) {
        let next = self
            .timers
            .borrow()
            .next_turn()
            .map_or(until, |next| next.min(until));
        let left = (next != Instant::NEVER).then(|| next.duration_since(Instant::now()));
        let long = left.is_none_or(|left| left > 2 * TRIM_AFTER);
        if self.untrimmed.get() && long {
            // Only if nothing happens for a while is the hub idle.
            if !self.poll(Some(TRIM_AFTER)) {
                self.records.trim();
                self.timers.borrow_mut().trim();
                let more = self.stacks.borrow_mut().trim();
                self.untrimmed.set(more);
            }
            return;
        }
        match left {
            None => {
                self.poll(None);
            }
            // The kernel's epoll counts milliseconds: the whole ones here, the rest below.
            Some(left) if left >= Duration::from_millis(1) => {
                let whole = left.as_millis().min(i32::MAX as u128) as u64;
                self.poll(Some(Duration::from_millis(whole)));
            }
            Some(left) => {
                let descriptor = self.poll.borrow().as_raw_fd();
                match poll::wait(descriptor, Direction::Read, Some(left)) {
                    Ok(false) => {}
                    Ok(true) => {
                        self.poll(Some(Duration::ZERO));
                    }
                    Err(error) => report::fatal(format_args!("a hub cannot wait: {error}")),
                }
            }
        }
    }

    /// Waits for events and tells their sources. Returns whether there were any.
    fn poll(&self, timeout: Option<Duration>) -> bool {
        let mut events = self.events.borrow_mut();
        match self.poll.borrow_mut().poll(&mut events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return false,
            Err(error) => report::fatal(format_args!("a hub cannot wait: {error}")),
        }
        self.reactor.dispatch(&events);
        !events.is_empty()
    }

    /// Nobody will drive the hub for a while, or ever again: its sources register elsewhere.
    pub(super) fn release_sources(&self) {
        self.reactor.release();
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

const RESERVE_SIZE: usize = 64 << 10;

/// The waker that goes into a hub's mailbox.
pub(super) fn waker(poll: &mio::Poll) -> std::io::Result<mio::Waker> {
    mio::Waker::new(poll.registry(), WAKER)
}
