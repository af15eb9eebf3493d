//! Deadlines: whose they are, who inherits them, and where they take effect.

mod support;

use std::cell::Cell;
use std::panic;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use support::{HOUR, must_end};
use sylvan::runtime::Runtime;
use sylvan::task::{self, Cancelled};
use sylvan::thread;
use sylvan::time::{Instant, deadline, timeout, timeout_at};

const SHORT: Duration = Duration::from_millis(3);

/// On one hub, on four, and on a plain OS thread.
fn everywhere(test: impl Fn()) {
    must_end(|| {
        sylvan::run(&test);
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(&test);
        runtime.close();
        test();
    });
}

/// A moment in an hour: it does not come.
fn far() -> Instant {
    Instant::now() + HOUR
}

/// A moment that has passed.
fn past() -> Instant {
    let past = Instant::now();
    while Instant::now() <= past {
        std::hint::spin_loop();
    }
    past
}

/// Keeps the hub until the moment, without a suspension.
fn compute_until(moment: Instant) {
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

// Which of several ends what.

#[test]
fn each_of_five_nested_timeouts_ends_its_own_closure_only() {
    everywhere(|| {
        // The one at this depth is the only one that ends in time.
        for short in 0..5 {
            let reached = Cell::new(0);
            nest(0, short, &reached);
            assert_eq!(reached.get(), short, "those around it went on");
        }
    });

    fn nest(depth: usize, short: usize, reached: &Cell<usize>) {
        let moment = if depth == short {
            Instant::now() + SHORT
        } else {
            far()
        };
        let ended = timeout_at(moment, || {
            if depth == 4 {
                thread::sleep(HOUR);
            } else {
                nest(depth + 1, short, reached);
                reached.set(reached.get() + 1);
            }
        });
        assert_eq!(ended.is_err(), depth == short, "{depth} of {short}");
    }
}

#[test]
fn two_timeouts_with_one_deadline_end_at_the_outer_one() {
    everywhere(|| {
        let moment = Instant::now() + SHORT;
        let inner = Cell::new(false);
        let outer = timeout_at(moment, || {
            let _ = timeout_at(moment, || thread::sleep(HOUR));
            inner.set(true);
        });
        assert!(outer.is_err());
        assert!(!inner.get(), "the inner one gave a result");
    });
}

#[test]
fn a_longer_timeout_does_not_outlive_the_one_around_it() {
    everywhere(|| {
        let inner = Cell::new(false);
        let outer = timeout(SHORT, || {
            let _ = timeout(HOUR, || thread::sleep(HOUR));
            inner.set(true);
        });
        assert!(outer.is_err());
        assert!(!inner.get());
        // Nor does one that is entered when the outer is over already.
        let outer = timeout_at(past(), || {
            let _ = timeout(HOUR, thread::yield_now);
            let _ = timeout(HOUR, || thread::sleep(SHORT));
            inner.set(true);
        });
        assert!(outer.is_err());
        assert!(!inner.get());
    });
}

#[test]
fn one_after_the_other_may_share_a_moment() {
    everywhere(|| {
        let moment = Instant::now() + SHORT;
        let steps = Cell::new(0);
        let mut ended = Ok(());
        while ended.is_ok() {
            ended = timeout_at(moment, || thread::sleep(Duration::from_millis(1)));
            steps.set(steps.get() + 1);
        }
        assert!(Instant::now() >= moment, "not before it is over");
        assert!(steps.get() <= 4);
    });
}

// Where it takes effect.

#[test]
fn a_moment_in_the_past_ends_the_first_suspension() {
    fn yield_now() {
        // On a plain OS thread it is std's, and no cancel point.
        thread::yield_now();
        task::checkpoint();
    }
    let suspensions: [(&str, fn()); 4] = [
        ("yield", yield_now),
        ("sleep", || thread::sleep(SHORT)),
        ("park", thread::park),
        ("checkpoint", task::checkpoint),
    ];
    everywhere(|| {
        for (name, suspend) in suspensions {
            let before = Cell::new(false);
            let ended = timeout_at(past(), || {
                before.set(true);
                assert!(task::cancel_requested());
                suspend();
                unreachable!("{name} came back");
            });
            assert!(ended.is_err(), "{name}");
            assert!(before.get(), "{name}: it began");
        }
    });
}

#[test]
fn work_that_never_suspends_is_never_late() {
    everywhere(|| {
        let moment = Instant::now() + SHORT;
        let value = timeout_at(moment, || {
            compute_until(moment);
            assert!(task::cancel_requested());
            assert_eq!(deadline(), Some(moment));
            "done"
        });
        assert_eq!(value, Ok("done"));
        assert_eq!(timeout_at(past(), || 1), Ok(1));
        // It left nothing behind.
        assert!(!task::cancel_requested());
        task::checkpoint();
        thread::sleep(SHORT);
        // And what suspends after all is late there.
        let moment = Instant::now() + SHORT;
        let late = timeout_at(moment, || {
            compute_until(moment);
            thread::sleep(SHORT);
        });
        assert!(late.is_err());
    });
}

#[test]
fn a_checkpoint_ends_a_loop_that_computes() {
    everywhere(|| {
        let destroyed = Cell::new(false);
        struct Sets<'cell>(&'cell Cell<bool>);
        impl Drop for Sets<'_> {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let ended = timeout(SHORT, || {
            let _sets = Sets(&destroyed);
            loop {
                task::checkpoint();
            }
        });
        assert!(ended.is_err());
        assert!(destroyed.get());
        // With nothing that ends it goes on.
        assert_eq!(timeout(HOUR, task::checkpoint), Ok(()));
        task::mask(task::checkpoint);
    });
}

#[test]
fn a_checkpoint_sees_a_cancel_and_lets_nobody_run() {
    must_end(|| {
        sylvan::run(|| {
            let runs = Rc::new(Cell::new(false));
            let theirs = runs.clone();
            let other = thread::spawn_local(move || theirs.set(true));
            for _ in 0..1000 {
                task::checkpoint();
            }
            assert!(!runs.get(), "it suspended");
            other.join().unwrap();
        });
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            let started = Arc::new(AtomicBool::new(false));
            let theirs = started.clone();
            // On another hub, as this one never comes to an end by itself.
            let task = thread::spawn(move || {
                theirs.store(true, SeqCst);
                loop {
                    task::checkpoint();
                }
            });
            let plain = std::thread::spawn(move || {
                while !started.load(SeqCst) {
                    std::thread::yield_now();
                }
                task.cancel();
                task
            });
            let task = sylvan::offload(|| plain.join().unwrap());
            assert!(task.join().unwrap_err().is::<Cancelled>());
        });
        runtime.close();
    });
}

#[test]
fn a_swallowed_end_comes_again_at_the_next_checkpoint() {
    everywhere(|| {
        let swallowed = Cell::new(0);
        let ended = timeout_at(past(), || {
            for _ in 0..20 {
                let _ = panic::catch_unwind(task::checkpoint);
                swallowed.set(swallowed.get() + 1);
            }
            task::checkpoint();
        });
        assert!(ended.is_err());
        assert_eq!(swallowed.get(), 20);
    });
}

// What `deadline` tells.

#[test]
fn the_soonest_deadline_around_is_told() {
    everywhere(|| {
        assert_eq!(deadline(), None);
        let (sooner, later) = (far(), far() + SHORT);
        timeout_at(later, || {
            assert_eq!(deadline(), Some(later));
            timeout_at(sooner, || {
                assert_eq!(deadline(), Some(sooner));
                timeout(Duration::MAX, || assert_eq!(deadline(), Some(sooner))).unwrap();
                timeout_at(later, || assert_eq!(deadline(), Some(sooner))).unwrap();
            })
            .unwrap();
            assert_eq!(deadline(), Some(later));
        })
        .unwrap();
        assert_eq!(deadline(), None);
        // A time without end is none.
        timeout(Duration::MAX, || assert_eq!(deadline(), None)).unwrap();
        // It is restored when a closure is unwound as well.
        timeout_at(later, || {
            timeout_at(past(), || thread::sleep(SHORT)).unwrap_err();
            panic::catch_unwind(|| timeout_at(sooner, || panic::resume_unwind(Box::new(1))))
                .map(|_: Result<(), _>| ())
                .unwrap_err();
            assert_eq!(deadline(), Some(later));
        })
        .unwrap();
    });
}

#[test]
fn a_mask_hides_the_deadlines_outside() {
    everywhere(|| {
        let (sooner, later) = (far(), far() + SHORT);
        timeout_at(sooner, || {
            task::mask(|| {
                assert_eq!(deadline(), None);
                timeout_at(later, || assert_eq!(deadline(), Some(later))).unwrap();
            });
            assert_eq!(deadline(), Some(sooner));
        })
        .unwrap();
        let value = timeout_at(past(), || {
            task::mask(|| {
                task::checkpoint();
                thread::sleep(SHORT);
            });
            "masked"
        });
        assert_eq!(value, Ok("masked"));
    });
}

#[test]
fn scoped_threads_inherit_deadlines_and_spawned_ones_do_not() {
    everywhere(|| {
        let (sooner, later) = (far(), far() + SHORT);
        timeout_at(later, || {
            thread::scope(|scope| {
                let inherited = scope.spawn(|| {
                    assert_eq!(deadline(), Some(later));
                    // It may have one of its own besides, and its children both.
                    timeout_at(sooner, || {
                        thread::scope(|scope| scope.spawn(deadline).join().unwrap())
                    })
                });
                assert_eq!(inherited.join().unwrap(), Ok(Some(sooner)));
                let masked = task::mask(|| scope.spawn(deadline));
                assert_eq!(masked.join().unwrap(), None, "hidden at the spawn");
            });
            assert_eq!(thread::spawn(deadline).join().unwrap(), None);
            assert_eq!(sylvan::offload(deadline), plain_deadline(later));
        })
        .unwrap();
    });

    /// An offloaded job runs in place on a plain thread, and on a thread of its own from a green one.
    fn plain_deadline(around: Instant) -> Option<Instant> {
        let on_green_thread = panic::catch_unwind(|| thread::spawn_local(|| ()));
        on_green_thread.is_err().then_some(around)
    }
}

#[test]
fn an_inherited_deadline_ends_a_scoped_thread_that_computes() {
    everywhere(|| {
        let ended = timeout(SHORT, || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    loop {
                        task::checkpoint();
                    }
                });
            });
        });
        assert!(ended.is_err());
    });
}

#[test]
fn a_destructor_in_an_unwinding_is_not_bound_by_what_is_outside_of_it() {
    struct Asks<'cell>(&'cell Cell<Option<Option<Instant>>>);
    impl Drop for Asks<'_> {
        fn drop(&mut self) {
            // Neither does a checkpoint throw here, which would abort.
            task::checkpoint();
            assert!(!task::cancel_requested());
            self.0.set(Some(deadline()));
        }
    }
    everywhere(|| {
        let seen = Cell::new(None);
        let ended = timeout_at(past(), || {
            let _asks = Asks(&seen);
            thread::sleep(HOUR);
        });
        assert!(ended.is_err());
        assert_eq!(seen.get(), Some(None));
    });
}
