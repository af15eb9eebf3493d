//! The record of a task: everything the kernel knows of one green thread, and its closure and result.
//!
//! One allocation holds all of it. A plain OS thread that waits has a record too, so that whoever
//! wakes need not know which it is. Records are counted; [`TaskRef`] is one count. The run machinery
//! (the queue a task stands in, then the hub it runs on) owns one count from spawn to end, the handle
//! owns another.
//!
//! Who may touch what: fields with `Cell`s belong to the OS thread of the task's hub alone; the rest
//! is atomic, locked or never changes. `README.md` has the protocols.

use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe, Location};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicUsize, Ordering};
use std::thread;

use super::cancel::{self, Cancelled, Scopes};
use super::clock::Instant;
use super::current;
use super::group::Group;
use super::holder::{self, Holder};
use super::inbox;
use super::life::Life;
use super::list::{Links, Which};
use super::locals::Locals;
use super::mailbox::Mailbox;
use super::os_thread::Parker;
use super::reason::Reason;
use super::report;
use super::wait_queue::WaitQueue;
use crate::sys::context::{Context, Exit};

/// A task's record. See the module's text.
pub(crate) struct Task {
    vtable: &'static VTable,
    /// Its own address, with the right to the whole allocation, which a `&Task` does not give.
    address: Cell<NonNull<Task>>,
    references: AtomicUsize,
    pub(super) life: Life,
    pub(super) seat: Seat,
    pub(crate) scopes: Scopes,
    /// The mailbox of the hub it lives on; null until it has started, and for OS threads.
    home: AtomicPtr<Mailbox>,
    /// It stands in its hub's inbox.
    posted: AtomicBool,
    inbox_link: AtomicPtr<Task>,
    /// What it waits for, and since when; written by its own thread, read by dumps.
    reason: AtomicU8,
    since: AtomicI64,
    /// Those who wait for its end.
    pub(super) joiners: WaitQueue,
    pub(crate) identity: Identity,
    /// The group it is a member of.
    pub(super) group: Option<Arc<Group>>,
    /// The group its own spawns go to, if not one that follows from `group`.
    pub(super) spawns_into: RefCell<Option<Arc<Group>>>,
    links: [Links; 2],
    pub(crate) locals: Locals,
    /// How a plain OS thread waits; none in a green thread's record.
    pub(super) parker: Option<Box<Parker>>,
    /// The token of `thread::park`, a word apart from the kernel's own wake-ups.
    pub(crate) permit: AtomicBool,
}

/// What identifies a task to people.
pub(crate) struct Identity {
    pub(crate) id: u64,
    pub(crate) name: Option<Box<str>>,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) stack_size: usize,
}

/// A started task's place on its hub. Only the hub's OS thread touches it.
pub(super) struct Seat {
    pub(super) run: Cell<Run>,
    /// Woken while it was running: its next park returns at once.
    pub(super) notified: Cell<bool>,
    pub(super) exit: Cell<Option<Exit>>,
    pub(super) context: UnsafeCell<Option<Context>>,
    /// Who holds the lock it waits for.
    pub(super) awaits: Cell<*const Holder>,
}

/// Where a task stands on its hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Run {
    Unstarted,
    Queued,
    Running,
    Parked,
    Ended,
}

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
    pub(crate) name: Option<String>,
    /// At least this many bytes of stack.
    pub(crate) stack_size: usize,
    pub(crate) spawned_at: &'static Location<'static>,
    /// The deadline it inherits; [`Instant::NEVER`] if none.
    pub(crate) deadline: Instant,
    pub(crate) group: Option<Arc<Group>>,
}

impl Task {
    /// Makes the record ready to be run, or to wait: any thread, any time, any number of times.
    #[inline]
    pub(crate) fn wake(&self) {
        let home = self.home.load(Ordering::Acquire);
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
        if !self.posted.swap(true, Ordering::AcqRel) {
            let entry = self.reference().into_raw();
            // SAFETY: the reference just taken keeps it valid, and `posted` admits it only once.
            if unsafe { mailbox.inbox.push(entry) } {
                mailbox.ring();
            }
        }
    }

    /// Its hub took it out of the inbox: later wake-ups post it again.
    pub(super) fn unpost(&self) {
        self.posted.swap(false, Ordering::AcqRel);
    }

    /// Asks the task to look at its cancel scopes, at once if it waits.
    pub(super) fn interrupt(&self) {
        if self.life.interrupt() {
            self.wake();
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
        self.scopes.is_eventful() || self.life.is_interrupted()
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
        self.home
            .store(ptr::from_ref(mailbox).cast_mut(), Ordering::Release);
        self.life.start()
    }

    /// Does it live on the hub with this mailbox?
    pub(super) fn lives_at(&self, mailbox: &'static Mailbox) -> bool {
        ptr::eq(self.home.load(Ordering::Acquire), mailbox)
    }

    /// Runs the closure to its end and stores the result; on the task's own stack.
    ///
    /// If the result is stored already (the task was refused a stack) it only drops the closure.
    pub(super) fn run(&self) {
        // SAFETY: the vtable fits this record, and the hub calls this once.
        unsafe { (self.vtable.run)(self.address()) }
    }

    /// Ends the task with `failure` instead of a result; its closure is dropped by `run`, later.
    pub(super) fn refuse(&self, failure: Box<dyn Any + Send>) {
        // SAFETY: the vtable fits this record, which was not run.
        unsafe { (self.vtable.refuse)(self.address(), failure) }
    }

    /// Destroys its thread-locals, on its own stack.
    fn destroy_locals(&self) {
        self.locals.destroy(|value| {
            report::catch_panic(self, "dropping a thread-local", move || drop(value));
        });
    }

    fn finish(&self) {
        let completion = self.life.complete();
        if completion.joiners {
            self.joiners.wake_all();
        }
        if !completion.handle {
            self.drop_result();
        }
    }

    /// Drops the result, unless that was done. It is stored, and no handle has a right to it.
    fn drop_result(&self) {
        // SAFETY: the vtable fits this record; with no handle the result is the run machinery's.
        unsafe { (self.vtable.drop_result)(self.address()) }
    }

    /// Notes what its own thread waits for from now on.
    #[inline]
    pub(super) fn note_wait(&self, reason: Reason, now: Instant) {
        self.reason.store(reason as u8, Ordering::Relaxed);
        self.since.store(now.nanoseconds(), Ordering::Relaxed);
    }

    /// What it waits for, or waited for last, and since when.
    pub(crate) fn last_wait(&self) -> (Option<Reason>, Instant) {
        let reason = Reason::from_number(self.reason.load(Ordering::Relaxed));
        let since = Instant::from_nanoseconds(self.since.load(Ordering::Relaxed));
        (reason, since)
    }

    /// Has it ended, its result stored?
    pub(crate) fn is_complete(&self) -> bool {
        self.life.is_complete()
    }

    pub(super) fn links(&self, which: Which) -> &Links {
        &self.links[which as usize]
    }

    /// Its name, or what stands for one.
    pub(crate) fn display_name(&self) -> &str {
        self.identity.name.as_deref().unwrap_or("<unnamed>")
    }

    fn new(vtable: &'static VTable, life: Life, references: usize, options: Options) -> Task {
        Task {
            vtable,
            // Known only when it lies in its allocation; see `set_address`.
            address: Cell::new(NonNull::dangling()),
            references: AtomicUsize::new(references),
            life,
            seat: Seat {
                run: Cell::new(Run::Unstarted),
                notified: Cell::new(false),
                exit: Cell::new(None),
                context: UnsafeCell::new(None),
                awaits: Cell::new(holder::NONE),
            },
            scopes: Scopes::new(options.deadline),
            home: AtomicPtr::new(ptr::null_mut()),
            posted: AtomicBool::new(false),
            inbox_link: AtomicPtr::new(ptr::null_mut()),
            reason: AtomicU8::new(u8::MAX),
            since: AtomicI64::new(0),
            joiners: WaitQueue::new(),
            identity: Identity {
                id: current::next_id(),
                name: options.name.map(String::into_boxed_str),
                spawned_at: options.spawned_at,
                stack_size: options.stack_size,
            },
            group: options.group,
            spawns_into: RefCell::new(None),
            links: Default::default(),
            locals: Locals::new(),
            parker: None,
            permit: AtomicBool::new(false),
        }
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
            name: thread::current().name().map(str::to_owned),
            stack_size: 0,
            spawned_at: Location::caller(),
            deadline: Instant::NEVER,
            group: None,
        };
        let mut task = Task::new(&OS_THREAD, Life::of_os_thread(), 1, options);
        task.parker = Some(parker);
        let address = NonNull::from(Box::leak(Box::new(task)));
        // SAFETY: just made, and nobody else knows of it.
        unsafe { set_address(address) };
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
        if self.references.fetch_sub(1, Ordering::Release) == 1 {
            // Not a fence: ThreadSanitizer does not know of them.
            self.references.load(Ordering::Acquire);
            // SAFETY: that was the last count, and the vtable fits the record.
            unsafe { (self.vtable.free)(self.0) }
        }
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
        let home = record.home.load(Ordering::Acquire);
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

/// A record with the closure it runs and the result it had.
#[repr(C)]
struct TaskCell<F, T> {
    task: Task,
    closure: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<T>>>,
}

/// The operations that depend on the closure's and the result's types.
struct VTable {
    run: unsafe fn(NonNull<Task>),
    refuse: unsafe fn(NonNull<Task>, Box<dyn Any + Send>),
    drop_result: unsafe fn(NonNull<Task>),
    take_result: unsafe fn(NonNull<Task>, *mut ()),
    free: unsafe fn(NonNull<Task>),
}

/// The vtable of an OS thread's record, which has neither closure nor result.
static OS_THREAD: VTable = VTable {
    run: |_| unreachable!("an OS thread's record is not run"),
    refuse: |_, _| unreachable!("an OS thread's record is not refused"),
    drop_result: |_| unreachable!("an OS thread's record has no result"),
    take_result: |_, _| unreachable!("an OS thread's record has no result"),
    free: |task| {
        // SAFETY: made by `Box::leak` in `of_os_thread`.
        drop(unsafe { Box::from_raw(task.as_ptr()) });
    },
};

impl<F: FnOnce() -> T, T> TaskCell<F, T> {
    const VTABLE: VTable = VTable {
        run: Self::run,
        refuse: Self::refuse,
        drop_result: Self::drop_result,
        take_result: Self::take_result,
        free: Self::free,
    };

    /// # Safety (of all functions here)
    ///
    /// `task` is the first field of such a cell. What `closure` and `result` hold is touched by one
    /// party at a time: the run machinery until `Life::complete`, then whom that word names.
    unsafe fn of<'cell>(task: NonNull<Task>) -> &'cell Self {
        // SAFETY: by the caller's promise; `repr(C)` puts the record at the start.
        unsafe { task.cast::<Self>().as_ref() }
    }

    unsafe fn run(task: NonNull<Task>) {
        // SAFETY: see `of`.
        let cell = unsafe { Self::of(task) };
        let task = &cell.task;
        // SAFETY: until completion the run machinery is the only party.
        let closure = unsafe { (*cell.closure.get()).take() };
        let Some(closure) = closure else {
            report::fatal(format_args!("a task was run twice"));
        };
        // It never runs if it was cancelled before, or was refused a stack and is given this one to
        // clean up on. Its captures are dropped as if by a neighbour: undisturbed.
        let drop_captures = |closure| {
            cancel::mask(|| {
                report::catch_panic(task, "dropping what it captured", move || drop(closure));
            });
        };
        if task.is_complete() {
            drop_captures(closure);
            cancel::mask(|| task.destroy_locals());
            return;
        }
        let result = if task.scopes.root().is_cancelled() {
            drop_captures(closure);
            Err(Box::new(Cancelled::new()) as Box<dyn Any + Send>)
        } else {
            task.scopes
                .settle(panic::catch_unwind(AssertUnwindSafe(closure)))
        };
        if let (Err(payload), Some(group)) = (&result, &task.group)
            && payload.is::<Cancelled>()
        {
            group.note_cancelled();
        }
        // The frame that throws would go to is gone.
        cancel::mask(|| {
            // SAFETY: as above.
            unsafe { *cell.result.get() = Some(result) };
            if !task.life.has_handle() {
                // As in std: before the thread-locals, which its destructor may use.
                task.drop_result();
            }
            task.destroy_locals();
            task.finish();
        });
    }

    unsafe fn refuse(task: NonNull<Task>, failure: Box<dyn Any + Send>) {
        // SAFETY: see `of`; until completion the run machinery is the only party.
        let cell = unsafe { Self::of(task) };
        // SAFETY: as above.
        unsafe { *cell.result.get() = Some(Err(failure)) };
        cell.task.finish();
    }

    unsafe fn drop_result(task: NonNull<Task>) {
        // SAFETY: see `of`; the caller is whom the life word names.
        let cell = unsafe { Self::of(task) };
        // SAFETY: as above.
        let result = unsafe { (*cell.result.get()).take() };
        if let Some(Err(failure)) = &result {
            report::lost_panic(&cell.task, failure.as_ref());
        }
        report::catch_panic(&cell.task, "dropping its result", move || drop(result));
    }

    unsafe fn take_result(task: NonNull<Task>, to: *mut ()) {
        // SAFETY: see `of`; the caller is whom the life word names, and `to` is such a place.
        unsafe {
            let result = (*Self::of(task).result.get()).take();
            *to.cast::<Option<thread::Result<T>>>() = result;
        }
    }

    unsafe fn free(task: NonNull<Task>) {
        // SAFETY: made by `Box::leak` in `create`; closure and result are empty by now.
        drop(unsafe { Box::from_raw(task.cast::<Self>().as_ptr()) });
    }
}

/// Makes a task's record. Two counts exist: the run machinery's, and the handle's.
///
/// # Safety
///
/// What `F` and `T` borrow must outlive the task's end.
pub(super) unsafe fn create<F, T>(options: Options, closure: F) -> (NonNull<Task>, Join<T>)
where
    F: FnOnce() -> T,
{
    let vtable: &'static VTable = const { &TaskCell::<F, T>::VTABLE };
    let cell = Box::leak(Box::new(TaskCell::<F, T> {
        task: Task::new(vtable, Life::with_handle(), 2, options),
        closure: UnsafeCell::new(Some(closure)),
        result: UnsafeCell::new(None),
    }));
    let task = NonNull::from(cell).cast::<Task>();
    // SAFETY: just made, and nobody else knows of it.
    unsafe { set_address(task) };
    let join = Join {
        // SAFETY: the second of the two counts.
        task: unsafe { TaskRef::from_raw(task) },
        marker: std::marker::PhantomData,
    };
    (task, join)
}

/// Tells a record where it lies.
///
/// # Safety
///
/// The record is there, and nobody else uses it yet.
unsafe fn set_address(task: NonNull<Task>) {
    // SAFETY: by the caller's promise.
    unsafe { task.as_ref() }.address.set(task);
}

/// The right to a task's result.
pub(crate) struct Join<T> {
    task: TaskRef,
    marker: std::marker::PhantomData<T>,
}

// SAFETY: it only gives access to a `T` that was sent out of its task. (`spawn` asks `T: Send`; the
// handle of `spawn_local` wraps this in a type that is neither.)
unsafe impl<T> Send for Join<T> {}
// SAFETY: no method gives a `T` by shared reference.
unsafe impl<T> Sync for Join<T> {}

impl<T> Join<T> {
    pub(crate) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// Suspends until the task has ended or the deadline has passed. Returns whether it has ended.
    pub(crate) fn wait(&self, deadline: Instant) -> bool {
        let task = &self.task;
        if task.is_complete() {
            return true;
        }
        task.joiners
            .wait(Reason::Join, deadline, || task.life.add_joiner());
        task.is_complete()
    }

    /// The result, which must be stored by now.
    pub(crate) fn into_result(self) -> thread::Result<T> {
        assert!(self.task.is_complete(), "the task has not ended yet");
        let mut result: Option<thread::Result<T>> = None;
        let this = ManuallyDrop::new(self);
        // SAFETY: the result is stored and the handle, whose it is, is ours; the place fits. The
        // handle's count is given back by hand, without its drop.
        let task = unsafe {
            (this.task.vtable.take_result)(this.task.0, ptr::from_mut(&mut result).cast());
            ptr::read(&raw const this.task)
        };
        task.life.drop_handle();
        result.unwrap_or_else(|| report::fatal(format_args!("a task's result was taken twice")))
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        if self.task.life.drop_handle() {
            // SAFETY: the result is stored, and it was the handle's.
            unsafe { (self.task.vtable.drop_result)(self.task.0) }
        }
    }
}

const _: () = assert!(align_of::<Task>() > 1, "an inbox head of 1 is no task");
