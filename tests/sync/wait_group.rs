//! Wait groups.

use std::time::Duration;

use sylvan::sync::Arc;
use sylvan::sync::WaitGroup;
use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::{thread, time};

use crate::crew::{LONG, Member, everywhere, scaled, settle};

#[test]
fn who_waits_goes_on_when_all_others_have_left() {
    everywhere(|crew| {
        for _ in 0..scaled(50) {
            let group = WaitGroup::new();
            let done = Arc::new(AtomicUsize::new(0));
            let members: Vec<_> = (0..8)
                .map(|number| {
                    let (group, done) = (group.clone(), done.clone());
                    crew.spawn(move || {
                        thread::yield_now();
                        done.fetch_add(1, SeqCst);
                        // Who waits has left, too.
                        if number % 2 == 0 {
                            group.wait();
                            assert_eq!(done.load(SeqCst), 8);
                        }
                    })
                })
                .collect();
            assert!(group.wait_timeout(LONG).is_ok());
            assert_eq!(done.load(SeqCst), 8);
            members.into_iter().for_each(Member::join);
        }
    });
}

#[test]
fn who_panics_or_is_cancelled_has_left() {
    sylvan::run(|| {
        let group = WaitGroup::default();
        let panics = group.clone();
        let panics = thread::spawn(move || {
            let _member = panics;
            panic!("a member's own");
        });
        let parks = group.clone();
        let parks = thread::spawn(move || {
            let _member = parks;
            thread::park();
        });
        settle();
        parks.cancel();
        group.wait();
        panics.join().unwrap_err();
        parks.join().unwrap_err();
    });
}

#[test]
fn whose_time_is_over_is_a_member_again() {
    sylvan::run(|| {
        let group = WaitGroup::new();
        let other = group.clone();
        let short = Duration::from_millis(1);
        let group = group.wait_timeout(short).unwrap_err();
        assert_eq!(format!("{group:?}"), "WaitGroup { count: 2 }");
        let waits = thread::spawn(|| other.wait());
        settle();
        assert!(!waits.is_finished());
        assert!(time::timeout(short, || group.wait()).is_ok());
        waits.join().unwrap();
    });
}
