//! A task's closure and its result, and the right to the result: what the record knows only through a
//! table of functions.
//!
//! Closure and result are touched by one party at a time: the run machinery until the life word says
//! `COMPLETE`, then whom that word names.

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread;

use super::cancel::{self, Cancelled};
use super::clock::Instant;
use super::endings::{Callback, Watcher};
use super::life::{Ending, Life};
use super::reason::Reason;
use super::records;
use super::report;
use super::stand::Stand;
use super::task::{Options, Task, TaskRef};

/// A record with the closure it runs and the result it had.
#[repr(C)]
struct TaskCell<F, T> {
    task: Task,
    closure: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<thread::Result<T>>>,
}

/// The operations that depend on the closure's and the result's types.
pub(super) struct VTable {
    pub(super) run: unsafe fn(NonNull<Task>),
    /// Stores this failure as the result.
    pub(super) refuse: unsafe fn(NonNull<Task>, Box<dyn Any + Send>),
    /// The address of the stored result.
    pub(super) result: unsafe fn(NonNull<Task>) -> *const (),
    pub(super) drop_result: unsafe fn(NonNull<Task>),
    take_result: unsafe fn(NonNull<Task>, *mut ()),
    pub(super) free: unsafe fn(NonNull<Task>),
}

/// The vtable of an OS thread's record, which has neither closure nor result.
pub(super) static OS_THREAD: VTable = VTable {
    run: |_| unreachable!("an OS thread's record is not run"),
    refuse: |_, _| unreachable!("an OS thread's record is not refused"),
    result: |_| unreachable!("an OS thread's record has no result"),
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
        result: Self::result,
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
        task.scopes.begin();
        // SAFETY: nobody but the run machinery touches the closure.
        let closure = unsafe { (*cell.closure.get()).take() };
        let Some(closure) = closure else {
            report::fatal(format_args!("a task was run twice"));
        };
        // SAFETY: until completion the run machinery is the only party.
        let refused = task.is_complete() || unsafe { (*cell.result.get()).is_some() };
        if refused {
            // It is given this stack to clean up on.
            cancel::mask(|| {
                task.end_refused();
                drop_unused(task, closure);
                task.destroy_locals();
            });
            return;
        }
        let result = if task.scopes.root().is_cancelled() {
            cancel::mask(|| drop_unused(task, closure));
            Err(Box::new(Cancelled::new()) as Box<dyn Any + Send>)
        } else {
            let call = || call(task, closure);
            task.scopes
                .settle(panic::catch_unwind(AssertUnwindSafe(call)))
        };
        let result = result.map_err(|failure| task.tell_group(failure));
        let ending = ending(&result);
        // The frame that throws would go to is gone.
        cancel::mask(|| {
            // SAFETY: as above.
            unsafe { *cell.result.get() = Some(result) };
            // In this order: without a handle nobody adds a callback.
            let detached = !task.seat.life.has_handle();
            if task.seat.life.has_callbacks() {
                task.run_callbacks();
            }
            if detached {
                // As in std: before the thread-locals, which its destructor may use.
                task.drop_result();
            }
            task.destroy_locals();
            task.finish(ending);
        });
    }

    unsafe fn refuse(task: NonNull<Task>, failure: Box<dyn Any + Send>) {
        // SAFETY: see `of`; until completion the run machinery is the only party.
        let cell = unsafe { Self::of(task) };
        let failure = cell.task.tell_group(failure);
        // SAFETY: as above.
        let before = unsafe { (*cell.result.get()).replace(Err(failure)) };
        // Of a task that is abandoned at its very end, and leaked as a whole.
        std::mem::forget(before);
    }

    unsafe fn result(task: NonNull<Task>) -> *const () {
        // SAFETY: see `of`; the caller is the one party, or holds off the one that the life word names.
        match unsafe { &*Self::of(task).result.get() } {
            Some(result) => ptr::from_ref(result).cast(),
            None => report::fatal(format_args!("a task has no result to show")),
        }
    }

    unsafe fn drop_result(task: NonNull<Task>) {
        // SAFETY: see `of`; the caller is whom the life word names.
        let cell = unsafe { Self::of(task) };
        // SAFETY: as above.
        match unsafe { (*cell.result.get()).take() } {
            Some(Err(failure)) => report::lost_failure(&cell.task, failure),
            value => report::catch_panic(&cell.task, "dropping its result", move || drop(value)),
        }
    }

    unsafe fn take_result(task: NonNull<Task>, to: *mut ()) {
        // SAFETY: see `of`; the caller is whom the life word names, and `to` is such a place.
        unsafe {
            let result = (*Self::of(task).result.get()).take();
            *to.cast::<Option<thread::Result<T>>>() = result;
        }
    }

    unsafe fn free(task: NonNull<Task>) {
        // SAFETY: made in `create`; closure and result are empty by now, so no user code runs.
        unsafe { task.cast::<Self>().drop_in_place() };
        // SAFETY: allocated there for this layout, and nobody refers to it any more.
        unsafe { records::free(task.cast(), Layout::new::<Self>()) };
    }
}

/// Calls a task's closure. Not inlined: the frame that calls this is none of those that the task asks about.
#[inline(never)]
fn call<T>(task: &Task, closure: impl FnOnce() -> T) -> T {
    task.scopes.root().begin();
    closure()
}

/// Drops the captures of a closure that never runs, as if by a neighbour.
fn drop_unused<F>(task: &Task, closure: F) {
    report::catch_panic(task, "dropping what it captured", move || drop(closure));
}

fn ending<T>(result: &thread::Result<T>) -> Ending {
    match result {
        Ok(_) => Ending::Returned,
        Err(failure) if failure.is::<Cancelled>() => Ending::Cancelled,
        Err(_) => Ending::Failed,
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
    let place = records::allocate(Layout::new::<TaskCell<F, T>>()).cast::<TaskCell<F, T>>();
    // SAFETY: memory for such a cell, and nobody else's.
    unsafe {
        place.write(TaskCell {
            task: Task::new(vtable, Life::with_handle(), 2, options),
            closure: UnsafeCell::new(Some(closure)),
            result: UnsafeCell::new(None),
        });
    }
    let task = place.cast::<Task>();
    // SAFETY: just made, and nobody else knows of it.
    unsafe { Task::set_address(task) };
    let join = Join {
        // SAFETY: the second of the two counts.
        task: unsafe { TaskRef::from_raw(task) },
        marker: std::marker::PhantomData,
    };
    (task, join)
}

/// The right to a task's result.
pub(crate) struct Join<T> {
    task: TaskRef,
    marker: std::marker::PhantomData<T>,
}

// SAFETY: it only gives access to a `T` that was sent out of its task. (`spawn` asks `T: Send`; the
// handle of `spawn_local` wraps this in a type that is neither.)
unsafe impl<T> Send for Join<T> {}
// SAFETY: by shared reference a `T` is given to callbacks only, to one at a time (`endings.rs`).
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
            .wait(Reason::Join, deadline, || task.seat.life.add_joiner());
        task.is_complete()
    }

    /// Lets a select wait for the end; as [`Case::enter`](super::select::Case::enter).
    pub(crate) fn enter<'queue>(&'queue self, stand: &Stand<'_, 'queue>) -> bool {
        let task = &self.task;
        stand.enter(&task.joiners, || task.seat.life.add_joiner())
    }

    /// Calls `f` with the result: on the task's own stack, before joiners get it; in place if the task
    /// has ended. Masked, for the frame of the task's that a throw would go to is gone.
    pub(crate) fn on_done(&self, f: impl FnOnce(&thread::Result<T>) + Send + 'static)
    where
        T: 'static,
    {
        let callback: Callback = Box::new(move |result| {
            // SAFETY: the address of this task's stored result, which nobody takes or changes meanwhile.
            f(unsafe { &*result.cast::<thread::Result<T>>() });
        });
        let task = &self.task;
        if task.endings.add_callback(&task.seat.life, callback) {
            // Whoever holds the handle may take the result; that is our caller, who waits for us.
            cancel::mask(|| task.run_callbacks());
        }
    }

    /// Lets `watcher` be told of the task's end. `false`: it has ended, and nobody will be told.
    #[must_use]
    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>, which: usize) -> bool {
        self.task
            .endings
            .watch(&self.task.seat.life, watcher, which)
    }

    /// Takes a watcher back; it may be told at this moment all the same.
    pub(crate) fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        self.task.endings.unwatch(watcher);
    }

    /// The result, which must be stored by now.
    pub(crate) fn into_result(self) -> thread::Result<T> {
        assert!(self.task.is_complete(), "the task has not ended yet");
        let mut result: Option<thread::Result<T>> = None;
        let this = ManuallyDrop::new(self);
        // SAFETY: the result is stored and the handle, whose it is, is ours; the place fits. The
        // handle's count is given back by hand, without its drop: nobody asks after the end whether there is
        // a handle.
        let task = unsafe {
            (this.task.vtable().take_result)(
                this.task.address(),
                ptr::from_mut(&mut result).cast(),
            );
            ptr::read(&raw const this.task)
        };
        drop(task);
        result.unwrap_or_else(|| report::fatal(format_args!("a task's result was taken twice")))
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        if self.task.seat.life.drop_handle() {
            self.task.drop_result();
        }
    }
}
