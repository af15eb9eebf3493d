//! What is open or closed, and a line of those who wait until it opens: under [`Event`](super::Event),
//! [`Promise`](super::Promise) and [`WaitGroup`](super::WaitGroup).
//!
//! One word: `OPEN`; `WAITERS`, which says that who opens is to wake the line; and how often it was opened. A
//! waiter remembers that number from when it came and waits until it has changed. So an opening lets all pass
//! who came before it, also if it is closed again before they run, and nobody who came later.
//!
//! The races:
//!
//! * *Opening against a newcomer.* The newcomer sets `WAITERS` by a compare-and-swap on a word that is closed
//!   and has its number, under the line's lock, and stands in line before it lets that go. Either the
//!   opening comes first, and the swap fails; or it finds the bit, changes the word under the line's lock, and
//!   signals all who stand there before it lets that go.
//! * *Opening against closing.* Who comes after the closing stands in line after all those were signalled who came
//!   before the opening.
//! * *Who gave up* leaves the bit set. The next opening finds an empty line.

use std::fmt;

use super::atomic::AtomicUsize;
use super::atomic::Ordering::{AcqRel, Acquire};
use super::select::Operation;
use crate::rt::{Case, Instant, Reason, Signal, Stand, WaitQueue, Waited};

const OPEN: usize = 1;
const WAITERS: usize = 2;
/// One opening.
const OPENING: usize = 4;

/// See the module's text.
pub(super) struct Gate {
    word: AtomicUsize,
    line: WaitQueue,
}

impl Gate {
    /// A closed one.
    pub(super) const fn new() -> Gate {
        Gate {
            word: AtomicUsize::new(0),
            line: WaitQueue::new(),
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.word.load(Acquire) & OPEN != 0
    }

    /// Waits until it is open, or was since it was called. Returns whether that came before `deadline`.
    #[inline]
    pub(super) fn wait(&self, reason: Reason, deadline: Instant) -> bool {
        let word = self.word.load(Acquire);
        word & OPEN != 0 || self.wait_slow(word / OPENING, reason, deadline)
    }

    /// Opens it and wakes all that wait. What the caller did before is seen by whoever passes later, also if it was
    /// open already.
    #[inline]
    pub(super) fn open(&self) {
        let change = |word: usize| (word & WAITERS == 0).then(|| opened(word));
        if self.word.fetch_update(AcqRel, Acquire, change).is_err() {
            self.open_slow();
        }
    }

    #[cold]
    fn open_slow(&self) {
        let mut line = self.line.lock();
        let change = |word| Some(opened(word));
        let _ = self.word.fetch_update(AcqRel, Acquire, change);
        while let Some(woken) = line.signal_first(0) {
            woken.wake();
        }
    }

    #[inline]
    pub(super) fn close(&self) {
        self.word.fetch_and(!OPEN, AcqRel);
    }

    #[cold]
    fn wait_slow(&self, openings: usize, reason: Reason, deadline: Instant) -> bool {
        let waited = self.line.wait_or_pass(
            reason,
            deadline,
            || !self.mark(openings),
            // All are woken, so nobody misses what this one does not see.
            |_| {},
        );
        waited != Waited::TimedOut
    }

    /// Says that somebody waits, unless it was opened. The caller holds the line's lock.
    fn mark(&self, openings: usize) -> bool {
        let change = |word: usize| (word / OPENING == openings).then_some(word | WAITERS);
        self.word.fetch_update(AcqRel, Acquire, change).is_ok()
    }
}

/// The word of an open one.
/// The case of a select that waits at a gate.
#[doc(hidden)]
pub struct Passing<'gate>(pub(super) &'gate Gate);

impl<'gate: 'queue, 'queue> Case<'queue> for Passing<'gate> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        let Passing(gate) = self;
        let word = gate.word.load(Acquire);
        if word & OPEN != 0 {
            return stand.take();
        }
        stand.enter(&gate.line, || !gate.mark(word / OPENING))
    }

    fn accept(&self, _: Signal) {}

    /// All are woken, so nobody misses what this one does not see.
    fn pass_on(&self, _: Signal) {}
}

impl<'queue> Operation<'queue> for Passing<'queue> {
    type Output = ();

    fn finish(self) {}
}

impl fmt::Debug for Passing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passing").finish_non_exhaustive()
    }
}

#[inline]
fn opened(word: usize) -> usize {
    if word & OPEN == 0 {
        (word & !WAITERS).wrapping_add(OPENING | OPEN)
    } else {
        word
    }
}
