//! A counting semaphore: a word, and a line of those who wait for a permit.
//!
//! The word is the number of free permits and one bit, `WAITERS`: who gives permits is to take the
//! slow way and look into the line. While somebody stands in line no permit is free, so nobody can
//! overtake: a permit that is given then goes to the first in line, by a token, and not into the word.
//! That holds because one lines up only when nothing is free, with the bit set in the same step, and
//! because from then on the number grows only under the line's own lock, when the line is empty.
//!
//! The races:
//!
//! * *Giving against a newcomer.* The newcomer sets `WAITERS` on a word that says that nothing is free,
//!   under the line's lock, and stands in line before it lets that go. Either the giver's fast swap
//!   comes first, and the newcomer takes what it gave; or it fails on the bit, and the slow way waits for
//!   the line's lock and finds the newcomer.
//! * *Cancellation.* A waiter that was handed a permit and is thrown out of its wait gives it back, to the
//!   next in line. One whose deadline passes after it was handed a permit has the permit.
//! * *Who gave up* leaves the bit set. The next giver finds an empty line, and clears it.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::atomic::AtomicUsize;
use super::atomic::Ordering::{Acquire, Relaxed, Release};
use super::select::{Await, Operation, sealed::Sealed};
use crate::rt::{self, Case, Instant, Reason, Signal, Stand, WaitQueue, Waited};

const WAITERS: usize = 1 << (usize::BITS - 1);

/// The token of a waiter that has a permit from now on.
const YOURS: usize = 0;

/// A number of permits: who needs one and finds none waits until one is given back.
///
/// It bounds how many do something at once. Waiters are served strictly in their order: nobody, not even
/// [`try_acquire`](Self::try_acquire), takes a permit while others wait for it. A waiter that is cancelled,
/// or ended by a [`timeout`](crate::time::timeout), when a permit is on its way to it leaves that to the
/// next.
///
/// A semaphore is not poisoned by panics.
///
/// ```
/// use std::time::Duration;
/// use sylvan::sync::Semaphore;
/// use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
/// use sylvan::thread;
///
/// let at_once = Semaphore::new(2);
/// let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
/// sylvan::run(|| {
///     thread::scope(|scope| {
///         for _ in 0..10 {
///             scope.spawn(|| {
///                 let _permit = at_once.acquire();
///                 most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
///                 thread::sleep(Duration::from_millis(1));
///                 now.fetch_sub(1, SeqCst);
///             });
///         }
///     });
/// });
/// assert_eq!(most.into_inner(), 2);
/// ```
pub struct Semaphore {
    word: AtomicUsize,
    line: WaitQueue,
}

impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

/// One permit of a [`Semaphore`], which has it back when this is dropped.
#[must_use = "if unused the permit is given back at once"]
#[derive(Debug)]
pub struct SemaphorePermit<'semaphore> {
    semaphore: &'semaphore Semaphore,
}

impl Semaphore {
    /// The most permits that can be free at once.
    pub const MAX_PERMITS: usize = WAITERS - 1;

    /// A semaphore with so many permits, all of them free.
    ///
    /// # Panics
    ///
    /// If these are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// ```
    /// use sylvan::sync::Semaphore;
    ///
    /// static DOWNLOADS: Semaphore = Semaphore::new(8);
    /// assert_eq!(DOWNLOADS.available(), 8);
    /// ```
    #[must_use]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Self::MAX_PERMITS, "too many permits");
        Semaphore {
            word: AtomicUsize::new(permits),
            line: WaitQueue::new(),
        }
    }

    /// Takes a permit, and suspends until there is one.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(1);
    /// let permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 0);
    /// drop(permit);
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    #[inline]
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        rt::spend();
        if !self.take() {
            self.wait(Instant::NEVER);
        }
        self.permit()
    }

    /// Takes a permit if one is free. Never suspends.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_acquire().is_none());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.take().then(|| self.permit())
    }

    /// As [`acquire`](Self::acquire), but `None` if there is no permit for so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = sylvan::sync::Semaphore::new(0);
    /// assert!(semaphore.acquire_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        rt::spend();
        let taken = self.take() || self.wait(Instant::after(timeout));
        taken.then(|| self.permit())
    }

    /// How many permits are free now.
    ///
    /// ```
    /// assert_eq!(sylvan::sync::Semaphore::new(3).available(), 3);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.word.load(Relaxed) & !WAITERS
    }

    /// Gives so many permits, also ones that were never acquired: the semaphore has more of them from then
    /// on. Never suspends.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_PERMITS`](Self::MAX_PERMITS) would be free.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(0);
    /// semaphore.release(2);
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    #[inline]
    pub fn release(&self, permits: usize) {
        let nobody_waits = |word: usize| word & WAITERS == 0;
        let change = |word| nobody_waits(word).then(|| sum(word, permits)).flatten();
        if self.word.fetch_update(Release, Relaxed, change).is_err() {
            self.release_slow(permits);
        }
    }

    /// To those who wait, one each; what is left over is free.
    #[cold]
    fn release_slow(&self, permits: usize) {
        let mut left = permits;
        while left > 0 {
            let mut line = self.line.lock();
            let woken = line.signal_first(YOURS);
            left -= usize::from(woken.is_some());
            let is_last = line.len() == 0;
            // Also others may have done so since the caller looked, and then the word changes as we do.
            let change = |word| sum(word & !WAITERS, left);
            let fits = !is_last || self.word.fetch_update(Release, Relaxed, change).is_ok();
            drop(line);
            if let Some(woken) = woken {
                woken.wake();
            }
            assert!(fits, "more permits than a semaphore can have");
            if is_last {
                return;
            }
        }
    }

    /// Takes a permit if one is free.
    #[inline]
    fn take(&self) -> bool {
        let change = |word: usize| (word & !WAITERS != 0).then(|| word - 1);
        self.word.fetch_update(Acquire, Relaxed, change).is_ok()
    }

    /// Takes a permit if one is free, and says else that somebody waits. The caller holds the line's lock, and lines up
    /// if it has none.
    fn take_or_mark(&self) -> bool {
        let change = |word: usize| {
            Some(if word & !WAITERS == 0 {
                WAITERS
            } else {
                word - 1
            })
        };
        let before = self.word.fetch_update(Acquire, Relaxed, change);
        before.is_ok_and(|word| word & !WAITERS != 0)
    }

    /// Stands in line. Returns whether it has a permit now.
    #[cold]
    fn wait(&self, deadline: Instant) -> bool {
        let waited = self.line.wait_or_pass(
            Reason::Semaphore,
            deadline,
            || self.take_or_mark(),
            |_yours| self.release(1),
        );
        waited != Waited::TimedOut
    }

    #[inline]
    fn permit(&self) -> SemaphorePermit<'_> {
        SemaphorePermit { semaphore: self }
    }
}

#[inline]
fn sum(free: usize, permits: usize) -> Option<usize> {
    let sum = free.checked_add(permits);
    sum.filter(|sum| *sum <= Semaphore::MAX_PERMITS)
}

impl SemaphorePermit<'_> {
    /// Keeps the permit from being given back: the semaphore has one less from now on, until somebody
    /// [`release`](Semaphore::release)s one.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(2);
    /// semaphore.acquire().forget();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release(1);
    }
}

/// A permit that a select waits for.
#[doc(hidden)]
pub struct Acquiring<'semaphore> {
    semaphore: &'semaphore Semaphore,
    permit: Cell<Option<SemaphorePermit<'semaphore>>>,
}

impl Acquiring<'_> {
    /// There is one, and it was taken.
    fn take(&self) {
        self.permit.set(Some(self.semaphore.permit()));
    }
}

impl Sealed for Semaphore {}

impl Await for Semaphore {
    type Output<'queue> = SemaphorePermit<'queue>;
    type Operation<'queue> = Acquiring<'queue>;

    fn to_wait(&self) -> Acquiring<'_> {
        Acquiring {
            semaphore: self,
            permit: Cell::new(None),
        }
    }
}

impl<'semaphore: 'queue, 'queue> Case<'queue> for Acquiring<'semaphore> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        let semaphore = self.semaphore;
        let taken = stand.enter(&semaphore.line, || semaphore.take_or_mark());
        if taken {
            self.take();
        }
        taken
    }

    fn accept(&self, _yours: Signal) {
        self.take();
    }

    fn pass_on(&self, _yours: Signal) {
        self.semaphore.release(1);
    }
}

impl<'queue> Operation<'queue> for Acquiring<'queue> {
    type Output = SemaphorePermit<'queue>;

    fn finish(self) -> SemaphorePermit<'queue> {
        let permit = self.permit.take();
        permit.expect("a select asks the case that was done")
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}
