//! Readers and writers.

use std::time::Duration;

use sylvan::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, RwLock, RwLockWriteGuard, TryLockError};
use sylvan::{thread, time};

use crate::crew::{Member, everywhere, four_hubs_and_two_plain, on_hubs, scaled, settle};

#[test]
fn writers_are_alone_and_counts_come_out_exact() {
    four_hubs_and_two_plain(|crew| {
        let shared = Arc::new((RwLock::new((0, 0)), AtomicUsize::new(0)));
        let members: Vec<_> = (0..6)
            .map(|member| {
                let shared = shared.clone();
                crew.spawn(move || {
                    for round in 0..scaled(3_000) {
                        if (round + member) % 3 == 0 {
                            let mut pair = shared.0.write().unwrap();
                            pair.0 += 1;
                            if round % 16 == 0 {
                                thread::yield_now();
                            }
                            pair.1 += 1;
                            shared.1.fetch_add(1, SeqCst);
                        } else {
                            let pair = shared.0.read().unwrap();
                            if round % 16 == 1 {
                                thread::yield_now();
                            }
                            assert_eq!(pair.0, pair.1);
                        }
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::join);
        let writes = shared.1.load(SeqCst);
        assert_eq!(*shared.0.read().unwrap(), (writes, writes));
    });
}

#[test]
fn readers_share() {
    everywhere(|crew| {
        let lock = Arc::new(RwLock::new(1));
        let reader = lock.read().unwrap();
        let theirs = lock.clone();
        assert_eq!(crew.spawn(move || *theirs.read().unwrap()).join(), 1);
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        drop(reader);
        *lock.try_write().unwrap() = 2;
        assert_eq!(*lock.try_read().unwrap(), 2);
    });
}

#[test]
fn a_writer_is_not_starved_by_readers_nor_they_by_writers() {
    on_hubs(4, || {
        let shared = Arc::new((RwLock::new(()), AtomicBool::new(false)));
        let hogs: Vec<_> = (0..6)
            .map(|number| {
                let shared = shared.clone();
                thread::spawn(move || {
                    while !shared.1.load(SeqCst) {
                        if number % 2 == 0 {
                            let _reading = shared.0.read().unwrap();
                            thread::yield_now();
                        } else {
                            let _writing = shared.0.write().unwrap();
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            drop(shared.0.write().unwrap());
            drop(shared.0.read().unwrap());
        }
        shared.1.store(true, SeqCst);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
}

#[test]
fn readers_that_come_behind_a_writer_wait_for_it() {
    sylvan::run(|| {
        let lock = Arc::new(RwLock::new(0));
        let reading = lock.read().unwrap();
        let theirs = lock.clone();
        let writer = thread::spawn(move || *theirs.write().unwrap() = 1);
        settle();
        let theirs = lock.clone();
        let reader = thread::spawn(move || *theirs.read().unwrap());
        settle();
        assert!(!reader.is_finished());
        assert!(lock.try_read().is_err());
        drop(reading);
        writer.join().unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn a_cancelled_writer_lets_the_readers_behind_it_in() {
    sylvan::run(|| {
        let lock = Arc::new(RwLock::new(0));
        let reading = lock.read().unwrap();
        let theirs = lock.clone();
        let writer = thread::spawn(move || *theirs.write().unwrap() = 1);
        settle();
        let theirs = lock.clone();
        let reader = thread::spawn(move || *theirs.read().unwrap());
        settle();
        writer.cancel();
        writer.join().unwrap_err();
        assert_eq!(reader.join().unwrap(), 0);
        drop(reading);
        assert!(lock.try_write().is_ok(), "somebody left something behind");
    });
}

#[test]
fn cancels_that_race_with_unlocks_lose_no_lock() {
    on_hubs(4, || {
        let lock = Arc::new(RwLock::new(0));
        for round in 0..scaled(200) {
            let members: Vec<_> = (0..8)
                .map(|number| {
                    let lock = lock.clone();
                    thread::spawn(move || {
                        for _ in 0..4 {
                            if number % 4 < 2 {
                                let mut writing = lock.write().unwrap();
                                thread::yield_now();
                                *writing += 1;
                            } else {
                                let _reading = lock.read().unwrap();
                                thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..round % 7 {
                thread::yield_now();
            }
            members
                .iter()
                .step_by(2)
                .for_each(thread::JoinHandle::cancel);
            for (number, member) in members.into_iter().enumerate() {
                assert!(member.join().is_ok() || number % 2 == 0);
            }
        }
        assert!(lock.try_write().is_ok(), "somebody left something behind");
    });
}

#[test]
fn timeouts_end_both_kinds_of_wait() {
    everywhere(|_| {
        let lock = RwLock::new(());
        let short = Duration::from_millis(2);
        let reading = lock.read().unwrap();
        assert!(time::timeout(short, || drop(lock.write())).is_err());
        assert!(lock.try_read().is_ok());
        drop(reading);
        let writing = lock.write().unwrap();
        assert!(time::timeout(short, || drop(lock.read())).is_err());
        drop(writing);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn only_a_panicking_writer_poisons() {
    everywhere(|crew| {
        let lock = Arc::new(RwLock::new(1));
        let theirs = lock.clone();
        let reader = crew.spawn(move || {
            let _reading = theirs.read().unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        reader.try_join().unwrap_err();
        assert!(!lock.is_poisoned());
        let theirs = lock.clone();
        let writer = crew.spawn(move || {
            let _writing = theirs.write().unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        writer.try_join().unwrap_err();
        assert!(lock.read().is_err() && lock.write().is_err());
        assert_eq!(
            format!("{lock:?}"),
            "RwLock { data: 1, poisoned: true, .. }"
        );
        lock.clear_poison();
        assert!(lock.read().is_ok());
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    sylvan::run(|| {
        let lock = Arc::new(RwLock::new(0));
        let mut writing = lock.write().unwrap();
        let theirs = lock.clone();
        let reader = thread::spawn(move || *theirs.read().unwrap());
        let theirs = lock.clone();
        let writer = thread::spawn(move || *theirs.write().unwrap() += 1);
        settle();
        *writing = 5;
        let reading = RwLockWriteGuard::downgrade(writing);
        assert_eq!(reader.join().unwrap(), 5);
        assert!(!writer.is_finished());
        assert_eq!(*reading, 5);
        drop(reading);
        writer.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 6);
    });
}
