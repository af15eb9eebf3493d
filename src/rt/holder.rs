//! Who holds a lock, and who waits for one: what dumps and reports tell of locks.
//!
//! A lock that has one holder at a time has a word with that one's number, a [`Holder`]. Whoever waits for such a
//! lock has a *note* of it on its own stack, listed in a table for the whole process. Notes are listed, unlisted and
//! read under the lock of their bucket: so whoever finds a note may look, as long as it has that lock, at the
//! record of the task that waits and into the lock it waits for, for the frames that borrow both are still there.
//! The word itself is a relaxed hint; `circle.rs` says what can be concluded from it.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use super::cancel;
use super::circle;
use super::clock::Instant;
use super::current;
use super::reason::Reason;
use super::task::{Task, TaskRef};
use crate::sys::sync::Spinlock;

/// The number of the task that has taken a lock.
pub(crate) struct Holder(AtomicU64);

/// What a [`Holder`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeldBy {
    /// It was not told: nobody, or several at once.
    Unknown,
    /// A plain OS thread.
    OsThread,
    /// The task with this number.
    Task(u64),
}

const UNKNOWN: u64 = 0;
/// No task has this number.
pub(super) const OS_THREAD: u64 = u64::MAX;

impl Holder {
    pub(crate) const fn new() -> Holder {
        Holder(AtomicU64::new(UNKNOWN))
    }

    /// The calling thread has taken the lock.
    #[inline(always)]
    pub(crate) fn set(&self) {
        self.0.store(current::number(), Ordering::Relaxed);
    }

    /// The calling thread, which holds the lock, is about to give it up, or to share it.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Runs `wait`, in which the calling thread waits for the lock. It can be told meanwhile whose it is. If the
    /// wait closes a circle of those who wait for each other, that is reported first.
    pub(crate) fn while_waiting<R>(&self, reason: Reason, wait: impl FnOnce() -> R) -> R {
        let Some(hub) = current::hub_of_task() else {
            return wait();
        };
        let task = hub.current_task();
        // SAFETY: the running task's record outlives its own frames.
        let record = unsafe { task.as_ref() };
        let number = record.id();
        let note = Note {
            number,
            task,
            holder: self,
            reason,
            gives_up: record.seat.eventful.get() && cancel::deadline() != Instant::NEVER,
            wait: Cell::new(0),
            is_reported: Cell::new(false),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
        };
        let listed = note.list(&record.seat.waits_for_lock);
        if let HeldBy::Task(holder) = self.get()
            && !listed.is_within_another
        {
            circle::look(number, holder);
        }
        wait()
    }

    fn get(&self) -> HeldBy {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => HeldBy::Unknown,
            OS_THREAD => HeldBy::OsThread,
            number => HeldBy::Task(number),
        }
    }
}

/// Who holds the lock that the task waits for.
pub(crate) fn held_by(task: &Task) -> HeldBy {
    see(task.id()).map_or(HeldBy::Unknown, |seen| seen.held_by)
}

/// One who waits for a lock, as it was at a moment.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) number: u64,
    /// Together with the number: which of its waits it is.
    pub(super) wait: u64,
    pub(super) reason: Reason,
    pub(super) held_by: HeldBy,
    /// It will give up at some time if it waits in vain.
    pub(super) gives_up: bool,
}

/// The task with this number, if it waits for a lock.
pub(super) fn see(number: u64) -> Option<Seen> {
    let bucket = bucket_of(number).lock();
    let note = bucket.find(|note| note.number == number)?;
    // SAFETY: the note is listed, so the lock is still there.
    let held_by = unsafe { &*note.holder }.get();
    Some(Seen {
        number,
        wait: note.wait.get(),
        reason: note.reason,
        held_by,
        gives_up: note.gives_up,
    })
}

/// The record of one that was seen, if its wait still goes on.
pub(super) fn still_waits(seen: &Seen) -> Option<TaskRef> {
    let bucket = bucket_of(seen.number).lock();
    let note = bucket.find(|note| note.is(seen))?;
    // SAFETY: the note is listed, so the task has not ended.
    Some(unsafe { note.task.as_ref() }.reference())
}

/// Marks the wait, if it still goes on; true for the first who does.
pub(super) fn mark_reported(seen: &Seen) -> bool {
    let bucket = bucket_of(seen.number).lock();
    let note = bucket.find(|note| note.is(seen));
    note.is_some_and(|note| !note.is_reported.replace(true))
}

/// That a task waits for a lock; on its own stack.
struct Note {
    number: u64,
    task: NonNull<Task>,
    holder: *const Holder,
    reason: Reason,
    gives_up: bool,
    // The rest is touched under the bucket's lock only.
    wait: Cell<u64>,
    is_reported: Cell<bool>,
    next: Cell<*const Note>,
    previous: Cell<*const Note>,
}

/// The notes of the tasks whose numbers are alike.
struct Bucket {
    /// The latest: a destructor that runs in the midst of one wait may begin another.
    first: *const Note,
    /// How many waits there were.
    waits: u64,
}

// SAFETY: the pointer is only followed under the bucket's lock, to notes that unlist themselves under
// the same lock before their frames end.
unsafe impl Send for Bucket {}

/// So many that tasks seldom meet in one: whose bucket is searched in vain, as that of a holder who waits for nothing, has
/// a note on another stack for each. (Memory that is not used is none.)
const BUCKETS: usize = 4096;

static WAITS: [Spinlock<Bucket>; BUCKETS] = [const {
    Spinlock::new(Bucket {
        first: ptr::null(),
        waits: 0,
    })
}; BUCKETS];

#[inline]
fn bucket_of(number: u64) -> &'static Spinlock<Bucket> {
    &WAITS[number as usize % BUCKETS]
}

impl Bucket {
    fn find(&self, wanted: impl Fn(&Note) -> bool) -> Option<&Note> {
        let mut next = self.first;
        // SAFETY: listed notes are valid while the lock is held.
        while let Some(note) = unsafe { next.as_ref() } {
            if wanted(note) {
                return Some(note);
            }
            next = note.next.get();
        }
        None
    }
}

impl Note {
    /// `waits`: whether its task waits for a lock.
    fn list<'note>(&'note self, waits: &'note Cell<bool>) -> Listed<'note> {
        let mut bucket = bucket_of(self.number).lock();
        bucket.waits += 1;
        self.wait.set(bucket.waits);
        self.next.set(bucket.first);
        // SAFETY: listed notes are valid while the lock is held.
        if let Some(next) = unsafe { bucket.first.as_ref() } {
            next.previous.set(self);
        }
        bucket.first = self;
        Listed {
            note: self,
            waits,
            is_within_another: waits.replace(true),
        }
    }

    fn is(&self, seen: &Seen) -> bool {
        (self.number, self.wait.get()) == (seen.number, seen.wait)
    }
}

/// A note in its bucket, until dropped.
struct Listed<'note> {
    note: &'note Note,
    waits: &'note Cell<bool>,
    /// The task waits for another lock already, and this wait is one of its logger or of a destructor.
    is_within_another: bool,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.waits.set(self.is_within_another);
        let mut bucket = bucket_of(self.note.number).lock();
        let (next, previous) = (self.note.next.get(), self.note.previous.get());
        // SAFETY: listed notes, and so both neighbours, are valid while the lock is held.
        unsafe {
            if let Some(next) = next.as_ref() {
                next.previous.set(previous);
            }
            match previous.as_ref() {
                Some(previous) => previous.next.set(next),
                None => bucket.first = next,
            }
        }
    }
}
