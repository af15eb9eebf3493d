//! The lock under [`Mutex`](super::Mutex): a word, and a line of those who wait for it.
//!
//! Nobody waits: locking and unlocking are one compare-and-swap each. Otherwise three more bits count;
//! they, and with them the whole word of a lock that is held, change only under the line's own lock:
//!
//! * `WAITERS`: the holder is to take the slow way out. It may be set although nobody waits (one who
//!   gave up does not clear it); the next slow unlock finds out.
//! * `WOKEN`: one waiter was taken out of the line and told to try ([`TRY`]). Until it has tried, nobody
//!   else is woken: the lock is simply let go, and who comes along may take it first. This is what
//!   makes a lock fast that is contended between hubs, where a waiter is slow to wake.
//! * `STARVED`: that waiter found the lock taken again. It stands first in line now, and the next unlock
//!   does not let go: it hands the lock over to the first in line ([`YOURS`]). So a waiter loses at
//!   most once, and between its wake-up and that loss others pass only as long as it takes to run it.
//!
//! One who is suspended while he holds the lock would make a loser of each whom he wakes, who then stands in
//! front, to be woken once more. So whoever has waited for the lock, and was suspended since he got it, hands it over
//! at once.
//!
//! The races:
//!
//! * *Unlock against a newcomer.* The newcomer sets `WAITERS` by a compare-and-swap on a word that says
//!   `LOCKED`, under the line's lock, and stands in line before it lets that go. Either the holder's
//!   fast unlock comes first, and the swap fails; or it fails itself, and the slow one waits for the
//!   line's lock and finds the newcomer.
//!   A word that says `LOCKED` and has other bits keeps some: no fast unlock fits it, and nobody takes it. So the
//!   newcomer, who has the line's lock, needs no swap and writes it.
//! * *Unlock against the woken.* Its try is a swap that clears `WOKEN` and takes a free lock; or else, under the
//!   line's lock, it sets `STARVED` on a word that still says `LOCKED`, as a newcomer does: whoever holds it must come
//!   by the slow way and find the loser first in line.
//! * *Cancellation.* A waiter that was given a token and is thrown out of its wait gives it back: `YOURS`
//!   by unlocking, `TRY` by telling the next to try, if the lock is free, or else by clearing `WOKEN`,
//!   so that the holder tells somebody.

use super::atomic::AtomicU32;
use super::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::rt::{self, Holder, Instant, Reason, WaitQueue, Waited};

const LOCKED: u32 = 1;
const WAITERS: u32 = 2;
const WOKEN: u32 = 4;
const STARVED: u32 = 8;

/// The token of a waiter that may try to take the lock.
const TRY: usize = 0;
/// The token of a waiter that holds the lock from now on.
const YOURS: usize = 1;

/// See the module's text.
pub(super) struct Lock {
    word: AtomicU32,
    /// The run of the holder's in which it got the lock, if it had to wait; else 0, or that of a former holder. A hint,
    /// touched by the holder only.
    got_in: AtomicU32,
    line: WaitQueue,
    holder: Holder,
}

impl Lock {
    pub(super) const fn new() -> Lock {
        Lock {
            word: AtomicU32::new(0),
            got_in: AtomicU32::new(0),
            line: WaitQueue::new(),
            holder: Holder::new(),
        }
    }

    /// Takes the lock, sooner or later.
    #[inline]
    pub(super) fn lock(&self, reason: Reason) {
        if self
            .word
            .compare_exchange(0, LOCKED, Acquire, Relaxed)
            .is_err()
        {
            self.lock_slow(reason);
        }
        self.holder.set();
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        let taken = self.take(0);
        if taken {
            self.holder.set();
        }
        taken
    }

    /// Gives the lock up. The caller holds it.
    #[inline]
    pub(super) fn unlock(&self) {
        self.holder.clear();
        if self
            .word
            .compare_exchange(LOCKED, 0, Release, Relaxed)
            .is_err()
        {
            self.unlock_slow();
        }
    }

    #[cold]
    fn lock_slow(&self, reason: Reason) {
        if !self.take(0) {
            self.holder.while_waiting(reason, || self.wait(reason));
            self.got_in.store(rt::current_run(), Relaxed);
        }
    }

    fn wait(&self, reason: Reason) {
        let mut waited = self.line.wait_or_pass(
            reason,
            Instant::NEVER,
            || self.take_or_mark(0, WAITERS),
            |token| self.give_back(token),
        );
        while waited == Waited::Signalled(TRY) && !self.take(WOKEN) {
            waited = self.line.wait_in_front(
                reason,
                Instant::NEVER,
                || self.take_or_mark(WOKEN, WAITERS | STARVED),
                |token| self.give_back(token),
            );
        }
    }

    #[cold]
    fn unlock_slow(&self) {
        let got_in = self.got_in.load(Relaxed);
        self.got_in.store(0, Relaxed);
        let was_suspended = got_in != 0 && got_in != rt::current_run();
        let mut line = self.line.lock();
        let word = self.word.load(Relaxed);
        let others = if line.len() > 1 { WAITERS } else { 0 };
        let woken = if word & WOKEN != 0 {
            self.word.store(word & !LOCKED, Release);
            None
        } else if line.len() == 0 {
            self.word.store(0, Release);
            None
        } else if word & STARVED != 0 || was_suspended {
            self.word.store(LOCKED | others, Release);
            line.signal_first(YOURS)
        } else {
            self.word.store(WOKEN | others, Release);
            line.signal_first(TRY)
        };
        drop(line);
        if let Some(woken) = woken {
            woken.wake();
        }
    }

    /// A waiter is thrown out of its wait with a token in its hand.
    #[cold]
    fn give_back(&self, token: usize) {
        if token == YOURS {
            self.unlock();
            return;
        }
        let taken = {
            let _line = self.line.lock();
            self.take_or_mark(WOKEN, WAITERS)
        };
        if taken {
            // The simplest way to tell the next: hold the lock for a moment, and let it go.
            self.unlock();
        }
    }

    /// Takes the lock if it is free, and clears `clear` with that.
    #[inline]
    fn take(&self, clear: u32) -> bool {
        let change = |word: u32| (word & LOCKED == 0).then_some((word | LOCKED) & !clear);
        self.word.fetch_update(Acquire, Relaxed, change).is_ok()
    }

    /// Takes the lock if it is free, and otherwise marks it with `mark`; clears `clear` in both cases.
    /// Returns whether it was taken. The caller holds the line's lock.
    fn take_or_mark(&self, clear: u32, mark: u32) -> bool {
        let word = self.word.load(Relaxed);
        if word & LOCKED != 0 && word != LOCKED {
            // Nobody else changes such a word, and it stays one; see the module's text.
            self.word.store((word & !clear) | mark, Relaxed);
            return false;
        }
        let change = |word: u32| {
            let flag = if word & LOCKED == 0 { LOCKED } else { mark };
            Some((word & !clear) | flag)
        };
        let before = self.word.fetch_update(Acquire, Relaxed, change);
        before.is_ok_and(|word| word & LOCKED == 0)
    }
}
