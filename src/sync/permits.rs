//! The permits under [`Semaphore`](super::Semaphore): a word, and a line of those who wait for some.
//!
//! The word is the number of free permits and one bit, `WAITERS`: who gives permits is to take the
//! slow way and look into the line. While somebody waits no permit is free, so nobody can
//! overtake: permits that are given then go to the first in line, by a token, and not into the word.
//! That holds because one lines up only when nothing is free, with the bit set in the same step, and
//! because from then on the number grows only under the line's own lock, when the line is empty.
//!
//! Most want one permit each, and are simply given it ([`YOURS`]). Who wants several may be given some and lack
//! others, and who gives them cannot tell how many the first in line wants. So if there is one in line who wants
//! several (`many`), the first is told to look for itself ([`LOOK`]). It has a *claim* then, as has who found some
//! permits free, but too few. As long as there is a claim all permits that are given are kept for it
//! (`kept`). Who has it waits alone in `front` until these are enough, takes what it wants, and serves the line
//! with the rest; or it gives up, and serves the line with all of them.
//!
//! The races:
//!
//! * *Giving against a newcomer.* The newcomer sets `WAITERS` on a word that says that nothing is free,
//!   under the line's lock, and stands in line before it lets that go. Either the giver's fast swap
//!   comes first, and the newcomer takes what it gave; or it fails on the bit, and the slow way waits for
//!   the line's lock and finds the newcomer.
//! * *Giving against a claim.* Who has the claim looks at what is kept under both locks, `front`'s first, and stands
//!   in `front` before it lets that go. Who gives adds to it under the line's lock, and then wakes `front`.
//! * *Cancellation.* A waiter that was handed a permit and is thrown out of its wait gives it back, to the
//!   next in line; one that has a claim gives it up. One whose deadline passes after it was handed what it wants
//!   has it.
//! * *A select* wants one permit. Told to look, it takes one of those that are kept, and serves the line with the
//!   rest; it need not wait.
//! * *Who gave up* leaves the bit set, and for a moment is counted among the `many`. The next giver finds an empty
//!   line, and clears the bit; or one who wants a single permit is told to look, and finds it.

use std::cell::Cell;
use std::mem;

use super::atomic::AtomicUsize;
use super::atomic::Ordering::{Acquire, Relaxed, Release};
use super::line::{Line, Turn};
use crate::rt::{Instant, Reason, Stand, WaitQueue, Waited, Woken};

const WAITERS: usize = 1 << (usize::BITS - 1);

/// The token of a waiter that has a permit from now on.
const YOURS: usize = 0;
/// The token of a waiter that has the claim from now on.
const LOOK: usize = 1;

/// See the module's text.
pub(super) struct Permits {
    word: AtomicUsize,
    /// How many can be free at once.
    most: usize,
    line: Line<Claims>,
    /// Where who has the claim waits.
    front: WaitQueue,
}

struct Claims {
    /// How many in line want several.
    many: usize,
    /// Somebody has the claim.
    claimed: bool,
    /// What is kept for it.
    kept: usize,
    /// How many it wants; so many that it is never enough, if it has not looked yet.
    wanted: usize,
}

/// How one who found too few permits waits for them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    InLine,
    WithClaim,
}

impl Permits {
    /// The most that can be free at once.
    pub(super) const MAX: usize = WAITERS - 1;

    pub(super) const fn new(free: usize, most: usize) -> Permits {
        Permits {
            word: AtomicUsize::new(free),
            most,
            line: Line::new(Claims {
                many: 0,
                claimed: false,
                kept: 0,
                wanted: 0,
            }),
            front: WaitQueue::new(),
        }
    }

    pub(super) fn free(&self) -> usize {
        self.word.load(Relaxed) & !WAITERS
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Takes so many if they are free.
    #[inline]
    pub(super) fn take(&self, wanted: usize) -> bool {
        let change = |word: usize| (word & !WAITERS >= wanted).then(|| word - wanted);
        self.word.fetch_update(Acquire, Relaxed, change).is_ok()
    }

    /// Gives so many. `false`: that would be too many, and nothing has changed.
    #[inline]
    pub(super) fn give(&self, permits: usize) -> bool {
        let nobody_waits = |word: usize| word & WAITERS == 0;
        let change = |word| {
            nobody_waits(word)
                .then(|| self.sum(word, permits))
                .flatten()
        };
        self.word.fetch_update(Release, Relaxed, change).is_ok() || self.give_slow(permits)
    }

    #[cold]
    fn give_slow(&self, permits: usize) -> bool {
        let mut line = self.line.lock();
        if line.claimed {
            let Some(kept) = self.sum(line.kept, permits) else {
                return false;
            };
            line.kept = kept;
            let enough = kept >= line.wanted;
            drop(line);
            if enough {
                self.front.wake_one();
            }
            return true;
        }
        if line.waiting() == 0 {
            let change = |word| self.sum(word & !WAITERS, permits);
            return self.word.fetch_update(Release, Relaxed, change).is_ok();
        }
        // Nothing is free, as somebody waits. What will be left over?
        let served = if line.many > 0 { 0 } else { line.waiting() };
        if permits.saturating_sub(served) > self.most {
            return false;
        }
        self.serve(line, permits);
        true
    }

    /// Gives permits to those in line, of whom none has a claim; what is left over is free.
    fn serve(&self, mut line: Turn<'_, Claims>, permits: usize) {
        let mut left = permits;
        let mut last: Option<Woken> = None;
        while left > 0 {
            let looks = line.many > 0;
            let Some(woken) = line.signal_first(if looks { LOOK } else { YOURS }) else {
                break;
            };
            if looks {
                line.claimed = true;
                line.kept = mem::take(&mut left);
                line.wanted = usize::MAX;
            } else {
                left -= 1;
            }
            // The last one, and mostly there is one, is woken after unlocking.
            if let Some(woken) = last.replace(woken) {
                woken.wake();
            }
        }
        if left > 0 || (!line.claimed && line.waiting() == 0) {
            // Nobody waits. If that was known, others may have changed the word since. Selects may have stood in line
            // that had left in truth: then more may be left than there can be, if more were given than were taken. That
            // is cut off, for it is too late to refuse.
            let change = |word: usize| Some(self.most.min((word & !WAITERS) + left));
            let _ = self.word.fetch_update(Release, Relaxed, change);
        }
        drop(line);
        if let Some(woken) = last {
            woken.wake();
        }
    }

    /// Waits for so many. Returns whether it has them now.
    #[cold]
    pub(super) fn wait(&self, wanted: usize, deadline: Instant) -> bool {
        let begun = Cell::new(None);
        let among_many = AmongMany {
            permits: self,
            is_one: Cell::new(false),
        };
        let waited = self.line.wait(
            Reason::Semaphore,
            deadline,
            |claims| {
                begun.set(self.take_or_begin(claims, wanted));
                let in_line = begun.get() == Some(Begun::InLine);
                claims.many += usize::from(in_line && wanted > 1);
                among_many.is_one.set(in_line && wanted > 1);
                !in_line
            },
            |token| self.pass_on(token),
        );
        let has_claim = waited == Waited::Signalled(LOOK) || begun.get() == Some(Begun::WithClaim);
        if has_claim {
            let claim = Claim(self);
            drop(among_many);
            return claim.wait(wanted, deadline);
        }
        waited != Waited::TimedOut
    }

    /// The case of a select takes one, or stands in line for it.
    pub(super) fn enter<'permits>(&'permits self, stand: &Stand<'_, 'permits>) -> bool {
        let take = |claims: &mut Claims| stand.attempt(|| self.take_or_begin(claims, 1).is_none());
        self.line.enter(stand, take)
    }

    /// A select that stood in line was given this token. It has one now.
    pub(super) fn accept(&self, token: usize) {
        if token == LOOK {
            // What is kept for who is told to look is one at least.
            let claim = Claim(self);
            self.line.lock().wanted = 1;
            claim.end(true);
            mem::forget(claim);
        }
    }

    /// One that waited is thrown out with this token in its hand.
    #[cold]
    pub(super) fn pass_on(&self, token: usize) {
        if token == YOURS {
            self.give(1);
        } else {
            drop(Claim(self));
        }
    }

    /// Takes so many, if they are free. Otherwise it claims what is free, or says that somebody waits.
    fn take_or_begin(&self, claims: &mut Claims, wanted: usize) -> Option<Begun> {
        let change = |word: usize| {
            let enough = word & !WAITERS >= wanted;
            Some(if enough { word - wanted } else { WAITERS })
        };
        let before = self.word.fetch_update(Acquire, Relaxed, change);
        let free = before.unwrap_or_else(|word| word) & !WAITERS;
        if free >= wanted {
            None
        } else if free == 0 {
            Some(Begun::InLine)
        } else {
            // Where something is free nobody waits.
            claims.claimed = true;
            claims.kept = free;
            claims.wanted = wanted;
            Some(Begun::WithClaim)
        }
    }

    #[inline]
    fn sum(&self, free: usize, permits: usize) -> Option<usize> {
        let sum = free.checked_add(permits);
        sum.filter(|sum| *sum <= self.most)
    }
}

/// One in line who wants several, if it is one. Dropping it says that it is in line no more.
struct AmongMany<'permits> {
    permits: &'permits Permits,
    is_one: Cell<bool>,
}

impl Drop for AmongMany<'_> {
    fn drop(&mut self) {
        if self.is_one.get() {
            self.permits.line.lock().many -= 1;
        }
    }
}

/// The right to all permits that are given. Dropping it gives it up.
struct Claim<'permits>(&'permits Permits);

impl Claim<'_> {
    fn wait(self, wanted: usize, deadline: Instant) -> bool {
        let Claim(permits) = self;
        permits.line.lock().wanted = wanted;
        let is_enough = || {
            let line = permits.line.lock();
            line.kept >= line.wanted
        };
        let mut waited = Waited::Signalled(0);
        // A wake-up may have been meant for who had the claim before.
        while matches!(waited, Waited::Signalled(_)) {
            let pass_on = |_| {};
            let front = &permits.front;
            waited = front.wait_or_pass(Reason::Semaphore, deadline, is_enough, pass_on);
        }
        let has_them = self.end(true);
        mem::forget(self);
        has_them
    }

    /// Gives it up; if wished, with what it was for, if that is there.
    fn end(&self, takes: bool) -> bool {
        let mut line = self.0.line.lock();
        let enough = takes && line.kept >= line.wanted;
        let taken = if enough { line.wanted } else { 0 };
        let left = mem::take(&mut line.kept) - taken;
        line.claimed = false;
        self.0.serve(line, left);
        enough
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}
