//! The lock under `Mutex`: the quick ways in and out against the slow ones, barging, and who is thrown out with a token.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::explore;
use crate::lock::Lock;
use crate::park::as_task;
use crate::reason::Reason;
use crate::rt::while_suspended;
use crate::task::{Record, Task};

/// A number that is changed under the lock.
struct Counted {
    lock: Lock,
    number: UnsafeCell<usize>,
}

// SAFETY: the number is behind the lock; if it is not, loom says so.
unsafe impl Sync for Counted {}
// SAFETY: as above.
unsafe impl Send for Counted {}

impl Counted {
    fn new() -> Arc<Counted> {
        let counted = Counted {
            lock: Lock::new(),
            number: UnsafeCell::new(0),
        };
        // loom must know of its atomics before they are shared.
        counted.lock.lock(Reason);
        counted.lock.unlock();
        Arc::new(counted)
    }

    /// Whoever holds the lock is alone: loom says so otherwise.
    fn count(&self) {
        self.lock.lock(Reason);
        self.add();
        self.lock.unlock();
    }

    fn add(&self) {
        // SAFETY: under the lock; if not, loom says so.
        self.number.with_mut(|number| unsafe { *number += 1 });
    }

    fn number(&self) -> usize {
        self.lock.lock(Reason);
        // SAFETY: as above.
        let number = self.number.with(|number| unsafe { *number });
        self.lock.unlock();
        number
    }
}

/// A thread that is a task; it returns whether it was thrown out.
fn spawn(f: impl FnOnce() + 'static) -> (Record, thread::JoinHandle<bool>) {
    let record = Task::record();
    let its = record.clone();
    let thread = thread::spawn(move || as_task(&its, f).is_none());
    (record, thread)
}

/// The model's own thread as a task.
fn as_main<R>(f: impl FnOnce() -> R) -> R {
    let record = Task::record();
    record.release();
    as_task(&record, f).expect("nobody cancels it")
}

#[test]
fn each_is_alone_and_nobody_is_left_waiting() {
    explore(3, || {
        let counted = Counted::new();
        let theirs = counted.clone();
        let (_record, other) = spawn(move || {
            theirs.count();
            theirs.count();
        });
        as_main(|| {
            counted.count();
            counted.count();
            assert!(!other.join().unwrap());
            assert_eq!(counted.number(), 4);
        });
    });
}

/// With three there is a line, a woken one, and one that comes along.
#[test]
fn one_that_barges_in_leaves_nobody_waiting() {
    explore(1, || {
        let counted = Counted::new();
        let others =
            [counted.clone(), counted.clone()].map(|theirs| spawn(move || theirs.count()).1);
        as_main(|| {
            counted.count();
            for other in others {
                assert!(!other.join().unwrap());
            }
            assert_eq!(counted.number(), 3);
        });
    });
}

#[test]
fn one_that_is_thrown_out_of_its_wait_takes_nothing_along() {
    explore(1, || {
        let counted = Counted::new();
        let (theirs, next) = (counted.clone(), counted.clone());
        let (record, cancelled) = spawn(move || theirs.count());
        let (_record, patient) = spawn(move || next.count());
        record.cancel();
        as_main(|| {
            counted.count();
            let thrown = cancelled.join().unwrap();
            assert!(!patient.join().unwrap());
            assert_eq!(counted.number(), 3 - usize::from(thrown));
        });
    });
}

#[test]
fn who_tries_gets_it_or_not_and_changes_nothing() {
    explore(3, || {
        let counted = Counted::new();
        let theirs = counted.clone();
        let (_record, other) = spawn(move || theirs.count());
        as_main(|| {
            let got = counted.lock.try_lock();
            if got {
                counted.add();
                counted.lock.unlock();
            }
            assert!(!other.join().unwrap());
            assert_eq!(counted.number(), 1 + usize::from(got));
        });
    });
}

/// It is told to try in the moment between its last look and its end.
#[test]
fn a_token_in_the_hand_of_one_that_is_thrown_out_is_given_back() {
    explore(3, || {
        let counted = Counted::new();
        let theirs = counted.clone();
        as_main(|| {
            counted.lock.lock(Reason);
            let (record, cancelled) = spawn(move || theirs.count());
            record.cancel();
            counted.lock.unlock();
            let thrown = cancelled.join().unwrap();
            assert_eq!(counted.number(), usize::from(!thrown));
        });
    });
}

/// The same if holders are suspended, and so hand the lock over.
#[test]
fn who_hands_it_over_leaves_nobody_waiting() {
    while_suspended(|| {
        each_is_alone_and_nobody_is_left_waiting();
        one_that_barges_in_leaves_nobody_waiting();
        one_that_is_thrown_out_of_its_wait_takes_nothing_along();
        a_token_in_the_hand_of_one_that_is_thrown_out_is_given_back();
    });
}
