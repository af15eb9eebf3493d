//! Leaving and entering contexts by jumps, on x86-64.
//!
//! corosensei makes a context: it enters the stack for the first time, on a frame of its own at the stack's upper end.
//! From there [`wait_for_argument`] saves what is needed to go on and has corosensei leave again. From
//! then on corosensei believes the coroutine to be over, and all switches are [`switch`].
//!
//! What rests, or is suspended, is one address, that of the lowest of three words on its stack:
//!
//! ```text
//!   | where to go on | rbx | rbp |  what its function keeps
//!   ^ the address
//! ```
//!
//! The other registers are the compiler's to save, where it has something in them: to it a switch is a call
//! that destroys them all. The control words of the floating-point units are left as they are: all tasks
//! of an OS thread share them, as they share its other properties.

use std::arch::{asm, naked_asm};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use corosensei::{Coroutine, Yielder};

use super::{Function, Lent, Return};
use crate::sys::cache;

/// Where something goes on, as the module's text has it.
type Point = *mut u8;

/// A task that waits a few calls deep has this much of its stack in use, in cache lines.
const IN_USE: usize = 6;

/// Where the root goes on while a context runs.
pub(super) struct Root(Cell<Point>);

const SUSPENDED: usize = 0;
const RETURNED: usize = 1;

impl Default for Root {
    fn default() -> Root {
        Root(Cell::new(ptr::null_mut()))
    }
}

impl Root {
    /// See [`super::Root::resume`].
    #[inline(always)]
    pub(super) unsafe fn resume(&self, context: &Cell<Point>, argument: NonNull<()>) -> bool {
        // SAFETY: by the caller's promise the context rests or is suspended there.
        unsafe { switch(&self.0, context, argument.as_ptr() as usize) == RETURNED }
    }

    /// See [`super::Root::suspend`].
    #[inline(always)]
    pub(super) unsafe fn suspend(&self, context: &Cell<Point>) {
        // SAFETY: by the caller's promise this root has resumed the context, and waits there.
        unsafe { switch(context, &self.0, SUSPENDED) };
    }
}

/// Saves where the caller goes on in `from`, and goes on at `to`, where `message` comes out. Returns the message
/// of whoever comes back.
///
/// # Safety
///
/// Something was saved in `to` on this OS thread, and has not gone on since.
#[inline(always)]
unsafe fn switch(from: &Cell<Point>, to: &Cell<Point>, message: usize) -> usize {
    let answer;
    // SAFETY: by the caller's promise the words at `to` are as the module's text has them, and that stack is in
    // nobody's use. Of ours only what lies below is written until we go on; all registers that the compiler
    // may have something in are saved by it or by us.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [rsi], rsp",
            "mov rsp, rdx",
            "jmp [rdx]",
            "2:",
            "add rsp, 8",
            "pop rbx",
            "pop rbp",
            inout("rdi") message => answer,
            inout("rsi") from.as_ptr() => _,
            inout("rdx") to.get() => _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    answer
}

/// See [`super::Context::prefetch`].
#[inline(always)]
pub(super) fn prefetch(context: &Cell<Point>) {
    cache::prefetch_lines(context.get(), IN_USE);
}

/// Lets a flow of control rest on a stack that calls `function` whenever it is resumed. Returns where it rests.
#[cold]
pub(super) fn prepare(lent: Lent, function: Function) -> Point {
    let place = Cell::new(ptr::null_mut());
    let rest = ptr::from_ref(&place);
    let mut coroutine = Coroutine::with_stack(lent, move |yielder: &Yielder<(), ()>, ()| {
        // SAFETY: `rest` is there until the coroutine is left for the first time.
        unsafe { wait_for_argument(rest, yielder, function) }
    });
    coroutine.resume(());
    // SAFETY: nothing on its stack is dropped by this, and there is nothing to drop: it is in
    // `wait_for_argument`, which goes on where it has saved and never returns to corosensei's frames.
    unsafe { coroutine.force_reset() };
    debug_assert!(!place.get().is_null());
    place.get()
}

/// Saves in `rest` where to go on, and leaves by `yielder`. Goes on with the argument for `function`.
///
/// It is where every backtrace ends: what lies above is of the moment in which the stack was prepared.
#[unsafe(naked)]
unsafe extern "sysv64" fn wait_for_argument(
    rest: *const Cell<Point>,
    yielder: &Yielder<(), ()>,
    function: Function,
) -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "push 0", // rbp: the chain of frame pointers ends here, too
        "push rdx",
        "lea rax, [rip + 2f]",
        "push rax",
        "mov [rdi], rsp",
        "mov rdi, rsi",
        "call {leave}",
        "ud2",
        "2:",
        "add rsp, 8",
        "pop rsi",
        "pop rbp",
        "push rbp", // for the alignment of the stack
        "call {serve}",
        "ud2",
        ".cfi_endproc",
        leave = sym leave,
        serve = sym serve,
    )
}

extern "sysv64" fn leave(yielder: &Yielder<(), ()>) {
    yielder.suspend(());
}

/// Calls `function` with one argument after the other.
unsafe extern "sysv64" fn serve(mut argument: usize, function: Function) -> ! {
    loop {
        // SAFETY: by the promise of `resume` the argument suits, and what the function returns is alive.
        let (root, context) = unsafe {
            let Return { root, context } = function(NonNull::new_unchecked(argument as *mut ()));
            (root.as_ref(), context.as_ref())
        };
        // SAFETY: that root has resumed us, and waits there.
        argument = unsafe { switch(&context.stack.rest, &root.0.0, RETURNED) };
    }
}
