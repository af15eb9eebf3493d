//! The store of a queue whose smallest value leaves first.
//!
//! To compare two values is the user's code: it may panic, wait, and take its time, so it does not run under the
//! queue's lock. Under that values are only appended to those that have come. Who takes one locks the heap, by a
//! `Mutex` of this crate, under which one may wait; moves what has come into it; and takes the smallest. So comparing is
//! the getters' work, and putting a value never waits for them.
//!
//! A value never leaves the vector before the comparing is over, so a comparison that panics loses none. What it leaves
//! out of order is sorted again by the next getter: `sorted` is 0 while code of the user's runs.
//!
//! Values are numbered in the order they come, and equal ones leave in that order. One that is put back after it was looked
//! at stands before its equals.

use std::cmp::Ordering;
use std::mem;

use super::core::Store;
use crate::rt;
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Values that have come, under the queue's lock.
pub struct Arrivals<T> {
    entries: Vec<Entry<T>>,
    first: i64,
    last: i64,
}

/// All other values.
pub struct Heap<T> {
    entries: Vec<Entry<T>>,
    /// So many of them, from the beginning on, are a heap.
    sorted: usize,
    /// Empty; its memory is used again.
    spare: Vec<Entry<T>>,
}

struct Entry<T> {
    value: T,
    number: i64,
}

impl<T> Arrivals<T> {
    pub(super) const fn new() -> Arrivals<T> {
        Arrivals {
            entries: Vec::new(),
            first: 0,
            last: 0,
        }
    }

    fn add(&mut self, value: T, number: i64) {
        self.entries.push(Entry { value, number });
    }
}

impl<T: Ord> Store<T> for Arrivals<T> {
    type Aside = Mutex<Heap<T>>;

    #[inline]
    fn push(&mut self, value: T) {
        self.last += 1;
        self.add(value, self.last);
    }

    fn restore(&mut self, value: T) {
        self.first -= 1;
        self.add(value, self.first);
    }

    /// Which one is the next cannot be told under the lock.
    #[inline]
    fn pop(&mut self) -> Option<T> {
        None
    }

    fn pop_aside(heap: &Mutex<Heap<T>>, locked: impl FnOnce(&mut dyn FnMut(&mut Self))) -> T {
        let mut heap = lock(heap);
        let mut arrived = mem::take(&mut heap.spare);
        locked(&mut |arrivals| mem::swap(&mut arrivals.entries, &mut arrived));
        heap.entries.append(&mut arrived);
        heap.spare = arrived;
        heap.pop().expect("there is a value for each right")
    }
}

/// Locks the heap. That may wait for another getter, but is no place at which a cancel takes effect: `try_get` comes here.
fn lock<T>(heap: &Mutex<Heap<T>>) -> MutexGuard<'_, Heap<T>> {
    match heap.try_lock() {
        Ok(heap) => heap,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            rt::mask(|| heap.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

impl<T> Heap<T> {
    pub(super) const fn new() -> Heap<T> {
        Heap {
            entries: Vec::new(),
            sorted: 0,
            spare: Vec::new(),
        }
    }
}

impl<T: Ord> Heap<T> {
    fn pop(&mut self) -> Option<T> {
        let last = self.entries.len().checked_sub(1)?;
        for place in mem::take(&mut self.sorted)..=last {
            rise(&mut self.entries, place);
        }
        self.entries.swap(0, last);
        sink(&mut self.entries[..last]);
        self.sorted = last;
        self.entries.pop().map(|entry| entry.value)
    }
}

/// What stands before this place is a heap, and so is what ends with it then.
fn rise<T: Ord>(entries: &mut [Entry<T>], mut place: usize) {
    while place > 0 {
        let parent = (place - 1) / 2;
        if !entries[place].is_before(&entries[parent]) {
            return;
        }
        entries.swap(place, parent);
        place = parent;
    }
}

/// All but the first are in order, and so are all then.
fn sink<T: Ord>(entries: &mut [Entry<T>]) {
    let mut place = 0;
    loop {
        let mut child = 2 * place + 1;
        if child >= entries.len() {
            return;
        }
        if child + 1 < entries.len() && entries[child + 1].is_before(&entries[child]) {
            child += 1;
        }
        if !entries[child].is_before(&entries[place]) {
            return;
        }
        entries.swap(place, child);
        place = child;
    }
}

impl<T: Ord> Entry<T> {
    fn is_before(&self, other: &Self) -> bool {
        let order = self.value.cmp(&other.value);
        order.then(self.number.cmp(&other.number)) == Ordering::Less
    }
}
