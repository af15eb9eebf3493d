//! Events.

use std::time::Duration;

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Event};
use sylvan::{thread, time};

use crate::crew::{LONG, Member, everywhere, scaled, settle};

#[test]
fn all_pass_once_it_is_set() {
    everywhere(|crew| {
        let event = Arc::new(Event::new());
        let passed = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..10)
            .map(|number| {
                let (event, passed) = (event.clone(), passed.clone());
                crew.spawn(move || {
                    if number % 2 == 0 {
                        event.wait();
                    } else {
                        assert!(event.wait_timeout(LONG));
                    }
                    passed.fetch_add(1, SeqCst);
                })
            })
            .collect();
        settle();
        assert_eq!(passed.load(SeqCst), 0);
        event.set();
        event.set();
        event.wait();
        members.into_iter().for_each(Member::join);
        assert_eq!(passed.load(SeqCst), 10);
    });
}

#[test]
fn who_waits_when_it_is_set_passes_and_who_comes_after_it_was_cleared_does_not() {
    sylvan::run(|| {
        let event = Arc::new(Event::new());
        let wait = || {
            let event = event.clone();
            thread::spawn(move || event.wait())
        };
        let before = [wait(), wait()];
        settle();
        event.set();
        event.clear();
        let after = wait();
        settle();
        assert!(before.iter().all(thread::JoinHandle::is_finished));
        assert!(!after.is_finished() && !event.is_set());
        event.set();
        after.join().unwrap();
        assert_eq!(format!("{event:?}"), "Event { is_set: true, .. }");
    });
}

#[test]
fn a_wait_ends_with_its_time_and_leaves_nothing() {
    everywhere(|crew| {
        let event = Arc::new(Event::default());
        let theirs = event.clone();
        let waiter = crew.spawn(move || {
            let short = Duration::from_millis(1);
            assert!(!theirs.wait_timeout(short));
            assert!(!theirs.wait_timeout(Duration::ZERO));
            assert!(time::timeout(short, || theirs.wait()).is_err());
        });
        waiter.join();
        event.set();
        assert!(event.wait_timeout(Duration::ZERO));
    });
}

/// Two that set and clear for each other, round by round: nobody misses a round, nobody passes twice.
#[test]
fn rounds_are_neither_missed_nor_doubled() {
    everywhere(|crew| {
        let rounds = scaled(1_000);
        let events = Arc::new([const { Event::new() }; 2]);
        let turn = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..2)
            .map(|side| {
                let (events, turn) = (events.clone(), turn.clone());
                crew.spawn(move || {
                    for round in 0..rounds {
                        events[side].wait();
                        events[side].clear();
                        assert_eq!(turn.swap(2 * round + side + 1, SeqCst), 2 * round + side);
                        events[1 - side].set();
                    }
                })
            })
            .collect();
        events[0].set();
        members.into_iter().for_each(Member::join);
        assert_eq!(turn.load(SeqCst), 2 * rounds);
    });
}

/// A setting may wake one who came after the clearing that followed; that one waits on.
#[test]
fn nobody_passes_that_was_not_let_pass() {
    everywhere(|crew| {
        // How often it was set, counted before, and how often cleared, counted after.
        let shared = Arc::new((Event::new(), AtomicUsize::new(0), AtomicUsize::new(0)));
        let rounds = scaled(300);
        let members: Vec<_> = (0..4)
            .map(|_| {
                let shared = shared.clone();
                crew.spawn(move || {
                    let (event, sets, clears) = &*shared;
                    let mut checked = 0;
                    while sets.load(SeqCst) <= rounds {
                        let cleared = clears.load(SeqCst);
                        let is_clear = sets.load(SeqCst) == cleared;
                        event.wait();
                        if is_clear {
                            assert!(sets.load(SeqCst) > cleared);
                            checked += 1;
                        }
                        thread::yield_now();
                    }
                    checked
                })
            })
            .collect();
        let (event, sets, clears) = &*shared;
        for _ in 0..rounds {
            sets.fetch_add(1, SeqCst);
            event.set();
            thread::yield_now();
            event.clear();
            clears.fetch_add(1, SeqCst);
            thread::yield_now();
        }
        sets.fetch_add(1, SeqCst);
        event.set();
        let checked: usize = members.into_iter().map(Member::join).sum();
        assert!(checked > 0);
    });
}
