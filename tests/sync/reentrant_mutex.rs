//! Reentrant mutexes.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sylvan::sync::{Arc, ReentrantMutex};
use sylvan::thread;

use crate::crew::{Member, everywhere, scaled, settle};

#[test]
fn its_holder_enters_again_and_others_wait_until_it_has_left_as_often() {
    sylvan::run(|| {
        let lock = Arc::new(ReentrantMutex::new(Cell::new(0)));
        let one = lock.lock();
        let other = lock.try_lock().unwrap();
        let theirs = lock.clone();
        let waiter = thread::spawn(move || {
            assert!(theirs.try_lock().is_none());
            let guard = theirs.lock();
            assert_eq!(format!("{:?}", theirs.lock()), "Cell { value: 1 }");
            guard.set(2);
        });
        settle();
        drop(one);
        settle();
        assert!(!waiter.is_finished());
        other.set(1);
        drop(other);
        waiter.join().unwrap();
        assert_eq!(lock.lock().get(), 2);
        assert_eq!(
            format!("{lock:?}"),
            "ReentrantMutex { data: Cell { value: 2 }, .. }"
        );
    });
}

/// Green threads of one OS thread exclude each other, and so do plain ones.
#[test]
fn counts_come_out_exact() {
    everywhere(|crew| {
        let lock = Arc::new(ReentrantMutex::new(Cell::new(0)));
        let rounds = scaled(200);
        let members: Vec<_> = (0..8)
            .map(|_| {
                let lock = lock.clone();
                crew.spawn(move || {
                    for _ in 0..rounds {
                        let outer = lock.lock();
                        let before = outer.get();
                        let inner = lock.lock();
                        thread::yield_now();
                        inner.set(before + 1);
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::join);
        assert_eq!(lock.lock().get(), 8 * rounds);
    });
}

#[test]
fn who_panics_or_is_cancelled_with_it_leaves_it_free() {
    sylvan::run(|| {
        let lock = Arc::new(ReentrantMutex::new(1));
        let fails = AssertUnwindSafe(|| {
            let _both = (lock.lock(), lock.lock());
            panic!("with the lock held");
        });
        catch_unwind(fails).unwrap_err();
        let theirs = lock.clone();
        let task = thread::spawn(move || {
            let _both = (theirs.lock(), theirs.lock());
            thread::park();
        });
        settle();
        assert!(lock.try_lock().is_none());
        assert_eq!(format!("{lock:?}"), "ReentrantMutex { data: <locked>, .. }");
        task.cancel();
        settle();
        assert_eq!(lock.try_lock().unwrap().to_string(), "1");
    });
}
