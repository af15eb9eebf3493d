//! A named test for each bug that was found: what went wrong is in the comment above it.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::must_end;
use sylvan::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use sylvan::runtime::Runtime;
use sylvan::select;
use sylvan::sync::queue::Queue;
use sylvan::sync::{Semaphore, mpsc};
use sylvan::{task, thread, time};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs its closure when dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

const CHILD: &str = "SYLVAN_REGRESSION_CHILD";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this file in a process of its own.
fn in_child(test: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", test])
        .env(CHILD, "1");
    command.output().unwrap()
}

/// `ended` may be set between a worker's look at it and its falling asleep.
#[test]
fn closing_many_runtimes_never_hangs() {
    for round in 0..2_000 {
        let start = Instant::now();
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            for _ in 0..4 {
                drop(thread::spawn(|| {}));
            }
        });
        runtime.close();
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(30),
            "round {round} took {took:?}"
        );
    }
}

#[test]
fn a_runtime_dropped_while_its_thread_panics_ends() {
    let result = panic::catch_unwind(|| {
        let runtime = Runtime::new().unwrap();
        runtime.run(|| {
            drop(thread::spawn(|| thread::sleep(HOUR)));
            thread::yield_now();
            panic!("an ordinary failure of a test");
        });
    });
    assert!(result.is_err());
}

#[test]
fn a_timeout_works_in_a_run_of_a_destructor_that_unwinds() {
    let result = panic::catch_unwind(|| {
        let _guard = OnDrop(|| {
            sylvan::run(|| {
                assert!(time::timeout(ms(10), || thread::sleep(HOUR)).is_err());
            });
        });
        panic!("x");
    });
    assert!(result.is_err());
}

#[test]
fn a_used_runtime_dropped_in_a_green_thread_of_another_ends() {
    let runtime = Runtime::new().unwrap();
    runtime.run(|| {
        drop(thread::spawn(|| thread::sleep(HOUR)));
        thread::yield_now();
    });
    sylvan::run(move || drop(runtime));
}

#[test]
fn an_unstarted_leftover_ends_when_its_runtime_is_dropped_in_a_green_thread() {
    let runtime = Runtime::new().unwrap();
    runtime.run(|| drop(thread::spawn(|| {})));
    sylvan::run(move || drop(runtime));
}

#[test]
fn two_cancelled_tasks_both_bound_their_clean_up() {
    sylvan::run(|| {
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                thread::spawn(|| {
                    let _guard = OnDrop(|| {
                        let _ = time::timeout(ms(20), || thread::sleep(HOUR));
                    });
                    thread::sleep(HOUR);
                })
            })
            .collect();
        thread::yield_now();
        tasks.iter().for_each(thread::JoinHandle::cancel);
        for task in tasks {
            assert!(task.join().unwrap_err().is::<task::Cancelled>());
        }
    });
}

#[test]
fn who_parked_long_ago_does_not_hold_back_a_later_clean_up() {
    sylvan::run(|| {
        // Panics, and is parked in its destructor for a while.
        let first = thread::spawn(|| {
            let _guard = OnDrop(|| thread::sleep(ms(20)));
            panic!("x");
        });
        thread::yield_now();
        // Parks meanwhile, for ever.
        let bystander = thread::spawn(thread::park);
        thread::yield_now();
        assert!(first.join().is_err());
        let second = thread::spawn(|| {
            let _guard = OnDrop(|| {
                let _ = time::timeout(ms(20), || thread::sleep(HOUR));
            });
            panic!("y");
        });
        assert!(second.join().is_err());
        bystander.cancel();
    });
}

#[test]
fn a_timeout_entered_beside_an_unwinding_neighbour_does_not_abort_later() {
    sylvan::run(|| {
        let neighbour = thread::spawn(|| {
            let _guard = OnDrop(|| thread::sleep(ms(20)));
            panic!("x");
        });
        thread::yield_now();
        // Entered while the neighbour is parked in its unwinding.
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            time::timeout(ms(60), || {
                thread::sleep(ms(40));
                let _guard = OnDrop(|| thread::sleep(ms(100)));
                panic!("y");
            })
        }));
        assert!(result.is_err());
        assert!(neighbour.join().is_err());
    });
}

#[test]
fn a_timeout_around_a_scope_elapses_whoever_is_woken_first() {
    sylvan::run(|| {
        let result = time::timeout(ms(20), || {
            thread::scope(|scope| {
                scope.spawn(|| thread::sleep(HOUR));
                // The child arms its timer first.
                thread::yield_now();
            });
        });
        assert!(
            result.is_err(),
            "the child was cut short, and nobody was told"
        );
    });
}

#[test]
fn a_timeout_around_a_join_elapses_whoever_is_woken_first() {
    sylvan::run(|| {
        let result = time::timeout(ms(20), || {
            thread::scope(|scope| {
                let child = scope.spawn(|| thread::sleep(HOUR));
                thread::yield_now();
                child.join().unwrap();
            });
        });
        assert!(result.is_err());
    });
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload's destructor panics");
    }
}

#[test]
fn a_payload_that_panics_when_dropped_does_not_unwind_the_hub() {
    let outer = sylvan::run(|| {
        drop(thread::spawn(|| panic::panic_any(Bomb)));
        thread::sleep(ms(10));
        1
    });
    assert_eq!(outer, 1);
}

#[test]
fn a_result_whose_destructor_panics_with_a_bomb_does_not_unwind_the_hub() {
    struct Result;
    impl Drop for Result {
        fn drop(&mut self) {
            panic::panic_any(Bomb);
        }
    }
    let outer = sylvan::run(|| {
        drop(thread::spawn(|| Result));
        thread::sleep(ms(10));
        1
    });
    assert_eq!(outer, 1);
}

struct PanickingLogger;

impl log::Log for PanickingLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        panic!("the logger panics on: {}", record.args());
    }
    fn flush(&self) {}
}

#[test]
fn a_logger_that_panics_does_not_unwind_the_hub() {
    // Another test of this process may have set it already.
    let _ = log::set_logger(&PanickingLogger);
    log::set_max_level(log::LevelFilter::Info);
    let value = sylvan::run(|| {
        drop(thread::spawn(|| panic!("lost")));
        thread::sleep(ms(10));
        1
    });
    assert_eq!(value, 1);
}

/// Borrowed data, a scoped thread on another hub that uses it, and a hub that unwinds.
#[test]
fn a_hub_that_unwinds_lets_borrowed_data_go() {
    // Another test of this process may have set it already.
    let _ = log::set_logger(&PanickingLogger);
    log::set_max_level(log::LevelFilter::Info);
    let alive = Arc::new(AtomicBool::new(true));
    let used_after = Arc::new(AtomicUsize::new(0));
    let (theirs, count) = (alive.clone(), used_after.clone());
    std::thread::spawn(move || {
        let runtime = std::mem::ManuallyDrop::new(Runtime::builder().workers(2).build().unwrap());
        let _ = panic::catch_unwind(AssertUnwindSafe(|| {
            let borrowed = OnDrop(|| theirs.store(false, Ordering::SeqCst));
            let (borrowed_alive, count) = (&theirs, &count);
            runtime.run(|| {
                let _borrowed = &borrowed;
                thread::scope(|scope| {
                    scope.spawn(move || {
                        for _ in 0..50 {
                            std::thread::sleep(ms(10));
                            if !borrowed_alive.load(Ordering::SeqCst) {
                                count.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    });
                    std::thread::sleep(ms(50));
                    drop(thread::spawn_local(|| panic!("lost")));
                });
            });
        }));
        std::thread::sleep(Duration::from_secs(2));
    })
    .join()
    .unwrap();
    assert_eq!(
        used_after.load(Ordering::SeqCst),
        0,
        "a scoped thread ran on after what it borrows was dropped"
    );
}

#[test]
fn captures_of_a_refused_task_may_suspend_when_it_is_cancelled() {
    let done = Arc::new(AtomicBool::new(false));
    sylvan::run(|| {
        let flag = done.clone();
        let guard = OnDrop(move || {
            thread::sleep(ms(10));
            flag.store(true, Ordering::SeqCst);
        });
        let builder = thread::Builder::new().stack_size(1 << 60);
        let refused = builder.spawn(move || drop(guard)).unwrap();
        refused.cancel();
        assert!(refused.join().is_err());
    });
    assert!(done.load(Ordering::SeqCst), "its destructor was cut short");
}

struct WhereDropped(
    std::thread::ThreadId,
    Arc<AtomicUsize>,
    #[allow(dead_code)] Rc<()>,
);

impl Drop for WhereDropped {
    fn drop(&mut self) {
        let same = std::thread::current().id() == self.0;
        self.1
            .fetch_add(if same { 1 } else { 1000 }, Ordering::SeqCst);
    }
}

sylvan::thread_local! {
    static NOT_SEND: RefCell<Option<WhereDropped>> = RefCell::new(None);
    #[allow(dead_code)]
    static UNUSED: Cell<u8> = Cell::new(0);
}

#[test]
fn thread_locals_of_a_refused_task_stay_on_their_os_thread() {
    let drops = Arc::new(AtomicUsize::new(0));
    let kept = sylvan::run(|| {
        let count = drops.clone();
        let guard = OnDrop(move || {
            let id = std::thread::current().id();
            NOT_SEND.set(Some(WhereDropped(id, count.clone(), Rc::new(()))));
        });
        let builder = thread::Builder::new().stack_size(1 << 60);
        builder.spawn(move || drop(guard)).unwrap()
    });
    std::thread::spawn(move || drop(kept)).join().unwrap();
    assert_eq!(
        drops.load(Ordering::SeqCst),
        1,
        "1000: dropped on a foreign OS thread"
    );
}

/// A leaked runtime's OS thread ended while a parked task lent out one of its thread-locals.
#[test]
fn an_os_thread_ends_after_the_green_threads_of_a_leaked_runtime() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let leaks = move || {
        let runtime = Runtime::new().unwrap();
        runtime.run(|| {
            drop(thread::spawn(move || {
                let _guard = OnDrop(|| {
                    thread::sleep(ms(1));
                    count.fetch_add(1, Ordering::SeqCst);
                });
                thread::park();
            }));
            thread::yield_now();
        });
        std::mem::forget(runtime);
    };
    std::thread::spawn(leaks).join().unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

/// A destructor that panics on the pool ends one of its threads without accounting for it.
#[test]
fn a_result_that_panics_on_the_pool_costs_no_thread() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("dropped on the pool");
        }
    }
    panic::set_hook(Box::new(|_| {}));
    sylvan::run(|| {
        for _ in 0..300 {
            let _ = time::timeout(ms(1), || {
                std::mem::forget(sylvan::offload(|| {
                    std::thread::sleep(ms(5));
                    Bad
                }));
            });
        }
        thread::sleep(ms(50));
        assert_eq!(
            time::timeout(Duration::from_secs(15), || sylvan::offload(|| 1)),
            Ok(1)
        );
    });
}

/// In a child of `fork` the OS threads of pools and of the default runtime do not exist: who used them
/// waited for ever.
#[test]
fn a_forked_child_is_told_that_it_cannot_use_its_parents_threads() {
    if !is_child() {
        let ended = in_child("a_forked_child_is_told_that_it_cannot_use_its_parents_threads");
        assert!(ended.status.success(), "{ended:?}");
        return;
    }
    assert_eq!(thread::spawn(|| 1).join().unwrap(), 1);
    assert_eq!(sylvan::run(|| sylvan::offload(|| 1)), 1);
    let uses: [fn(); 2] = [
        || drop(thread::spawn(|| 2).join()),
        || assert_eq!(sylvan::run(|| sylvan::offload(|| 2)), 2),
    ];
    for in_child in uses {
        // SAFETY: the child only calls what this test is about, and ends itself.
        let child = unsafe { libc::fork() };
        if child == 0 {
            panic::set_hook(Box::new(|_| {}));
            let refused = panic::catch_unwind(in_child).is_err();
            // SAFETY: ends the process, and nothing of the parent's.
            unsafe { libc::_exit(i32::from(!refused)) };
        }
        let mut status = 0;
        // SAFETY: our own child.
        let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((ended, status), (child, 0), "the child was not refused");
    }
}

/// A payload that is kept must not hide later time-outs.
#[test]
fn a_kept_payload_does_not_hide_a_later_deadline() {
    sylvan::run(|| {
        let start = Instant::now();
        let task = thread::spawn(|| {
            let kept = Cell::new(None);
            let _ = time::timeout(ms(5), || {
                kept.set(panic::catch_unwind(|| thread::sleep(HOUR)).err());
            });
            // It is kept, and a neighbour parks in its unwinding.
            let result = time::timeout(ms(50), || {
                drop(thread::spawn(|| {
                    let _guard = OnDrop(|| thread::sleep(ms(20)));
                    panic!("x");
                }));
                thread::yield_now();
                thread::park();
            });
            assert!(result.is_err());
        });
        let ended = time::timeout(Duration::from_secs(3), || task.join());
        assert!(ended.is_ok(), "still parked after {:?}", start.elapsed());
        assert!(!task::cancel_requested());
    });
}

/// The result of a detached task was dropped after the thread-locals that its destructor uses.
#[test]
fn the_result_of_a_detached_task_is_dropped_before_its_thread_locals() {
    sylvan::thread_local! {
        static NAME: Cell<&'static str> = const { Cell::new("initial") };
    }
    static SEEN: std::sync::Mutex<Option<&'static str>> = std::sync::Mutex::new(None);
    sylvan::run(|| {
        drop(thread::spawn(|| {
            NAME.set("its own");
            OnDrop(|| *SEEN.lock().unwrap() = Some(NAME.get()))
        }));
        thread::yield_now();
    });
    assert_eq!(*SEEN.lock().unwrap(), Some("its own"));
}

/// A socket was registered with a hub that rests between two `run`s: nobody asked its epoll instance, and
/// who waited for the socket elsewhere was never told.
#[test]
fn a_socket_of_a_runtime_that_rests_works_in_another() {
    let pausing = Runtime::new().unwrap();
    let (mut reader, mut writer) = pausing.run(|| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut reader = listener.accept().unwrap().0;
        // Waits, and so is registered here.
        let mut theirs = writer.try_clone().unwrap();
        thread::spawn(move || theirs.write_all(b"1").unwrap());
        reader.read_exact(&mut [0]).unwrap();
        (reader, writer)
    });
    sylvan::run(|| {
        let waits = thread::spawn(move || reader.read_exact(&mut [0]).unwrap());
        thread::yield_now();
        writer.write_all(b"2").unwrap();
        waits.join().unwrap();
    });
    pausing.close();
}

/// The hub of a runtime that is dropped in a green thread was never asked what the kernel has to say.
#[test]
fn a_leftover_of_a_runtime_dropped_in_a_green_thread_may_wait_for_a_socket() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let runtime = Runtime::new().unwrap();
        runtime.run(|| {
            drop(thread::spawn(move || {
                let _guard = OnDrop(|| assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 2));
                thread::park();
            }));
            thread::yield_now();
        });
        sylvan::run(move || {
            let sender = thread::spawn(move || {
                thread::sleep(ms(20));
                let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
                sender.send_to(b"go", address).unwrap();
            });
            thread::yield_now();
            drop(runtime);
            sender.join().unwrap();
        });
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(30)).unwrap();
}

/// The thread-local in which the kernel keeps an OS thread's runtime may be gone before that of a user.
#[test]
fn a_name_is_looked_up_in_the_destructor_of_a_thread_local() {
    std::thread_local! {
        static LAST: OnDrop<fn()> = const {
            OnDrop(|| {
                assert!("localhost:0".to_socket_addrs().is_ok());
            })
        };
    }
    if !is_child() {
        let ended = in_child("a_name_is_looked_up_in_the_destructor_of_a_thread_local");
        assert!(ended.status.success(), "{ended:?}");
        return;
    }
    let looks_up = || {
        LAST.with(|_| ());
        assert!("localhost:0".to_socket_addrs().is_ok());
        // A job's runtime is noted where the job runs: here.
        drop(thread::spawn(|| ()).join());
    };
    std::thread::spawn(looks_up).join().unwrap();
}

/// The agent knew nothing of our connections, and its shutdown ended none.
#[cfg(feature = "http")]
#[test]
fn an_agent_that_is_shut_down_ends_the_requests_in_flight() {
    let ended = sylvan::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let agent = sylvan::http::agent();
        let asks = agent.clone();
        let request = thread::spawn(move || asks.get(url).call().is_err());
        let (mut connection, _) = listener.accept().unwrap();
        connection.read_exact(&mut [0; 4]).unwrap();
        agent.shutdown();
        time::timeout(Duration::from_secs(30), || request.join())
    });
    assert!(ended.expect("the request goes on").unwrap());
}

/// Thread-locals are destroyed youngest first, and so those that a green thread has made before the
/// runtime that it lives on ends: here one is lent to a green thread of another hub.
#[test]
fn a_leaked_runtime_lends_no_thread_local_that_is_destroyed() {
    struct Lent(AtomicBool, Arc<AtomicBool>);
    impl Drop for Lent {
        fn drop(&mut self) {
            self.1.store(true, Ordering::SeqCst);
        }
    }
    std::thread_local! {
        static LENT: std::cell::OnceCell<Lent> = const { std::cell::OnceCell::new() };
    }
    let destroyed = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(AtomicBool::new(false));
    let (gone, used_late) = (destroyed.clone(), seen.clone());
    let leaks = move || {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        runtime.run(|| {
            drop(thread::spawn_local(move || {
                LENT.with(|cell| {
                    let lent = cell.get_or_init(|| Lent(AtomicBool::new(false), gone.clone()));
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            // What was lent is used until the scope's end.
                            let _guard = OnDrop(|| {
                                lent.0.store(true, Ordering::SeqCst);
                                used_late.store(gone.load(Ordering::SeqCst), Ordering::SeqCst);
                            });
                            thread::park();
                        });
                        thread::park();
                    });
                });
            }));
            thread::sleep(ms(20));
        });
        std::mem::forget(runtime);
    };
    std::thread::spawn(leaks).join().unwrap();
    assert!(destroyed.load(Ordering::SeqCst));
    assert!(!seen.load(Ordering::SeqCst), "used after it was destroyed");
}

/// When an OS thread ended, the hubs of all its leaked runtimes were noted at once; a task of the first could
/// free the next.
#[test]
fn a_task_of_a_leaked_runtime_may_own_another_runtime() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let leaks = move || {
        let leaked = Runtime::new().unwrap();
        let owned = Runtime::new().unwrap();
        owned.run(|| {
            drop(thread::spawn(move || {
                let _guard = OnDrop(|| {
                    count.fetch_add(1, Ordering::SeqCst);
                });
                thread::park();
            }));
            thread::yield_now();
        });
        leaked.run(|| {
            drop(thread::spawn_local(move || {
                let _owned = owned;
                thread::park();
            }));
            thread::yield_now();
        });
        std::mem::forget(leaked);
    };
    std::thread::spawn(leaks).join().unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

/// `exit` destroys the thread-locals of the OS thread that calls it, a hub's perhaps that is at work.
#[test]
fn a_green_thread_may_end_the_process() {
    if !is_child() {
        let ended = in_child("a_green_thread_may_end_the_process");
        assert_eq!(ended.status.code(), Some(7), "{ended:?}");
        return;
    }
    let runtime = Runtime::builder().workers(2).build().unwrap();
    runtime.run(|| {
        drop(thread::spawn(|| thread::sleep(HOUR)));
        thread::yield_now();
    });
    runtime.run(|| std::process::exit(7));
}

/// A task that swallows every cancellation in a loop kept its hub for ever: nobody else ran, nothing was
/// reported.
#[test]
fn who_swallows_every_cancellation_lets_others_run() {
    sylvan::run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let stubborn = thread::spawn(move || {
            while !seen.load(Ordering::SeqCst) {
                let _ = panic::catch_unwind(|| thread::sleep(ms(1)));
            }
        });
        thread::yield_now();
        stubborn.cancel();
        thread::sleep(ms(5));
        stop.store(true, Ordering::SeqCst);
        assert!(stubborn.join().is_ok(), "its value wins, it did return");
    });
}

/// A `stop` that ended one run cancelled the main green thread of the next one as well, if that began before it
/// had looked whom to cancel.
#[test]
fn a_stop_ends_one_run_and_not_the_next() {
    let stops_and_runs = || {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        let (ask, asked) = std::sync::mpsc::channel();
        let stopper = std::thread::spawn(move || asked.iter().for_each(|()| handle.stop()));
        for round in 0..5000 {
            ask.send(()).unwrap();
            runtime.run_forever();
            let next = runtime.try_run(thread::yield_now);
            assert!(next.is_ok(), "in round {round}");
        }
        drop(ask);
        stopper.join().unwrap();
    };
    // Many of them, so that each is interrupted at its work now and then.
    std::thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(stops_and_runs)));
    });
}

/// When a nursery ended, its threads were cancelled one by one and its body last. Who had joined one of the first
/// could see its end before it was cancelled itself: the join returned an error, which counted as a second failure.
#[test]
fn a_nursery_that_ends_unwinds_whoever_sees_it() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    for round in 0..3000 {
        let all_wait = AtomicBool::new(false);
        let ended = runtime.run(|| {
            task::nursery(|nursery| {
                nursery.spawn(|| {
                    while !all_wait.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    Err::<(), _>("the only failure")
                });
                let joiners = (0..200).map(|_| {
                    let sleeper = nursery.spawn(|| thread::sleep(HOUR));
                    nursery.spawn(move || sleeper.join())
                });
                let joiners: Vec<_> = joiners.collect();
                all_wait.store(true, Ordering::SeqCst);
                // The youngest are cancelled first.
                joiners
                    .into_iter()
                    .rev()
                    .try_for_each(task::NurseryHandle::join)
            })
        });
        let failures = ended.unwrap_err();
        assert_eq!(failures.len(), 1, "in round {round}: {failures:?}");
    }
}

/// An error of a nursery's body is converted by the user's code. If that panicked the threads were not cancelled, and
/// the panic went on only when they had ended by themselves.
#[test]
fn a_panic_in_the_conversion_of_a_bodys_error_ends_the_nursery() {
    struct Bad;
    impl From<Bad> for Box<dyn std::error::Error + Send + Sync> {
        fn from(_: Bad) -> Self {
            panic!("not to be converted")
        }
    }
    sylvan::run(|| {
        let ended = panic::catch_unwind(|| {
            task::nursery(|nursery| {
                nursery.spawn(|| thread::sleep(HOUR));
                Err::<(), _>(Bad)
            })
        });
        assert!(ended.is_err());
    });
}

/// At the end of its items a `map` or `imap` waited for one more slot to find out that it needed none: for ever, if
/// others had them all.
#[test]
fn a_map_that_is_through_waits_for_no_slot() {
    sylvan::run(|| {
        let pool = Arc::new(task::Pool::new(1));
        let mut results = pool.imap([1], |n| n);
        assert_eq!(results.next().unwrap().unwrap(), 1);
        let holder = pool.spawn(|| thread::sleep(HOUR));
        assert!(results.next().is_none());
        assert!(pool.imap([0; 0], |n| n).next().is_none());
        assert!(pool.imap_unordered([0; 0], |n| n).next().is_none());
        assert!(pool.map([0; 0], |n: i32| n).is_empty());
        holder.cancel();
        assert!(holder.join().is_err());

        let (from, others) = (pool.clone(), pool.clone());
        let mapped = thread::spawn(move || {
            from.map([1], |n| {
                thread::yield_now();
                n
            })
        });
        thread::yield_now();
        // It stands in line for the slot that the only call has, and keeps it.
        let next = thread::spawn(move || others.spawn(|| thread::sleep(HOUR)));
        assert_eq!(mapped.join().unwrap(), [1]);
        next.join().unwrap().cancel();
    });
}

/// Where a nursery or a scope catches an unwinding to wait for its threads, what it drops then was cut short by the
/// same cancellation: failures that were kept, and the value of a body that had returned.
#[test]
fn what_a_nursery_drops_because_of_an_unwinding_may_suspend() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let slow = || {
        let dropped = dropped.clone();
        OnDrop(move || {
            thread::yield_now();
            dropped.fetch_add(1, Ordering::SeqCst);
        })
    };
    sylvan::run(|| {
        let late = time::timeout(ms(2), || {
            thread::scope(|scope| {
                scope.spawn(|| thread::sleep(HOUR));
                slow()
            })
        });
        assert!(late.is_err());
        assert_eq!(dropped.load(Ordering::SeqCst), 1);

        let late = time::timeout(ms(2), || {
            task::nursery(|nursery| {
                nursery.spawn(|| thread::sleep(HOUR));
                Ok::<_, task::Cancelled>(slow())
            })
        });
        assert!(late.is_err());
        assert_eq!(dropped.load(Ordering::SeqCst), 2);

        let (deadline, failure) = (time::Instant::now() + ms(2), slow());
        let late = time::timeout_at(deadline, || {
            task::nursery(|nursery| {
                let fails = nursery.spawn(|| panic::resume_unwind(Box::new(failure)));
                task::mask(|| {
                    assert!(fails.join().is_err());
                    while time::Instant::now() < deadline {
                        thread::yield_now();
                    }
                });
                // To the time-out, which is the outer one.
                thread::yield_now();
            })
        });
        assert!(late.is_err());
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
    });
}

/// `race` waited for the losers in a destructor, and so in the midst of its own unwinding. A loser that began to
/// wait meanwhile on the same hub was to be unwound when that was through, and each waited for the other.
#[test]
fn a_race_that_is_cancelled_does_not_unwind_while_it_waits_for_the_losers() {
    must_end(|| {
        sylvan::run(|| {
            let racer = thread::spawn(|| {
                let loser = thread::spawn(|| {
                    // The last of these waits begins when the cancel has come.
                    while !task::cancel_requested() {
                        task::mask(thread::yield_now);
                    }
                    task::mask(thread::yield_now);
                    thread::park();
                });
                task::race([loser])
            });
            for _ in 0..5 {
                thread::yield_now();
            }
            racer.cancel();
            assert!(racer.join().unwrap_err().is::<task::Cancelled>());
        });
    });
}

/// Whom a destructor cancels and then waits for was held back until that destructor was through, if it had run
/// and parked since the unwinding began: for all that was known it was in a panic of its own.
#[test]
fn a_destructor_cancels_and_joins_a_child_that_ran_meanwhile() {
    clean_ups_end(|| {
        let child = thread::spawn(|| {
            // A heartbeat.
            loop {
                thread::sleep(ms(1));
            }
        });
        move || {
            // Waits for something else first, so that the child runs.
            for _ in 0..3 {
                thread::sleep(ms(5));
            }
            child.cancel();
            while !child.is_finished() {
                thread::sleep(ms(1));
            }
        }
    });
}

/// As above: the children were started while it could not be known whose panic it was.
#[test]
fn a_destructor_bounds_a_scope_by_a_timeout() {
    clean_ups_end(|| {
        || {
            let result = time::timeout(ms(5), || {
                thread::scope(|scope| {
                    scope.spawn(|| thread::sleep(HOUR));
                });
            });
            assert!(result.is_err());
        }
    });
}

/// As above.
#[test]
fn a_destructor_bounds_a_nursery_by_a_timeout_or_ends_it() {
    clean_ups_end(|| {
        || {
            let result = time::timeout(ms(5), || {
                let _ = task::nursery(|nursery| {
                    nursery.spawn(|| thread::sleep(HOUR));
                });
            });
            assert!(result.is_err());
            let ended = task::nursery(|nursery| {
                nursery.spawn(|| thread::sleep(HOUR));
                thread::yield_now();
                nursery.cancel();
            });
            drop(ended);
        }
    });
}

/// Runs a clean-up in a destructor, because of a cancel and of a panic, with one hub and with several; once alone,
/// and once beside another that does the same.
fn clean_ups_end<F: FnMut() + 'static>(prepare: fn() -> F) {
    let unwind = move |panics: bool, [begun, ended]: [Arc<AtomicUsize>; 2]| {
        let mut clean_up = prepare();
        let _at_drop = OnDrop(move || {
            clean_up();
            ended.fetch_add(1, Ordering::SeqCst);
        });
        begun.fetch_add(1, Ordering::SeqCst);
        if panics {
            panic::resume_unwind(Box::new("a panic"));
        }
        thread::sleep(HOUR);
    };
    must_end(|| {
        for (workers, panics, count) in [
            (1, false, 1),
            (1, true, 1),
            (4, false, 1),
            (4, true, 1),
            (1, false, 2),
            (1, true, 2),
            (4, true, 8),
        ] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                let counts = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
                let tasks: Vec<_> = (0..count)
                    .map(|_| {
                        let counts = counts.clone();
                        thread::spawn(move || unwind(panics, counts))
                    })
                    .collect();
                let [begun, ended] = counts;
                while begun.load(Ordering::SeqCst) < count {
                    thread::yield_now();
                }
                for task in tasks {
                    task.cancel();
                    assert_eq!(task.join().unwrap_err().is::<task::Cancelled>(), !panics);
                }
                assert_eq!(ended.load(Ordering::SeqCst), count);
            });
            runtime.close();
        }
    });
}

/// The second of two that panicked and cleaned up at once was held back for good.
#[test]
fn two_that_panic_both_bound_their_clean_up() {
    must_end(|| {
        sylvan::run(|| {
            let tasks: Vec<_> = (0..2_usize)
                .map(|n| {
                    thread::spawn(move || {
                        let _guard = OnDrop(|| {
                            assert!(time::timeout(ms(20), thread::park).is_err());
                        });
                        panic::resume_unwind(Box::new(n));
                    })
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate() {
                assert_eq!(*task.join().unwrap_err().downcast::<usize>().unwrap(), n);
            }
        });
    });
}

/// When the body of a nursery panicked, an error that one of its threads had returned was reported as "a payload that
/// is not a string".
#[test]
fn a_report_tells_the_error_that_a_thread_has_returned() {
    if !is_child() {
        let ended = in_child("a_report_tells_the_error_that_a_thread_has_returned");
        let reported = String::from_utf8_lossy(&ended.stderr);
        assert!(
            reported.contains("nobody has taken its result: no luck"),
            "{ended:?}"
        );
        return;
    }
    fn unwind() {
        panic::resume_unwind(Box::new("the body's own"));
    }
    sylvan::run(|| {
        let ended = panic::catch_unwind(|| {
            task::nursery(|nursery| {
                let failing = nursery.spawn(|| Err::<(), _>("no luck"));
                task::mask(|| failing.join().unwrap_err());
                unwind();
            })
        });
        assert!(ended.is_err());
    });
}

/// Since waits read no clock of their own, one for no time at all suspended until the next turn of the hub, and was
/// cut short by a cancellation instead of timing out.
#[test]
fn a_wait_for_no_time_does_not_suspend() {
    use std::sync::mpsc::RecvTimeoutError::Timeout;
    use sylvan::sync::{Condvar, Mutex, Semaphore, mpsc};

    sylvan::run(|| {
        let others_ran = Arc::new(AtomicBool::new(false));
        let seen = others_ran.clone();
        let other = thread::spawn(move || seen.store(true, Ordering::SeqCst));

        thread::sleep(Duration::ZERO);
        assert!(Semaphore::new(0).acquire_timeout(Duration::ZERO).is_none());
        let (_sender, receiver) = mpsc::channel::<()>();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(Timeout));
        let (mutex, changed) = (Mutex::new(()), Condvar::new());
        let waited = changed.wait_timeout(mutex.lock().unwrap(), Duration::ZERO);
        assert!(waited.unwrap().1.timed_out());
        let other = other.join_timeout(Duration::ZERO).unwrap_err();
        let (_, pending) = task::wait([other], task::WaitFor::All, Some(Duration::ZERO));

        assert_eq!(pending.len(), 1);
        assert!(!others_ran.load(Ordering::SeqCst));
    });
}

/// To open a named pipe was tried first without waiting, to see what it is, and given up again. Who waited at the other end was
/// let in by that, and wrote to nobody, or read the end.
#[test]
fn to_open_a_named_pipe_lets_nobody_in_for_a_moment() {
    let path = std::env::temp_dir().join(format!("sylvan-fifo-{}", std::process::id()));
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    must_end(move || {
        // SAFETY: the path ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        for round in 0..50_u8 {
            let theirs = path.clone();
            let peer = std::thread::spawn(move || {
                let mut far = std::fs::File::options().write(true).open(&theirs).unwrap();
                far.write_all(&[round; 10]).unwrap();
                drop(far);
                std::fs::read(theirs).unwrap()
            });
            sylvan::run(|| {
                assert_eq!(sylvan::fs::read(&path).unwrap(), [round; 10]);
                let mut near = sylvan::fs::File::options().write(true).open(&path).unwrap();
                near.write_all(b"answer").unwrap();
            });
            assert_eq!(peer.join().unwrap(), b"answer");
        }
        std::fs::remove_file(path).unwrap();
    });
}

/// A datagram from an abstract address, or from a path of the greatest length, came as an error, or a panic.
#[test]
fn a_datagram_comes_whatever_its_sender_is_called() {
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use sylvan::os::unix::net::{SocketAddr, UnixDatagram};

    sylvan::run(|| {
        let name = |which: &str| format!("sylvan-{which}-{}", std::process::id());
        let inbox_name = SocketAddr::from_abstract_name(name("inbox")).unwrap();
        let sender_name = SocketAddr::from_abstract_name(name("sender")).unwrap();
        let inbox = UnixDatagram::bind_addr(&inbox_name).unwrap();
        let sender = UnixDatagram::bind_addr(&sender_name).unwrap();
        sender.send_to_addr(b"abstract", &inbox_name).unwrap();
        let mut letter = [0; 16];
        let (count, from) = inbox.recv_from(&mut letter).unwrap();
        assert_eq!(&letter[..count], b"abstract");
        assert_eq!(from.as_abstract_name(), sender_name.as_abstract_name());

        // 108 bytes, without a zero behind them, which std does not make.
        let folder = std::env::temp_dir().join(name("long"));
        std::fs::create_dir_all(&folder).unwrap();
        let path = format!("{}/", folder.display());
        let path = format!("{path}{}", "x".repeat(108 - path.len()));
        let long = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let address = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as u16,
            sun_path: std::array::from_fn(|nth| path.as_bytes()[nth].cast_signed()),
        };
        let length = size_of_val(&address) as u32;
        // SAFETY: an address of this length.
        let bound = unsafe { libc::bind(long.as_raw_fd(), (&raw const address).cast(), length) };
        assert_eq!(bound, 0);
        long.send_to_addr(b"long", &inbox_name).unwrap();
        let (count, _) = inbox.recv_from(&mut letter).unwrap();
        assert_eq!(&letter[..count], b"long");
        std::fs::remove_dir_all(folder).unwrap();
    });
}

/// Of two who waited for one descriptor the second waited on for ever when the attempt of the first had panicked.
#[test]
fn a_panic_in_an_attempt_leaves_what_is_there_to_the_next() {
    use sylvan::io::Io;

    must_end(|| {
        sylvan::run(|| {
            let (reader, mut writer) = std::io::pipe().unwrap();
            let reader = Arc::new(Io::new(reader).unwrap());
            let (first, second) = (reader.clone(), reader);
            let first = thread::spawn(move || {
                let mut is_there = false;
                let _ = first.read_with(|_| -> std::io::Result<()> {
                    assert!(!std::mem::replace(&mut is_there, true), "as it is meant to");
                    Err(std::io::ErrorKind::WouldBlock.into())
                });
            });
            thread::yield_now();
            let second = thread::spawn(move || (&*second).read(&mut [0; 9]).unwrap());
            thread::yield_now();
            writer.write_all(b"there").unwrap();
            assert!(first.join().is_err());
            assert_eq!(second.join().unwrap(), 5);
        });
    });
}

/// A descriptor of no type, an eventfd, was taken for a file: to read it kept an OS thread.
#[test]
fn an_eventfd_is_waited_for_by_the_hub() {
    use std::os::fd::FromRawFd;

    sylvan::run(|| {
        // SAFETY: it takes numbers, and gives a descriptor that is ours.
        let event = unsafe { std::fs::File::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
        let mut writer = event.try_clone().unwrap();
        let mut reader = sylvan::fs::File::from(event);
        let task = thread::spawn(move || reader.read(&mut [0; 8]).unwrap());
        thread::yield_now();
        assert_eq!(task.state(), task::State::Waiting(task::Reason::Readable));
        writer.write_all(&1_u64.to_ne_bytes()).unwrap();
        assert_eq!(task.join().unwrap(), 8);
    });
}

/// A copy into a socket whose other end had gone raised SIGPIPE, of which programs die that do not ignore it as Rust's do.
#[test]
fn a_copy_into_a_closed_socket_raises_no_signal() {
    if is_child() {
        // SAFETY: it takes numbers.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        sylvan::run(|| {
            let (near, far) = sylvan::os::unix::net::UnixStream::pair().unwrap();
            drop(far);
            let path = std::env::temp_dir().join(format!("sylvan-copied-{}", std::process::id()));
            std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
            let mut file = sylvan::fs::File::open(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            let error = sylvan::io::copy(&mut file, &mut &near).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        });
        std::process::exit(7);
    }
    let output = in_child("a_copy_into_a_closed_socket_raises_no_signal");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}

/// Several green threads of a hub may share a receiver, by an `Rc`. There was one place for the messages that were handed
/// over: a second one went into the first one's, and was dropped under a lock, or at the same time as it was read.
#[test]
fn a_receiver_that_is_shared_loses_nothing() {
    const EACH: usize = 20_000;
    must_end(|| {
        sylvan::run(|| {
            let (sender, receiver) = mpsc::channel();
            let receiver = Rc::new(receiver);
            let receivers: Vec<_> = (0..4)
                .map(|_| {
                    let receiver = receiver.clone();
                    thread::spawn_local(move || {
                        receiver
                            .iter()
                            .map(|text: String| text.len())
                            .sum::<usize>()
                    })
                })
                .collect();
            thread::yield_now();
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let sender = sender.clone();
                    std::thread::spawn(move || {
                        for count in 0..EACH {
                            sender.send("x".repeat(32)).unwrap();
                            if count % 3 == 0 {
                                std::thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            drop(sender);
            let received = receivers.into_iter().map(|task| task.join().unwrap());
            assert_eq!(received.sum::<usize>(), 3 * EACH * 32);
            for sender in senders {
                sender.join().unwrap();
            }
        });
    });
}

/// As above, where they wait by a select, and for a rendezvous; and of those who waited only the first learnt that the last
/// sender had gone.
#[test]
fn all_who_wait_at_a_shared_receiver_are_told() {
    must_end(|| {
        sylvan::run(|| {
            let (sender, receiver) = mpsc::sync_channel(0);
            let receiver = Rc::new(receiver);
            let tasks: Vec<_> = (0..4)
                .map(|number| {
                    let receiver = receiver.clone();
                    thread::spawn_local(move || {
                        if number % 2 == 0 {
                            return receiver.recv();
                        }
                        let receiver = &*receiver;
                        select! { recv(receiver) -> message => message }
                    })
                })
                .collect();
            thread::yield_now();
            sender.send("one").unwrap();
            sender.send("two").unwrap();
            drop(sender);
            let ends: Vec<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
            let gone = Err(mpsc::RecvError);
            assert_eq!(ends, [Ok("one"), Ok("two"), gone, gone]);
        });
    });
}

/// A message that was put back by who gave up lay in the queue while another one waited for it.
#[test]
fn a_message_that_is_put_back_is_for_whoever_waits() {
    must_end(|| {
        sylvan::run(|| {
            let (sender, receiver) = mpsc::channel();
            let receiver = Rc::new(receiver);
            let (begin, begun) = std::sync::mpsc::channel();
            let others = std::thread::spawn(move || {
                for delay in begun {
                    let start = Instant::now();
                    while start.elapsed() < delay {
                        std::hint::spin_loop();
                    }
                    sender.send(()).unwrap();
                }
            });
            let limit = Duration::from_micros(50);
            for round in 0..3000 {
                let hasty = receiver.clone();
                let hasty =
                    thread::spawn_local(move || time::timeout(limit, || hasty.recv()).is_ok());
                let patient = receiver.clone();
                let patient = thread::spawn_local(move || patient.recv().is_ok());
                begin
                    .send(limit + Duration::from_nanos(round * 97 % 200_000))
                    .unwrap();
                if hasty.join().unwrap() {
                    begin.send(Duration::ZERO).unwrap();
                }
                assert!(patient.join_timeout(HOUR).is_ok_and(|ended| ended.unwrap()));
            }
            drop(begin);
            others.join().unwrap();
        });
    });
}

/// To set a thread-local ran its initialiser first. std's does not.
#[test]
fn to_set_a_thread_local_makes_no_other_value() {
    sylvan::thread_local! {
        static CELL: Cell<i32> = panic!("it is set first");
        static REF_CELL: RefCell<i32> = panic!("it is set first");
    }
    must_end(|| {
        sylvan::run(|| {
            CELL.set(1);
            REF_CELL.set(1);
            assert_eq!((CELL.get(), REF_CELL.take()), (1, 1));
            CELL.set(2);
            REF_CELL.set(2);
            assert_eq!((CELL.get(), REF_CELL.take()), (2, 2));
        });
    });
}

/// Permits that were more than a semaphore could take back were given one by one: for centuries.
#[test]
fn permits_that_do_not_fit_are_soon_gone() {
    must_end(|| {
        sylvan::run(|| {
            let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
            let all = semaphore.acquire_many(Semaphore::MAX_PERMITS);
            semaphore.release(5);
            drop(all);
            assert_eq!(semaphore.available(), Semaphore::MAX_PERMITS);
        });
    });
}

/// A case of a select that puts, and stands there twice, freed the line of its first stand.
#[test]
fn a_put_may_be_two_cases_of_a_select() {
    use sylvan::sync::select::private::{Order, Until, run};
    use sylvan::sync::select::{Outgoing, Transmit};

    must_end(|| {
        sylvan::run(|| {
            let queue = Queue::new(1);
            queue.put(String::from("first")).unwrap();
            let putting = queue.to_send(Outgoing::new(String::from("second")));
            for _ in 0..3 {
                run(Order::Listed, Until::Over(ms(1)), [&putting, &putting]);
            }
            thread::scope(|scope| {
                let getter = scope.spawn(|| (queue.get(), queue.get()));
                run(Order::Listed, Until::Over(HOUR), [&putting, &putting]);
                drop(putting);
                let (first, second) = getter.join().unwrap();
                assert_eq!(
                    (first.unwrap().as_str(), second.unwrap().as_str()),
                    ("first", "second")
                );
            });
        });
    });
}

/// The payload of a job's panic was dropped where a panic ends the pool's thread, which counted as there for ever.
#[test]
fn a_pool_survives_what_a_panic_leaves_behind() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            panic!("the payload of a payload");
        }
    }
    struct First;
    impl Drop for First {
        fn drop(&mut self) {
            panic::panic_any(Last);
        }
    }

    must_end(|| {
        sylvan::run(|| {
            let pool = Arc::new(sylvan::runtime::OffloadPool::new("payloads", 1));
            let (begun, has_begun) = mpsc::channel();
            let (release, released) = std::sync::mpsc::channel();
            let abandoned = {
                let pool = pool.clone();
                thread::spawn(move || {
                    pool.offload(move || {
                        begun.send(()).unwrap();
                        released.recv().unwrap();
                        panic::panic_any(First);
                    })
                })
            };
            has_begun.recv().unwrap();
            abandoned.cancel();
            assert!(abandoned.join().is_err());
            release.send(()).unwrap();
            assert_eq!(pool.offload(|| 5), 5);
        });
    });
}

/// Sizes and moments beyond what there is panicked, and were not said to.
#[test]
fn the_largest_sizes_and_moments_are_taken() {
    must_end(|| {
        sylvan::run(|| {
            let pool = task::Pool::new(usize::MAX);
            assert_eq!(pool.spawn(|| 3).join().unwrap(), 3);
            let far = Instant::now() + HOUR * 24 * 366 * 1000;
            assert!(time::Instant::from(far) > time::Instant::now() + HOUR);
        });
    });
}

/// A thread-local's destructor that runs after those of the tasks finds the runtime of its OS thread closed.
#[test]
fn a_run_on_a_runtime_that_its_threads_end_has_closed_is_cancelled() {
    struct Late {
        runtime: Cell<Option<&'static Runtime>>,
        outcome: RefCell<Option<std::sync::mpsc::Sender<bool>>>,
    }

    impl Drop for Late {
        fn drop(&mut self) {
            if let (Some(runtime), Some(outcome)) = (self.runtime.get(), self.outcome.take()) {
                let ended = runtime.try_run(|| ());
                let cancelled = ended.is_err_and(|payload| payload.is::<task::Cancelled>());
                outcome.send(cancelled).unwrap();
            }
        }
    }

    std::thread_local! {
        static LATE: Late = const { Late { runtime: Cell::new(None), outcome: RefCell::new(None) } };
    }

    must_end(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(|| {
            // First, so that it goes last.
            LATE.with(|late| late.outcome.replace(Some(sender)));
            let runtime: &'static Runtime = Box::leak(Box::new(Runtime::new().unwrap()));
            runtime.run(|| ());
            LATE.with(|late| late.runtime.set(Some(runtime)));
        });
        assert!(receiver.recv().unwrap());
    });
}

/// What a hub has taken from the injector while it had no room is not left to it when its `run` ends.
#[test]
fn what_may_start_anywhere_is_not_left_behind_by_a_run() {
    must_end(|| {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let free = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = runtime.run(|| {
            let held = Arc::new(AtomicBool::new(false));
            let (theirs, until) = (held.clone(), free.clone());
            // Keeps the other hub, which steals it: this one is kept by its main task.
            thread::spawn(move || {
                theirs.store(true, Ordering::SeqCst);
                while !until.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
            });
            while !held.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            // As many as leave the queue full, and the rest in the injector.
            let tasks = (0..1024).map(|_| thread::spawn(|| ())).collect();
            // So often that others are let run in between, which begins a turn.
            let (sender, receiver) = mpsc::channel();
            for _ in 0..200 {
                sender.send(()).unwrap();
                receiver.recv().unwrap();
            }
            tasks
        });
        free.store(true, Ordering::SeqCst);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}
