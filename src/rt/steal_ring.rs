//! A bounded queue that one OS thread pushes to and pops from, and others steal half of.
//!
//! The run queue of Go's scheduler (D. Vyukov, "Scalable Go Scheduler Design Doc", 2012), which tokio has as
//! well: a ring with two counters. It never grows, so no thief can hold on to a ring that was replaced, and nothing has
//! to be kept from being freed: it needs neither a lock nor a collector. What does not fit is for the caller to put elsewhere.

use std::ptr::{self, NonNull};

use crate::sys::sync::{AtomicPtr, AtomicUsize, Ordering};

/// See the module's text. `N` is a power of two, so that the places stay right when the counters wrap.
#[repr(align(64))]
pub(crate) struct StealRing<T, const N: usize> {
    /// How many were taken. Who moves it, by a compare-and-swap, owns those that it has passed.
    head: AtomicUsize,
    /// How many were pushed. Only the owner writes it.
    tail: AtomicUsize,
    slots: [AtomicPtr<T>; N],
}

/// Anybody's.
impl<T, const N: usize> StealRing<T, N> {
    pub(crate) fn new() -> Self {
        const { assert!(N.is_power_of_two() && N > 1) };
        StealRing {
            head: AtomicUsize::default(),
            tail: AtomicUsize::default(),
            slots: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// Is nothing in it? Who asks after a fence sees whatever was pushed before a fence that came earlier.
    pub(crate) fn is_empty(&self) -> bool {
        let head = self.head.load(Ordering::Acquire);
        head == self.tail.load(Ordering::Acquire)
    }

    /// How many more can be pushed. The owner's own pushes apart it only grows.
    #[inline]
    fn room(&self) -> usize {
        // Acquire: of a slot that was taken the thief's read is over.
        let head = self.head.load(Ordering::Acquire);
        N - self.tail.load(Ordering::Relaxed).wrapping_sub(head)
    }

    /// Moves the head over what was read of the slots behind it. `false`: somebody was quicker, and what was read is void.
    ///
    /// (A slot may have been written anew before it was read; but not before the head had moved on. It does not come back to the
    /// same number while somebody reads: that takes 2^64 items, or 2^32 where addresses are so short.)
    #[inline]
    fn advance(&self, head: usize, count: usize) -> bool {
        let next = head.wrapping_add(count);
        // Release: the owner writes those slots anew only after it has seen this, and so after they were read.
        self.head
            .compare_exchange(head, next, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    #[inline]
    fn slot(&self, at: usize) -> &AtomicPtr<T> {
        &self.slots[at % N]
    }
}

/// Its owner's: the one OS thread that may push and pop.
impl<T, const N: usize> StealRing<T, N> {
    /// Adds an item at the end. `false`: there is no room.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and any OS thread may take the item.
    #[inline]
    #[must_use]
    pub(crate) unsafe fn push(&self, item: NonNull<T>) -> bool {
        if self.room() == 0 {
            return false;
        }
        let tail = self.tail.load(Ordering::Relaxed);
        self.slot(tail).store(item.as_ptr(), Ordering::Relaxed);
        // Release: who sees the new tail sees the item, and all that was done to it.
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    /// Takes the oldest item.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn pop(&self) -> Option<NonNull<T>> {
        loop {
            let head = self.head.load(Ordering::Acquire);
            if head == self.tail.load(Ordering::Relaxed) {
                return None;
            }
            let item = self.slot(head).load(Ordering::Relaxed);
            if self.advance(head, 1) {
                return NonNull::new(item);
            }
        }
    }

    /// Moves the older half of what is in `from`, or what there is room for, to the end of this one. Returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the owner of `self`, and `from` is another ring.
    pub(crate) unsafe fn steal(&self, from: &Self) -> usize {
        let room = self.room();
        let tail = self.tail.load(Ordering::Relaxed);
        loop {
            let head = from.head.load(Ordering::Acquire);
            let there = from.tail.load(Ordering::Acquire).wrapping_sub(head);
            let count = there.div_ceil(2).min(room);
            if count == 0 {
                return 0;
            }
            // Behind our tail nobody looks yet.
            for step in 0..count {
                let item = from.slot(head.wrapping_add(step)).load(Ordering::Relaxed);
                let to = self.slot(tail.wrapping_add(step));
                to.store(item, Ordering::Relaxed);
            }
            // If the tail was read long after the head, there may be more than a ring holds: then this fails, too.
            if from.advance(head, count) {
                self.tail.store(tail.wrapping_add(count), Ordering::Release);
                return count;
            }
        }
    }
}
