//! The record of a task: everything the kernel knows of one green thread.
//!
//! One allocation holds it, the task's closure and its result (`cell.rs`). A plain OS thread that waits has a record too, so that whoever
//! wakes need not know which it is. Records are counted; [`TaskRef`] is one count. The run machinery
//! (the queue a task stands in, then the hub it runs on) owns one count from spawn to end, the handle
//! owns another.
//!
//! Who may touch what: fields with `Cell`s belong to the OS thread of the task's hub alone; the rest
//! is atomic, locked or never changes. `README.md` has the protocols.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::thread;

use super::cancel::Scopes;
use super::cell::{OS_THREAD, VTable};
use super::clock::Instant;
use super::current;
use super::endings::Endings;
use super::group::Group;
use super::inbox;
use super::inherited::{Inheritance, Inherited};
use super::life::{Completion, Ending, Life, Stage};
use super::list::{Links, Which};
use super::locals::Locals;
use super::mailbox::Mailbox;
use super::os_thread::Parker;
use super::reason::Reason;
use super::report;
use super::state::State;
use super::wait_queue::WaitQueue;
use crate::sys::context::Context;

/// A task's record. See the module's text.
#[repr(C)]
pub(crate) struct Task {
    pub(super) seat: Seat,
    vtable: &'static VTable,
    /// Its own address, with the right to the whole allocation, which a `&Task` does not give.
    address: Cell<NonNull<Task>>,
    references: AtomicUsize,
    pub(crate) scopes: Scopes,
    inbox_link: AtomicPtr<Task>,
    /// Those who wait for its end.
    pub(super) joiners: WaitQueue,
    /// What else is to be done at its end.
    pub(super) endings: Endings,
    pub(crate) identity: Identity,
    /// The group it is a member of.
    pub(super) group: Option<Arc<Group>>,
    /// The group its own spawns go to, if not one that follows from `group`.
    spawns_into: Cell<Option<Arc<Group>>>,
    links: [Links; 2],
    pub(crate) locals: Locals,
    pub(super) inherited: Inherited,
    /// How a plain OS thread waits; none in a green thread's record.
    pub(super) parker: Option<Box<Parker>>,
}

/// What identifies a task to people.
pub(crate) struct Identity {
    pub(crate) name: Option<Box<str>>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) stack_size: usize,
}

/// A task's place on its hub, and what else each switch and each wake-up touches: one cache line, as records are aligned
/// to them. The `Cell`s belong to the hub's OS thread alone.
#[repr(C)]
pub(super) struct Seat {
    pub(super) context: UnsafeCell<Option<Context>>,
    /// The mailbox of the hub it lives on; null until it has started, and for OS threads.
    home: AtomicPtr<Mailbox>,
    /// Its number, which is left in each lock that it takes.
    id: u64,
    /// What it waits for (below), or [`RUNNING`], and since when; written by its own thread, read by dumps.
    since: AtomicI64,
    pub(super) life: Life,
    reason: AtomicU8,
    pub(super) run: Cell<Run>,
    /// Woken while it was running: its next park returns at once.
    pub(super) notified: Cell<bool>,
    /// Its cancel scopes may have something for it, interrupted or not.
    pub(super) eventful: Cell<bool>,
    /// It waits for a lock that has one holder at a time.
    pub(super) waits_for_lock: Cell<bool>,
    /// It stands in its hub's inbox.
    posted: AtomicBool,
    /// The token of `thread::park`, apart from the kernel's own wake-ups.
    permit: AtomicBool,
}

const _: () = assert!(
    size_of::<Seat>() == 64,
    "a switch touches one cache line of the record"
);
const _: () = assert!(
    size_of::<Task>() == 5 * 64,
    "with a small closure and its result a record has six cache lines"
);

/// Where a task stands on its hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Run {
    Unstarted,
    Queued,
    Running,
    Parked,
    Ended,
}

/// The number of no reason: the task runs, or has not started.
const RUNNING: u8 = u8::MAX;

// SAFETY: the `Cell`s are only touched by the OS thread of the task's hub: before the start by the
// one that owns the unstarted task, after it by the one it is pinned to.
unsafe impl Send for Task {}
// SAFETY: as above; all other fields are atomic, locked or constant.
unsafe impl Sync for Task {}

// SAFETY: always the same field.
unsafe impl inbox::Entry for Task {
    fn link(&self) -> &AtomicPtr<Task> {
        &self.inbox_link
    }
}

/// What to spawn a task with.
pub(crate) struct Options {
    pub(crate) name: Option<Box<str>>,
    /// At least this many bytes of stack.
    pub(crate) stack_size: usize,
    pub(crate) spawned_at: &'static Location<'static>,
    /// The deadline it inherits; [`Instant::NEVER`] if none.
    pub(crate) deadline: Instant,
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) inherited: Option<Arc<Inheritance>>,
}

impl Task {
    /// Makes the record ready to be run, or to wait: any thread, any time, any number of times.
    #[inline]
    pub(crate) fn wake(&self) {
        let home = self.seat.home.load(Ordering::Acquire);
        match current::hub() {
            Some(hub) if ptr::eq(hub.mailbox(), home) => hub.wake_local(self),
            _ => self.wake_from_afar(home),
        }
    }

    #[cold]
    fn wake_from_afar(&self, home: *mut Mailbox) {
        if let Some(parker) = &self.parker {
            parker.unpark();
            return;
        }
        // A task that has not started waits for nothing.
        // SAFETY: mailboxes are never freed.
        let Some(mailbox) = (unsafe { home.as_ref() }) else {
            return;
        };
        if !self.seat.posted.swap(true, Ordering::AcqRel) {
            let entry = self.reference().into_raw();
            // SAFETY: the reference just taken keeps it valid, and `posted` admits it only once.
            if unsafe { mailbox.inbox.push(entry) } {
                mailbox.ring();
            }
        }
    }

    /// Its hub took it out of the inbox: later wake-ups post it again.
    pub(super) fn unpost(&self) {
        self.seat.posted.swap(false, Ordering::AcqRel);
    }

    /// Asks the task to look at its cancel scopes, at once if it waits.
    pub(super) fn interrupt(&self) {
        if self.seat.life.interrupt() {
            self.wake();
        }
    }

    /// A scope of this task, which calls this, has ended: what it was asked to look at may be past.
    pub(super) fn calm(&self) {
        self.seat.life.calm();
        if self.scopes.root().is_cancelled() {
            self.seat.life.interrupt();
        }
    }

    /// Asks the task to end. It unwinds at its next suspension; if it has not started it never runs.
    pub(crate) fn cancel(&self) {
        self.scopes.root().cancel();
        self.interrupt();
    }

    /// Could its next suspension throw, now or at a deadline?
    #[inline]
    pub(super) fn may_have_to_end(&self) -> bool {
        self.seat.eventful.get() || self.seat.life.is_interrupted()
    }

    /// Was it cancelled, as far as another thread can tell?
    pub(super) fn is_to_end(&self) -> bool {
        self.seat.life.is_interrupted() || self.scopes.root().is_cancelled()
    }

    /// Another reference to this record.
    pub(crate) fn reference(&self) -> TaskRef {
        self.references.fetch_add(1, Ordering::Relaxed);
        TaskRef(self.address())
    }

    /// The record's address, with the right to its whole allocation.
    #[inline]
    pub(super) fn address(&self) -> NonNull<Task> {
        self.address.get()
    }

    /// The hub with this mailbox is about to run it for the first time. Returns whether it was
    /// interrupted before.
    pub(super) fn settle(&self, mailbox: &'static Mailbox) -> bool {
        self.seat
            .home
            .store(ptr::from_ref(mailbox).cast_mut(), Ordering::Release);
        self.seat.life.start()
    }

    /// Does it live on the hub with this mailbox?
    pub(super) fn lives_at(&self, mailbox: &'static Mailbox) -> bool {
        ptr::eq(self.seat.home.load(Ordering::Acquire), mailbox)
    }

    /// Runs the closure to its end and stores the result; on the task's own stack.
    ///
    /// If the result is stored already (the task was refused a stack) it only drops the closure.
    pub(super) fn run(&self) {
        // SAFETY: the vtable fits this record, and the hub calls this once.
        unsafe { (self.vtable.run)(self.address()) }
    }

    /// Ends the task, which was not run, with `failure` instead of a result, on a hub's own stack. What
    /// user code there is to run, the drop of its closure included, is left to `run`.
    pub(super) fn refuse(&self, failure: Box<dyn Any + Send>) {
        // SAFETY: the vtable fits this record, which was not run.
        unsafe { (self.vtable.refuse)(self.address(), failure) };
        // `None`: callbacks come first, and so it ends there, too.
        if let Some(completion) = self.seat.life.complete(Ending::Failed) {
            self.settle_completion(&completion);
        }
    }

    /// The rest of [`refuse`](Self::refuse), where user code may run.
    pub(super) fn end_refused(&self) {
        if !self.is_complete() {
            self.finish(Ending::Failed);
        }
        self.tell_watchers();
    }

    /// Ends the task, which will never run again and whose stack is leaked, from any OS thread. Callbacks
    /// are leaked as well: they may have to run on the task's own.
    pub(super) fn abandon(&self, cancelled: Box<dyn Any + Send>) {
        self.endings.leak_callbacks(&self.seat.life);
        // SAFETY: the vtable fits this record, which has not ended.
        unsafe { (self.vtable.refuse)(self.address(), cancelled) };
        self.finish(Ending::Cancelled);
    }

    /// Tells the group of a failure. Returns what the handle gives for it.
    pub(super) fn tell_group(&self, failure: Box<dyn Any + Send>) -> Box<dyn Any + Send> {
        match &self.group {
            Some(group) => group.member_failed(self, failure),
            None => failure,
        }
    }

    /// Runs the callbacks that wait for its result, which is stored.
    pub(super) fn run_callbacks(&self) {
        self.endings.run(&self.seat.life, |callback| {
            // SAFETY: the vtable fits this record. Until completion the run machinery, which calls this, is
            // the only party; afterwards the handle is, whose holder calls this.
            let result = unsafe { (self.vtable.result)(self.address()) };
            report::catch_panic(self, "running a callback", move || callback(result));
        });
    }

    /// Destroys its thread-locals, and lets go of the values it has inherited; on its own stack.
    pub(super) fn destroy_locals(&self) {
        self.locals.destroy(|value| {
            report::catch_panic(self, "dropping a thread-local", move || drop(value));
        });
        if let Some(values) = self.inherited.take() {
            report::catch_panic(self, "dropping what it inherited", move || drop(values));
        }
    }

    /// The result is stored: from now on it is the handle's.
    pub(super) fn finish(&self, ending: Ending) {
        let completion = loop {
            match self.seat.life.complete(ending) {
                Some(completion) => break completion,
                None => self.run_callbacks(),
            }
        };
        self.settle_completion(&completion);
        if completion.joiners {
            self.tell_watchers();
        }
    }

    fn settle_completion(&self, completion: &Completion) {
        if completion.joiners {
            self.joiners.wake_all();
        }
        if !completion.handle {
            self.drop_result();
        }
    }

    /// Tells whoever watches it that it has ended.
    fn tell_watchers(&self) {
        for (watcher, which) in self.endings.take_watchers() {
            report::catch_panic(self, "telling of its end", move || watcher.ended(which));
        }
    }

    /// Drops the result, unless that was done. It is stored, and the caller is whom the life word names.
    pub(super) fn drop_result(&self) {
        // SAFETY: the vtable fits this record; the rest by the caller's promise.
        unsafe { (self.vtable.drop_result)(self.address()) }
    }

    pub(super) fn vtable(&self) -> &'static VTable {
        self.vtable
    }

    /// Sets the token of `thread::park`; returns whether it was set.
    pub(crate) fn set_permit(&self) -> bool {
        self.seat.permit.swap(true, Ordering::AcqRel)
    }

    /// Takes the token of `thread::park`, if it is set.
    pub(crate) fn take_permit(&self) -> bool {
        self.seat.permit.swap(false, Ordering::AcqRel)
    }

    /// The group that its own spawns go to, if it is not one that follows from the one it is in.
    pub(super) fn spawns_into(&self) -> Option<Arc<Group>> {
        let group = self.spawns_into.take();
        self.spawns_into.set(group.clone());
        group
    }

    /// Changes it; returns the one before.
    pub(super) fn spawn_into(&self, group: Option<Arc<Group>>) -> Option<Arc<Group>> {
        self.spawns_into.replace(group)
    }

    /// Notes what its own thread waits for from now on.
    #[inline]
    pub(super) fn note_wait(&self, reason: Reason, now: Instant) {
        self.seat.reason.store(reason as u8, Ordering::Relaxed);
        self.seat.since.store(now.nanoseconds(), Ordering::Relaxed);
    }

    /// Its context, which it has from its start to its end.
    #[inline(always)]
    pub(super) fn context(&self) -> Option<&Context> {
        // SAFETY: only its hub's OS thread asks, and changes it when no such reference is about: before the first
        // run and after the last one.
        unsafe { (*self.seat.context.get()).as_ref() }
    }

    /// It will be resumed soon: what it touches of its stack is asked for.
    #[inline]
    pub(super) fn prefetch_stack(&self) {
        if let Some(context) = self.context() {
            context.prefetch();
        }
    }

    /// Notes that it runs.
    #[inline]
    pub(super) fn note_run(&self) {
        self.seat.reason.store(RUNNING, Ordering::Relaxed);
    }

    /// What it does now.
    pub(crate) fn state(&self) -> State {
        match self.seat.life.stage() {
            Stage::Unstarted => State::Pending,
            Stage::Started => self.waits_for().map_or(State::Running, State::Waiting),
            Stage::Ended(Ending::Returned) => State::Returned,
            Stage::Ended(Ending::Failed) => State::Panicked,
            Stage::Ended(Ending::Cancelled) => State::Cancelled,
        }
    }

    /// What it waits for, if it does.
    fn waits_for(&self) -> Option<Reason> {
        Reason::from_number(self.seat.reason.load(Ordering::Relaxed))
    }

    /// What it waits for, if it does, and when it last began to wait.
    pub(crate) fn last_wait(&self) -> (Option<Reason>, Instant) {
        let since = Instant::from_nanoseconds(self.seat.since.load(Ordering::Relaxed));
        (self.waits_for(), since)
    }

    /// Has it ended, its result stored?
    pub(crate) fn is_complete(&self) -> bool {
        self.seat.life.is_complete()
    }

    pub(super) fn links(&self, which: Which) -> &Links {
        &self.links[which as usize]
    }

    /// Its number, which no other task of the process has or had.
    #[inline(always)]
    pub(crate) fn id(&self) -> u64 {
        self.seat.id
    }

    /// Its name, or what stands for one.
    pub(crate) fn display_name(&self) -> &str {
        self.identity.name.as_deref().unwrap_or("<unnamed>")
    }

    /// Inlined, so that the record is made where it will lie.
    #[inline(always)]
    pub(super) fn new(
        vtable: &'static VTable,
        life: Life,
        references: usize,
        options: Options,
    ) -> Task {
        Task {
            seat: Seat {
                context: UnsafeCell::new(None),
                home: AtomicPtr::new(ptr::null_mut()),
                id: current::next_id(),
                since: AtomicI64::new(0),
                life,
                reason: AtomicU8::new(RUNNING),
                run: Cell::new(Run::Unstarted),
                notified: Cell::new(false),
                eventful: Cell::new(options.deadline != Instant::NEVER),
                waits_for_lock: Cell::new(false),
                posted: AtomicBool::new(false),
                permit: AtomicBool::new(false),
            },
            vtable,
            // Known only when it lies in its allocation; see `set_address`.
            address: Cell::new(NonNull::dangling()),
            references: AtomicUsize::new(references),
            scopes: Scopes::new(options.deadline),
            inbox_link: AtomicPtr::new(ptr::null_mut()),
            joiners: WaitQueue::new(),
            endings: Endings::new(),
            identity: Identity {
                name: options.name,
                spawned_at: options.spawned_at,
                stack_size: options.stack_size,
            },
            group: options.group,
            spawns_into: Cell::new(None),
            links: [const { Links::new() }; 2],
            locals: Locals::new(),
            inherited: Inherited::new(options.inherited),
            parker: None,
        }
    }
}

impl Task {
    /// Tells a record where it lies.
    ///
    /// # Safety
    ///
    /// The record is there, and nobody else uses it yet.
    pub(super) unsafe fn set_address(task: NonNull<Task>) {
        // SAFETY: by the caller's promise.
        unsafe { task.as_ref() }.address.set(task);
    }
}

/// One counted reference to a task's record.
pub(crate) struct TaskRef(NonNull<Task>);

// SAFETY: `Task` is `Send` and `Sync`, and the count is atomic.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// The record of the calling plain OS thread.
    #[track_caller]
    pub(super) fn of_os_thread(parker: Box<Parker>) -> TaskRef {
        let options = Options {
            name: thread::current().name().map(Box::from),
            stack_size: 0,
            spawned_at: Location::caller(),
            deadline: Instant::NEVER,
            group: None,
            inherited: None,
        };
        let mut task = Task::new(&OS_THREAD, Life::of_os_thread(), 1, options);
        task.parker = Some(parker);
        let address = NonNull::from(Box::leak(Box::new(task)));
        // SAFETY: just made, and nobody else knows of it.
        unsafe { Task::set_address(address) };
        TaskRef(address)
    }

    /// Gives up the reference, but not the count.
    #[inline]
    pub(super) fn into_raw(self) -> NonNull<Task> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// `task` stands for a count that nobody else will give back.
    #[inline]
    pub(super) unsafe fn from_raw(task: NonNull<Task>) -> TaskRef {
        TaskRef(task)
    }
}

impl std::ops::Deref for TaskRef {
    type Target = Task;

    #[inline]
    fn deref(&self) -> &Task {
        // SAFETY: counted.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> TaskRef {
        self.reference()
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        // The only one there is needs no read-modify-write: nobody has another to clone, and the lists of tasks, which
        // give away references, are left before the run machinery's count is given back.
        if self.references.load(Ordering::Acquire) != 1 {
            if self.references.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            // Not a fence: ThreadSanitizer does not know of them.
            self.references.load(Ordering::Acquire);
        }
        // SAFETY: that was the last count, and the vtable fits the record.
        unsafe { (self.vtable.free)(self.0) }
    }
}

/// A task that a waker has chosen, made sure of before the waiter could know.
#[must_use = "the task sleeps on unless it is woken"]
pub(crate) enum Woken {
    /// It lives on the waker's own hub: it cannot run, and so not end, before the waker suspends.
    Here(NonNull<Task>),
    /// It may run and end at any moment; the reference keeps its record.
    Afar(TaskRef),
}

impl Woken {
    /// # Safety-relevant
    ///
    /// The caller holds the queue's lock and has not signalled the waiter yet, so the task is alive.
    #[inline]
    pub(super) fn new(task: NonNull<Task>) -> Woken {
        // SAFETY: a task that has not been signalled stands in its wait, so its record is alive.
        let record = unsafe { task.as_ref() };
        let home = record.seat.home.load(Ordering::Acquire);
        match current::hub() {
            Some(hub) if ptr::eq(hub.mailbox(), home) => Woken::Here(task),
            _ => Woken::Afar(record.reference()),
        }
    }

    /// Wakes it. The caller has not suspended since it chose it.
    #[inline]
    pub(crate) fn wake(self) {
        match self {
            // SAFETY: see `Here`.
            Woken::Here(task) => unsafe { task.as_ref() }.wake(),
            Woken::Afar(task) => task.wake(),
        }
    }
}

const _: () = assert!(align_of::<Task>() > 1, "an inbox head of 1 is no task");
