//! Who has a select: a word that all of its nodes share, in whichever lines they stand.
//!
//! A select waits in several lines, and wakers of different lines may choose it at the same moment. The one that
//! swaps `OPEN` for the address of the node it found has it; all others pass that select over. So the word is
//!
//! | value | meaning | set by |
//! |---|---|---|
//! | `OPEN` | it can be chosen | the select |
//! | `BUSY` | the select itself is about to do one of its cases, or to leave it: wait for it | the select, from `OPEN` |
//! | `CLOSED` | the select has done a case itself, or has given up | the select, from `OPEN` or `BUSY` |
//! | an address | it was chosen, in the line where this node stands | a waker, from `OPEN` |
//!
//! The last two are final.
//!
//! *Two selects that need each other*, as the two sides of a rendezvous do, need both words at once, and there is no
//! such swap. So the one that finds the other in line first makes its own word `BUSY`, then swaps the other's, then
//! closes its own; if the other is gone it opens its own again. Since each looks under the lock of the line that
//! it then enters, of two that need each other the later one finds the earlier one: no pair is overlooked.
//!
//! *Each finds the other `BUSY`*, in different lines. Then the one whose word has the higher address opens its own
//! again, which lets the other have it, and tries once more when the other has come to an end. The one with the lower
//! address waits. So there is always one that goes on: who waits while it is busy waits for a word with a higher
//! address, and the highest waits for nobody.
//!
//! *Nobody waits long.* While its word is `BUSY` a select takes no lock and runs no code but a few instructions of this
//! crate. So who meets a `BUSY` word waits as for a spinlock, whatever locks it holds itself.

use crate::sys::sync::{AtomicUsize, Cell, Ordering, pause, precedes};

const OPEN: usize = 0;
const BUSY: usize = 1;
const CLOSED: usize = 2;

/// See the module's text.
pub(crate) struct Claim(AtomicUsize);

/// What a select found when it looked at one of its cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// It has done it.
    Done,
    /// It cannot be done now.
    Wait,
    /// Another of its cases was chosen meanwhile.
    TooLate,
}

/// What the node of a select has that the node of a plain wait has not.
pub(super) struct Ticket {
    claim: *const Claim,
    /// Touched under the queue's lock only.
    in_line: Cell<bool>,
}

impl Claim {
    pub(super) fn new() -> Claim {
        Claim(AtomicUsize::default())
    }

    /// The select looks at a case: `ready` does it, if it can be done. It must take no lock, choose nobody
    /// and be short.
    #[inline]
    pub(super) fn attempt(&self, ready: impl FnOnce() -> bool) -> Look {
        if !self.swap(OPEN, BUSY) {
            return Look::TooLate;
        }
        let done = ready();
        self.set(if done { CLOSED } else { OPEN });
        if done { Look::Done } else { Look::Wait }
    }

    /// The select gives up. `false`: it was chosen before.
    pub(super) fn close(&self) -> bool {
        self.swap(OPEN, CLOSED)
    }

    /// Was it chosen by a waker?
    #[inline]
    pub(super) fn is_chosen(&self) -> bool {
        self.0.load(Ordering::Acquire) > CLOSED
    }

    /// A waker chooses it, at this node. `false`: it is not to be had any more.
    fn choose(&self, node: usize) -> bool {
        let mut attempt = 0;
        loop {
            match self.compare_exchange(OPEN, node) {
                Ok(_) => return true,
                Err(BUSY) => pause(attempt),
                Err(_) => return false,
            }
            attempt += 1;
        }
    }

    /// The select `self` chooses another one, at this node of that: `Done`. `Wait`: that one is not to be had
    /// any more.
    pub(super) fn pair_with(&self, other: &Claim, node: usize) -> Look {
        loop {
            if !self.swap(OPEN, BUSY) {
                return Look::TooLate;
            }
            if let Some(look) = self.pair_while_busy(other, node) {
                return look;
            }
            other.until_not_busy();
        }
    }

    /// `None`: both are busy, and this one has made way.
    fn pair_while_busy(&self, other: &Claim, node: usize) -> Option<Look> {
        let makes_way = precedes(other, self);
        let mut attempt = 0;
        loop {
            match other.compare_exchange(OPEN, node) {
                Ok(_) => {
                    self.set(CLOSED);
                    return Some(Look::Done);
                }
                Err(BUSY) if makes_way => {
                    self.set(OPEN);
                    return None;
                }
                Err(BUSY) => pause(attempt),
                Err(_) => {
                    self.set(OPEN);
                    return Some(Look::Wait);
                }
            }
            attempt += 1;
        }
    }

    fn until_not_busy(&self) {
        let mut attempt = 0;
        while self.0.load(Ordering::Acquire) == BUSY {
            pause(attempt);
            attempt += 1;
        }
    }

    fn swap(&self, from: usize, to: usize) -> bool {
        self.compare_exchange(from, to).is_ok()
    }

    fn compare_exchange(&self, from: usize, to: usize) -> Result<usize, usize> {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Only from `BUSY`, by the select itself.
    fn set(&self, value: usize) {
        self.0.store(value, Ordering::Release);
    }
}

impl Ticket {
    pub(super) fn new(claim: &Claim) -> Ticket {
        Ticket {
            claim,
            in_line: Cell::new(false),
        }
    }

    /// The claim of its select.
    ///
    /// # Safety
    ///
    /// The node is in line and the caller holds the queue's lock; or the caller is the select.
    pub(super) unsafe fn claim<'any>(&self) -> &'any Claim {
        // SAFETY: the select keeps it until it has left all lines, each under the queue's lock.
        unsafe { &*self.claim }
    }

    /// A waker that has taken the node with this address out of the line chooses it.
    ///
    /// # Safety
    ///
    /// The caller holds the queue's lock, and has done so since the node was in line.
    #[cold]
    pub(super) unsafe fn choose(&self, node: usize) -> bool {
        self.in_line.set(false);
        // SAFETY: by the caller's promise.
        unsafe { self.claim() }.choose(node)
    }

    pub(super) fn is_in_line(&self) -> bool {
        self.in_line.get()
    }

    pub(super) fn set_in_line(&self, is_in_line: bool) {
        self.in_line.set(is_in_line);
    }
}
