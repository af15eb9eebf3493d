//! Runtimes: the ways in, what happens to those who are left over, and how it all ends.

mod support;

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use support::{HOUR, assert_success, in_child, is_child, must_end, scaled};
use sylvan::runtime::{Handle, Runtime};
use sylvan::task::{self, Cancelled, NoStack};
use sylvan::thread;

/// Counts its drop, after a suspension.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(1));
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Arc<AtomicUsize>, impl Fn() -> Counted) {
    let count = Arc::new(AtomicUsize::new(0));
    let theirs = count.clone();
    (count, move || Counted(theirs.clone()))
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().expect("a payload of text"),
    }
}

// The ways in.

#[test]
fn run_borrows_and_returns_what_is_not_send() {
    let numbers = [1, 2, 3];
    let mut total = 0;
    let shared = Rc::new(Cell::new(0));
    let returned: Rc<Cell<i32>> = sylvan::run(|| {
        total = numbers.iter().sum();
        let theirs = shared.clone();
        thread::spawn_local(move || theirs.set(7)).join().unwrap();
        shared.clone()
    });
    assert_eq!(
        (total, returned.get(), Rc::strong_count(&shared)),
        (6, 7, 2)
    );
}

#[test]
fn a_run_inside_a_green_thread_ends_its_own_leftovers_and_no_others() {
    must_end(|| {
        let (inner, new_inner) = counter();
        let (outer, new_outer) = counter();
        sylvan::run(|| {
            let outside = new_outer();
            let lives = thread::spawn(move || {
                let _outside = outside;
                thread::park();
                "still alive"
            });
            thread::yield_now();
            let value = sylvan::run(|| {
                for _ in 0..3 {
                    let (one, two) = (new_inner(), new_inner());
                    thread::spawn(move || {
                        let _one = one;
                        // What a leftover spawns belongs to the nested run too.
                        thread::spawn(move || {
                            let _two = two;
                            thread::park();
                        });
                        thread::park();
                    });
                }
                thread::yield_now();
                thread::yield_now();
                Rc::new(5)
            });
            assert_eq!(*value, 5);
            assert_eq!(
                inner.load(SeqCst),
                6,
                "leftovers of the nested run end with it"
            );
            assert_eq!(outer.load(SeqCst), 0, "those of the outer go on");
            lives.thread().unpark();
            assert_eq!(lives.join().unwrap(), "still alive");
        });
        assert_eq!(outer.load(SeqCst), 1);
    });
}

#[test]
fn runs_nest_to_any_depth_and_a_panic_crosses_them() {
    must_end(|| {
        let (count, new) = counter();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            sylvan::run(|| {
                sylvan::run(|| {
                    let one = new();
                    thread::spawn(move || {
                        let _one = one;
                        thread::park();
                    });
                    sylvan::run(|| {
                        let two = new();
                        thread::spawn(move || drop(two));
                        panic!("from within");
                    })
                })
            })
        }));
        assert_eq!(text_of(&*result.unwrap_err()), "from within");
        assert_eq!(count.load(SeqCst), 2);
    });
}

#[test]
fn a_plain_thread_spawns_and_joins_on_the_default_runtime() {
    must_end(|| {
        let task = thread::spawn(|| {
            thread::sleep(Duration::from_millis(2));
            // What it spawns goes to the same runtime.
            thread::spawn(|| 20).join().unwrap() + 1
        });
        assert_eq!(task.join().unwrap(), 21);
        let failed = thread::spawn(|| panic!("expected by the test")).join();
        assert_eq!(text_of(&*failed.unwrap_err()), "expected by the test");
        let cancelled = thread::spawn(|| thread::sleep(HOUR));
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_task_of_a_run_is_joined_from_a_plain_thread() {
    must_end(|| {
        let (send, receive) = mpsc::channel::<thread::JoinHandle<i32>>();
        let joiner = std::thread::spawn(move || receive.recv().unwrap().join().unwrap());
        sylvan::run(|| {
            let (ended, end) = (Arc::new(AtomicBool::new(false)), thread::current());
            let flag = ended.clone();
            let task = thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                flag.store(true, SeqCst);
                end.unpark();
                3
            });
            send.send(task).unwrap();
            while !ended.load(SeqCst) {
                thread::park();
            }
        });
        assert_eq!(joiner.join().unwrap(), 3);
    });
}

#[test]
fn a_plain_thread_parks_and_is_unparked_by_a_green_one() {
    must_end(|| {
        let me = thread::current();
        let task = thread::spawn(move || me.unpark());
        thread::park();
        task.join().unwrap();
        // The token is kept for the next park, and is one however often it was given.
        thread::current().unpark();
        thread::current().unpark();
        thread::park();
        let start = Instant::now();
        thread::park_timeout(Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5));
    });
}

#[test]
fn unpark_before_park_is_one_token() {
    must_end(|| {
        sylvan::run(|| {
            let task = thread::spawn(|| {
                thread::park();
                let start = Instant::now();
                thread::park_timeout(Duration::from_millis(5));
                start.elapsed()
            });
            for _ in 0..3 {
                task.thread().unpark();
            }
            assert!(task.join().unwrap() >= Duration::from_millis(5));
        });
    });
}

#[test]
fn an_offloaded_job_spawns_into_the_runtime_of_its_caller() {
    must_end(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        runtime.run(|| {
            let before = handle.task_count();
            let theirs = handle.clone();
            let (task, count) =
                sylvan::offload(move || (thread::spawn(thread::park), theirs.task_count()));
            assert_eq!(count, before + 1);
            task.thread().unpark();
            task.join().unwrap();
        });
    });
}

// Misuse.

#[test]
fn zero_workers_is_an_error() {
    let error = Runtime::builder().workers(0).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("worker"), "{error}");
}

#[test]
fn a_second_run_at_once_is_a_clear_panic_and_harms_nothing() {
    must_end(|| {
        let runtime = Runtime::new().unwrap();
        let other = Runtime::new().unwrap();
        let value = runtime.run(|| {
            for second in [&runtime, &other] {
                let result = panic::catch_unwind(AssertUnwindSafe(|| second.run(|| ())));
                let payload = result.unwrap_err();
                assert!(text_of(&*payload).contains("run from a green thread"));
                let result = panic::catch_unwind(AssertUnwindSafe(|| second.run_forever()));
                assert!(text_of(&*result.unwrap_err()).contains("run from a green thread"));
            }
            thread::spawn(|| 1).join().unwrap()
        });
        assert_eq!(value, 1);
        assert_eq!(other.run(|| 2), 2);
        assert_eq!(runtime.run(|| 3), 3);
    });
}

#[test]
fn spawn_local_on_a_plain_thread_is_a_clear_panic() {
    let result = panic::catch_unwind(|| thread::spawn_local(|| ()));
    assert!(text_of(&*result.unwrap_err()).contains("needs a hub"));
}

// Leftovers.

#[test]
fn leftovers_live_on_between_runs() {
    must_end(|| {
        for workers in [1, 3] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let (count, new) = counter();
            let task = runtime.run(|| {
                let one = new();
                let task = thread::spawn(move || {
                    let _one = one;
                    let mut turns = 0;
                    while turns < 3 {
                        thread::park();
                        turns += 1;
                    }
                    turns
                });
                thread::yield_now();
                task
            });
            assert_eq!((count.load(SeqCst), task.is_finished()), (0, false));
            assert_eq!(runtime.handle().task_count(), 1);
            // Main's last token may still be there when the next is given: give one a run.
            while !task.is_finished() {
                task.thread().unpark();
                runtime.run(thread::yield_now);
            }
            assert_eq!(runtime.run(|| task.join().unwrap()), 3);
            assert_eq!(count.load(SeqCst), 1);
            let handle = runtime.handle();
            runtime.close();
            assert_eq!(handle.task_count(), 0);
        }
    });
}

#[test]
fn run_close_and_drop_cancel_and_unwind_who_is_left() {
    type End = fn(Runtime);
    let ends: [End; 2] = [Runtime::close, drop];
    must_end(|| {
        for (workers, end) in [(1, ends[0]), (1, ends[1]), (4, ends[0]), (4, ends[1])] {
            let (count, new) = counter();
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let handle = runtime.handle();
            let tasks: Vec<_> = runtime.run(|| {
                let tasks = (0..20).map(|n| {
                    let one = new();
                    if n % 4 == 0 {
                        thread::yield_now();
                    }
                    thread::spawn(move || {
                        let _one = one;
                        thread::sleep(HOUR);
                    })
                });
                tasks.collect()
            });
            end(runtime);
            assert_eq!(
                count.load(SeqCst),
                20,
                "destructors that suspend ran to the end"
            );
            assert_eq!(handle.task_count(), 0);
            for task in tasks {
                assert!(task.is_finished());
                assert!(task.join().unwrap_err().is::<Cancelled>());
            }
        }
    });
}

#[test]
fn closing_many_hubs_never_misses_the_last_wake_up() {
    must_end(|| {
        let repetitions = scaled(500);
        let start = Instant::now();
        for _ in 0..repetitions {
            let runtime = Runtime::builder().workers(4).build().unwrap();
            runtime.run(|| {
                for _ in 0..4 {
                    thread::spawn(|| thread::sleep(HOUR));
                }
                thread::spawn(|| thread::sleep(Duration::from_micros(10)))
                    .join()
                    .unwrap();
            });
            runtime.close();
        }
        // One that is missed is made up for when an idle hub trims its stacks, 100 ms later.
        assert!(
            start.elapsed()
                < Duration::from_secs(1) + 50 * Duration::from_millis(1) * repetitions as u32
        );
    });
}

/// Spawns while its runtime closes.
struct Spawns {
    outcome: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Spawns {
    fn drop(&mut self) {
        let (count, new) = counter();
        let one = new();
        let task = thread::spawn(move || drop(one));
        let mut outcome = self.outcome.lock().unwrap();
        if task.is_finished() {
            outcome.push("finished already");
        }
        if count.load(SeqCst) == 1 {
            outcome.push("captures dropped");
        }
        drop(outcome);
        let result = task.join();
        if result.unwrap_err().is::<Cancelled>() {
            self.outcome.lock().unwrap().push("cancelled");
        }
    }
}

#[test]
fn spawn_on_a_closing_runtime_gives_a_handle_that_is_cancelled() {
    must_end(|| {
        for workers in [1, 4] {
            let outcome = Arc::new(Mutex::new(Vec::new()));
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let spawns = Spawns {
                    outcome: outcome.clone(),
                };
                let started = Arc::new(AtomicBool::new(false));
                let flag = started.clone();
                thread::spawn(move || {
                    let _spawns = spawns;
                    flag.store(true, SeqCst);
                    thread::sleep(HOUR);
                });
                while !started.load(SeqCst) {
                    thread::yield_now();
                }
            });
            runtime.close();
            let expected = ["finished already", "captures dropped", "cancelled"];
            assert_eq!(*outcome.lock().unwrap(), expected);
        }
    });
}

#[test]
fn spawn_into_a_runtime_that_is_gone_gives_a_handle_that_is_cancelled() {
    must_end(|| {
        let (go, gone) = mpsc::channel::<()>();
        let (report, outcome) = mpsc::channel();
        sylvan::run(move || {
            // The job outlives its caller, which is cancelled at the end of the run.
            thread::spawn(move || {
                sylvan::offload(move || {
                    gone.recv().unwrap();
                    let task = thread::spawn(|| "ran");
                    report.send(task.join()).unwrap();
                });
            });
            thread::yield_now();
        });
        go.send(()).unwrap();
        let outcome = outcome.recv().unwrap();
        assert!(outcome.unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn dropping_a_shared_runtime_inside_its_own_green_thread_ends_nothing() {
    must_end(|| {
        let runtime = Rc::new(Runtime::new().unwrap());
        let theirs = runtime.clone();
        let value = runtime.run(move || {
            let task = thread::spawn_local(move || drop(theirs));
            task.join().unwrap();
            thread::spawn(|| 4).join().unwrap()
        });
        assert_eq!(value, 4);
        assert_eq!(Rc::strong_count(&runtime), 1);
    });
}

#[test]
fn a_runtime_is_dropped_inside_a_green_thread_of_another() {
    must_end(|| {
        for workers in [1, 3] {
            let (count, new) = counter();
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                // Some have started, on the first hub too, some have not.
                for _ in 0..6 {
                    let one = new();
                    thread::spawn(move || {
                        let _one = one;
                        thread::sleep(HOUR);
                    });
                    thread::yield_now();
                }
                let (one, two) = (new(), new());
                thread::spawn_local(move || {
                    let _one = one;
                    thread::sleep(HOUR);
                });
                thread::yield_now();
                // If a hub takes it, its end must not come in the middle of a drop.
                thread::spawn(move || task::mask(|| drop(two)));
            });
            sylvan::run(|| drop(runtime));
            assert_eq!(count.load(SeqCst), 8);
        }
        sylvan::run(|| {
            drop(Runtime::builder().workers(2).build().unwrap());
            Runtime::new().unwrap().close();
        });
    });
}

#[test]
fn leftovers_of_a_runtime_dropped_in_a_green_thread_may_wait_for_its_neighbours() {
    struct Waits(Option<thread::JoinHandle<()>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let neighbour = self.0.take().unwrap();
            neighbour.thread().unpark();
            neighbour.join().unwrap();
        }
    }
    must_end(|| {
        let runtime = Runtime::new().unwrap();
        let (send, receive) = mpsc::channel();
        runtime.run(|| {
            thread::spawn_local(move || {
                let _waits = RefCell::new(Waits(Some(receive.recv().unwrap())));
                thread::sleep(HOUR);
            });
            send.send(sylvan_neighbour()).unwrap();
            thread::yield_now();
        });
        sylvan::run(|| drop(runtime));
    });

    /// A green thread of the default runtime that ends when it is unparked.
    fn sylvan_neighbour() -> thread::JoinHandle<()> {
        std::thread::spawn(|| thread::spawn(thread::park))
            .join()
            .unwrap()
    }
}

#[test]
fn a_runtime_dropped_by_a_panic_unwinds_its_leftovers() {
    must_end(|| {
        for workers in [1, 3] {
            let (count, new) = counter();
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                runtime.run(|| {
                    for _ in 0..4 {
                        let one = new();
                        thread::spawn(move || {
                            let _one = one;
                            thread::sleep(HOUR);
                        });
                    }
                    thread::yield_now();
                });
                panic!("with a runtime in hand");
            }));
            assert_eq!(text_of(&*result.unwrap_err()), "with a runtime in hand");
            assert_eq!(count.load(SeqCst), 4);
        }
    });
}

#[test]
fn a_run_in_a_destructor_of_a_panic_works() {
    struct Runs(Arc<AtomicUsize>);
    impl Drop for Runs {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            sylvan::run(|| {
                let one = Counted(self.0.clone());
                thread::spawn(move || {
                    let _one = one;
                    thread::sleep(HOUR);
                });
                let cancelled = thread::spawn(|| thread::sleep(HOUR));
                thread::yield_now();
                cancelled.cancel();
                assert!(cancelled.join().unwrap_err().is::<Cancelled>());
                let slow = sylvan::time::timeout(Duration::from_millis(1), || thread::sleep(HOUR));
                assert!(slow.is_err());
            });
        }
    }
    must_end(|| {
        let (count, _) = counter();
        let runs = Runs(count.clone());
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let _runs = runs;
            panic!("first");
        }));
        assert_eq!(text_of(&*result.unwrap_err()), "first");
        assert_eq!(count.load(SeqCst), 1);
    });
}

// The main green thread.

#[test]
fn stop_cancels_main() {
    must_end(|| {
        for workers in [1, 3] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let handle = runtime.handle();
            let (count, new) = counter();
            let outcome = runtime.try_run(|| {
                let _one = new();
                handle.stop();
                thread::sleep(HOUR);
            });
            assert!(outcome.unwrap_err().is::<Cancelled>());
            assert_eq!(count.load(SeqCst), 1);
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
                runtime.run(|| {
                    handle.stop();
                    thread::sleep(HOUR);
                });
            }));
            assert!(
                outcome.unwrap_err().is::<Cancelled>(),
                "run rethrows in the caller"
            );
            assert_eq!(runtime.run(|| 1), 1, "the next run is not concerned");
        }
    });
}

#[test]
fn stop_from_another_os_thread_ends_run_forever() {
    must_end(|| {
        for workers in [1, 3] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let handle = runtime.handle();
            let (ran, has_run) = mpsc::channel();
            runtime.run(|| {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(2));
                    ran.send(()).unwrap();
                    thread::park();
                });
            });
            let stopper = std::thread::spawn(move || {
                has_run.recv().unwrap();
                handle.stop();
            });
            runtime.run_forever();
            stopper.join().unwrap();
            assert_eq!(runtime.handle().task_count(), 1, "leftovers stay");
            runtime.close();
        }
    });
}

#[test]
fn stop_before_run_forever_ends_it_at_once() {
    must_end(|| {
        let runtime = Runtime::new().unwrap();
        runtime.handle().stop();
        runtime.run_forever();
        // And a green thread may stop it, too.
        let handle: Handle = runtime.handle();
        runtime.run(|| {
            thread::spawn(move || handle.stop());
        });
        runtime.run_forever();
        assert_eq!(runtime.run(|| 1), 1);
    });
}

#[test]
fn a_panic_in_main_reaches_the_caller_after_all_were_unwound() {
    must_end(|| {
        let (count, new) = counter();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            sylvan::run(|| {
                let (one, two) = (new(), new());
                thread::spawn(move || {
                    let _one = one;
                    thread::sleep(HOUR);
                });
                thread::yield_now();
                let _two = two;
                panic!("boom {}", 1)
            })
        }));
        assert_eq!(count.load(SeqCst), 2);
        assert_eq!(text_of(&*result.unwrap_err()), "boom 1");
        assert!(!std::thread::panicking());
        assert_eq!(sylvan::run(|| 5), 5);
    });
}

#[test]
fn try_run_returns_the_panic() {
    let runtime = Runtime::new().unwrap();
    let payload = runtime.try_run(|| panic!("as expected")).unwrap_err();
    assert_eq!(text_of(&*payload), "as expected");
    assert_eq!(runtime.try_run(|| 6).unwrap(), 6);
}

// Order.

#[test]
fn with_one_hub_tasks_run_in_the_order_they_were_spawned_and_woken() {
    sylvan::run(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let log = log.clone();
                thread::spawn_local(move || {
                    log.borrow_mut().push(("starts", n));
                    thread::yield_now();
                    log.borrow_mut().push(("goes on", n));
                    thread::park();
                    log.borrow_mut().push(("ends", n));
                })
            })
            .collect();
        thread::yield_now();
        thread::yield_now();
        for task in tasks.iter().rev() {
            task.thread().unpark();
        }
        for task in tasks {
            task.join().unwrap();
        }
        let each = |what, order: Vec<i32>| order.into_iter().map(move |n| (what, n));
        let expected: Vec<_> = each("starts", (0..10).collect())
            .chain(each("goes on", (0..10).collect()))
            .chain(each("ends", (0..10).rev().collect()))
            .collect();
        assert_eq!(*log.borrow(), expected);
    });
}

#[test]
fn with_one_hub_two_runs_of_a_program_are_the_same() {
    fn program() -> Vec<u32> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let theirs = log.clone();
        sylvan::run(move || {
            let tasks: Vec<_> = (0..50u32)
                .map(|n| {
                    let log = theirs.clone();
                    thread::spawn(move || {
                        for turn in 0..n % 7 {
                            log.lock().unwrap().push(n * 100 + turn);
                            if turn == 3 {
                                let log = log.clone();
                                thread::spawn(move || log.lock().unwrap().push(n * 100 + 99));
                            }
                            thread::yield_now();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.join().unwrap();
            }
        });
        Arc::into_inner(log).unwrap().into_inner().unwrap()
    }
    assert_eq!(program(), program());
}

// What a task can ask for.

/// Uses about this many bytes of stack.
#[inline(never)]
fn use_stack(bytes: usize) -> usize {
    const STEP: usize = 16 << 10;
    let mut area = [0_u8; STEP];
    area[bytes % STEP] = 1;
    std::hint::black_box(&mut area);
    let below = if bytes > STEP {
        use_stack(bytes - STEP)
    } else {
        0
    };
    below + usize::from(std::hint::black_box(area[bytes % STEP]))
}

#[test]
fn stacks_are_as_large_as_was_asked_for() {
    must_end(|| {
        sylvan::run(|| {
            let with = |size: usize, used: usize| {
                let builder = thread::Builder::new().stack_size(size);
                builder.spawn(move || use_stack(used)).unwrap().join()
            };
            assert!(with(0, 16 << 10).is_ok());
            assert!(with(1, 16 << 10).is_ok());
            assert!(with(200 << 10, 190 << 10).is_ok());
            assert!(with(4 << 20, 6 << 20).is_ok(), "sizes round up to a class");
            assert!(with(100 << 20, 90 << 20).is_ok());
            assert!(with(100 << 20, 90 << 20).is_ok(), "also the second time");
            use_stack(6 << 20);
        });
        let runtime = Runtime::builder().stack_size(20 << 20).build().unwrap();
        runtime.run(|| thread::spawn(|| use_stack(18 << 20)).join().unwrap());
    });
}

#[test]
fn a_stack_that_cannot_be_had_ends_the_task_with_no_stack() {
    must_end(|| {
        for workers in [1, 3] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                for size in [usize::MAX, usize::MAX / 2, 1 << 60] {
                    let (count, new) = counter();
                    let one = new();
                    let builder = thread::Builder::new().stack_size(size);
                    let task = builder.spawn(move || drop(one)).unwrap();
                    let payload = task.join().unwrap_err();
                    let no_stack = payload.downcast_ref::<NoStack>().unwrap();
                    assert!(no_stack.to_string().contains("vm.max_map_count"));
                    while count.load(SeqCst) == 0 {
                        thread::yield_now();
                    }
                }
                assert_eq!(thread::spawn(|| 1).join().unwrap(), 1);
            });
        }
        let runtime = Runtime::builder().stack_size(usize::MAX).build().unwrap();
        let payload = runtime.run(|| thread::spawn(|| ()).join().unwrap_err());
        assert!(payload.is::<NoStack>());
    });
}

#[test]
fn rust_min_stack_is_the_default_size() {
    if !is_child() {
        let size = (48 << 20).to_string();
        assert_success(&in_child(
            "rust_min_stack_is_the_default_size",
            &[("RUST_MIN_STACK", &size)],
        ));
        return;
    }
    sylvan::run(|| thread::spawn(|| use_stack(40 << 20)).join().unwrap());
    thread::spawn(|| use_stack(40 << 20)).join().unwrap();
}

#[test]
fn names_and_identities() {
    let plain = thread::current();
    assert_eq!(plain.name(), std::thread::current().name());
    sylvan::run(|| {
        let main = thread::current();
        assert_eq!(main.name(), Some("main"));
        assert_ne!(main.id(), plain.id());
        let unnamed = thread::spawn(|| thread::current().name().map(str::to_owned));
        assert_eq!(unnamed.thread().name(), None);
        assert_eq!(unnamed.join().unwrap(), None);
        let named = thread::Builder::new().name("ash".into());
        let named = named
            .spawn(|| (thread::current().id(), thread::current()))
            .unwrap();
        assert_eq!(named.thread().name(), Some("ash"));
        let outside = named.thread().id();
        let (inside, thread) = named.join().unwrap();
        assert_eq!((inside, thread.id()), (outside, outside));
        assert_eq!(thread.name(), Some("ash"), "the handle outlives the thread");
        let bad = panic::catch_unwind(|| thread::Builder::new().name("a\0b".into()).spawn(|| ()));
        assert!(text_of(&*bad.unwrap_err()).contains("null bytes"));
    });
}

// Time.

#[test]
fn a_sleep_is_never_short() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let sleeps = (0..scaled(1000) as u64).map(|n| {
                    let duration = Duration::from_micros(n * 7919 % 30_000);
                    thread::spawn(move || {
                        let start = Instant::now();
                        thread::sleep(duration);
                        (duration, start.elapsed())
                    })
                });
                for task in sleeps.collect::<Vec<_>>() {
                    let (asked, slept) = task.join().unwrap();
                    assert!(slept >= asked, "{asked:?} {slept:?}");
                }
            });
        }
    });
}

#[test]
fn a_thousand_sleepers_sleep_at_once() {
    must_end(|| {
        let start = Instant::now();
        sylvan::run(|| {
            let tasks =
                (0..1000).map(|_| thread::spawn(|| thread::sleep(Duration::from_millis(100))));
            for task in tasks.collect::<Vec<_>>() {
                task.join().unwrap();
            }
        });
        // One by one they take 100 s.
        assert!(start.elapsed() < Duration::from_secs(50));
    });
}

#[test]
fn the_longest_sleep_is_not_a_short_one() {
    must_end(|| {
        sylvan::run(|| {
            let task = thread::spawn(|| thread::sleep(Duration::MAX));
            thread::sleep(Duration::from_millis(2));
            assert!(!task.is_finished());
            task.cancel();
            assert!(task.join().is_err());
        });
    });
}

// Hubs.

#[test]
fn four_hubs_run_four_tasks_at_once() {
    must_end(|| {
        let runtime = Runtime::builder().workers(4).build().unwrap();
        for _ in 0..scaled(200) {
            let all_run = Arc::new(std::sync::Barrier::new(4));
            runtime.run(|| {
                // std's barrier blocks the hub: only if each hub has taken one do they come through.
                let tasks = (0..4).map(|_| {
                    let all_run = all_run.clone();
                    thread::spawn(move || {
                        all_run.wait();
                        std::thread::current().id()
                    })
                });
                let tasks: Vec<_> = tasks.collect();
                let mut threads = std::collections::HashSet::new();
                for task in tasks {
                    threads.insert(task.join().unwrap());
                }
                assert_eq!(threads.len(), 4);
            });
        }
    });
}

#[test]
fn a_tree_of_computation_spreads_over_the_hubs() {
    fn tree(
        depth: u32,
        threads: &Arc<Mutex<std::collections::HashSet<std::thread::ThreadId>>>,
    ) -> u64 {
        threads.lock().unwrap().insert(std::thread::current().id());
        if depth == 0 {
            return (0..20_000_u64).fold(0, |sum, n| std::hint::black_box(sum + n % 3)) % 2 + 1;
        }
        let left = threads.clone();
        let left = thread::spawn(move || tree(depth - 1, &left));
        tree(depth - 1, threads) + left.join().unwrap()
    }
    must_end(|| {
        let threads = Arc::default();
        let runtime = Runtime::builder().workers(4).build().unwrap();
        let leaves = runtime.run(|| tree(10, &threads));
        assert!(leaves >= 1024);
        assert!(threads.lock().unwrap().len() > 1);
    });
}

// What remains.

#[test]
fn a_thousand_runs_leave_nothing_behind() {
    if !is_child() {
        assert_success(&in_child("a_thousand_runs_leave_nothing_behind", &[]));
        return;
    }
    fn entries(folder: &str) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }
    fn address_space() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = pages.split(' ').next().unwrap().parse().unwrap();
        pages * 4096
    }
    fn once(workers: usize) {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let task = thread::spawn(|| thread::sleep(Duration::from_micros(10)));
            thread::spawn(|| thread::sleep(HOUR));
            task.join().unwrap();
        });
        runtime.close();
        sylvan::run(|| thread::spawn(|| ()).join().unwrap());
    }
    let settled = |at_most: (usize, usize)| {
        // A thread that was joined may be seen for a moment longer.
        let mut now = (0, 0);
        for _ in 0..100 {
            now = (entries("/proc/self/fd"), entries("/proc/self/task"));
            if now.0 <= at_most.0 && now.1 <= at_most.1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        now
    };
    for _ in 0..10 {
        once(2);
    }
    let before = (settled((0, 2)), address_space());
    for n in 0..scaled(1000) {
        once(1 + n % 3);
    }
    let after = (settled(before.0), address_space());
    assert_eq!(before.0, after.0, "descriptors and OS threads");
    // One stack a run would be 8 GiB.
    assert!(after.1 < before.1 + (512 << 20), "{} {}", before.1, after.1);
}

#[test]
fn the_calling_thread_is_left_as_it_was_found() {
    sylvan::thread_local! {
        static MINE: Cell<u32> = const { Cell::new(0) };
    }
    MINE.set(1);
    let before = thread::current().id();
    sylvan::run(|| {
        assert_eq!(
            MINE.get(),
            0,
            "the main green thread is a thread of its own"
        );
        MINE.set(2);
    });
    assert_eq!(MINE.get(), 1);
    assert_eq!(thread::current().id(), before);
    assert!(panic::catch_unwind(|| thread::spawn_local(|| ())).is_err());
}
