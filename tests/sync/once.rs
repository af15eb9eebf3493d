//! `Once`, `OnceLock` and `LazyLock`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, LazyLock, Once, OnceLock};
use sylvan::{thread, time};

use crate::crew::{LONG, Member, everywhere, settle};

#[test]
fn it_runs_once_and_all_see_its_effect() {
    everywhere(|crew| {
        let shared = Arc::new((Once::new(), AtomicUsize::new(0)));
        let members: Vec<_> = (0..10)
            .map(|_| {
                let shared = shared.clone();
                crew.spawn(move || {
                    shared.0.call_once(|| {
                        thread::yield_now();
                        shared.1.fetch_add(1, SeqCst);
                    });
                    assert_eq!(shared.1.load(SeqCst), 1);
                    shared.0.wait();
                })
            })
            .collect();
        shared.0.wait();
        assert!(shared.0.is_completed());
        members.into_iter().for_each(Member::join);
    });
}

#[test]
fn a_panicking_initialiser_poisons_until_one_succeeds() {
    everywhere(|crew| {
        let once = Arc::new(Once::new());
        let theirs = once.clone();
        let failed = crew.spawn(move || theirs.call_once(|| resume_unwind(Box::new(()))));
        failed.try_join().unwrap_err();
        assert!(!once.is_completed());
        assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| ()))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| once.wait())).is_err());
        let theirs = once.clone();
        let patient = crew.spawn(move || theirs.wait_force());
        once.call_once_force(|state| assert!(state.is_poisoned()));
        patient.join();
        once.call_once(|| unreachable!());
    });
}

#[test]
fn those_who_wait_for_a_failing_initialiser_try_themselves() {
    sylvan::run(|| {
        let cell = Arc::new(OnceLock::new());
        let theirs = cell.clone();
        let failing = thread::spawn(move || {
            theirs.get_or_init(|| {
                settle();
                resume_unwind(Box::new(()))
            });
        });
        thread::yield_now();
        assert_eq!(*cell.get_or_init(|| 7), 7);
        assert!(failing.join().is_err());
    });
}

#[test]
fn initialisers_are_not_cancelled() {
    sylvan::run(|| {
        static LAZY: LazyLock<u32> = LazyLock::new(|| {
            thread::sleep(Duration::from_millis(5));
            7
        });
        let first = time::timeout(Duration::from_millis(1), || *LAZY);
        assert_eq!(first, Ok(7));
        assert_eq!(LazyLock::get(&LAZY), Some(&7));
    });
}

#[test]
fn those_who_wait_for_an_initialiser_can_be_cancelled() {
    sylvan::run(|| {
        let cell = Arc::new(OnceLock::new());
        let theirs = cell.clone();
        let maker = thread::spawn(move || {
            theirs.get_or_init(|| {
                thread::park();
                1
            });
        });
        thread::yield_now();
        let waited = time::timeout(Duration::from_millis(1), || *cell.wait());
        assert!(waited.is_err());
        let waited = time::timeout(Duration::from_millis(1), || *cell.get_or_init(|| 2));
        assert!(waited.is_err());
        assert_eq!(cell.get(), None);
        maker.thread().unpark();
        assert_eq!(time::timeout(LONG, || *cell.wait()), Ok(1));
        maker.join().unwrap();
    });
}

#[test]
fn cells_behave_as_in_std() {
    let mut cell = OnceLock::new();
    assert_eq!(format!("{cell:?}"), "OnceLock(<uninit>)");
    assert_eq!(cell.get_mut(), None);
    assert_eq!(cell.set(String::from("a")), Ok(()));
    assert_eq!(cell.set(String::from("b")), Err(String::from("b")));
    cell.get_mut().unwrap().push('c');
    assert_eq!(cell, cell.clone());
    assert_ne!(cell, OnceLock::default());
    assert_eq!(format!("{cell:?}"), "OnceLock(\"ac\")");
    assert_eq!(cell.take().as_deref(), Some("ac"));
    assert_eq!(cell.into_inner(), None);
}

#[test]
fn a_value_is_dropped_once() {
    let count = Arc::new(());
    drop(OnceLock::from(count.clone()));
    assert_eq!(
        OnceLock::from(count.clone()).into_inner().map(drop),
        Some(())
    );
    let mut cell = OnceLock::from(count.clone());
    drop(cell.take());
    drop(cell);
    let captured = count.clone();
    drop(LazyLock::new(move || captured));
    let captured = count.clone();
    let lazy = LazyLock::new(move || captured);
    LazyLock::force(&lazy);
    drop(lazy);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_lazy_value_that_failed_stays_failed() {
    let lazy: LazyLock<u8> = LazyLock::new(|| resume_unwind(Box::new(())));
    assert_eq!(format!("{lazy:?}"), "LazyLock(<uninit>)");
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| *lazy)).is_err());
    }
    let mut lazy = LazyLock::<u8>::default();
    *lazy += 1;
    assert_eq!(format!("{lazy:?}"), "LazyLock(1)");
}

/// Of all three kinds, whether it is cancelled or out of time: what was begun is done.
#[test]
fn a_first_use_that_is_thrown_out_spoils_nothing() {
    type Kind = (fn(), fn() -> bool);
    static ONCE: [Once; 2] = [const { Once::new() }; 2];
    static CELL: [OnceLock<u32>; 2] = [const { OnceLock::new() }; 2];
    static LAZY: [LazyLock<u32>; 2] = [const { LazyLock::new(make) }; 2];
    fn make() -> u32 {
        settle();
        thread::park_timeout(Duration::from_millis(2));
        thread::yield_now();
        7
    }
    let kinds: [[Kind; 3]; 2] = [
        [
            (
                || ONCE[0].call_once(|| assert_eq!(make(), 7)),
                || ONCE[0].is_completed(),
            ),
            (
                || assert_eq!(CELL[0].get_or_init(make), &7),
                || CELL[0].get() == Some(&7),
            ),
            (
                || assert_eq!(*LAZY[0], 7),
                || LazyLock::get(&LAZY[0]) == Some(&7),
            ),
        ],
        [
            (
                || ONCE[1].call_once(|| assert_eq!(make(), 7)),
                || ONCE[1].is_completed(),
            ),
            (
                || assert_eq!(CELL[1].get_or_init(make), &7),
                || CELL[1].get() == Some(&7),
            ),
            (
                || assert_eq!(*LAZY[1], 7),
                || LazyLock::get(&LAZY[1]) == Some(&7),
            ),
        ],
    ];
    sylvan::run(|| {
        for (first_use, is_done) in kinds[0] {
            let task = thread::spawn(move || {
                first_use();
                assert!(is_done());
                thread::park();
            });
            thread::yield_now();
            assert!(!is_done(), "it has begun");
            task.cancel();
            // It ends where it would wait next, and not before.
            assert!(task.join().unwrap_err().is::<sylvan::task::Cancelled>());
            assert!(is_done());
        }
        for (first_use, is_done) in kinds[1] {
            let _ = time::timeout(Duration::from_millis(1), || {
                first_use();
                thread::park();
            })
            .unwrap_err();
            assert!(is_done());
        }
    });
}
