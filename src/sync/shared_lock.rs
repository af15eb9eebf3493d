//! The lock under [`RwLock`](super::RwLock): a word, a line of readers and a line of writers.
//!
//! The word counts the readers, and says whether a writer holds the lock and whether anybody waits.
//! While nobody waits, each way in or out is one compare-and-swap. `WAITING` closes the quick ways: who
//! comes stands in line (under that line's lock), and who unlocks last looks into both lines (under both
//! locks, the readers' first) and admits from there.
//!
//! The two sides take turns. When the last reader goes, the first writer is admitted; when a writer
//! goes, all readers that wait are. So a writer waits for the readers of one turn, a reader for one
//! writer. Those admitted hold the lock from that moment: nobody overtakes them. One that is cancelled
//! with the lock in its hand unlocks it; a writer that leaves the line unadmitted looks whether readers
//! waited for it only.
//!
//! `WAITING` is cleared under both locks only, when both lines are empty, and set under one of them by
//! one that then stands in line. So whoever waits is seen by the next slow unlock; and there is one,
//! because the word that was marked had a holder, whose quick way out the mark closed.

use super::atomic::AtomicUsize;
use super::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::rt::{Holder, Instant, Reason, WaitQueue};

const WRITER: usize = 1;
const WAITING: usize = 2;
const READER: usize = 4;

/// See the module's text.
pub(super) struct SharedLock {
    word: AtomicUsize,
    readers: WaitQueue,
    writers: WaitQueue,
    /// The writer that holds it.
    holder: Holder,
}

/// Whose turn it is when both wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Readers,
    Writers,
}

/// One way to hold the lock.
#[derive(Clone, Copy)]
struct Way {
    /// What of the word keeps it from being held so.
    barred_by: usize,
    /// What it adds to the word.
    adds: usize,
}

const READ: Way = Way {
    barred_by: WRITER,
    adds: READER,
};
const WRITE: Way = Way {
    barred_by: !WAITING,
    adds: WRITER,
};

impl SharedLock {
    pub(super) const fn new() -> SharedLock {
        SharedLock {
            word: AtomicUsize::new(0),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            holder: Holder::new(),
        }
    }

    #[inline]
    pub(super) fn read(&self) {
        if !self.try_read() {
            self.read_slow();
        }
    }

    #[inline]
    pub(super) fn write(&self) {
        if !self.try_write() {
            self.write_slow();
            self.holder.set();
        }
    }

    #[inline]
    pub(super) fn try_read(&self) -> bool {
        self.enter(READ, WAITING)
    }

    #[inline]
    pub(super) fn try_write(&self) -> bool {
        let taken = self.word.compare_exchange(0, WRITER, Acquire, Relaxed);
        if taken.is_ok() {
            self.holder.set();
        }
        taken.is_ok()
    }

    #[inline]
    pub(super) fn unlock_read(&self) {
        let before = self.word.fetch_sub(READER, Release);
        // The last one, and somebody waits.
        if before < 2 * READER && before & WAITING != 0 {
            self.admit(Turn::Writers);
        }
    }

    #[inline]
    pub(super) fn unlock_write(&self) {
        self.holder.clear();
        let unlocked = self.word.compare_exchange(WRITER, 0, Release, Relaxed);
        if unlocked.is_err() {
            self.word.fetch_sub(WRITER, Release);
            self.admit(Turn::Readers);
        }
    }

    /// The writer goes on as a reader.
    pub(super) fn downgrade(&self) {
        self.holder.clear();
        let before = self.word.fetch_add(READER - WRITER, Release);
        if before & WAITING != 0 {
            self.admit(Turn::Readers);
        }
    }

    #[cold]
    fn read_slow(&self) {
        self.holder.while_waiting(Reason::RwLockRead, || {
            self.readers.wait_or_pass(
                Reason::RwLockRead,
                Instant::NEVER,
                || self.enter_or_mark(READ),
                |_| self.unlock_read(),
            );
        });
    }

    #[cold]
    fn write_slow(&self) {
        let leaving = Leaving(self);
        self.holder.while_waiting(Reason::RwLockWrite, || {
            self.writers.wait_or_pass(
                Reason::RwLockWrite,
                Instant::NEVER,
                || self.enter_or_mark(WRITE),
                |_| self.unlock_write(),
            );
        });
        std::mem::forget(leaving);
    }

    /// Takes the lock in this way, unless the word says otherwise, or has one of the bits `unless`.
    #[inline]
    fn enter(&self, way: Way, unless: usize) -> bool {
        let barred_by = way.barred_by | unless;
        let change = |word: usize| (word & barred_by == 0).then_some(word + way.adds);
        self.word.fetch_update(Acquire, Relaxed, change).is_ok()
    }

    /// Takes the lock in this way, or marks that somebody waits. The caller holds its line's lock.
    ///
    /// A marked lock that is held is not entered, even if one could: others wait, perhaps of the
    /// other side. One that is free may be: whoever freed it will find it held, and leave it so.
    fn enter_or_mark(&self, way: Way) -> bool {
        let enters = |word: usize| {
            let free = word & !WAITING == 0;
            free || (word & WAITING == 0 && word & way.barred_by == 0)
        };
        let change = |word: usize| {
            Some(if enters(word) {
                word + way.adds
            } else {
                word | WAITING
            })
        };
        self.word
            .fetch_update(Acquire, Relaxed, change)
            .is_ok_and(enters)
    }

    /// Admits those who wait and can be, by turns; clears `WAITING` if nobody is left.
    #[cold]
    fn admit(&self, turn: Turn) {
        let mut readers = self.readers.lock();
        let mut writers = self.writers.lock();
        // With both locks held and `WAITING` set the word changes only by unlocking, and from free to
        // held by nobody: those who would enter a free lock need one of the locks.
        let free = self.word.load(Acquire) & !WAITING == 0;
        let some_write = writers.len() > 0;
        if free && some_write && (turn == Turn::Writers || readers.len() == 0) {
            self.word.fetch_add(WRITER, Acquire);
            let last = writers.len() == 1 && readers.len() == 0;
            self.clear_if(last);
            let woken = writers.signal_first(0);
            drop((writers, readers));
            if let Some(woken) = woken {
                woken.wake();
            }
            return;
        }
        let read = self.word.load(Acquire) & WRITER == 0;
        if read && (turn == Turn::Readers || !some_write) {
            self.word.fetch_add(READER * readers.len(), Acquire);
            self.clear_if(!some_write);
            // As many as were counted, all under the lock: none of them can leave in between.
            while let Some(woken) = readers.signal_first(0) {
                woken.wake();
            }
        }
    }

    fn clear_if(&self, nobody_waits: bool) {
        if nobody_waits {
            self.word.fetch_and(!WAITING, Relaxed);
        }
    }
}

/// A writer in line. Dropping it, when it was thrown out of its wait, lets in the readers that waited
/// for it only.
struct Leaving<'lock>(&'lock SharedLock);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.admit(Turn::Writers);
    }
}
