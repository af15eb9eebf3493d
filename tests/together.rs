//! Green threads that belong together: nurseries, groups and pools.

mod support;

use std::io;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use support::{HOUR, Numbers, must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::task::{self, Cancelled, Cause, Group, Pool, WaitFor, nursery};
use sylvan::{thread, time};

/// Counts itself when it is dropped.
struct Counted<'count>(&'count AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn fail(text: &'static str) -> ! {
    panic::resume_unwind(Box::new(text))
}

fn error(text: &'static str) -> io::Result<()> {
    Err(io::Error::other(text))
}

/// The causes in words.
fn causes(failures: &task::Failures) -> Vec<String> {
    failures.iter().map(|it| it.cause().to_string()).collect()
}

// ---- nurseries

#[test]
fn a_nursery_waits_for_all_and_gives_the_body_s_value() {
    sylvan::run(|| {
        let ended = AtomicUsize::new(0);
        let value = nursery(|nursery| {
            for n in 0..10 {
                let ended = &ended;
                nursery.spawn(move || {
                    thread::sleep(Duration::from_millis(n % 3));
                    ended.fetch_add(1, SeqCst);
                });
            }
            assert_eq!(nursery.len(), 10);
            io::Result::Ok("value")
        });
        assert_eq!(value.unwrap(), "value");
        assert_eq!(ended.load(SeqCst), 10);
        nursery(|_| ()).unwrap();
    });
}

#[test]
fn the_first_failure_of_each_kind_ends_the_others_and_the_body() {
    type Child = fn() -> io::Result<()>;
    let children: [(Child, &str); 2] = [
        (|| fail("boom"), "panicked: boom"),
        (|| error("no luck"), "failed: no luck"),
    ];
    for workers in [1, 3] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            for (child, cause) in children {
                let unwound = AtomicUsize::new(0);
                let failures = nursery(|nursery| {
                    for _ in 0..3 {
                        let counted = Counted(&unwound);
                        nursery.spawn(move || {
                            let _counted = counted;
                            thread::sleep(HOUR);
                        });
                    }
                    nursery.spawn(child);
                    let _counted = Counted(&unwound);
                    thread::sleep(HOUR);
                });
                assert_eq!(causes(&failures.unwrap_err()), [cause]);
                assert_eq!(unwound.load(SeqCst), 4);
            }
        });
    }
}

#[test]
fn a_thread_cancelled_through_its_handle_is_a_failure() {
    sylvan::run(|| {
        for started in [false, true] {
            let failures = nursery(|nursery| {
                let child = nursery.spawn(|| thread::sleep(HOUR));
                if started {
                    thread::yield_now();
                }
                child.cancel();
                thread::sleep(HOUR);
            });
            assert_eq!(causes(&failures.unwrap_err()), ["was cancelled"]);
        }
    });
}

#[test]
fn an_error_of_the_body_ends_the_threads() {
    sylvan::run(|| {
        let failures = nursery(|nursery| {
            nursery.spawn(|| thread::sleep(HOUR));
            error("from the body")
        });
        let failures = failures.unwrap_err();
        assert_eq!(causes(&failures), ["failed: from the body"]);
        assert_eq!(failures[0].thread().id(), thread::current().id());
        let source = std::error::Error::source(&failures).unwrap();
        assert!(source.is::<io::Error>());
    });
}

#[test]
fn a_failure_is_an_error_that_can_be_passed_on() {
    fn inner() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        nursery(|nursery| {
            nursery.spawn(|| fail("inside"));
        })?;
        Ok(())
    }
    sylvan::run(|| {
        let outer = nursery(|nursery| {
            nursery.spawn(inner);
            Ok::<_, task::Failures>(())
        });
        let failures = outer.unwrap_err();
        assert!(failures[0].to_string().contains("panicked: inside"));
        let Cause::Error(error) = failures.into_iter().next().unwrap().into_cause() else {
            panic!("it was returned");
        };
        let mut inner = error.downcast::<task::Failures>().unwrap().into_iter();
        let Some(Cause::Panicked(payload)) = inner.next().map(task::Failure::into_cause) else {
            panic!("it panicked");
        };
        assert_eq!(payload.into_inner().downcast_ref(), Some(&"inside"));
    });
}

#[test]
fn a_panic_of_the_body_goes_on_after_the_threads_have_ended() {
    sylvan::run(|| {
        let unwound = AtomicUsize::new(0);
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            nursery(|nursery| {
                let counted = Counted(&unwound);
                nursery.spawn(move || {
                    let _counted = counted;
                    thread::sleep(HOUR);
                });
                thread::yield_now();
                fail("of the body")
            })
        }));
        let payload = result.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"of the body"));
        assert_eq!(unwound.load(SeqCst), 1);
    });
}

#[test]
fn all_failures_are_there_in_the_order_they_came() {
    sylvan::run(|| {
        let failures = nursery(|nursery| {
            struct FailsWhenCancelled;
            impl Drop for FailsWhenCancelled {
                fn drop(&mut self) {
                    if task::cancel_requested() {
                        fail("on the way out");
                    }
                }
            }
            nursery.spawn(|| {
                // Not a destructor that runs in the unwinding: it swallows that, and fails then.
                let caught = panic::catch_unwind(|| thread::sleep(HOUR));
                assert!(caught.is_err());
                drop(FailsWhenCancelled);
            });
            nursery.spawn(|| error("first"));
            nursery.spawn(|| error("never starts"));
        });
        assert_eq!(
            causes(&failures.unwrap_err()),
            ["failed: first", "panicked: on the way out"]
        );
    });
}

#[test]
fn cancel_ends_a_nursery_without_a_failure() {
    sylvan::run(|| {
        let ended = nursery(|nursery| {
            nursery.spawn(|| thread::sleep(HOUR));
            nursery.spawn(|| nursery.cancel());
            thread::sleep(HOUR);
        });
        assert!(ended.unwrap_err().is_empty());
        // A body that returns all the same has its value.
        let value = nursery(|nursery| {
            nursery.spawn(|| thread::sleep(HOUR));
            nursery.cancel();
            nursery.spawn(|| unreachable!("it never runs"));
            io::Result::Ok(1)
        });
        assert_eq!(value.unwrap(), 1);
    });
}

#[test]
fn after_a_nursery_that_ended_its_caller_is_not_disturbed() {
    sylvan::run(|| {
        for _ in 0..3 {
            let failures = nursery(|nursery| {
                nursery.spawn(|| error("no luck"));
                thread::sleep(HOUR);
            });
            assert_eq!(failures.unwrap_err().len(), 1);
            assert!(!task::cancel_requested());
            thread::sleep(Duration::from_millis(1));
        }
    });
}

#[test]
fn nested_nurseries_are_told_apart() {
    sylvan::run(|| {
        let outer = nursery(|outer| {
            let inner = nursery(|inner| {
                inner.spawn(|| error("inner"));
                thread::sleep(HOUR);
            });
            assert_eq!(causes(&inner.unwrap_err()), ["failed: inner"]);
            // The outer one's end goes through the inner one, whose threads end first.
            let ended = AtomicUsize::new(0);
            outer.spawn(|| error("outer"));
            let unwound = panic::catch_unwind(panic::AssertUnwindSafe(|| {
                nursery(|inner| {
                    inner.spawn(|| {
                        let _counted = Counted(&ended);
                        thread::sleep(HOUR);
                    });
                    thread::sleep(HOUR);
                })
            }));
            assert!(unwound.is_err());
            assert_eq!(ended.load(SeqCst), 1);
            thread::sleep(HOUR); // the swallowed throw comes again
        });
        assert_eq!(causes(&outer.unwrap_err()), ["failed: outer"]);
    });
}

#[test]
fn a_timeout_around_a_nursery_ends_it() {
    sylvan::run(|| {
        let ended = AtomicUsize::new(0);
        let start = Instant::now();
        for body_waits in [true, false] {
            let outcome = time::timeout(Duration::from_millis(5), || {
                nursery(|nursery| {
                    nursery.spawn(|| {
                        let _counted = Counted(&ended);
                        thread::sleep(HOUR);
                    });
                    if body_waits {
                        thread::sleep(HOUR);
                    }
                })
            });
            assert!(
                outcome.is_err(),
                "it is the time-out's and not the nursery's"
            );
        }
        assert_eq!(ended.load(SeqCst), 2);
        assert!(start.elapsed() < HOUR);
    });
}

#[test]
fn a_cancel_of_the_caller_ends_the_nursery_first() {
    sylvan::run(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let its = ended.clone();
        let caller = thread::spawn(move || {
            nursery(|nursery| {
                let its = &its;
                nursery.spawn(move || {
                    let _counted = Counted(its);
                    thread::sleep(HOUR);
                });
            })
        });
        thread::yield_now();
        thread::yield_now();
        caller.cancel();
        assert!(caller.join().unwrap_err().is::<Cancelled>());
        assert_eq!(ended.load(SeqCst), 1);
    });
}

#[test]
fn a_mask_inside_the_body_is_respected() {
    sylvan::run(|| {
        let reached = AtomicUsize::new(0);
        let failures = nursery(|nursery| {
            let child = nursery.spawn(|| error("no luck"));
            task::mask(|| {
                assert!(child.join().is_err());
                thread::sleep(Duration::from_millis(1));
                reached.fetch_add(1, SeqCst);
            });
            thread::sleep(HOUR);
        });
        assert_eq!(failures.unwrap_err().len(), 1);
        assert_eq!(reached.load(SeqCst), 1);
    });
}

#[test]
fn a_nursery_works_on_a_plain_os_thread_and_in_a_destructor_that_unwinds() {
    must_end(|| {
        let failures = nursery(|nursery| {
            nursery.spawn(|| error("no luck"));
            thread::sleep(HOUR);
        });
        assert_eq!(failures.unwrap_err().len(), 1);

        struct Nurses(mpsc::Sender<usize>);
        impl Drop for Nurses {
            fn drop(&mut self) {
                let failures = nursery(|nursery| {
                    nursery.spawn(|| error("one"));
                    thread::sleep(HOUR);
                });
                self.0.send(failures.unwrap_err().len()).unwrap();
                assert_eq!(nursery(|_| io::Result::Ok(7)).unwrap(), 7);
            }
        }
        let (sender, counts) = mpsc::channel();
        sylvan::run(|| {
            let (cancelled, panicked) = (Nurses(sender.clone()), Nurses(sender));
            let task = thread::spawn(move || {
                let _cancelled = cancelled;
                thread::sleep(HOUR);
            });
            thread::yield_now();
            task.cancel();
            assert!(task.join().is_err());
            let task = thread::spawn(move || {
                let _panicked = panicked;
                fail("on purpose")
            });
            assert!(task.join().is_err());
        });
        assert_eq!(counts.iter().collect::<Vec<_>>(), [1, 1]);
    });
}

/// Failures on other hubs against the body's own end: the body's frame is left alone once it is gone.
#[test]
fn failures_that_race_with_the_body_s_end() {
    must_end(|| {
        let runtime = Runtime::builder().workers(3).build().unwrap();
        runtime.run(|| {
            let mut numbers = Numbers::new(5);
            for _ in 0..scaled(3000) {
                let (one, two) = (numbers.below(2000), numbers.below(2000));
                let outcome = nursery(|nursery| {
                    for _ in 0..2 {
                        nursery.spawn(move || {
                            spin(one);
                            error("no luck")
                        });
                    }
                    spin(two);
                    thread::yield_now();
                });
                assert!(!outcome.unwrap_err().is_empty());
                assert!(!task::cancel_requested());
            }
        });
    });
}

fn spin(turns: u64) {
    for _ in 0..turns {
        std::hint::spin_loop();
    }
}

// ---- groups

#[test]
fn a_group_keeps_the_failures_that_no_handle_receives() {
    sylvan::run(|| {
        let group = Group::new();
        group.spawn(|| fail("ended before the join"));
        thread::yield_now();
        let received = group.spawn(|| fail("received"));
        assert!(received.join().is_err());
        group.spawn(|| thread::sleep(HOUR)).cancel();
        group.spawn(|| 5);
        let kept = group.spawn(|| fail("its handle is dropped later"));
        assert_eq!(group.len(), 3);
        let failures = group.join().unwrap_err();
        assert_eq!(causes(&failures), ["panicked: ended before the join"]);
        assert!(matches!(failures[0].cause(), Cause::Panicked(_)));
        drop(kept);
        let failures = group.join().unwrap_err();
        assert_eq!(causes(&failures), ["panicked: its handle is dropped later"]);
        assert!(group.join().is_ok());
    });
}

#[test]
fn a_group_can_be_cancelled_and_used_again() {
    sylvan::run(|| {
        let group = Group::new();
        let tasks: Vec<_> = (0..3)
            .map(|_| group.spawn(|| thread::sleep(HOUR)))
            .collect();
        group.cancel();
        group.join().unwrap();
        for task in tasks {
            assert!(task.join().unwrap_err().is::<Cancelled>());
        }
        assert_eq!(group.spawn(|| 1).join().unwrap(), 1);
        assert!(group.is_empty());
    });
}

#[test]
fn threads_outlive_their_group_and_failures_are_reported_then() {
    let output = support::in_child("a_group_for_the_child", &[]);
    support::assert_success(&output);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        text.matches("nobody has taken its result: before the drop")
            .count(),
        1,
        "{text}"
    );
    assert_eq!(
        text.matches("nobody has taken its result: after the drop")
            .count(),
        1,
        "{text}"
    );
}

#[test]
fn a_group_that_nobody_waits_for_does_not_grow_for_ever() {
    let output = support::in_child("a_long_lived_group_for_the_child", &[]);
    support::assert_success(&output);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        text.matches("nobody has taken its result").count(),
        7,
        "{text}"
    );
}

/// The other half of the test above.
#[test]
fn a_long_lived_group_for_the_child() {
    if !support::is_child() {
        return;
    }
    sylvan::run(|| {
        let group = Group::new();
        for _ in 0..1007 {
            group.spawn(|| fail("again"));
        }
        assert_eq!(group.join().unwrap_err().len(), 1000);
    });
}

/// The other half of the test before.
#[test]
fn a_group_for_the_child() {
    if !support::is_child() {
        return;
    }
    sylvan::run(|| {
        let group = Group::new();
        group.spawn(|| fail("before the drop"));
        thread::yield_now();
        let unpark = group
            .spawn(|| {
                thread::park();
                fail("after the drop")
            })
            .thread()
            .clone();
        drop(group);
        unpark.unpark();
        thread::yield_now();
        thread::yield_now();
    });
}

#[test]
fn a_group_made_in_a_nested_run_ends_with_it() {
    sylvan::run(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let group = sylvan::run(|| {
            let group = Group::new();
            for _ in 0..3 {
                let its = ended.clone();
                group.spawn(move || {
                    let _counted = Counted(&its);
                    thread::sleep(HOUR);
                });
            }
            thread::yield_now();
            group
        });
        assert_eq!(ended.load(SeqCst), 3);
        assert!(group.is_empty());
        // What is spawned into it now ends at once.
        assert!(
            group
                .spawn(|| thread::sleep(HOUR))
                .join()
                .unwrap_err()
                .is::<Cancelled>()
        );
    });
}

#[test]
fn a_group_s_map_is_in_order() {
    sylvan::run(|| {
        let group = Group::new();
        let delays = [3, 1, 2];
        let doubled = group.map(&delays, |delay| {
            thread::sleep(Duration::from_millis(*delay));
            delay * 2
        });
        assert_eq!(doubled, [6, 2, 4]);
        let lazy = group.imap(delays, |delay| delay + 1).map(Result::unwrap);
        assert_eq!(lazy.collect::<Vec<_>>(), [4, 2, 3]);
    });
}

// ---- pools

/// The most that were inside at once.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn inside(&self, f: impl FnOnce()) {
        self.most
            .fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        f();
        self.now.fetch_sub(1, SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(SeqCst)
    }
}

#[test]
fn a_pool_runs_no_more_than_its_size_at_once() {
    for workers in [1, 3] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let pool = Pool::new(3);
            let gauge = Arc::new(Gauge::default());
            for _ in 0..20 {
                let gauge = gauge.clone();
                pool.spawn(move || gauge.inside(|| thread::sleep(Duration::from_millis(1))));
            }
            pool.join().unwrap();
            assert_eq!(gauge.most(), 3);
            assert_eq!((pool.free(), pool.len(), pool.size()), (3, 0, 3));

            let gauge = Gauge::default();
            let items: Vec<u32> = (0..20).collect();
            let results = pool.map(&items, |n| {
                gauge.inside(|| thread::sleep(Duration::from_millis(1)));
                *n
            });
            assert_eq!(results, items);
            assert_eq!(gauge.most(), 3);
            assert_eq!(pool.free(), 3);
        });
    }
}

#[test]
fn spawn_waits_for_a_slot_and_try_spawn_does_not() {
    sylvan::run(|| {
        let pool = Pool::new(1);
        let first = pool.spawn(thread::park);
        assert_eq!(pool.free(), 0);
        let Err(f) = pool.try_spawn(|| 3) else {
            panic!("there is no slot");
        };
        assert_eq!(f(), 3);
        assert!(time::timeout(Duration::from_millis(1), || pool.spawn(|| 4)).is_err());
        first.thread().unpark();
        assert_eq!(pool.spawn(|| 5).join().unwrap(), 5);
    });
}

#[test]
fn a_slot_is_free_again_however_its_thread_ends() {
    sylvan::run(|| {
        let pool = Pool::new(2);
        pool.spawn(|| fail("on purpose"));
        pool.spawn(|| thread::sleep(HOUR)).cancel(); // before it starts
        let third = pool.spawn(|| thread::sleep(HOUR));
        thread::yield_now();
        third.cancel();
        assert_eq!(pool.join().unwrap_err().len(), 1);
        assert_eq!(pool.free(), 2);
    });
}

#[test]
fn map_stops_at_a_panic_and_passes_it_on() {
    sylvan::run(|| {
        let pool = Pool::new(2);
        let (pulled, unwound) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items = (0..1000).inspect(|_| {
            pulled.fetch_add(1, SeqCst);
        });
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            pool.map(items, |n: usize| {
                if n == 3 {
                    fail("three");
                }
                let _counted = Counted(&unwound);
                if n > 1 {
                    thread::sleep(HOUR);
                }
            })
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"three"));
        // The one that took the place of the third, and one ahead.
        assert!(pulled.load(SeqCst) <= 6);
        assert_eq!(unwound.load(SeqCst), 3);
        assert_eq!(pool.free(), 2);
    });
}

#[test]
fn map_that_is_cut_short_ends_its_calls() {
    sylvan::run(|| {
        let pool = Pool::new(2);
        let unwound = AtomicUsize::new(0);
        let outcome = time::timeout(Duration::from_millis(2), || {
            pool.map(0..10, |_| {
                let _counted = Counted(&unwound);
                thread::sleep(HOUR);
            })
        });
        assert!(outcome.is_err());
        assert_eq!(unwound.load(SeqCst), 2);
        assert_eq!(pool.free(), 2);
    });
}

#[test]
fn imap_is_lazy_ordered_and_bounded() {
    sylvan::run(|| {
        let pool = Pool::new(3);
        let pulled = Mutex::new(Vec::new());
        let items = (0_u64..).inspect(|n| pulled.lock().unwrap().push(*n));
        let mut results = pool.imap(items, |n| {
            thread::sleep(Duration::from_millis(3 - n % 3));
            n
        });
        assert!(pulled.lock().unwrap().is_empty());
        for n in 0..10 {
            assert_eq!(results.next().unwrap().unwrap(), n);
            // Those before, this one, and as many as there are slots beside it.
            assert!(pulled.lock().unwrap().len() <= n as usize + 3);
        }
        drop(results);
        pool.join().unwrap();
        assert_eq!(pool.free(), 3);
    });
}

#[test]
fn imap_unordered_gives_what_is_ready() {
    sylvan::run(|| {
        let pool = Pool::new(3);
        let results = pool.imap_unordered([30, 1, 10], |n| {
            thread::sleep(Duration::from_millis(n));
            n
        });
        let order: Vec<_> = results.map(Result::unwrap).collect();
        assert_eq!(order, [1, 10, 30]);
        // Many, through the same few places.
        let mut all: Vec<_> = pool
            .imap_unordered(0..1000, |n| n)
            .map(Result::unwrap)
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_failure_in_imap_is_its_own_result() {
    sylvan::run(|| {
        let pool = Pool::new(2);
        let odd = |n: u32| if n % 2 == 1 { fail("odd") } else { n };
        let results: Vec<_> = pool.imap(0..4, odd).map(|it| it.is_ok()).collect();
        assert_eq!(results, [true, false, true, false]);
        assert_eq!(
            pool.imap_unordered(0..4, odd)
                .filter(Result::is_err)
                .count(),
            2
        );
        pool.join().unwrap(); // they were received
    });
}

#[test]
fn imap_goes_on_after_a_timeout_and_cancels_what_runs_when_dropped() {
    sylvan::run(|| {
        let pool = Pool::new(2);
        let gate = Arc::new(sylvan::sync::Semaphore::new(0));
        let its = gate.clone();
        let pass = move |n: u32| {
            its.acquire().forget();
            n
        };
        let mut ordered = pool.imap(0..3, pass.clone());
        assert!(time::timeout(Duration::from_millis(1), || ordered.next()).is_err());
        gate.release(3);
        assert_eq!(
            ordered.by_ref().map(Result::unwrap).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        assert!(ordered.next().is_none());

        let mut unordered = pool.imap_unordered(0..3, pass);
        assert!(time::timeout(Duration::from_millis(1), || unordered.next()).is_err());
        gate.release(1);
        unordered.next().unwrap().unwrap();
        drop(unordered);
        pool.join().unwrap();
        assert_eq!(pool.free(), 2);
    });
}

#[test]
#[should_panic(expected = "a pool without slots runs nothing")]
fn a_pool_without_slots_is_a_clear_panic() {
    let _ = Pool::new(0);
}

#[test]
fn a_pool_is_shared_and_works_from_plain_os_threads() {
    must_end(|| {
        let pool = Arc::new(Pool::new(4));
        let total = Arc::new(AtomicUsize::new(0));
        let gauge = Arc::new(Gauge::default());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (pool, total, gauge) = (pool.clone(), total.clone(), gauge.clone());
                std::thread::spawn(move || {
                    for _ in 0..scaled(300) {
                        let (total, gauge) = (total.clone(), gauge.clone());
                        pool.spawn(move || {
                            gauge.inside(thread::yield_now);
                            total.fetch_add(1, SeqCst);
                        });
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|it| it.join().unwrap());
        pool.join().unwrap();
        assert_eq!(total.load(SeqCst), 3 * scaled(300));
        assert!(gauge.most() <= 4);
        assert_eq!(pool.free(), 4);
    });
}

#[test]
fn a_nursery_s_threads_can_be_waited_for_together() {
    sylvan::run(|| {
        let numbers = [1, 2, 3];
        let sum = nursery(|nursery| {
            let tasks = numbers.each_ref().map(|number| {
                nursery.spawn(move || {
                    if *number != 2 {
                        thread::park();
                    }
                    io::Result::Ok(*number)
                })
            });
            let ids = tasks.each_ref().map(task::NurseryHandle::id);
            let (done, pending) = task::wait(tasks, WaitFor::FirstCompleted, None);
            assert_eq!(done.len(), 1);
            assert_eq!((done[0].id(), done[0].name()), (ids[1], None));
            let (done_too, pending) = task::wait(pending, WaitFor::All, Some(Duration::ZERO));
            assert_eq!((done_too.len(), pending.len()), (0, 2));
            pending.iter().for_each(|task| task.thread().unpark());
            let all = done.into_iter().chain(task::as_completed(pending));
            all.map(task::NurseryHandle::join).sum::<Result<i32, _>>()
        });
        assert_eq!(sum.unwrap(), 6);
    });
}

#[test]
fn a_failure_ends_the_nursery_also_while_its_body_waits_for_many() {
    sylvan::run(|| {
        let child = |number: u32| {
            if number == 2 {
                return error("no luck");
            }
            thread::sleep(HOUR);
            Ok(())
        };
        let failures = nursery(|nursery| {
            let tasks = [1, 2, 3].map(|number| nursery.spawn(move || child(number)));
            task::as_completed(tasks).for_each(|task| task.join().unwrap());
        });
        assert_eq!(causes(&failures.unwrap_err()), ["failed: no luck"]);

        let failures = nursery(|nursery| {
            let tasks = [1, 2, 3].map(|number| nursery.spawn(move || child(number)));
            task::mask(|| {
                let (done, _) = task::wait(tasks, WaitFor::All, None);
                assert!(done.into_iter().all(|task| task.join().is_err()));
            });
        });
        assert_eq!(causes(&failures.unwrap_err()), ["failed: no luck"]);
    });
}

// ---- named ones

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

#[test]
fn a_builder_s_threads_fail_under_their_names() {
    sylvan::run(|| {
        let failures = nursery(|nursery| {
            let child = named("child").spawn_in_nursery(nursery, || error("no luck"))?;
            assert_eq!(child.thread().name(), Some("child"));
            thread::sleep(HOUR);
            io::Result::Ok(())
        });
        let failures = failures.unwrap_err();
        assert_eq!(failures[0].thread().name(), Some("child"));
        assert_eq!(failures[0].spawned_at().file(), file!());

        let (group, pool) = (Group::new(), Pool::new(1));
        drop(named("member").spawn_in_group(&group, || fail("boom")));
        drop(named("worker").spawn_in_pool(&pool, || fail("bang")));
        for (failures, begin, end) in [
            (group.join(), "green thread 'member' (spawned at ", "boom"),
            (pool.join(), "green thread 'worker' (spawned at ", "bang"),
        ] {
            let text = failures.unwrap_err().to_string();
            assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
            assert!(text.contains(file!()), "{text}");
        }
        assert_eq!(pool.free(), 1);
    });
}

#[test]
fn a_builder_s_threads_wait_for_slots_and_give_them_back() {
    sylvan::run(|| {
        let pool = Pool::new(1);
        let first = named("first").spawn_in_pool(&pool, thread::park).unwrap();
        let full = time::timeout(Duration::from_millis(1), || {
            named("second").spawn_in_pool(&pool, || ())
        });
        assert!(full.is_err());
        first.thread().unpark();
        let second = named("second").spawn_in_pool(&pool, || 2).unwrap();
        assert_eq!(second.join().unwrap(), 2);

        // One that never starts, and one that is refused before there is a slot.
        let endless = named("endless").stack_size(usize::MAX);
        let endless = endless.spawn_in_pool(&pool, || ()).unwrap();
        assert!(endless.join().unwrap_err().is::<task::NoStack>());
        while pool.free() == 0 {
            thread::yield_now();
        }
        let holder = pool.spawn(thread::park);
        let null = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            named("\0").spawn_in_pool(&pool, || ())
        }));
        assert!(null.is_err());
        holder.cancel();
        pool.join().unwrap();
        assert_eq!(pool.free(), 1);
    });
}
