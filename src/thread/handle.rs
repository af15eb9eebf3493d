//! Handles of threads: to unpark, to tell one from another.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};

use crate::rt::{self, Task, TaskRef};

/// A handle of a thread, green or not.
///
/// # Differences from std
///
/// A plain OS thread has one too: [`current`] gives it.
#[derive(Clone)]
#[repr(transparent)]
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
    Thread(rt::current_task())
}

impl Thread {
    /// The handle of a record.
    pub(crate) fn of(task: &TaskRef) -> &Thread {
        // SAFETY: it is nothing but a `TaskRef`, by `repr(transparent)`.
        unsafe { &*ptr::from_ref(task).cast::<Thread>() }
    }

    /// Lets the thread's next, or current, [`park`](super::park) return. Never suspends.
    pub fn unpark(&self) {
        if !self.0.set_permit() {
            self.0.wake();
        }
    }

    /// The thread's identity.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        ThreadId(NonZeroU64::new(self.0.id()).expect("numbers of tasks begin with 1"))
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
    unsafe { task.as_ref() }.take_permit()
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
