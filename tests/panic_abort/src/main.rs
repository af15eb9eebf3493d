//! What is cancelled in a program that aborts on panic. `tests/panic_abort.rs` runs each case in a process
//! of its own, as `panic_abort NAME`; an assertion that fails aborts it.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream, UdpSocket as StdUdp};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::time::Duration;

use sylvan::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use sylvan::process::Command;
use sylvan::runtime::Runtime;
use sylvan::sync::{Barrier, Condvar, OnceLock, RwLock, mpsc};
use sylvan::task::{Cancelled, cancel_requested, mask};
use sylvan::thread::{self, JoinHandle};
use sylvan::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// The cases, by the names that the test asks for.
const CASES: &[(&str, fn())] = &[
    (
        "suspended calls with a result fail",
        suspended_calls_with_a_result_fail,
    ),
    (
        "calls that need not wait succeed",
        calls_that_need_not_wait_succeed,
    ),
    (
        "calls that are always ready fail in time",
        calls_that_are_always_ready_fail_in_time,
    ),
    ("an outdated call fails", an_outdated_call_fails),
    (
        "an event goes to who still waits",
        an_event_goes_to_who_still_waits,
    ),
    (
        "calls without a result complete",
        calls_without_a_result_complete,
    ),
    (
        "a long series of waits loses no wake-up",
        a_long_series_of_waits_loses_no_wake_up,
    ),
    (
        "a mask holds the failure back",
        a_mask_holds_the_failure_back,
    ),
    (
        "who has not started never runs",
        who_has_not_started_never_runs,
    ),
    (
        "a wait for a child has its own limit",
        a_wait_for_a_child_has_its_own_limit,
    ),
    ("leftovers are leaked", leftovers_are_leaked),
    ("leftovers that can fail end", leftovers_that_can_fail_end),
    (
        "leftovers of a nested run live on",
        leftovers_of_a_nested_run_live_on,
    ),
];

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let case = CASES.iter().find(|(it, _)| *it == name);
    case.unwrap_or_else(|| panic!("there is no case '{name}'"))
        .1();
    println!("passed: {name}");
}

#[track_caller]
fn assert_cancelled<T>(result: io::Result<T>) {
    let error = result.err().expect("it was cancelled");
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.get_ref().is_some_and(|cause| cause.is::<Cancelled>()));
}

/// Lets the others come to their waits, and the hub ask the kernel.
fn settle() {
    for _ in 0..200 {
        thread::yield_now();
    }
}

fn pair() -> (TcpStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from(listener.accept().unwrap().0), client)
}

/// A way to wait that can fail, with all that it needs.
type Wait = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Every call that returns a result and suspends.
fn waits() -> Vec<(&'static str, Wait)> {
    let (mut reads, a) = pair();
    let (peeks, b) = pair();
    let (mut writes, c) = pair();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (receives, receives_from, peeks_datagram) = (udp(), udp(), udp());
    let (full, unread) = full_datagram_socket();
    let (deaf, deaf_too) = (deaf_listener(), deaf_listener());
    vec![
        (
            "read",
            Box::new(move || {
                let _peer = a;
                reads.read(&mut [0]).map(drop)
            }),
        ),
        (
            "peek",
            Box::new(move || {
                let _peer = b;
                peeks.peek(&mut [0]).map(drop)
            }),
        ),
        (
            "write",
            Box::new(move || {
                let _peer = c;
                writes.write_all(&vec![0; 64 << 20])
            }),
        ),
        ("accept", Box::new(move || listener.accept().map(drop))),
        (
            "connect",
            Box::new(move || {
                let ((_listener, address), _line) = deaf;
                TcpStream::connect(address).map(drop)
            }),
        ),
        (
            "connect with a timeout",
            Box::new(move || {
                let ((_listener, address), _line) = deaf_too;
                TcpStream::connect_timeout(&address, HOUR).map(drop)
            }),
        ),
        (
            "receive",
            Box::new(move || receives.recv(&mut [0]).map(drop)),
        ),
        (
            "receive from",
            Box::new(move || receives_from.recv_from(&mut [0]).map(drop)),
        ),
        (
            "peek from",
            Box::new(move || peeks_datagram.peek_from(&mut [0]).map(drop)),
        ),
        (
            "send",
            Box::new(move || {
                let _peer = unread;
                full.send(&[0]).map(drop)
            }),
        ),
        (
            "lookup",
            Box::new(|| "held.test:80".to_socket_addrs().map(drop)),
        ),
    ]
}

/// A datagram socket that cannot send until somebody reads: no internet socket of the loopback is ever
/// like that, but one of unix is.
fn full_datagram_socket() -> (UdpSocket, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    while ours.send(&[0]).is_ok() {}
    ours.set_nonblocking(false).unwrap();
    (UdpSocket::from(OwnedFd::from(ours)), theirs)
}

/// A listener whose line is full, and those who stand in it.
fn deaf_listener() -> ((socket2::Socket, SocketAddr), Vec<StdStream>) {
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut line = Vec::new();
    while let Ok(one) = StdStream::connect_timeout(&address, Duration::from_millis(50)) {
        line.push(one);
    }
    ((listener, address), line)
}

/// Lets go of those who look names up.
static HOLD: std::sync::Mutex<bool> = std::sync::Mutex::new(true);

/// Stands before the C library's own: the lookup takes until it is let go, and finds nothing.
#[unsafe(no_mangle)]
extern "C" fn getaddrinfo() -> i32 {
    while *HOLD.lock().unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    -2 // EAI_NONAME
}

fn suspended_calls_with_a_result_fail() {
    sylvan::run(|| {
        for (name, wait) in waits() {
            let task = thread::spawn(move || {
                let result = wait();
                assert!(cancel_requested());
                // Nor does any later one wait.
                assert_cancelled(UdpSocket::bind("127.0.0.1:0").unwrap().recv(&mut [0]));
                result
            });
            settle();
            assert!(!task.is_finished(), "{name} did not wait");
            task.cancel();
            println!("{name}");
            assert_cancelled(task.join().unwrap());
        }
    });
    *HOLD.lock().unwrap() = false;
}

fn calls_that_need_not_wait_succeed() {
    sylvan::run(|| {
        let (mut stream, mut peer) = pair();
        let task = thread::spawn(move || {
            thread::park();
            assert!(cancel_requested());
            // What is there is given, what can be sent is sent.
            stream.read_exact(&mut [0; 3]).unwrap();
            stream.write_all(b"answer").unwrap();
            stream.read(&mut [0])
        });
        settle();
        peer.write_all(b"abc").unwrap();
        task.cancel();
        task.thread().unpark();
        assert_cancelled(task.join().unwrap());
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    });
}

fn calls_that_are_always_ready_fail_in_time() {
    sylvan::run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let task = thread::spawn(move || {
            loop {
                socket.send_to(&[0], address)?;
                socket.recv(&mut [0])?;
            }
        });
        settle();
        task.cancel();
        assert_cancelled::<()>(task.join().unwrap());
    });
}

fn an_outdated_call_fails() {
    let everywhere = || {
        for (name, wait) in waits() {
            // On a plain thread it is not sylvan that waits for the name.
            if name == "lookup" {
                continue;
            }
            println!("{name}");
            // The value of who does not unwind wins.
            assert_cancelled(timeout(SHORT, wait).unwrap());
            assert!(!cancel_requested());
        }
    };
    sylvan::run(|| {
        everywhere();
        assert_cancelled(timeout(SHORT, || "held.test:80".to_socket_addrs().map(drop)).unwrap());
        // The outer one ends the inner one's call, too, and the other way round only that.
        let outer = timeout(SHORT, || {
            timeout(HOUR, || {
                UdpSocket::bind("127.0.0.1:0").unwrap().recv(&mut [0])
            })
        });
        assert_cancelled(outer.unwrap().unwrap());
        let (mut stream, mut peer) = pair();
        let read = timeout(HOUR, || {
            assert_cancelled(timeout(SHORT, || stream.read(&mut [0])).unwrap());
            peer.write_all(&[7]).unwrap();
            stream.read(&mut [0])
        });
        assert_eq!(read.unwrap().unwrap(), 1);
    });
    everywhere();
    *HOLD.lock().unwrap() = false;
}

fn an_event_goes_to_who_still_waits() {
    // Cancelled at every distance from the event, the one when it has just been told of it included.
    for distance in 0..100 {
        sylvan::run(|| {
            let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
            let [first, second] = [socket.clone(), socket.clone()]
                .map(|socket| thread::spawn(move || socket.recv(&mut [0; 8])));
            settle();
            let sender = StdUdp::bind("127.0.0.1:0").unwrap();
            sender
                .send_to(b"one", socket.local_addr().unwrap())
                .unwrap();
            for _ in 0..distance {
                thread::yield_now();
            }
            first.cancel();
            match first.join().unwrap() {
                Ok(count) => {
                    assert_eq!(count, 3);
                    sender
                        .send_to(b"other", socket.local_addr().unwrap())
                        .unwrap();
                    assert_eq!(second.join().unwrap().unwrap(), 5);
                }
                failed => {
                    assert_cancelled(failed);
                    assert_eq!(second.join().unwrap().unwrap(), 3);
                }
            }
        });
    }
}

/// Tasks wait here until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, Mutex<Vec<thread::Thread>>)>);

impl Gate {
    fn pass(&self) {
        self.0.1.lock().unwrap().push(thread::current());
        while !self.0.0.load(SeqCst) {
            thread::park();
        }
    }

    fn open(&self) {
        self.0.0.store(true, SeqCst);
        for thread in self.0.1.lock().unwrap().drain(..) {
            thread.unpark();
        }
    }
}

/// A call that cannot fail.
type Call = Box<dyn FnOnce() + Send>;

fn calls_without_a_result_complete() {
    sylvan::run(|| {
        let gate = Gate::default();
        let lock = Arc::new(sylvan::sync::Mutex::new(false));
        let shared = Arc::new(RwLock::new(()));
        let changed = Arc::new(Condvar::new());
        let barrier = Arc::new(Barrier::new(2));
        let cell = Arc::new(OnceLock::new());
        let (sender, receiver) = mpsc::channel::<i32>();
        let (fills, drains) = mpsc::sync_channel::<i32>(0);
        let (release, released) = std_mpsc::channel::<()>();
        let (a, b, c, d, e) = (
            gate.clone(),
            gate.clone(),
            gate.clone(),
            gate.clone(),
            gate.clone(),
        );
        let (first, second, third, fourth) =
            (lock.clone(), shared.clone(), lock.clone(), changed.clone());
        let (fifth, sixth, seventh) = (barrier.clone(), cell.clone(), cell.clone());
        let initialises = thread::spawn(move || *seventh.get_or_init(|| e.pass()));
        settle();
        let (held, written) = (lock.lock().unwrap(), shared.write().unwrap());
        let calls: Vec<(&str, Call)> = vec![
            ("sleep", Box::new(|| thread::sleep(SHORT))),
            ("park", Box::new(move || a.pass())),
            ("yield", Box::new(thread::yield_now)),
            (
                "join",
                Box::new(move || thread::spawn(move || b.pass()).join().unwrap()),
            ),
            (
                "scope",
                Box::new(move || thread::scope(|scope| drop(scope.spawn(|| c.pass())))),
            ),
            ("nested run", Box::new(move || sylvan::run(|| d.pass()))),
            (
                "offload",
                Box::new(move || sylvan::offload(move || released.recv().unwrap())),
            ),
            ("mutex", Box::new(move || drop(first.lock().unwrap()))),
            ("rwlock", Box::new(move || drop(second.read().unwrap()))),
            (
                "condvar",
                Box::new(move || {
                    drop(fourth.wait_while(third.lock().unwrap(), |is_true| !*is_true))
                }),
            ),
            (
                "barrier",
                Box::new(move || assert!(!fifth.wait().is_leader())),
            ),
            (
                "cell",
                Box::new(move || *sixth.get_or_init(|| unreachable!())),
            ),
            (
                "receive",
                Box::new(move || assert_eq!(receiver.recv(), Ok(4))),
            ),
            ("rendezvous", Box::new(move || fills.send(5).unwrap())),
        ];
        let tasks: Vec<(&str, JoinHandle<bool>)> = calls
            .into_iter()
            .map(|(name, call)| {
                let task = thread::spawn(move || {
                    call();
                    cancel_requested()
                });
                (name, task)
            })
            .collect();
        thread::yield_now();
        tasks.iter().for_each(|(_, task)| task.cancel());
        settle();
        drop(written);
        drop(held);
        *lock.lock().unwrap() = true;
        changed.notify_all();
        barrier.wait();
        sender.send(4).unwrap();
        assert_eq!(drains.recv(), Ok(5));
        release.send(()).unwrap();
        gate.open();
        for (name, task) in tasks {
            println!("{name}");
            assert!(task.join().unwrap(), "it was cancelled, and is told so");
        }
        initialises.join().unwrap();
    });
}

fn a_long_series_of_waits_loses_no_wake_up() {
    sylvan::run(|| {
        let main = thread::current();
        let task = thread::spawn(move || {
            for _ in 0..100 {
                thread::park();
                main.unpark();
            }
        });
        thread::yield_now();
        task.cancel();
        for _ in 0..100 {
            // Woken while it waits, and, for one hub is one after the other, at every step to the wait.
            task.thread().unpark();
            thread::park();
        }
        task.join().unwrap();
    });
}

fn a_mask_holds_the_failure_back() {
    sylvan::run(|| {
        let (mut stream, mut peer) = pair();
        let task = thread::spawn(move || {
            let masked = mask(|| stream.read(&mut [0]));
            (masked, stream.read(&mut [0]))
        });
        settle();
        task.cancel();
        settle();
        assert!(!task.is_finished());
        peer.write_all(&[1]).unwrap();
        let (masked, outside) = task.join().unwrap();
        assert_eq!(masked.unwrap(), 1);
        assert_cancelled(outside);
    });
}

fn who_has_not_started_never_runs() {
    sylvan::run(|| {
        let captured = Arc::new(());
        let weak = Arc::downgrade(&captured);
        let task = thread::spawn(move || {
            let _captured = captured;
            panic!("it ran");
        });
        task.cancel();
        let payload = task.join().unwrap_err();
        assert!(payload.is::<Cancelled>());
        assert!(weak.upgrade().is_none(), "what it captured is dropped");
    });
}

struct CountsItsDrop(Arc<AtomicUsize>);

impl Drop for CountsItsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn a_wait_for_a_child_has_its_own_limit() {
    sylvan::run(|| {
        let mut child = Command::new("sleep").arg("3600").spawn().unwrap();
        assert!(child.wait_timeout(SHORT).unwrap().is_none());
        assert_cancelled(timeout(SHORT, || child.wait()).unwrap());
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
    });
}

fn leftovers_are_leaked() {
    const MARK: u64 = 0x5eed_0f1e_af00_d5ed;
    for workers in [1, 4] {
        let dropped = Arc::new(AtomicUsize::new(0));
        let places = Arc::new(Mutex::new(Vec::new()));
        let lock = Arc::new(sylvan::sync::Mutex::new(()));
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let tasks = runtime.run(|| {
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    let (guard, places, lock) =
                        (CountsItsDrop(dropped.clone()), places.clone(), lock.clone());
                    thread::spawn(move || {
                        let _guard = guard;
                        let on_the_stack = Cell::new([MARK; 16]);
                        places
                            .lock()
                            .unwrap()
                            .push((&raw const on_the_stack).addr());
                        match n % 4 {
                            0 => thread::park(),
                            1 => thread::sleep(HOUR),
                            2 => mpsc::channel::<()>()
                                .1
                                .recv()
                                .unwrap_or_else(|_| thread::park()),
                            _ => loop {
                                let _held = lock.lock();
                                thread::park();
                            },
                        }
                        unreachable!("nothing woke it {on_the_stack:?}");
                    })
                })
                .collect();
            while places.lock().unwrap().len() < tasks.len() {
                thread::yield_now();
            }
            settle();
            tasks
        });
        let late = tasks[0].thread().clone();
        runtime.close();
        for task in tasks {
            assert!(task.is_finished());
            assert!(task.join().unwrap_err().is::<Cancelled>());
        }
        assert_eq!(dropped.load(SeqCst), 0, "their destructors do not run");
        // Their stacks are as they were, whoever runs now, and whoever wakes them.
        late.unpark();
        let again = Runtime::builder().workers(workers).build().unwrap();
        again.run(|| {
            let tasks: Vec<_> = (0..400).map(|_| thread::spawn(settle)).collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        again.close();
        for place in places.lock().unwrap().iter() {
            let place = std::ptr::with_exposed_provenance::<[u64; 16]>(*place);
            // SAFETY: it lies in a stack that was leaked, and whose owner does not run any more.
            assert_eq!(unsafe { place.read_volatile() }, [MARK; 16]);
        }
        assert_eq!(dropped.load(SeqCst), 0);
    }
}

fn leftovers_that_can_fail_end() {
    for workers in [1, 4] {
        let failed = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::new(AtomicUsize::new(0));
        let started = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let tasks: Vec<_> = runtime.run(|| {
            // More than run in one turn of a hub.
            let tasks: Vec<_> = (0..300)
                .map(|_| {
                    let (failed, started) = (failed.clone(), started.clone());
                    let guard = CountsItsDrop(dropped.clone());
                    thread::spawn(move || {
                        let _guard = guard;
                        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                        started.fetch_add(1, SeqCst);
                        assert_cancelled(socket.recv(&mut [0]));
                        thread::yield_now();
                        failed.fetch_add(1, SeqCst);
                    })
                })
                .collect();
            while started.load(SeqCst) < tasks.len() {
                thread::yield_now();
            }
            tasks
        });
        runtime.close();
        assert_eq!(failed.load(SeqCst), 300);
        assert_eq!(dropped.load(SeqCst), 300);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    }
}

fn leftovers_of_a_nested_run_live_on() {
    let after = sylvan::run(|| {
        let gate = Gate::default();
        let (outer, seen) = (gate.clone(), Rc::new(Cell::new(false)));
        let theirs = seen.clone();
        let task = sylvan::run(|| {
            let task = thread::spawn_local(move || {
                outer.pass();
                theirs.set(cancel_requested());
            });
            thread::yield_now();
            task
        });
        assert!(!task.is_finished());
        gate.open();
        task.join().unwrap();
        assert!(seen.get(), "it was cancelled when the nested run ended");
        5
    });
    assert_eq!(after, 5);
}
