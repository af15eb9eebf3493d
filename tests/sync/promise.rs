//! Promises.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Resolver, promise};
use sylvan::{thread, time};

use crate::crew::{LONG, Member, everywhere, scaled, settle};

#[test]
fn all_read_the_one_value() {
    everywhere(|crew| {
        let (resolver, promise) = promise();
        let members: Vec<_> = (0..10)
            .map(|number| {
                let promise = promise.clone();
                crew.spawn(move || match number % 3 {
                    0 => promise.get().unwrap() as *const String as usize,
                    1 => promise.get_timeout(LONG).unwrap().unwrap() as *const String as usize,
                    _ => {
                        promise.wait();
                        promise.try_get().unwrap().unwrap() as *const String as usize
                    }
                })
            })
            .collect();
        settle();
        assert!(!promise.is_ready() && !promise.is_successful());
        assert_eq!(promise.try_get(), None);
        assert_eq!(format!("{promise:?}"), "Promise(<not ready>)");
        crew.spawn(|| resolver.set("here".to_owned())).join();
        assert!(promise.is_ready() && promise.is_successful());
        assert_eq!(format!("{promise:?}"), "Promise(\"here\")");
        let place = promise.get().unwrap() as *const String as usize;
        for member in members {
            assert_eq!(member.join(), place);
        }
    });
}

#[test]
fn a_failure_is_read_by_all() {
    everywhere(|crew| {
        let (resolver, promise) = promise::<u8>();
        let members: Vec<_> = (0..4)
            .map(|_| {
                let promise = promise.clone();
                crew.spawn(move || promise.get().copied().unwrap_err())
            })
            .collect();
        resolver.fail(Error::new(ErrorKind::TimedOut, "too slow"));
        assert!(promise.is_ready() && !promise.is_successful());
        let ours = promise.get().unwrap_err();
        for member in members {
            let failure = member.join();
            assert_eq!(failure.to_string(), "too slow");
            assert_eq!(failure, ours);
            assert!(!failure.is_broken());
            let error = failure.error().unwrap().downcast_ref::<Error>();
            assert_eq!(error.unwrap().kind(), ErrorKind::TimedOut);
        }
    });
}

/// However its resolver ends, nobody hangs.
#[test]
fn a_promise_whose_resolver_is_gone_is_broken() {
    fn gone(with: impl FnOnce(Resolver<u8>)) {
        let (resolver, promise) = promise::<u8>();
        let reader = promise.clone();
        let waits = thread::spawn(move || reader.get().copied());
        settle();
        with(resolver);
        settle();
        let failure = waits.join().unwrap().unwrap_err();
        assert!(failure.is_broken() && failure.error().is_none());
        let words = "the promise was broken: its resolver was dropped";
        assert_eq!(failure.to_string(), words);
        assert_eq!(format!("{promise:?}"), "Promise(Broken)");
        assert_eq!(promise.get(), Err(failure));
    }
    sylvan::run(|| {
        gone(drop);
        gone(|resolver| {
            let panics = thread::spawn(move || {
                let _resolver = resolver;
                panic!("before it could be kept");
            });
            panics.join().unwrap_err();
        });
        gone(|resolver| {
            let task = thread::spawn(move || {
                let _resolver = resolver;
                thread::park();
            });
            settle();
            task.cancel();
        });
        gone(|resolver| {
            let never_runs = thread::spawn(move || drop(resolver));
            never_runs.cancel();
        });
    });
}

#[test]
fn a_wait_ends_with_its_time_and_the_value_comes_later() {
    everywhere(|crew| {
        let (resolver, promise) = promise();
        let theirs = promise.clone();
        let waiter = crew.spawn(move || {
            let short = Duration::from_millis(1);
            assert_eq!(theirs.get_timeout(short), None);
            assert!(!theirs.wait_timeout(Duration::ZERO));
            assert!(time::timeout(short, || theirs.get().copied()).is_err());
        });
        waiter.join();
        resolver.set(1);
        assert_eq!(promise.get_timeout(Duration::ZERO), Some(Ok(&1)));
    });
}

#[test]
fn a_value_is_dropped_once_whoever_is_last() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (resolver, early) = promise();
    drop(early);
    resolver.set(Counts(drops.clone()));
    assert_eq!(drops.load(SeqCst), 1);
    let (resolver, promise) = promise();
    let clone = promise.clone();
    resolver.set(Counts(drops.clone()));
    drop(promise);
    assert_eq!(drops.load(SeqCst), 1);
    drop(clone);
    assert_eq!(drops.load(SeqCst), 2);
}

#[test]
fn setting_races_with_waiting() {
    everywhere(|crew| {
        for round in 0..scaled(200) {
            let (resolver, promise) = promise();
            let reader = |timed: bool| {
                let promise = promise.clone();
                crew.spawn(move || {
                    if timed {
                        let moment = Duration::from_micros(round as u64 % 50);
                        promise.get_timeout(moment).map(|outcome| *outcome.unwrap())
                    } else {
                        Some(*promise.get().unwrap())
                    }
                })
            };
            let (patient, hurried) = (reader(false), reader(true));
            let setter = crew.spawn(move || resolver.set(round));
            assert_eq!(patient.join(), Some(round));
            assert!(hurried.join().is_none_or(|value| value == round));
            Member::join(setter);
        }
    });
}
