//! Notifications, time-outs, and waiters that leave.

use std::time::{Duration, Instant};

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Condvar, Mutex};
use sylvan::{thread, time};

use crate::crew::{
    LONG, Member, everywhere, four_hubs_and_two_plain, on_hubs, scaled, settle, until,
};

const SHORT: Duration = Duration::from_millis(2);

#[test]
fn one_notification_wakes_one() {
    everywhere(|crew| {
        let shared = Arc::new((Mutex::new((0, 0)), Condvar::new()));
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let shared = shared.clone();
                crew.spawn(move || {
                    let mut state = shared.0.lock().unwrap();
                    state.0 += 1;
                    let _state = shared.1.wait_while(state, |(_, tickets)| {
                        let none = *tickets == 0;
                        *tickets -= i32::from(!none);
                        none
                    });
                })
            })
            .collect();
        until(|| shared.0.lock().unwrap().0 == 5);
        for _ in 0..5 {
            shared.0.lock().unwrap().1 += 1;
            shared.1.notify_one();
        }
        waiters.into_iter().for_each(Member::join);
        assert_eq!(shared.0.lock().unwrap().1, 0);
    });
}

#[test]
fn notify_all_wakes_all_that_wait() {
    everywhere(|crew| {
        let shared = Arc::new((Mutex::new((0, false)), Condvar::new()));
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let shared = shared.clone();
                crew.spawn(move || {
                    let mut state = shared.0.lock().unwrap();
                    state.0 += 1;
                    while !state.1 {
                        state = shared.1.wait(state).unwrap();
                    }
                })
            })
            .collect();
        until(|| shared.0.lock().unwrap().0 == 8);
        shared.0.lock().unwrap().1 = true;
        shared.1.notify_all();
        waiters.into_iter().for_each(Member::join);
    });
}

#[test]
fn waiters_are_woken_in_their_order() {
    sylvan::run(|| {
        let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let waiters: Vec<_> = (0..5)
            .map(|number| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let order = shared.0.lock().unwrap();
                    shared.1.wait(order).unwrap().push(number);
                })
            })
            .collect();
        settle();
        shared.1.notify_one();
        settle();
        assert_eq!(*shared.0.lock().unwrap(), [0]);
        shared.1.notify_all();
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*shared.0.lock().unwrap(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_wait_unlocks_and_locks_again() {
    everywhere(|crew| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let theirs = shared.clone();
        let guard = shared.0.lock().unwrap();
        let notifier = crew.spawn(move || {
            *theirs.0.lock().unwrap() = 1;
            theirs.1.notify_one();
        });
        let guard = shared.1.wait_while(guard, |value| *value == 0).unwrap();
        assert_eq!(*guard, 1);
        assert!(shared.0.try_lock().is_err());
        drop(guard);
        notifier.join();
    });
}

#[test]
fn timeouts_are_told_from_notifications() {
    everywhere(|crew| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let start = Instant::now();
        let guard = shared.0.lock().unwrap();
        let (guard, result) = shared.1.wait_timeout(guard, SHORT).unwrap();
        assert!(result.timed_out() && start.elapsed() >= SHORT);
        let (guard, result) = shared
            .1
            .wait_timeout_while(guard, SHORT, |done| !*done)
            .unwrap();
        assert!(result.timed_out() && !*guard);
        let theirs = shared.clone();
        let notifier = crew.spawn(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_all();
        });
        let (guard, result) = shared
            .1
            .wait_timeout_while(guard, LONG, |done| !*done)
            .unwrap();
        assert!(*guard && !result.timed_out());
        let (guard, result) = shared
            .1
            .wait_timeout_while(guard, Duration::ZERO, |done| !*done)
            .unwrap();
        assert!(!result.timed_out(), "the condition held from the start");
        #[expect(deprecated)]
        let (guard, notified) = shared.1.wait_timeout_ms(guard, 1).unwrap();
        assert!(!notified);
        drop(guard);
        notifier.join();
    });
}

#[test]
fn endless_timeouts_are_none() {
    everywhere(|crew| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = shared.clone();
        let waiter = crew.spawn(move || {
            let guard = theirs.0.lock().unwrap();
            let wait = theirs
                .1
                .wait_timeout_while(guard, Duration::MAX, |done| !*done);
            !wait.unwrap().1.timed_out()
        });
        *shared.0.lock().unwrap() = true;
        shared.1.notify_one();
        assert!(waiter.join());
    });
}

#[test]
fn a_poisoned_mutex_is_told_after_the_wait() {
    everywhere(|crew| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let guard = shared.0.lock().unwrap();
        let theirs = shared.clone();
        let failed = crew.spawn(move || {
            let mut guard = theirs.0.lock().unwrap();
            *guard = true;
            theirs.1.notify_one();
            std::panic::resume_unwind(Box::new(()));
        });
        let woken = shared.1.wait(guard);
        assert!(*woken.unwrap_err().into_inner());
        failed.try_join().unwrap_err();
        let poisoned = shared.0.lock().unwrap_err().into_inner();
        let timed = shared.1.wait_timeout(poisoned, SHORT).unwrap_err();
        assert!(timed.into_inner().1.timed_out());
    });
}

#[test]
fn a_cancelled_wait_unwinds_without_the_lock() {
    sylvan::run(|| {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let theirs = shared.clone();
        let waiter = thread::spawn(move || {
            let guard = theirs.0.lock().unwrap();
            let _guard = theirs.1.wait(guard);
        });
        settle();
        let held = shared.0.lock().unwrap();
        waiter.cancel();
        waiter.join().unwrap_err(); // it does not ask for the lock, which we hold
        drop(held);
        assert!(shared.0.lock().is_ok());
    });
}

#[test]
fn a_notification_of_a_cancelled_waiter_goes_to_the_next() {
    sylvan::run(|| {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let guard = shared.0.lock().unwrap();
                    drop(shared.1.wait(guard).unwrap());
                })
            })
            .collect();
        settle();
        let held = shared.0.lock().unwrap();
        shared.1.notify_one();
        settle(); // the first waits for the lock now
        waiters[0].cancel();
        settle();
        assert!(waiters[0].is_finished());
        drop(held);
        let [first, second] = waiters.try_into().unwrap();
        first.join().unwrap_err();
        second.join().unwrap();
    });
}

#[test]
fn a_timeout_around_a_wait_takes_no_notification_with_it() {
    everywhere(|_| {
        let shared = (Mutex::new(()), Condvar::new());
        let waited = time::timeout(SHORT, || {
            let _guard = shared.1.wait(shared.0.lock().unwrap());
        });
        assert!(waited.is_err());
        assert!(shared.0.try_lock().is_ok());
    });
}

#[test]
fn one_condvar_may_serve_several_mutexes() {
    everywhere(|crew| {
        let shared = Arc::new((
            [Mutex::new(false), Mutex::new(false)],
            Condvar::new(),
            AtomicUsize::new(0),
        ));
        let waiters: Vec<_> = (0..2)
            .map(|number| {
                let shared = shared.clone();
                crew.spawn(move || {
                    let guard = shared.0[number].lock().unwrap();
                    shared.2.fetch_add(1, SeqCst);
                    drop(shared.1.wait_while(guard, |done| !*done));
                })
            })
            .collect();
        until(|| shared.2.load(SeqCst) == 2);
        for mutex in &shared.0 {
            *mutex.lock().unwrap() = true;
        }
        shared.1.notify_all();
        waiters.into_iter().for_each(Member::join);
    });
}

/// A bounded buffer of the classic kind.
struct Buffer {
    items: Mutex<Vec<usize>>,
    not_empty: Condvar,
    not_full: Condvar,
}

impl Buffer {
    const CAPACITY: usize = 3;

    fn new() -> Arc<Buffer> {
        Arc::new(Buffer {
            items: Mutex::new(Vec::new()),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
        })
    }

    fn put(&self, item: usize) {
        let items = self.items.lock().unwrap();
        let full = |items: &mut Vec<usize>| items.len() == Buffer::CAPACITY;
        self.not_full.wait_while(items, full).unwrap().push(item);
        self.not_empty.notify_one();
    }

    fn take(&self) -> usize {
        let items = self.items.lock().unwrap();
        let mut items = self
            .not_empty
            .wait_while(items, |items| items.is_empty())
            .unwrap();
        let item = items.pop().unwrap();
        drop(items);
        self.not_full.notify_one();
        item
    }
}

#[test]
fn stress_across_hubs_and_plain_threads() {
    four_hubs_and_two_plain(|crew| {
        let buffer = Buffer::new();
        let rounds = scaled(3_000);
        let makers: Vec<_> = (0..3)
            .map(|maker| {
                let buffer = buffer.clone();
                crew.spawn(move || (0..rounds).for_each(|item| buffer.put(maker * rounds + item)))
            })
            .collect();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let buffer = buffer.clone();
                crew.spawn(move || (0..rounds).map(|_| buffer.take()).sum::<usize>())
            })
            .collect();
        makers.into_iter().for_each(Member::join);
        let sum: usize = takers.into_iter().map(Member::join).sum();
        let count = 3 * rounds;
        assert_eq!(sum, count * (count - 1) / 2);
    });
}

#[test]
fn cancelled_takers_lose_no_notification() {
    on_hubs(4, || {
        let buffer = Buffer::new();
        for round in 0..scaled(200) {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    let buffer = buffer.clone();
                    thread::spawn(move || buffer.take())
                })
                .collect();
            for _ in 0..round % 5 {
                thread::yield_now();
            }
            buffer.put(1);
            takers[0].cancel();
            buffer.put(1);
            takers[1].cancel();
            // The other two can always get theirs: two were put, and what a cancelled one took it
            // has taken for good, which we make up for.
            let [first, second, third, fourth] = takers.try_into().unwrap();
            for cancelled in [first, second] {
                if cancelled.join().is_ok() {
                    buffer.put(1);
                }
            }
            third.join().unwrap();
            fourth.join().unwrap();
            assert!(buffer.items.lock().unwrap().is_empty());
        }
    });
}
