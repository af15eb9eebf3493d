//! Handles of threads: to join, to unpark, to tell one from another.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::thread::Result;

use crate::rt::{self, Instant, Join, Task, TaskRef};

/// A handle of a thread, green or not.
///
/// # Differences from std
///
/// A plain OS thread has one too: [`current`] gives it.
#[derive(Clone)]
pub struct Thread(TaskRef);

/// What tells a thread from all others of the process, forever.
///
/// # Differences from std
///
/// A type of its own: std's cannot be made for a green thread.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadId(NonZeroU64);

/// The handle of the calling thread.
///
/// ```
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let named = thread::Builder::new().name("worker".into());
///     let task = named.spawn(|| thread::current().name().map(str::to_owned)).unwrap();
///     assert_eq!(task.join().unwrap().as_deref(), Some("worker"));
/// });
/// ```
#[must_use]
pub fn current() -> Thread {
    Thread(rt::with_current(|task| {
        // SAFETY: the current thread's record is alive.
        unsafe { task.as_ref() }.reference()
    }))
}

impl Thread {
    pub(super) fn of(task: &TaskRef) -> Thread {
        Thread(task.clone())
    }

    /// Lets the thread's next, or current, [`park`](super::park) return. Never suspends.
    pub fn unpark(&self) {
        if !self.0.permit.swap(true, Ordering::AcqRel) {
            self.0.wake();
        }
    }

    /// The thread's identity.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        ThreadId(NonZeroU64::new(self.0.identity.id).expect("numbers of tasks begin with 1"))
    }

    /// The thread's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.identity.name.as_deref()
    }
}

/// Takes the token of `park`, if it is there.
pub(super) fn take_permit(task: NonNull<Task>) -> bool {
    // SAFETY: the current thread's record is alive.
    unsafe { task.as_ref() }
        .permit
        .swap(false, Ordering::AcqRel)
}

// As std's: what it shows of the thread's record cannot be left half-way by a panic.
impl UnwindSafe for Thread {}
impl RefUnwindSafe for Thread {}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadId").field(&self.0).finish()
    }
}

/// The right to join a green thread, and to cancel it. Dropping it detaches the thread.
pub struct JoinHandle<T> {
    join: Join<T>,
    thread: Thread,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(join: Join<T>) -> JoinHandle<T> {
        let thread = Thread::of(join.task());
        JoinHandle { join, thread }
    }

    /// The thread's handle.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Suspends until the thread has ended, and returns what it returned.
    ///
    /// # Errors
    ///
    /// The payload of its panic; [`task::Cancelled`](crate::task::Cancelled) if it was cancelled;
    /// [`task::NoStack`](crate::task::NoStack) if it could get no stack.
    pub fn join(self) -> Result<T> {
        rt::spend();
        while !self.join.wait(Instant::NEVER) {}
        let result = self.join.into_result();
        if let Err(payload) = &result
            && rt::is_cancellation(payload.as_ref())
        {
            // By a deadline that it inherited, perhaps, and so the caller's, too: then that goes first.
            rt::checkpoint();
        }
        result
    }

    /// Has the thread ended, so that [`join`](Self::join) will not wait? Never suspends.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.join.task().is_complete()
    }

    /// Asks the thread to end, and does not wait for it.
    ///
    /// It unwinds at its next suspension, at once if it is suspended: its destructors run, and
    /// [`join`](Self::join) gives [`task::Cancelled`](crate::task::Cancelled). A `catch_unwind` only
    /// delays it. If it has not started it never runs. If it has ended nothing happens.
    ///
    /// A destructor that runs because of the unwinding may suspend, undisturbed. One that runs at the
    /// ordinary end of a block is code like any other: its next suspension is where the unwinding begins.
    /// Wrap what must not be cut short in [`task::mask`](crate::task::mask).
    pub fn cancel(&self) {
        self.join.task().cancel();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// The handle of a green thread that [`spawn_local`](super::spawn_local) made: it stays on its hub, for
/// what it gives may not be sent.
pub struct LocalJoinHandle<T> {
    handle: JoinHandle<T>,
    not_send: PhantomData<*mut ()>,
}

impl<T> LocalJoinHandle<T> {
    pub(super) fn new(join: Join<T>) -> LocalJoinHandle<T> {
        LocalJoinHandle {
            handle: JoinHandle::new(join),
            not_send: PhantomData,
        }
    }

    /// As [`JoinHandle::thread`].
    #[must_use]
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }

    /// As [`JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`].
    pub fn join(self) -> Result<T> {
        self.handle.join()
    }

    /// As [`JoinHandle::is_finished`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// As [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl<T> fmt::Debug for LocalJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalJoinHandle").finish_non_exhaustive()
    }
}
