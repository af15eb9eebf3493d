//! Execution contexts: start a function on a stack of its own, leave it, come back.
//!
//! The only file that names corosensei. A [`Context`] never leaves the OS thread it was made on:
//! corosensei's coroutine is not `Send`, and neither is what user code keeps on its stack.

use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::cache;
use super::stack::Stack;

// SAFETY: a `Stack` is guarded at its low end, its top is aligned to 64 bytes, its smallest class
// is far above the 4 KiB corosensei asks for, and nobody else writes to it while it is owned.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.top()).expect("a stack lies at no null address")
    }

    #[inline]
    fn limit(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.limit()).expect("a stack lies at no null address")
    }
}

/// A suspended (or not yet started) flow of control on a stack of its own.
///
/// Dropping a context whose function has not returned leaks its stack: what lies on it may be
/// borrowed by others, so it must never be reused.
pub(crate) struct Context {
    coroutine: ManuallyDrop<Coroutine<(), (), (), Stack>>,
}

/// The way back out of a running [`Context`]; it lies on that context's stack.
#[derive(Clone, Copy)]
pub(crate) struct Exit(NonNull<Yielder<(), ()>>);

impl Context {
    /// Prepares `entry` to run on `stack`. It must not unwind out of its own frame.
    #[inline]
    pub(crate) fn new(stack: Stack, entry: impl FnOnce(Exit) + 'static) -> Context {
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
            entry(Exit(NonNull::from(yielder)));
        });
        Context {
            coroutine: ManuallyDrop::new(coroutine),
        }
    }

    /// Runs the context until it suspends (`false`) or its function has returned (`true`).
    #[inline]
    pub(crate) fn resume(&mut self) -> bool {
        matches!(self.coroutine.resume(()), CoroutineResult::Return(()))
    }

    /// Takes the stack back from a context whose function has returned.
    #[inline]
    pub(crate) fn into_stack(self) -> Stack {
        assert!(
            self.coroutine.done(),
            "a stack in use must not be taken back"
        );
        ManuallyDrop::into_inner(self.coroutine).into_stack()
    }
}

impl Exit {
    /// The context will be resumed soon. (It need not be suspended, or alive.)
    #[inline]
    pub(crate) fn prefetch_stack(self) {
        cache::prefetch_stack(self.0.as_ptr().cast());
    }

    /// Leaves the running context; returns when it is resumed.
    ///
    /// # Safety
    ///
    /// The caller must be running on the context this exit belongs to.
    #[inline(always)]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: the yielder lives at the root of the stack we run on, by the caller's promise.
        unsafe { self.0.as_ref() }.suspend(());
    }
}
