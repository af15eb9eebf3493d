//! Cancellation and time-outs: they end what they are meant for, once, and nothing else.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{BufWriter, Write};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use support::{HOUR, Numbers, must_end, scaled};
use sylvan::net::{TcpListener, TcpStream};
use sylvan::runtime::Runtime;
use sylvan::sync::Mutex;
use sylvan::task::{self, Cancelled};
use sylvan::thread;
use sylvan::time::timeout;

const SHORT: Duration = Duration::from_millis(3);

/// Runs a closure when it is dropped.
struct AtDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Counts drops.
#[allow(clippy::type_complexity, reason = "a name would not make it clearer")]
fn counter() -> (
    Arc<AtomicUsize>,
    impl Fn() -> AtDrop<Box<dyn FnMut() + Send>>,
) {
    let count = Arc::new(AtomicUsize::new(0));
    let theirs = count.clone();
    let new = move || {
        let count = theirs.clone();
        AtDrop(Box::new(move || {
            count.fetch_add(1, SeqCst);
        }) as Box<dyn FnMut() + Send>)
    };
    (count, new)
}

#[track_caller]
fn assert_cancelled<T>(result: thread::Result<T>) {
    assert!(result.err().expect("it was cancelled").is::<Cancelled>());
}

// What a cancel ends.

#[test]
fn every_wait_is_ended_by_a_cancel() {
    fn join() {
        thread::spawn(|| thread::sleep(HOUR)).join().unwrap();
    }
    fn offload() {
        // The job ends by itself: its caller does not wait for it.
        sylvan::offload(|| std::thread::sleep(Duration::from_millis(200)));
        panic!("the caller came back");
    }
    fn end_of_scope() {
        thread::scope(|scope| {
            scope.spawn(|| thread::sleep(HOUR));
        });
    }
    fn scoped_join() {
        thread::scope(|scope| scope.spawn(|| thread::sleep(HOUR)).join().unwrap());
    }
    let waits: [(&str, fn()); 9] = [
        ("sleep", || thread::sleep(HOUR)),
        ("endless sleep", || thread::sleep(Duration::MAX)),
        ("park", thread::park),
        ("park_timeout", || thread::park_timeout(HOUR)),
        ("yield", || {
            loop {
                thread::yield_now();
            }
        }),
        ("join", join),
        ("offload", offload),
        ("end of a scope", end_of_scope),
        ("join in a scope", scoped_join),
    ];
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                for (name, wait) in waits {
                    let (count, new) = counter();
                    let (started, one) = (Arc::new(AtomicBool::new(false)), new());
                    let flag = started.clone();
                    let task = thread::spawn(move || {
                        let _one = one;
                        flag.store(true, SeqCst);
                        wait();
                    });
                    while !started.load(SeqCst) {
                        thread::yield_now();
                    }
                    for _ in 0..3 {
                        thread::yield_now();
                    }
                    task.cancel();
                    task.cancel();
                    let payload = task.join().expect_err(name);
                    assert!(payload.is::<Cancelled>(), "{name}");
                    assert_eq!(count.load(SeqCst), 1, "{name}");
                }
            });
        }
    });
}

#[test]
fn a_task_cancelled_before_it_starts_never_runs() {
    must_end(|| {
        sylvan::run(|| {
            let (count, new) = counter();
            let one = new();
            let task = thread::spawn(move || {
                let _one = one;
                panic!("it ran");
            });
            task.cancel();
            assert_cancelled(task.join());
            assert_eq!(count.load(SeqCst), 1, "what it captured is dropped");
        });
    });
}

#[test]
fn a_cancel_after_the_end_changes_nothing() {
    sylvan::run(|| {
        let task = thread::spawn(|| 1);
        thread::yield_now();
        assert!(task.is_finished());
        task.cancel();
        assert_eq!(task.join().unwrap(), 1);
        // Nor does one that comes while it computes its last steps.
        let slot: Rc<RefCell<Option<thread::LocalJoinHandle<i32>>>> = Rc::default();
        let theirs = slot.clone();
        *slot.borrow_mut() = Some(thread::spawn_local(move || {
            theirs.borrow().as_ref().unwrap().cancel();
            2
        }));
        thread::yield_now();
        let task = slot.borrow_mut().take().unwrap();
        assert_eq!(task.join().unwrap(), 2);
    });
}

#[test]
fn catch_unwind_only_delays_a_cancel() {
    must_end(|| {
        sylvan::run(|| {
            let caught = Rc::new(Cell::new(0));
            let theirs = caught.clone();
            let task = thread::spawn_local(move || {
                let mut kept = Vec::new();
                for _ in 0..3 {
                    let result = panic::catch_unwind(|| thread::sleep(HOUR));
                    theirs.set(theirs.get() + 1);
                    // Also when what was caught is not dropped.
                    kept.push(result.unwrap_err());
                    assert!(task::cancel_requested());
                    assert!(!thread::panicking());
                }
                thread::park();
                theirs.set(99);
            });
            thread::yield_now();
            task.cancel();
            assert_cancelled(task.join());
            assert_eq!(caught.get(), 3);
            // One that does not suspend again has returned before it could be told.
            let task = thread::spawn(|| {
                let _ = panic::catch_unwind(|| thread::sleep(HOUR));
                "returned"
            });
            thread::yield_now();
            task.cancel();
            assert_eq!(task.join().unwrap(), "returned");
        });
    });
}

#[test]
fn a_cancel_is_no_panic_to_the_hook_and_to_poison() {
    must_end(|| {
        sylvan::run(|| {
            let panics = Rc::new(Cell::new(None));
            let theirs = panics.clone();
            let task = thread::spawn_local(move || {
                let _at_drop = AtDrop(move || theirs.set(Some(thread::panicking())));
                thread::sleep(HOUR);
            });
            thread::yield_now();
            task.cancel();
            assert_cancelled(task.join());
            assert_eq!(panics.get(), Some(false));
            assert!(!thread::panicking());
        });
    });
}

// Destructors.

#[test]
fn a_destructor_may_suspend_while_its_task_unwinds() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let (cleaned, mut is_clean) = (mpsc::channel(), Vec::new());
            let (send, receive) = cleaned;
            runtime.run(|| {
                let tasks: Vec<_> = (0..20)
                    .map(|n| {
                        let send = send.clone();
                        thread::spawn(move || {
                            let _at_drop = AtDrop(|| {
                                thread::yield_now();
                                thread::sleep(SHORT);
                                let child = thread::spawn(move || n);
                                assert_eq!(child.join().unwrap(), n);
                                let slow = timeout(SHORT, || thread::sleep(HOUR));
                                assert!(slow.is_err(), "it may bound its own clean-up");
                                assert_eq!(sylvan::offload(|| 4), 4);
                                thread::scope(|scope| {
                                    scope.spawn(|| thread::sleep(SHORT));
                                });
                                send.send(n).unwrap();
                            });
                            thread::sleep(HOUR);
                        })
                    })
                    .collect();
                thread::sleep(SHORT);
                for task in &tasks {
                    task.cancel();
                }
                for task in tasks {
                    // Those that had not started have nothing to clean up.
                    assert_cancelled(task.join());
                }
            });
            drop(send);
            is_clean.extend(receive);
            assert!(!is_clean.is_empty());
        }
    });
}

/// What a destructor waits for, until the gate is opened, and what must be true afterwards.
type CleanUp = fn(&Gate) -> Box<dyn FnMut() + Send>;

const CLEAN_UPS: [(&str, CleanUp); 9] = [
    ("flushes a socket whose peer is slow", |gate| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let gate = gate.clone();
        let reader = thread::spawn(move || {
            gate.pass();
            std::io::copy(&mut peer, &mut std::io::sink()).unwrap()
        });
        let (mut reader, mut buffer) = (Some(reader), Some(BufWriter::new(stream)));
        let size = 16 << 20;
        Box::new(move || {
            let mut buffer = buffer.take().unwrap();
            buffer.write_all(&vec![0; size]).unwrap();
            buffer.write_all(b"rest").unwrap();
            drop(buffer);
            let read = reader.take().unwrap().join().unwrap();
            assert_eq!(read, size as u64 + 4);
        })
    }),
    ("takes a lock whose holder is a neighbour", |gate| {
        let lock = Arc::new(Mutex::new(0));
        let (gate, theirs) = (gate.clone(), lock.clone());
        let is_held = Gate::default();
        let held = is_held.clone();
        drop(thread::spawn_local(move || {
            let mut guard = theirs.lock().unwrap();
            held.open();
            gate.pass();
            *guard += 1;
        }));
        is_held.pass();
        Box::new(move || assert_eq!(*lock.lock().unwrap(), 1))
    }),
    ("joins a child", |gate| {
        let gate = gate.clone();
        Box::new(move || {
            let gate = gate.clone();
            thread::spawn(move || gate.pass()).join().unwrap();
        })
    }),
    ("bounds itself by time-outs", |gate| {
        let gate = gate.clone();
        Box::new(move || {
            assert!(timeout(SHORT, || thread::sleep(HOUR)).is_err());
            let nested = timeout(HOUR, || timeout(SHORT, thread::park).is_err());
            assert_eq!(nested, Ok(true));
            assert!(timeout(HOUR, || gate.pass()).is_ok());
        })
    }),
    ("waits for a scope", |gate| {
        let gate = gate.clone();
        Box::new(move || {
            thread::scope(|scope| drop(scope.spawn(|| gate.pass())));
        })
    }),
    ("cancels and joins a neighbour", |gate| {
        let (gate, is_there) = (gate.clone(), Gate::default());
        let there = is_there.clone();
        let mut neighbour = Some(thread::spawn(move || {
            there.open();
            thread::sleep(HOUR);
        }));
        // It is to wait, and not never to start.
        is_there.pass();
        Box::new(move || {
            gate.pass();
            let neighbour = neighbour.take().unwrap();
            neighbour.cancel();
            assert_cancelled(neighbour.join());
        })
    }),
    ("sends to a full channel", |gate| {
        let (send, receive) = sylvan::sync::mpsc::sync_channel(0);
        let gate = gate.clone();
        drop(thread::spawn(move || {
            gate.pass();
            receive.recv().unwrap();
        }));
        Box::new(move || send.send(()).unwrap())
    }),
    ("offloads, and runs a nested run", |gate| {
        let gate = gate.clone();
        Box::new(move || {
            assert_eq!(sylvan::offload(|| 4), 4);
            sylvan::run(|| gate.pass());
        })
    }),
    ("fails, and catches it", |gate| {
        let gate = gate.clone();
        Box::new(move || {
            gate.pass();
            let failed = panic::catch_unwind(|| panic::resume_unwind(Box::new(5)));
            assert!(failed.is_err());
            thread::sleep(SHORT);
        })
    }),
];

/// Green threads park here until it is opened.
#[derive(Clone, Default)]
struct Gate(
    Arc<(
        AtomicBool,
        AtomicUsize,
        std::sync::Mutex<Vec<thread::Thread>>,
    )>,
);

impl Gate {
    fn pass(&self) {
        self.0.2.lock().unwrap().push(thread::current());
        while !self.0.0.load(SeqCst) {
            thread::park();
        }
    }

    fn open(&self) {
        self.0.0.store(true, SeqCst);
        for thread in self.0.2.lock().unwrap().drain(..) {
            thread.unpark();
        }
    }
}

/// Why the destructor runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Cancel,
    Timeout,
    Panic,
}

#[test]
fn what_a_destructor_waits_for_comes_whoever_cancels_meanwhile() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            for (name, clean_up) in CLEAN_UPS {
                for end in [End::Cancel, End::Timeout, End::Panic] {
                    runtime.run(|| clean_up_in(name, clean_up, end));
                }
            }
            runtime.close();
        }
    });
}

fn clean_up_in(name: &str, clean_up: CleanUp, end: End) {
    let case = format!("{name}, {end:?}");
    let gate = Gate::default();
    let (begun, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (begins, finishes) = (begun.clone(), done.clone());
    let inside = gate.clone();
    let waits = Arc::new(AtomicBool::new(false));
    let is_waiting = waits.clone();
    let task = thread::spawn(move || {
        let mut clean_up = clean_up(&inside);
        let mut body = || {
            let _at_drop = AtDrop(|| {
                begins.store(true, SeqCst);
                clean_up();
                finishes.store(true, SeqCst);
            });
            waits.store(true, SeqCst);
            if end == End::Panic {
                panic::resume_unwind(Box::new("its own"));
            }
            thread::sleep(HOUR);
        };
        match end {
            // Cancelled meanwhile: that comes when its time is over, and the destructor through.
            End::Timeout => {
                assert!(timeout(SHORT, body).is_err());
                thread::park();
            }
            _ => body(),
        }
    });
    while !is_waiting.load(SeqCst) {
        thread::yield_now();
    }
    if end == End::Cancel {
        task.cancel();
    }
    while !begun.load(SeqCst) {
        thread::yield_now();
    }
    // The second and the third cancel: at once, and when it is parked, perhaps.
    task.cancel();
    for _ in 0..20 {
        thread::yield_now();
    }
    task.cancel();
    thread::yield_now();
    assert!(!task.is_finished() && !done.load(SeqCst), "{case}");
    gate.open();
    let payload = task.join().expect_err(&case);
    assert!(done.load(SeqCst), "{case}: it was cut short");
    match end {
        End::Panic => assert_eq!(*payload.downcast::<&str>().unwrap(), "its own", "{case}"),
        _ => assert!(payload.is::<Cancelled>(), "{case}"),
    }
}

#[test]
fn a_cancel_does_not_throw_into_the_unwinding_of_a_panic() {
    must_end(|| {
        sylvan::run(|| {
            let inside = Rc::new(Cell::new("before"));
            let theirs = inside.clone();
            let task = thread::spawn_local(move || {
                let _at_drop = AtDrop(move || {
                    theirs.set("in the destructor");
                    thread::park();
                    thread::sleep(SHORT);
                    assert!(timeout(SHORT, thread::park).is_err());
                    theirs.set("after");
                });
                panic!("the task's own");
            });
            while inside.get() != "in the destructor" {
                thread::yield_now();
            }
            task.cancel();
            for _ in 0..3 {
                thread::yield_now();
            }
            assert_eq!(inside.get(), "in the destructor");
            task.thread().unpark();
            let payload = task.join().unwrap_err();
            assert_eq!(*payload.downcast::<&str>().unwrap(), "the task's own");
            assert_eq!(inside.get(), "after");
        });
    });
}

#[test]
fn a_destructor_of_a_panic_cancels_and_joins_a_neighbour() {
    must_end(|| {
        sylvan::run(|| {
            let neighbour = thread::spawn(|| thread::sleep(HOUR));
            thread::yield_now();
            let task = thread::spawn(move || {
                let mut neighbour = Some(neighbour);
                let _at_drop = AtDrop(move || {
                    let neighbour = neighbour.take().unwrap();
                    neighbour.cancel();
                    assert_cancelled(neighbour.join());
                });
                panic!("the task's own");
            });
            let payload = task.join().unwrap_err();
            assert_eq!(*payload.downcast::<&str>().unwrap(), "the task's own");
        });
    });
}

#[test]
fn many_that_unwind_at_once_on_one_hub_do_not_disturb_each_other() {
    must_end(|| {
        sylvan::run(|| {
            let tasks: Vec<_> = (0..scaled(60))
                .map(|n| {
                    thread::spawn(move || {
                        let _at_drop = AtDrop(|| {
                            thread::sleep(SHORT);
                            thread::yield_now();
                        });
                        match n % 3 {
                            0 => panic::panic_any(n),
                            1 => thread::sleep(HOUR),
                            _ => assert!(
                                timeout(SHORT, || {
                                    let _at_drop = AtDrop(|| thread::sleep(SHORT));
                                    thread::sleep(HOUR);
                                })
                                .is_err()
                            ),
                        }
                    })
                })
                .collect();
            thread::yield_now();
            for (n, task) in tasks.into_iter().enumerate() {
                if n % 3 == 1 {
                    task.cancel();
                }
                let result = task.join();
                match n % 3 {
                    0 => assert_eq!(*result.unwrap_err().downcast::<usize>().unwrap(), n),
                    1 => assert_cancelled(result),
                    _ => result.unwrap(),
                }
            }
            assert!(!std::thread::panicking());
        });
    });
}

#[test]
fn a_caught_cancel_that_is_kept_does_not_hide_the_next() {
    must_end(|| {
        sylvan::run(|| {
            let kept = thread::spawn(|| {
                let kept = panic::catch_unwind(thread::park);
                thread::park();
                drop(kept);
            });
            thread::yield_now();
            // A neighbour that stays in its unwinding, so that "panicking" says nothing.
            let unwinds = thread::spawn(|| {
                let _at_drop = AtDrop(thread::park);
                panic!("the neighbour's own");
            });
            thread::yield_now();
            kept.cancel();
            assert_cancelled(kept.join());
            unwinds.thread().unpark();
            assert!(unwinds.join().is_err());
        });
    });
}

// Time-outs.

#[test]
fn nested_timeouts_are_told_apart() {
    must_end(|| {
        sylvan::run(|| {
            let inner = timeout(HOUR, || {
                let inner = timeout(SHORT, || thread::sleep(HOUR));
                assert!(inner.is_err());
                "went on"
            });
            assert_eq!(inner, Ok("went on"));
            let outer = timeout(SHORT, || {
                let _ = timeout(HOUR, || thread::sleep(HOUR));
                unreachable!("the outer one ends it all");
            });
            assert_eq!(outer.unwrap_err().to_string(), "deadline has elapsed");
            // Of several that are over the outermost counts.
            let outermost = timeout(Duration::ZERO, || {
                let _ = timeout(Duration::ZERO, || {
                    let _ = timeout(HOUR, || thread::sleep(HOUR));
                });
                unreachable!();
            });
            assert!(outermost.is_err());
            let deep = (0..50).fold(
                Box::new(|| thread::sleep(HOUR)) as Box<dyn FnOnce()>,
                |f, _| Box::new(move || assert!(timeout(HOUR, f).is_ok())),
            );
            assert!(timeout(SHORT, deep).is_err());
        });
    });
}

#[test]
fn a_timeout_is_never_early_and_leaves_nothing_behind() {
    must_end(|| {
        sylvan::run(|| {
            let start = Instant::now();
            assert!(timeout(SHORT, thread::park).is_err());
            assert!(start.elapsed() >= SHORT);
            // Neither its timer nor its request concerns what comes after.
            assert!(!task::cancel_requested());
            thread::sleep(2 * SHORT);
            assert_eq!(timeout(Duration::MAX, || 3), Ok(3));
            assert_eq!(
                timeout(Duration::ZERO, || 4),
                Ok(4),
                "what never waits is never late"
            );
            let value = timeout(SHORT, || {
                let _ = panic::catch_unwind(|| thread::sleep(HOUR));
                5
            });
            assert_eq!(
                value,
                Ok(5),
                "who swallows the end and returns has returned"
            );
        });
    });
}

#[test]
fn a_timeout_around_a_scope_ends_its_threads() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let (count, new) = counter();
                let ended = timeout(SHORT, || {
                    thread::scope(|scope| {
                        for _ in 0..10 {
                            let one = new();
                            scope.spawn(move || {
                                let _one = one;
                                thread::sleep(HOUR);
                            });
                        }
                    });
                });
                assert!(ended.is_err());
                assert_eq!(count.load(SeqCst), 10, "all have ended before it returned");
            });
        }
    });
}

#[test]
fn scoped_threads_inherit_the_deadline_and_spawned_ones_do_not() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let spawned = RefCell::new(None);
                let outcome = timeout(SHORT, || {
                    // The throw that ends the body comes later: it is masked until then.
                    task::mask(|| {
                        *spawned.borrow_mut() = Some(thread::spawn(|| thread::sleep(10 * SHORT)));
                    });
                    thread::scope(|scope| {
                        let child = scope.spawn(|| {
                            // Grandchildren as well.
                            thread::scope(|scope| {
                                scope.spawn(|| thread::sleep(HOUR));
                            });
                        });
                        task::mask(|| assert_cancelled(child.join()));
                    });
                });
                assert!(outcome.is_err() || outcome == Ok(()));
                spawned.take().unwrap().join().unwrap();
            });
        }
    });
}

#[test]
fn a_deadline_shared_with_a_scoped_thread_is_the_callers_own_end() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                for _ in 0..scaled(50) {
                    // Whichever of the two timers fires first, the join gives no failure to unwrap.
                    let ended = timeout(SHORT, || {
                        thread::scope(|scope| {
                            scope.spawn(|| thread::sleep(HOUR)).join().unwrap();
                        });
                    });
                    assert!(ended.is_err());
                    let ended = timeout(SHORT, || {
                        thread::scope(|scope| {
                            scope.spawn(|| thread::sleep(HOUR));
                        });
                    });
                    assert!(ended.is_err(), "nor does the scope end as if all were done");
                }
            });
        }
    });
}

#[test]
fn a_mask_holds_a_timeout_and_a_cancel_back() {
    must_end(|| {
        sylvan::run(|| {
            let value = timeout(Duration::ZERO, || {
                task::mask(|| {
                    assert!(!task::cancel_requested());
                    thread::sleep(SHORT);
                    assert!(
                        timeout(SHORT, || thread::sleep(HOUR)).is_err(),
                        "one inside works"
                    );
                    thread::scope(|scope| {
                        scope.spawn(|| thread::sleep(SHORT)).join().unwrap();
                    });
                });
                assert!(task::cancel_requested());
                6
            });
            assert_eq!(value, Ok(6));
            let reached = Rc::new(Cell::new(0));
            let theirs = reached.clone();
            let task = thread::spawn_local(move || {
                task::mask(|| {
                    thread::park();
                    theirs.set(1);
                });
                thread::park();
                theirs.set(2);
            });
            thread::yield_now();
            task.cancel();
            thread::yield_now();
            assert!(!task.is_finished());
            task.thread().unpark();
            assert_cancelled(task.join());
            assert_eq!(reached.get(), 1);
        });
    });
}

#[test]
fn a_timeout_reaches_through_scopes_runs_and_offloads_and_waits_for_masks() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let (gate, passed) = (Gate::default(), AtomicBool::new(false));
                let opens = gate.clone();
                let opener = thread::spawn(move || {
                    thread::sleep(5 * SHORT);
                    opens.open();
                });
                let late = timeout(SHORT, || {
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            task::mask(|| gate.pass());
                            passed.store(true, SeqCst);
                            thread::sleep(HOUR);
                        });
                    });
                });
                assert!(late.is_err() && passed.load(SeqCst));
                opener.join().unwrap();

                let (let_go, held) = mpsc::channel::<()>();
                let late = timeout(SHORT, || {
                    let inner = sylvan::run(|| {
                        thread::scope(|scope| {
                            let child = scope.spawn(|| {
                                timeout(HOUR, || sylvan::offload(move || held.recv().is_err()))
                            });
                            child.join().unwrap()
                        })
                    });
                    unreachable!("it is not the inner one's time: {inner:?}");
                });
                assert!(late.is_err());
                drop(let_go);
            });
            runtime.close();
        }
    });
}

#[test]
fn a_timeout_leaves_an_offloaded_job_to_itself() {
    must_end(|| {
        sylvan::run(|| {
            let (count, new) = counter();
            let (go, gone) = mpsc::channel::<()>();
            let (done, is_done) = mpsc::channel();
            let one = new();
            let late = timeout(SHORT, || {
                sylvan::offload(move || {
                    gone.recv().unwrap();
                    (one, AtDrop(move || done.send(()).unwrap()))
                });
            });
            assert!(late.is_err());
            assert_eq!(count.load(SeqCst), 0, "the job runs on");
            go.send(()).unwrap();
            // Its result is dropped on the pool.
            is_done.recv().unwrap();
            assert_eq!(count.load(SeqCst), 1);
        });
    });
}

#[test]
fn abandoned_results_that_panic_do_not_wear_the_pool_out() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a result that nobody took");
        }
    }
    must_end(|| {
        sylvan::run(|| {
            // More than the pool may have threads.
            for _ in 0..300 {
                let (go, gone) = mpsc::channel::<()>();
                let left = timeout(Duration::ZERO, || {
                    sylvan::offload(move || {
                        let _ = gone.recv();
                        Bomb
                    })
                });
                assert!(left.is_err());
                drop(go);
            }
            assert_eq!(sylvan::offload(|| 7), 7);
        });
    });
}

#[test]
fn a_timeout_on_a_plain_thread() {
    must_end(|| {
        assert!(timeout(SHORT, || thread::sleep(HOUR)).is_err());
        assert!(timeout(SHORT, thread::park).is_err());
        let task = thread::spawn(|| thread::sleep(HOUR));
        let joined = timeout(SHORT, || task.join());
        assert!(joined.is_err());
        let outer = timeout(SHORT, || {
            thread::scope(|scope| {
                scope.spawn(|| thread::sleep(HOUR));
            });
        });
        assert!(outer.is_err());
        assert_eq!(timeout(HOUR, || timeout(SHORT, || 5)), Ok(Ok(5)));
        assert!(!std::thread::panicking());
    });
}

// Other unwinding.

#[test]
fn foreign_throws_pass_through() {
    struct Foreign(u32);
    must_end(|| {
        sylvan::run(|| {
            let result = panic::catch_unwind(|| {
                timeout(HOUR, || {
                    task::mask(|| {
                        sylvan::run(|| {
                            thread::scope(|scope| {
                                scope.spawn(thread::yield_now);
                                panic::resume_unwind(Box::new(Foreign(7)))
                            });
                        });
                    });
                })
            });
            let payload: Box<Foreign> = result
                .map(|_: Result<(), _>| ())
                .unwrap_err()
                .downcast()
                .unwrap();
            assert_eq!(payload.0, 7);
            let task = thread::spawn(|| panic::panic_any(Foreign(8)));
            let payload: Box<Foreign> = task.join().unwrap_err().downcast().unwrap();
            assert_eq!(payload.0, 8);
        });
    });
}

#[test]
fn a_cancellation_that_is_thrown_on_is_one_of_the_joiner_too() {
    must_end(|| {
        sylvan::run(|| {
            let outer = thread::spawn(|| {
                let inner = thread::spawn(|| thread::sleep(HOUR));
                inner.cancel();
                let result = timeout(HOUR, || {
                    inner
                        .join()
                        .unwrap_or_else(|payload| panic::resume_unwind(payload));
                });
                unreachable!("it is not the time-out's: {result:?}");
            });
            assert_cancelled(outer.join());
            // The payload of one task's throw, thrown by another, is no throw of that one's.
            let (send, receive) = mpsc::channel();
            let first = thread::spawn(move || {
                send.send(panic::catch_unwind(thread::park).unwrap_err())
                    .unwrap();
            });
            thread::yield_now();
            first.cancel();
            first.join().unwrap();
            let second = thread::spawn(move || {
                let payload = receive.recv().unwrap();
                let result = timeout(HOUR, || panic::resume_unwind(payload));
                let _: Result<(), _> = result;
            });
            assert_cancelled(second.join());
        });
    });
}

#[test]
fn a_scope_whose_body_fails_waits_for_its_threads() {
    must_end(|| {
        sylvan::run(|| {
            let (count, new) = counter();
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                thread::scope(|scope| {
                    let one = new();
                    scope.spawn(move || {
                        let _one = one;
                        thread::sleep(SHORT);
                    });
                    panic!("the body");
                });
            }));
            let _: &() = &result.unwrap_err().downcast::<&str>().map(|_| ()).unwrap();
            assert_eq!(count.load(SeqCst), 1);
            let result = panic::catch_unwind(|| {
                thread::scope(|scope| {
                    scope.spawn(|| panic!("a thread"));
                });
            });
            assert_eq!(
                *result.unwrap_err().downcast::<&str>().unwrap(),
                "a scoped thread panicked"
            );
        });
    });
}

// Races.

/// Runs so many races, seeded one by one, in lanes on four hubs.
fn in_lanes(races: usize, race: fn(&mut Numbers, Guarded) -> bool) -> (usize, usize) {
    const LANES: usize = 20;
    let runtime = Runtime::builder()
        .workers(4)
        .stack_size(64 << 10)
        .build()
        .unwrap();
    let (count, new) = counter();
    let rounds = races.div_ceil(LANES);
    let won = runtime.run(|| {
        let lane = |lane: usize| {
            let guards: Vec<_> = (0..rounds).map(|_| new()).collect();
            thread::spawn(move || {
                let races = guards.into_iter().enumerate().map(|(round, guard)| {
                    race(&mut Numbers::new((lane * rounds + round) as u64), guard)
                });
                races.filter(|won| *won).count()
            })
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        let counts = lanes.into_iter().map(|lane| lane.join().unwrap());
        counts.sum::<usize>()
    });
    let handle = runtime.handle();
    runtime.close();
    assert_eq!(handle.task_count(), 0);
    assert_eq!(
        count.load(SeqCst),
        LANES * rounds,
        "each guard is dropped once"
    );
    (won, LANES * rounds - won)
}

type Guarded = AtDrop<Box<dyn FnMut() + Send>>;

#[test]
fn a_cancel_that_races_with_a_wake_up_has_one_outcome() {
    must_end(|| {
        let (woken, cancelled) = in_lanes(scaled(100_000), |numbers, guard| {
            // What it says if it was woken: once.
            let said = Arc::new(AtomicUsize::new(0));
            let says = said.clone();
            let task = thread::spawn(move || {
                let _guard = guard;
                thread::park();
                says.fetch_add(1, SeqCst);
            });
            let thread = task.thread().clone();
            let (before_wake, before_cancel) = (numbers.below(40), numbers.below(40));
            let waker = thread::spawn(move || {
                spin(before_wake);
                thread.unpark();
            });
            spin(before_cancel);
            task.cancel();
            let result = task.join();
            waker.join().unwrap();
            match result {
                Ok(()) => assert_eq!(said.load(SeqCst), 1),
                Err(payload) => {
                    assert!(payload.is::<Cancelled>());
                    assert_eq!(said.load(SeqCst), 0);
                    return false;
                }
            }
            true
        });
        println!("woken {woken}, cancelled {cancelled}");
    });
}

#[test]
fn a_timeout_that_races_with_its_work_has_one_outcome() {
    must_end(|| {
        let (in_time, late) = in_lanes(scaled(100_000), |numbers, guard| {
            let waiter = thread::current();
            let before_wake = Duration::from_micros(numbers.below(100));
            let waker = thread::spawn(move || {
                thread::sleep(before_wake);
                waiter.unpark();
            });
            let in_time = timeout(Duration::from_micros(numbers.below(200)), || {
                let _guard = guard;
                thread::park();
            });
            // What the time-out has thrown is over: this wait is not ended by it.
            waker.join().unwrap();
            // The one permit was taken in time, or is still there.
            let is_there = timeout(Duration::ZERO, thread::park).is_ok();
            assert_eq!(is_there, in_time.is_err());
            in_time.is_ok()
        });
        println!("in time {in_time}, late {late}");
    });
}

#[test]
fn tasks_that_cancel_each_other_all_end() {
    must_end(|| {
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            for _ in 0..scaled(500) {
                let (send, receive) = mpsc::channel::<thread::JoinHandle<()>>();
                let receive = Arc::new(std::sync::Mutex::new(receive));
                for _ in 0..6 {
                    let receive = receive.clone();
                    let task = thread::spawn(move || {
                        let next = receive.lock().unwrap().try_recv();
                        if let Ok(other) = next {
                            other.cancel();
                            let _ = other.join();
                        }
                    });
                    send.send(task).unwrap();
                }
                drop(send);
            }
        });
        runtime.close();
    });
}

/// Passes a time that no clock measures.
fn spin(turns: u64) {
    for turn in 0..turns * 20 {
        std::hint::black_box(turn);
    }
    if turns.is_multiple_of(3) {
        thread::yield_now();
    }
}
