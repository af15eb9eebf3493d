//! Barriers: the frames of a stack that an unwinding must not leave.
//!
//! A destructor that runs because of an unwinding is called from a *landing pad*, and a second unwinding
//! that left it would abort the process; so would one that left a function of another language's ABI. The
//! compiler marks each call that is made from such a place, in the table that the unwinder itself goes by
//! (the "language-specific data area" of the function, LSDA): with an action that is a filter, or by leaving
//! it out. Here the stack is walked and each frame's table is asked about the call that is under way in it.
//!
//! What an unwinding would find is what is found here: the compiler knows of no call to this that it could
//! not unwind, since what it ends in, `_Unwind_Backtrace`, is declared as one that may. Otherwise it might
//! leave the calls on the way here out of the tables as well.
//!
//! * Code that was inlined into a landing pad is part of it: its calls keep the mark, behind that of a
//!   `catch_unwind` that was inlined with them. So the whole chain of actions is looked at.
//! * A function that catches all that comes to it does not unwind. If the compiler finds that out, which depends on
//!   how it optimises, it leaves calls of it out of its callers' tables as well, from landing pads and elsewhere
//!   alike. Which of the two it is shows only in where the call lies: landing pads, and what follows on them, are put
//!   at the function's end. So one that lies before them is no barrier, and one that lies behind is in *doubt*: it
//!   may be some other code that is seldom run. A wrong guess is harmless. No unwinding comes to this frame, as
//!   it is caught before.
//! * A table that is not understood, and the last frame that the unwinder knows, is a barrier.
//! * Of barriers within one frame one is seen. So they cannot be counted.

#[cfg(panic = "unwind")]
mod table;
#[cfg(panic = "unwind")]
mod walk;

/// The stack pointer of the calling function, by which its frame is told from those it was called by.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let address: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it only reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) address, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) address, options(nomem, nostack, preserves_flags));
    }
    address
}

/// The barriers on the stack of the caller, as far as the frame where [`stack_pointer`] was `base`, and without it.
#[cfg(panic = "unwind")]
#[cold]
pub(crate) fn barriers(base: usize) -> Barriers {
    walk::barriers(base)
}

/// Nothing unwinds.
#[cfg(not(panic = "unwind"))]
pub(crate) fn barriers(_base: usize) -> Barriers {
    Barriers::NO
}

/// What stands in the way of an unwinding that starts here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Barriers {
    /// The stack pointers of the innermost barrier, and of the innermost beyond doubt; [`NONE`] if there is none.
    innermost: usize,
    certain: usize,
}

const NONE: usize = usize::MAX;

impl Barriers {
    /// Nothing stands in the way.
    pub(crate) const NO: Barriers = Barriers {
        innermost: NONE,
        certain: NONE,
    };

    /// Can the unwinding end in the frame where [`stack_pointer`] was `place`?
    pub(crate) fn let_pass(self, place: usize) -> bool {
        place < self.innermost
    }

    /// As [`let_pass`](Self::let_pass), but `true` in doubt.
    pub(crate) fn may_let_pass(self, place: usize) -> bool {
        place < self.certain
    }

    /// Is there one? In doubt, there is.
    pub(crate) fn may_exist(self) -> bool {
        self.innermost != NONE
    }

    /// Is there one, beyond doubt?
    pub(crate) fn exist(self) -> bool {
        self.certain != NONE
    }
}

#[cfg(all(test, panic = "unwind"))]
mod tests;
