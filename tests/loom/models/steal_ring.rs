//! The ring that others steal from: each item goes to one of those who take, and is seen whole by that one.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::explore;
use crate::steal_ring::StealRing;

/// An item that is written before it is pushed, and once more by whoever took it. If two have it, loom says so.
type Item = UnsafeCell<usize>;
type Ring = StealRing<Item, 2>;

/// Pushes an item; it comes back if there is no room.
fn push(ring: &Ring, text: usize) -> Result<(), usize> {
    let item = NonNull::from(Box::leak(Box::new(Item::new(0))));
    // SAFETY: nobody else has it yet.
    unsafe { item.as_ref() }.with_mut(|it| unsafe { *it = text });
    // SAFETY: each ring of a model is pushed to and popped from by one thread.
    let has_room = unsafe { ring.push(item) };
    if has_room { Ok(()) } else { Err(read(item)) }
}

fn pop(ring: &Ring) -> Option<usize> {
    // SAFETY: as in `push`.
    unsafe { ring.pop() }.map(read)
}

fn read(item: NonNull<Item>) -> usize {
    // SAFETY: it was leaked by `push`, and is taken once; if not, loom says so.
    let item = unsafe { Box::from_raw(item.as_ptr()) };
    // SAFETY: as above.
    item.with_mut(|it| unsafe { std::mem::take(&mut *it) })
}

fn pop_all(ring: &Ring) -> Vec<usize> {
    std::iter::from_fn(|| pop(ring)).collect()
}

/// Steals into a ring of its own, and returns what was stolen.
fn steal(from: &Ring) -> Vec<usize> {
    let own = Ring::new();
    // SAFETY: this thread is the owner of the new one.
    let count = unsafe { own.steal(from) };
    let stolen = pop_all(&own);
    assert_eq!(stolen.len(), count);
    stolen
}

/// What the threads have got is what was pushed, each once; who takes some gets them in the order they were pushed.
fn assert_all_there(shares: &[Vec<usize>], pushed: usize) {
    assert!(shares.iter().all(|share| share.is_sorted()));
    let mut all = shares.concat();
    all.sort_unstable();
    assert!(
        all.iter().copied().eq(1..=pushed),
        "got {shares:?} of {pushed}"
    );
}

#[test]
fn the_owner_and_a_thief_share_what_is_there() {
    explore(3, || {
        let ring = Arc::new(Ring::new());
        push(&ring, 1).unwrap();
        push(&ring, 2).unwrap();
        assert_eq!(push(&ring, 3), Err(3));
        let theirs = ring.clone();
        let thief = thread::spawn(move || steal(&theirs));
        let mut ours = pop_all(&ring);
        let theirs = thief.join().unwrap();
        ours.extend(pop_all(&ring));
        assert_all_there(&[ours, theirs], 2);
    });
}

/// The owner goes round the ring while a thief reads: what the thief has read of a slot may be old or new.
#[test]
fn a_thief_is_overtaken() {
    explore(3, || {
        let ring = Arc::new(Ring::new());
        push(&ring, 1).unwrap();
        let theirs = ring.clone();
        let thief = thread::spawn(move || steal(&theirs));
        let mut pushed = 1;
        let mut ours = Vec::new();
        for _ in 0..3 {
            ours.extend(pop(&ring));
            pushed += usize::from(push(&ring, pushed + 1).is_ok());
        }
        let theirs = thief.join().unwrap();
        ours.extend(pop_all(&ring));
        assert_all_there(&[ours, theirs], pushed);
    });
}

#[test]
fn two_thieves_never_take_the_same() {
    explore(3, || {
        let ring = Arc::new(Ring::new());
        push(&ring, 1).unwrap();
        push(&ring, 2).unwrap();
        let thieves = [(); 2].map(|()| {
            let ring = ring.clone();
            thread::spawn(move || steal(&ring))
        });
        let [one, other] = thieves.map(|thief| thief.join().unwrap());
        let ours = pop_all(&ring);
        assert_all_there(&[one, other, ours], 2);
    });
}

/// What was stolen is stolen again, from the thief.
#[test]
fn booty_is_stolen() {
    explore(2, || {
        let [first, second] = [(); 2].map(|()| Arc::new(Ring::new()));
        let (from, own) = (first.clone(), second.clone());
        let thief = thread::spawn(move || {
            // SAFETY: this thread is the owner of the second ring.
            unsafe { own.steal(&from) };
            pop_all(&own)
        });
        let from = second.clone();
        let last = thread::spawn(move || steal(&from));
        push(&first, 1).unwrap();
        push(&first, 2).unwrap();
        let [theirs, last] = [thief, last].map(|it| it.join().unwrap());
        let ours = pop_all(&first);
        assert_all_there(&[ours, theirs, last], 2);
    });
}
