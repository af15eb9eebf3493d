//! Barriers.

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Barrier};
use sylvan::thread;

use crate::crew::{Member, everywhere, scaled, settle};

#[test]
fn each_round_has_one_leader_and_lets_nobody_pass_early() {
    everywhere(|crew| {
        const MEMBERS: usize = 6;
        let shared = Arc::new((Barrier::new(MEMBERS), AtomicUsize::new(0)));
        let members: Vec<_> = (0..MEMBERS)
            .map(|_| {
                let shared = shared.clone();
                crew.spawn(move || {
                    let mut led = 0;
                    for round in 1..=scaled(100) {
                        shared.1.fetch_add(1, SeqCst);
                        led += usize::from(shared.0.wait().is_leader());
                        let arrived = shared.1.load(SeqCst);
                        assert!(arrived >= round * MEMBERS, "{arrived} in round {round}");
                    }
                    led
                })
            })
            .collect();
        let led: usize = members.into_iter().map(Member::join).sum();
        assert_eq!(led, scaled(100));
    });
}

#[test]
fn barriers_for_one_or_none_do_not_wait() {
    assert!(Barrier::new(0).wait().is_leader());
    assert!(Barrier::new(1).wait().is_leader());
    assert_eq!(
        format!("{:?} {:?}", Barrier::new(1), Barrier::new(1).wait()),
        format!(
            "{:?} {:?}",
            std::sync::Barrier::new(1),
            std::sync::Barrier::new(1).wait()
        )
    );
}

#[test]
fn a_cancelled_waiter_has_not_come() {
    sylvan::run(|| {
        let barrier = Arc::new(Barrier::new(2));
        let come = || {
            let barrier = barrier.clone();
            thread::spawn(move || barrier.wait().is_leader())
        };
        let cancelled = come();
        settle();
        cancelled.cancel();
        cancelled.join().unwrap_err();
        let first = come();
        settle();
        assert!(!first.is_finished());
        assert!(come().join().unwrap());
        assert!(!first.join().unwrap());
    });
}
