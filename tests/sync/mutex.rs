//! Mutual exclusion, order, poisoning, and waiters that leave.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sylvan::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use sylvan::{task, thread, time};

use crate::crew::{
    LONG, Member, everywhere, four_hubs_and_two_plain, on_hubs, scaled, settle, until,
};

#[test]
fn counts_come_out_exact() {
    everywhere(|crew| {
        let count = Arc::new(Mutex::new(0));
        let members: Vec<_> = (0..8)
            .map(|_| {
                let count = count.clone();
                crew.spawn(move || {
                    for _ in 0..scaled(500) {
                        *count.lock().unwrap() += 1;
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::join);
        assert_eq!(*count.lock().unwrap(), 8 * scaled(500));
    });
}

#[test]
fn holders_may_suspend() {
    everywhere(|crew| {
        let inside = Arc::new((Mutex::new(0), AtomicBool::new(false)));
        let members: Vec<_> = (0..8)
            .map(|_| {
                let inside = inside.clone();
                crew.spawn(move || {
                    for round in 0..scaled(50) {
                        let mut count = inside.0.lock().unwrap();
                        assert!(!inside.1.swap(true, SeqCst), "two hold the lock");
                        if round % 2 == 0 {
                            thread::yield_now();
                        }
                        *count += 1;
                        inside.1.store(false, SeqCst);
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::join);
        assert_eq!(*inside.0.lock().unwrap(), 8 * scaled(50));
    });
}

#[test]
fn stress_across_hubs_and_plain_threads() {
    four_hubs_and_two_plain(|crew| {
        let counts = Arc::new([const { Mutex::new(0) }; 2]);
        let members: Vec<_> = (0..6)
            .map(|member| {
                let counts = counts.clone();
                crew.spawn(move || {
                    for round in 0..scaled(20_000) {
                        let mut count = counts[(round + member) % 2].lock().unwrap();
                        *count += 1;
                        if round % 64 == 0 {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::join);
        let sum: usize = counts.iter().map(|count| *count.lock().unwrap()).sum();
        assert_eq!(sum, 6 * scaled(20_000));
    });
}

#[test]
fn waiters_are_served_in_their_order() {
    sylvan::run(|| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = order.lock().unwrap();
        let members: Vec<_> = (0..10)
            .map(|number| {
                let order = order.clone();
                thread::spawn(move || order.lock().unwrap().push(number))
            })
            .collect();
        settle();
        drop(held);
        members
            .into_iter()
            .for_each(|member| member.join().unwrap());
        assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..10));
    });
}

/// One that takes the lock again at once, every time, and suspends while it holds it.
fn hog(lock: &Mutex<()>, got: &AtomicUsize, stop: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !stop.load(SeqCst) {
        let _guard = lock.lock().unwrap();
        rounds += usize::from(got.load(SeqCst) == 0);
        thread::yield_now();
    }
    rounds
}

#[test]
fn a_waiter_is_overtaken_only_for_a_while() {
    sylvan::run(|| {
        let lock = Arc::new(Mutex::new(()));
        let got = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (lock2, got2, stop2) = (lock.clone(), got.clone(), stop.clone());
        let hog = thread::spawn(move || hog(&lock2, &got2, &stop2));
        thread::yield_now();
        drop(lock.lock().unwrap());
        got.store(1, SeqCst);
        stop.store(true, SeqCst);
        let rounds = hog.join().unwrap();
        assert!(rounds <= 4, "overtaken {rounds} times");
    });
}

#[test]
fn nobody_starves_across_hubs() {
    on_hubs(4, || {
        let lock = Arc::new(Mutex::new(()));
        let got = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let hogs: Vec<_> = (0..4)
            .map(|_| {
                let (lock, got, stop) = (lock.clone(), got.clone(), stop.clone());
                thread::spawn(move || hog(&lock, &got, &stop))
            })
            .collect();
        let plain = lock.clone();
        let plain = std::thread::spawn(move || {
            for _ in 0..20 {
                drop(plain.lock().unwrap());
            }
        });
        for _ in 0..20 {
            drop(lock.lock().unwrap());
        }
        sylvan::offload(|| plain.join()).unwrap();
        stop.store(true, SeqCst);
        for hog in hogs {
            hog.join().unwrap();
        }
    });
}

#[test]
fn try_lock_never_waits() {
    everywhere(|crew| {
        let mutex = Arc::new(Mutex::new(1));
        let guard = mutex.lock().unwrap();
        let theirs = mutex.clone();
        let tried = crew.spawn(move || matches!(theirs.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(tried.join());
        drop(guard);
        assert_eq!(*mutex.try_lock().unwrap(), 1);
    });
}

#[test]
fn a_long_series_of_free_locks_lets_others_run() {
    sylvan::run(|| {
        let ran = Rc::new(Cell::new(false));
        let theirs = ran.clone();
        thread::spawn_local(move || theirs.set(true));
        let mutex = Mutex::new(());
        for _ in 0..1000 {
            let _ = mutex.try_lock();
        }
        assert!(!ran.get(), "try_lock has suspended");
        for _ in 0..1000 {
            drop(mutex.lock().unwrap());
        }
        assert!(ran.get(), "lock was not fair");
    });
}

#[test]
fn a_panic_poisons() {
    everywhere(|crew| {
        let mutex = Arc::new(Mutex::new(1));
        let theirs = mutex.clone();
        let failed = crew.spawn(move || {
            let mut guard = theirs.lock().unwrap();
            *guard = 2;
            thread::yield_now();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        failed.try_join().unwrap_err();
        assert!(mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 2);
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        assert_eq!(
            format!("{mutex:?}"),
            "Mutex { data: 2, poisoned: true, .. }"
        );
        mutex.clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 2);
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn into_inner_and_get_mut_tell_of_poison() {
    let mut mutex = Mutex::new(String::from("text"));
    let failed = std::panic::catch_unwind(|| {
        let _guard = mutex.lock();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(failed.is_err());
    assert_eq!(mutex.get_mut().unwrap_err().into_inner(), "text");
    assert_eq!(
        mutex.into_inner().unwrap_or_else(PoisonError::into_inner),
        "text"
    );
}

#[test]
fn a_lock_taken_and_left_during_unwinding_is_not_poisoned() {
    struct Locks(Arc<Mutex<i32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    everywhere(|crew| {
        let mutex = Arc::new(Mutex::new(0));
        let theirs = Locks(mutex.clone());
        let failed = crew.spawn(move || {
            let _theirs = theirs;
            std::panic::resume_unwind(Box::new(()));
        });
        failed.try_join().unwrap_err();
        assert_eq!(*mutex.lock().unwrap(), 1);
    });
}

#[test]
fn neither_cancel_nor_timeout_poisons() {
    sylvan::run(|| {
        let mutex = Arc::new(Mutex::new(()));
        let theirs = mutex.clone();
        let holder = thread::spawn(move || {
            let _guard = theirs.lock().unwrap();
            thread::sleep(LONG);
        });
        settle();
        assert!(mutex.try_lock().is_err());
        holder.cancel();
        holder.join().unwrap_err();
        assert!(mutex.lock().is_ok());
        let held = time::timeout(Duration::from_millis(1), || {
            let _guard = mutex.lock().unwrap();
            thread::sleep(LONG);
        });
        assert!(held.is_err());
        assert!(mutex.lock().is_ok());
    });
}

#[test]
fn a_cancelled_waiter_leaves_the_line() {
    sylvan::run(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let mutex = mutex.clone();
                thread::spawn(move || *mutex.lock().unwrap() += 1)
            })
            .collect();
        settle();
        waiters[0].cancel();
        settle();
        assert!(waiters[0].is_finished());
        drop(guard);
        waiters[1].cancel(); // with the signal to try in its hand: it may take it
        settle();
        assert!(waiters[2].is_finished());
        let finished = waiters.into_iter().filter_map(|waiter| waiter.join().ok());
        assert_eq!(finished.count(), *mutex.lock().unwrap());
    });
}

#[test]
fn a_timeout_ends_a_wait_and_nothing_else() {
    everywhere(|crew| {
        let mutex = Arc::new(Mutex::new(()));
        let guard = mutex.lock().unwrap();
        let theirs = mutex.clone();
        let waiter = crew.spawn(move || {
            time::timeout(Duration::from_millis(2), || drop(theirs.lock().unwrap())).is_err()
        });
        assert!(waiter.join(), "it got a lock that was held");
        drop(guard);
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn cancels_that_race_with_unlocks_lose_no_lock() {
    on_hubs(4, || {
        let mutex = Arc::new(Mutex::new(0));
        let done = Arc::new(AtomicUsize::new(0));
        for round in 0..scaled(300) {
            let waiters: Vec<_> = (0..6)
                .map(|_| {
                    let (mutex, done) = (mutex.clone(), done.clone());
                    thread::spawn(move || {
                        for _ in 0..5 {
                            let mut guard = mutex.lock().unwrap();
                            thread::yield_now();
                            *guard += 1;
                            drop(guard);
                            done.fetch_add(1, SeqCst);
                        }
                    })
                })
                .collect();
            for _ in 0..round % 7 {
                thread::yield_now();
            }
            for waiter in waiters.iter().step_by(2) {
                waiter.cancel();
            }
            for (number, waiter) in waiters.into_iter().enumerate() {
                let ended = waiter.join();
                assert!(number % 2 == 0 || ended.is_ok());
            }
        }
        assert_eq!(*mutex.lock().unwrap(), done.load(SeqCst));
    });
}

#[test]
fn a_destructor_may_wait_for_a_lock_while_its_task_is_cancelled() {
    struct Locks(Arc<Mutex<i32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    sylvan::run(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let theirs = Locks(mutex.clone());
        let waiter = thread::spawn(move || {
            let _theirs = theirs;
            thread::sleep(LONG);
        });
        settle();
        waiter.cancel();
        settle();
        assert!(!waiter.is_finished());
        drop(guard);
        assert!(waiter.join().unwrap_err().is::<task::Cancelled>());
        assert_eq!(*mutex.lock().unwrap(), 1);
    });
}

#[test]
fn unsized_data_and_formatting_are_as_in_std() {
    let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    mutex.lock().unwrap()[0] = 4;
    assert_eq!(*mutex.lock().unwrap(), [4, 2, 3]);
    let mutex = Mutex::from(7);
    assert_eq!(
        format!("{mutex:?}"),
        format!("{:?}", std::sync::Mutex::new(7))
    );
    let guard: MutexGuard<'_, i32> = mutex.lock().unwrap();
    assert_eq!(format!("{guard} {guard:?}"), "7 7");
    assert_eq!(
        format!("{mutex:?}"),
        "Mutex { data: \"<locked>\", poisoned: false, .. }"
    );
    assert_eq!(*Mutex::<u8>::default().lock().unwrap(), 0);
}

#[test]
fn a_static_mutex_outlives_runtimes() {
    static COUNT: Mutex<usize> = Mutex::new(0);
    for _ in 0..3 {
        on_hubs(2, || {
            let members: Vec<_> = (0..10)
                .map(|_| thread::spawn(|| *COUNT.lock().unwrap() += 1))
                .collect();
            members
                .into_iter()
                .for_each(|member| member.join().unwrap());
        });
    }
    assert_eq!(*COUNT.lock().unwrap(), 30);
}

#[test]
fn a_plain_thread_and_a_green_one_wake_each_other() {
    let turn = Arc::new(Mutex::new(0));
    let theirs = turn.clone();
    let plain = std::thread::spawn(move || {
        until(|| *theirs.lock().unwrap() == 1);
        *theirs.lock().unwrap() = 2;
    });
    sylvan::run(|| {
        *turn.lock().unwrap() = 1;
        until(|| *turn.lock().unwrap() == 2);
    });
    plain.join().unwrap();
}
