//! Context variables: who has which value, and when and where values are dropped.

mod support;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use support::{HOUR, must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::sync::mpsc;
use sylvan::task::{Cancelled, ContextVar, NoStack};
use sylvan::{task, thread, time};

const SHORT: Duration = Duration::from_millis(3);

static NUMBER: ContextVar<u32> = ContextVar::new();
static NAME: ContextVar<String> = ContextVar::new();

/// Something that tells what it sees.
type See = fn() -> Option<u32>;

fn number() -> Option<u32> {
    NUMBER.with(|number| Some(*number?))
}

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

#[test]
fn a_value_holds_for_its_closure_and_no_longer() {
    everywhere(|| {
        assert_eq!(number(), None);
        let result = NUMBER.scope(1, || {
            assert_eq!(number(), Some(1));
            NUMBER.scope(2, || assert_eq!(number(), Some(2)));
            assert_eq!(number(), Some(1));
            // Another one does not disturb it, nor the other way round.
            NAME.scope("ada".to_owned(), || {
                assert_eq!((number(), NAME.get().map(|name| name.to_string())), {
                    (Some(1), Some("ada".to_owned()))
                });
                NUMBER.scope(3, || assert_eq!(NAME.get().as_deref().unwrap(), "ada"));
            });
            assert!(NAME.get().is_none());
            "returned"
        });
        assert_eq!(result, "returned");
        assert_eq!(number(), None);
    });
}

#[test]
fn a_value_is_restored_when_its_closure_is_unwound() {
    everywhere(|| {
        NUMBER.scope(1, || {
            let panics = || NUMBER.scope(2, || panic::resume_unwind(Box::new(number())));
            let payload = panic::catch_unwind(panics)
                .map(|never: ()| never)
                .unwrap_err();
            assert_eq!(*payload.downcast::<Option<u32>>().unwrap(), Some(2));
            assert_eq!(number(), Some(1));
            let late = time::timeout(SHORT, || NUMBER.scope(3, || thread::sleep(HOUR)));
            assert!(late.is_err());
            assert_eq!(number(), Some(1));
        });
        assert_eq!(number(), None);
    });
}

#[test]
fn every_way_of_spawning_inherits() {
    fn named() -> thread::Builder {
        thread::Builder::new().name("named".into())
    }
    let any: [(&str, See); 7] = [
        ("spawn", || thread::spawn(number).join().unwrap()),
        ("Builder::spawn", || {
            named().spawn(number).unwrap().join().unwrap()
        }),
        ("scope", || {
            thread::scope(|scope| scope.spawn(number).join().unwrap())
        }),
        ("Builder::spawn_scoped", || {
            thread::scope(|scope| {
                let task = named().spawn_scoped(scope, number).unwrap();
                task.join().unwrap()
            })
        }),
        ("Handle::spawn", || {
            let runtime = Runtime::builder().workers(2).build().unwrap();
            let task = runtime.handle().spawn(number);
            let seen = task.join().unwrap();
            runtime.close();
            seen
        }),
        ("offload", || sylvan::offload(number)),
        ("run", || sylvan::run(number)),
    ];
    let green: [(&str, See); 2] = [
        ("spawn_local", || {
            thread::spawn_local(number).join().unwrap()
        }),
        ("Builder::spawn_local", || {
            named().spawn_local(number).unwrap().join().unwrap()
        }),
    ];
    everywhere(|| {
        let on_green_thread = panic::catch_unwind(|| drop(thread::spawn_local(|| ()))).is_ok();
        let green = green.iter().filter(|_| on_green_thread);
        for &(way, see) in any.iter().chain(green) {
            assert_eq!(NUMBER.scope(7, see), Some(7), "{way}");
            assert_eq!(see(), None, "{way}");
            // And through generations.
            let grandchild = NUMBER.scope(8, || thread::spawn(see).join().unwrap());
            assert_eq!(grandchild, Some(8), "{way}");
        }
    });
}

#[test]
fn a_child_has_the_values_of_the_moment_it_was_spawned() {
    everywhere(|| {
        let (go, gone) = mpsc::channel();
        let child = NUMBER.scope(1, || {
            NUMBER.scope(2, || ());
            thread::spawn(move || {
                gone.recv().unwrap();
                let seen = number();
                NUMBER.scope(9, || (seen, number()))
            })
        });
        NUMBER.scope(3, || {
            go.send(()).unwrap();
            assert_eq!(child.join().unwrap(), (Some(1), Some(9)));
            assert_eq!(number(), Some(3), "the child's own does not concern us");
        });
    });
}

#[test]
fn a_plain_thread_has_its_own() {
    NUMBER.scope(1, || {
        assert_eq!(std::thread::spawn(number).join().unwrap(), None);
        let theirs = std::thread::spawn(|| NUMBER.scope(2, || thread::spawn(number).join()));
        assert_eq!(theirs.join().unwrap().unwrap(), Some(2));
        // An offloaded job's thread forgets what it had.
        let seen = sylvan::run(|| {
            NUMBER.scope(5, || sylvan::offload(|| ()));
            thread::spawn(|| ()).join().unwrap();
            (0..10).map(|_| sylvan::offload(number)).collect::<Vec<_>>()
        });
        assert_eq!(seen, [Some(1); 10]);
    });
}

#[test]
fn each_of_many_at_once_sees_its_own() {
    must_end(|| {
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            let tasks: Vec<_> = (0..scaled(1000) as u32)
                .map(|n| {
                    NUMBER.scope(n, || {
                        thread::spawn(move || {
                            for _ in 0..10 {
                                assert_eq!(number(), Some(n));
                                thread::yield_now();
                                NUMBER.scope(n + 1, || {
                                    thread::yield_now();
                                    let child = thread::spawn(number);
                                    assert_eq!(child.join().unwrap(), Some(n + 1));
                                });
                            }
                        })
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        runtime.close();
    });
}

#[test]
fn variables_of_one_type_are_told_apart_also_local_ones() {
    everywhere(|| {
        let variables: Vec<ContextVar<usize>> = (0..100).map(|_| ContextVar::default()).collect();
        fn nest(variables: &[ContextVar<usize>], depth: usize) {
            if let Some(variable) = variables.get(depth) {
                variable.scope(depth, || nest(variables, depth + 1));
                return;
            }
            for (depth, variable) in variables.iter().enumerate() {
                assert_eq!(variable.get().as_deref(), Some(&depth));
            }
        }
        nest(&variables, 0);
        assert!(variables.iter().all(|variable| variable.get().is_none()));
        // One that takes the place of another in memory is another.
        for n in 0..10 {
            let variable = Box::new(ContextVar::new());
            assert_eq!(variable.get(), None::<Arc<i32>>);
            variable.scope(n, || assert_eq!(*variable.get().unwrap(), n));
        }
        assert_eq!(format!("{NUMBER:?}"), "ContextVar { .. }");
    });
}

#[test]
fn destructors_have_the_values_of_their_thread() {
    /// Tells what it sees when it is dropped.
    struct Tells(mpsc::Sender<Option<u32>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            thread::yield_now();
            self.0.send(number()).unwrap();
        }
    }
    sylvan::thread_local! {
        static LOCAL: std::cell::RefCell<Option<Tells>> = const { std::cell::RefCell::new(None) };
    }
    static TELLS: ContextVar<Tells> = ContextVar::new();
    everywhere(|| {
        let (tells, told) = mpsc::channel();
        let new = || Tells(tells.clone());
        NUMBER.scope(1, || {
            // A capture, a result and a thread-local.
            let (capture, result, local) = (new(), new(), new());
            let task = thread::spawn(move || {
                let _capture = capture;
                LOCAL.set(Some(local));
                result
            });
            let thread = task.thread().clone();
            drop(task);
            assert_eq!([told.recv(), told.recv(), told.recv()], [Ok(Some(1)); 3]);
            drop(thread);
            // Of a thread that never runs.
            let capture = new();
            let task = thread::spawn(move || drop(capture));
            task.cancel();
            assert_eq!(told.recv(), Ok(Some(1)));
            // A value itself is dropped when all is as it was before.
            NUMBER.scope(2, || TELLS.scope(new(), || ()));
            assert_eq!(told.recv(), Ok(Some(2)));
        });
    });
}

/// A value whose destructor suspends in several ways, then counts itself.
struct Suspends(Arc<AtomicUsize>);

impl Drop for Suspends {
    fn drop(&mut self) {
        // Masked, as it may be dropped under a time-out that is over.
        task::mask(|| {
            thread::yield_now();
            thread::sleep(Duration::from_millis(1));
            assert_eq!(sylvan::offload(|| 6), 6);
            assert!(time::timeout(Duration::from_millis(1), || thread::sleep(HOUR)).is_err());
        });
        self.0.fetch_add(1, SeqCst);
    }
}

static VALUE: ContextVar<Suspends> = ContextVar::new();

#[derive(Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    /// Runs `f` with a value that is counted when it is dropped.
    fn with_one<R>(&self, f: impl FnOnce() -> R) -> R {
        VALUE.scope(Suspends(self.0.clone()), f)
    }

    /// Waits until this many were dropped.
    fn reaches(&self, count: usize) {
        while self.0.load(SeqCst) < count {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.0.load(SeqCst), count);
    }
}

#[test]
fn the_last_to_have_a_value_drops_it_where_destructors_may_suspend() {
    log::set_max_level(log::LevelFilter::Error);
    everywhere(|| {
        let count = Count::default();
        // It has ended by itself: also the value is gone then.
        let task = count.with_one(|| thread::spawn(thread::yield_now));
        task.join().unwrap();
        assert_eq!(count.0.load(SeqCst), 1);
        // It was cancelled, before and after its start.
        let task = count.with_one(|| thread::spawn(thread::park));
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!(count.0.load(SeqCst), 2);
        let task = count.with_one(|| thread::spawn(thread::park));
        thread::sleep(SHORT);
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!(count.0.load(SeqCst), 3);
        // It has panicked, or been detached.
        let task = count.with_one(|| thread::spawn(|| panic::resume_unwind(Box::new(1))));
        assert_eq!(*task.join().unwrap_err().downcast::<i32>().unwrap(), 1);
        assert_eq!(count.0.load(SeqCst), 4);
        drop(count.with_one(|| thread::spawn(thread::yield_now)));
        count.reaches(5);
        // It got no stack.
        for _ in 0..5 {
            let builder = thread::Builder::new().stack_size(usize::MAX);
            let task = count.with_one(|| builder.spawn(|| ())).unwrap();
            assert!(task.join().unwrap_err().is::<NoStack>());
        }
        count.reaches(10);
        // It is an offloaded job whose caller has left.
        let left = time::timeout(Duration::ZERO, || {
            count.with_one(|| sylvan::offload(|| std::thread::sleep(SHORT)));
        });
        // (A plain thread has done it in place.)
        let _: Result<(), time::Elapsed> = left;
        count.reaches(11);
        // It is somebody who took it out.
        let value = count.with_one(|| VALUE.get());
        assert_eq!(count.0.load(SeqCst), 11);
        drop(value);
        assert_eq!(count.0.load(SeqCst), 12);
    });
}

#[test]
fn values_are_dropped_when_their_runtime_ends() {
    must_end(|| {
        for workers in [1, 4] {
            let count = Count::default();
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                for n in 0..20 {
                    let task = count.with_one(|| thread::spawn(|| thread::sleep(HOUR)));
                    drop(task);
                    if n == 10 {
                        thread::yield_now();
                    }
                }
            });
            let handle = runtime.handle();
            runtime.close();
            assert_eq!(count.0.load(SeqCst), 20);
            // Too late: refused by a runtime that is closed.
            let task = count.with_one(|| handle.spawn(|| ()));
            assert!(task.join().unwrap_err().is::<Cancelled>());
            assert_eq!(count.0.load(SeqCst), 21);
        }
    });
}

#[test]
fn a_value_whose_destructor_panics_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic::resume_unwind(Box::new("the value's own"));
        }
    }
    static BOMB: ContextVar<Bomb> = ContextVar::new();
    log::set_max_level(log::LevelFilter::Error);
    everywhere(|| {
        // The last to have it is the child, whose result stands.
        let (go, gone) = mpsc::channel();
        let child = BOMB.scope(Bomb, || {
            thread::spawn(move || {
                gone.recv().unwrap();
                5
            })
        });
        go.send(()).unwrap();
        assert_eq!(child.join().unwrap(), 5);
        // Dropped by the one who set it, it panics there, and all is as before.
        let panics = || NUMBER.scope(1, || BOMB.scope(Bomb, number));
        panic::catch_unwind(panics).unwrap_err();
        assert_eq!(number(), None);
        assert!(BOMB.get().is_none());
    });
}

#[test]
fn generations_of_children_neither_pile_up_values_nor_overflow_a_stack() {
    /// Counts those that are alive.
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    static ALIVE: ContextVar<Alive> = ContextVar::new();
    fn generation(left: usize, alive: Arc<AtomicUsize>, done: mpsc::Sender<usize>) {
        if left == 0 {
            done.send(alive.load(SeqCst)).unwrap();
            return;
        }
        alive.fetch_add(1, SeqCst);
        ALIVE.scope(Alive(alive.clone()), || {
            let builder = thread::Builder::new().stack_size(64 << 10);
            let child = builder.spawn(move || generation(left - 1, alive, done));
            drop(child.unwrap());
        });
    }
    must_end(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let (done, is_done) = mpsc::channel();
        let theirs = alive.clone();
        let at_the_end = sylvan::run(|| {
            generation(scaled(100_000), theirs, done);
            is_done.recv().unwrap()
        });
        assert!(at_the_end < 100, "{at_the_end} are alive");
        assert_eq!(alive.load(SeqCst), 0);
    });
}

#[test]
fn a_value_that_holds_a_context_of_its_own_may_be_dropped_anywhere() {
    // A value that owns a thread which has inherited it: none frees the other, and nothing is dropped twice.
    static TASK: ContextVar<sylvan::sync::Mutex<Option<thread::JoinHandle<u32>>>> =
        ContextVar::new();
    everywhere(|| {
        let result = TASK.scope(sylvan::sync::Mutex::new(None), || {
            let task = thread::spawn(|| {
                let own = TASK.get().expect("inherited");
                // Its own handle, dropped in itself: it detaches.
                drop(own.lock().unwrap().take());
                6
            });
            TASK.with(|slot| *slot.unwrap().lock().unwrap() = Some(task));
            task::mask(thread::yield_now);
            TASK.get().unwrap().lock().unwrap().take()
        });
        if let Some(task) = result {
            assert_eq!(task.join().unwrap(), 6);
        }
    });
}

#[test]
fn a_variable_can_be_shared_and_is_no_hindrance_to_catching_panics() {
    fn is_shared<T: Send + Sync + Unpin + panic::UnwindSafe + panic::RefUnwindSafe>() {}
    is_shared::<ContextVar<String>>();
    is_shared::<ContextVar<std::cell::Cell<u8>>>();
    let caught = panic::catch_unwind(AssertUnwindSafe(|| NUMBER.scope(1, number)));
    assert_eq!(caught.unwrap(), Some(1));
}
