//! Contexts: flows of control on stacks of their own, which a root resumes and which go back to it.
//!
//! A [`Context`] rests, calls the function it was made for with the argument it is resumed with, and rests
//! again when that has returned: it is used again with its stack, so starting a task costs no more than
//! resuming one. In between the function may go back to the [`Root`] as often as it likes ([`Root::suspend`]).
//!
//! The only files that name corosensei are this one and those below it. `jump.rs` leaves and enters contexts
//! that corosensei has made; `portable.rs`, for processors that it does not know and for AddressSanitizer, has
//! corosensei do that as well. Why there are two: corosensei's switch is a call on one side and a return
//! on the other. A processor foretells where a return goes from the calls it has seen, and these were
//! another task's: one return in a switch is foretold wrongly, and another one for each frame
//! between the switch and the loop that is run. Jumps leave that stack of calls alone, and where all
//! tasks wait in the same function it even fits. Of two switches, a yield's, with 1,000 tasks and four frames
//! deep, 13 ns are left in place of 120.
//!
//! A context never leaves the OS thread it was made on: what user code keeps on its stack is not `Send`.

#[cfg(all(target_arch = "x86_64", not(sylvan_asan)))]
mod jump;
#[cfg(any(not(target_arch = "x86_64"), sylvan_asan))]
mod portable;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use super::stack::Stack;
#[cfg(all(target_arch = "x86_64", not(sylvan_asan)))]
use jump as switch;
#[cfg(any(not(target_arch = "x86_64"), sylvan_asan))]
use portable as switch;

/// What a context runs: it gets the argument it was resumed with, and tells at its end how to go back. It must
/// not unwind out of its own frame.
pub(crate) type Function = unsafe extern "C" fn(NonNull<()>) -> Return;

/// The way back from a [`Function`] that has ended: the root that resumed it last, and its own context.
#[repr(C)]
pub(crate) struct Return {
    pub(crate) root: NonNull<Root>,
    pub(crate) context: NonNull<Context>,
}

/// A flow of control on a stack of its own.
///
/// Dropping one leaks its stack: what lies on it may be borrowed by others, so it must never be reused.
#[must_use = "a context that is dropped leaks its stack"]
pub(crate) struct Context {
    stack: Stack,
    not_send: PhantomData<*mut ()>,
}

/// The flow of control that resumes contexts, on a stack that is not a context's.
#[derive(Default)]
pub(crate) struct Root(switch::Root);

impl Context {
    /// Lets a flow of control rest on `stack`. All contexts of a process are made for the same `function`: a
    /// stack that was used before still has one.
    #[inline]
    pub(crate) fn new(stack: Stack, function: Function) -> Context {
        if stack.rest.get().is_null() {
            let lent = Lent {
                top: stack.top(),
                limit: stack.limit(),
            };
            stack.rest.set(switch::prepare(lent, function));
        }
        Context {
            stack,
            not_send: PhantomData,
        }
    }

    /// Takes the stack back from a context.
    ///
    /// # Safety
    ///
    /// It rests: its function was never called, or has returned.
    #[inline]
    pub(crate) unsafe fn into_stack(self) -> Stack {
        self.stack
    }

    /// The context will be resumed soon.
    #[inline]
    pub(crate) fn prefetch(&self) {
        switch::prefetch(&self.stack.rest);
    }
}

impl Root {
    /// Runs a context until it suspends (`false`) or its function has returned (`true`). `argument` is for the
    /// function, if it is to begin.
    ///
    /// # Safety
    ///
    /// The context was made on this OS thread, and does not run. If its function has begun it was this
    /// root that resumed it; if not, `argument` suits it.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self, context: &Context, argument: NonNull<()>) -> bool {
        // SAFETY: by the caller's promise.
        unsafe { self.0.resume(&context.stack.rest, argument) }
    }

    /// Leaves the running context; returns when it is resumed.
    ///
    /// # Safety
    ///
    /// The caller is running on this context, which this root has resumed.
    #[inline(always)]
    pub(crate) unsafe fn suspend(&self, context: &Context) {
        // SAFETY: by the caller's promise.
        unsafe { self.0.suspend(&context.stack.rest) }
    }
}

/// A stack as corosensei sees it: all of one, or what `portable.rs` leaves of it.
struct Lent {
    top: usize,
    limit: usize,
}

// SAFETY: a `Stack` is guarded at its low end, its top is aligned to 64 bytes, its smallest class
// is far above the 4 KiB corosensei asks for, and nobody else writes to it while it is lent.
unsafe impl corosensei::stack::Stack for Lent {
    fn base(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.top).expect("a stack lies at no null address")
    }

    fn limit(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.limit).expect("a stack lies at no null address")
    }
}
