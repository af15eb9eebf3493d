//! Leaving and entering contexts by corosensei's own means, on any processor that it knows.
//!
//! A context's coroutine lies at the upper end of its stack, and never ends.

use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::{Function, Lent, Return};
use crate::sys::cache;

/// What lies at the upper end of a stack.
#[repr(align(64))]
struct Flow {
    coroutine: UnsafeCell<ManuallyDrop<Coroutine<NonNull<()>, bool, (), Lent>>>,
    yielder: Cell<Option<NonNull<Yielder<NonNull<()>, bool>>>>,
}

/// Whoever resumes a coroutine is known to it.
#[derive(Default)]
pub(super) struct Root(());

impl Root {
    /// See [`super::Root::resume`].
    #[inline(always)]
    pub(super) unsafe fn resume(&self, context: &Cell<*mut u8>, argument: NonNull<()>) -> bool {
        // SAFETY: made by `prepare`; nobody else resumes it.
        let coroutine = unsafe { &mut *flow(context).coroutine.get() };
        match coroutine.resume(argument) {
            CoroutineResult::Yield(returned) => returned,
            CoroutineResult::Return(()) => unreachable!("a context's coroutine has ended"),
        }
    }

    /// See [`super::Root::suspend`].
    #[inline(always)]
    pub(super) unsafe fn suspend(&self, context: &Cell<*mut u8>) {
        // SAFETY: made by `prepare`.
        let yielder = unsafe { flow(context) }.yielder.get();
        // SAFETY: a coroutine that runs has told of its yielder, which lies at the root of its stack.
        unsafe { yielder.unwrap_unchecked().as_ref() }.suspend(false);
    }
}

/// # Safety
///
/// `prepare` was called for its stack.
#[inline(always)]
unsafe fn flow<'stack>(context: &Cell<*mut u8>) -> &'stack Flow {
    // SAFETY: by the caller's promise.
    unsafe { &*context.get().cast::<Flow>() }
}

/// See [`super::Context::prefetch`].
#[inline(always)]
pub(super) fn prefetch(context: &Cell<*mut u8>) {
    // How much of it is in use is corosensei's secret: its upper end is.
    cache::prefetch_lines(context.get().wrapping_sub(5 * 64), 6);
}

/// Lets a flow of control rest on a stack that calls `function` whenever it is resumed. Returns where it rests.
#[cold]
pub(super) fn prepare(whole: Lent, function: Function) -> *mut u8 {
    let lent = Lent {
        top: whole.top - size_of::<Flow>(),
        ..whole
    };
    let place = lent.top as *mut Flow;
    let serve = move |yielder: &Yielder<NonNull<()>, bool>, mut argument| {
        // SAFETY: written below, before the coroutine is resumed.
        let flow = unsafe { &*place };
        flow.yielder.set(Some(NonNull::from(yielder)));
        loop {
            // SAFETY: by the promise of `resume` the argument suits.
            let Return { .. } = unsafe { function(argument) };
            argument = yielder.suspend(true);
        }
    };
    let coroutine = Coroutine::with_stack(lent, serve);
    // SAFETY: the stack is ours, its top aligned as `Flow` is, and corosensei stays below.
    unsafe {
        place.write(Flow {
            coroutine: UnsafeCell::new(ManuallyDrop::new(coroutine)),
            yielder: Cell::new(None),
        });
    }
    place.cast()
}
