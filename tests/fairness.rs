//! Who must let others run, and who must not suspend (measured in turns of a neighbour).

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use support::{must_end, scaled};
use sylvan::net::{TcpListener, TcpStream, UdpSocket};
use sylvan::runtime::Runtime;
use sylvan::sync::{self, mpsc};
use sylvan::{task, thread, time};

/// Counts the turns that a neighbour on the same hub gets.
#[derive(Clone, Default)]
struct Turns(Rc<Cell<usize>>);

impl Turns {
    /// Starts the neighbour; it ends with the run.
    fn count() -> Turns {
        let turns = Turns::default();
        let theirs = turns.clone();
        thread::spawn_local(move || {
            loop {
                theirs.0.set(theirs.0.get() + 1);
                thread::yield_now();
            }
        });
        thread::yield_now();
        assert_eq!(turns.get(), 1);
        turns
    }

    fn get(&self) -> usize {
        self.0.get()
    }
}

/// An operation that std documents as blocking, and that need not wait here, is done in a loop:
/// neighbours must run all the same, and a sleeper must wake.
fn lets_others_run(name: &str, operation: impl Fn()) {
    let operations = 10_000;
    must_end(|| {
        sylvan::run(|| {
            let turns = Turns::count();
            let before = turns.get();
            for _ in 0..operations {
                operation();
            }
            let had = turns.get() - before;
            assert!(
                had >= operations / 1000,
                "{name}: neighbours had {had} turns"
            );

            let asleep = Duration::from_millis(10);
            let sleeper = thread::spawn(move || {
                let start = Instant::now();
                thread::sleep(asleep);
                start.elapsed()
            });
            while !sleeper.is_finished() {
                operation();
            }
            let slept = sleeper.join().unwrap();
            assert!(slept < Duration::from_secs(2), "{name}: slept {slept:?}");
        });
    });
}

#[test]
fn sleeping_for_no_time_lets_others_run() {
    lets_others_run("sleep", || thread::sleep(Duration::ZERO));
}

#[test]
fn yielding_lets_others_run() {
    lets_others_run("yield", thread::yield_now);
}

#[test]
fn parking_with_the_token_there_lets_others_run() {
    lets_others_run("park", || {
        thread::current().unpark();
        thread::park();
    });
    lets_others_run("park_timeout", || {
        thread::current().unpark();
        thread::park_timeout(Duration::from_secs(1));
    });
    lets_others_run("park_timeout of no time", || {
        thread::park_timeout(Duration::ZERO);
    });
}

#[test]
fn joining_what_has_ended_lets_others_run() {
    must_end(|| {
        sylvan::run(|| {
            let turns = Turns::count();
            let tasks: Vec<_> = (0..scaled(10_000).max(5000))
                .map(|n| thread::spawn(move || n))
                .collect();
            while !tasks.iter().all(thread::JoinHandle::is_finished) {
                thread::yield_now();
            }
            let (before, count) = (turns.get(), tasks.len());
            for task in tasks {
                task.join().unwrap();
            }
            let had = turns.get() - before;
            assert!(had >= count / 1000, "neighbours had {had} turns");
            assert!(had <= count / 10, "each turn costs a switch: {had}");
        });
    });
}

#[test]
fn spawning_and_joining_lets_others_run() {
    lets_others_run("join", || thread::spawn(|| ()).join().unwrap());
    lets_others_run("scope", || {
        thread::scope(|scope| {
            scope.spawn(|| ());
        });
    });
}

#[test]
fn a_scope_with_nothing_to_wait_for_lets_others_run() {
    lets_others_run("empty scope", || thread::scope(|_| ()));
}

#[test]
fn receiving_what_is_there_lets_others_run() {
    let (send, receive) = mpsc::channel();
    lets_others_run("recv", || {
        send.send(1).unwrap();
        assert_eq!(receive.recv(), Ok(1));
    });
    let (send, receive) = mpsc::sync_channel(1);
    lets_others_run("send to a channel with room", || {
        send.send(1).unwrap();
        assert_eq!(receive.try_recv(), Ok(1));
    });
}

#[test]
fn sockets_that_are_always_ready_let_others_run() {
    let any = ("127.0.0.1", 0);
    let bytes = sylvan::run(|| {
        let listener = TcpListener::bind(any).unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // More than is read below, and little enough to lie in the kernel's buffers.
        stream.write_all(&[1; 60_000]).unwrap();
        (listener.accept().unwrap().0, stream)
    });
    let (receiver, _sender) = bytes;
    lets_others_run("peeking", || {
        assert_eq!(receiver.peek(&mut [0; 1]).unwrap(), 1);
    });
    lets_others_run("reading", || {
        // The operations that wait for the sleeper outlast what was sent.
        if receiver.peek(&mut [0; 2]).unwrap() == 2 {
            assert_eq!((&receiver).read(&mut [0; 1]).unwrap(), 1);
        }
    });
    let socket = UdpSocket::bind(any).unwrap();
    let itself = socket.local_addr().unwrap();
    lets_others_run("sending to oneself", || {
        assert_eq!(socket.send_to(b"!", itself).unwrap(), 1);
        assert_eq!(socket.recv_from(&mut [0; 1]).unwrap().0, 1);
    });
}

#[test]
fn locking_what_is_free_lets_others_run() {
    let (mutex, rwlock) = (sync::Mutex::new(0), sync::RwLock::new(0));
    lets_others_run("lock", || *mutex.lock().unwrap() += 1);
    lets_others_run("read", || drop(rwlock.read().unwrap()));
    lets_others_run("write", || *rwlock.write().unwrap() += 1);
}

#[test]
fn a_neighbour_that_always_yields_delays_no_sleeper_on_many_hubs() {
    must_end(|| {
        let runtime = Runtime::builder().workers(4).build().unwrap();
        runtime.run(|| {
            for _ in 0..16 {
                thread::spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
            let sleepers: Vec<_> = (0..16)
                .map(|_| {
                    thread::spawn(|| {
                        let start = Instant::now();
                        thread::sleep(Duration::from_millis(10));
                        start.elapsed()
                    })
                })
                .collect();
            for sleeper in sleepers {
                assert!(sleeper.join().unwrap() < Duration::from_secs(5));
            }
        });
    });
}

#[test]
fn two_that_wake_each_other_starve_nobody() {
    must_end(|| {
        sylvan::run(|| {
            let turns = Turns::count();
            let first = thread::current();
            let second = thread::spawn(move || {
                loop {
                    thread::park();
                    first.unpark();
                }
            });
            let before = turns.get();
            for _ in 0..10_000 {
                second.thread().unpark();
                thread::park();
            }
            assert!(turns.get() - before >= 10);
            second.cancel();
        });
    });
}

/// A connection that always has something to read, alone on its hub but for those who wait for the kernel.
#[test]
fn one_that_never_waits_lets_those_come_whom_the_kernel_wakes() {
    must_end(|| {
        sylvan::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut near, _) = listener.accept().unwrap();
            let done = Rc::new(Cell::new(0_usize));
            let seen = done.clone();
            let waiter = thread::spawn_local(move || {
                near.read_exact(&mut [0]).unwrap();
                seen.get()
            });
            thread::yield_now();
            let never_empty = UdpSocket::bind("127.0.0.1:0").unwrap();
            never_empty
                .connect(never_empty.local_addr().unwrap())
                .unwrap();
            never_empty.send(b"x").unwrap();
            far.write_all(b"x").unwrap();
            while !waiter.is_finished() {
                never_empty.peek(&mut [0]).unwrap();
                done.set(done.get() + 1);
            }
            // One budget, and not a batch of them.
            let waited = waiter.join().unwrap();
            assert!(waited < 1000, "{waited} operations went before");
        });
    });
}

/// Does an operation that std documents as non-blocking many times: no neighbour may run meanwhile.
fn never_suspends(name: &str, mut operation: impl FnMut()) {
    must_end(|| {
        sylvan::run(|| {
            let turns = Turns::count();
            let before = turns.get();
            for _ in 0..scaled(10_000) {
                operation();
            }
            assert_eq!(turns.get(), before, "{name} suspended");
        });
    });
}

#[test]
fn what_does_not_block_never_suspends() {
    never_suspends("current", || drop(thread::current()));
    never_suspends("id and name", || {
        let me = thread::current();
        assert!(me.id() == me.clone().id() && me.name().is_some());
    });
    never_suspends("unpark of oneself", || thread::current().unpark());
    never_suspends("panicking", || assert!(!thread::panicking()));
    never_suspends("cancel_requested", || assert!(!task::cancel_requested()));
    never_suspends("available_parallelism", || {
        thread::available_parallelism().unwrap();
    });
    never_suspends("mask", || task::mask(|| ()));
    never_suspends("timeout", || {
        time::timeout(Duration::from_secs(1), || ()).unwrap();
    });
    never_suspends("Instant", || {
        assert!(time::Instant::now().elapsed() < Duration::MAX);
    });
    sylvan::thread_local! {
        static LOCAL: Cell<u32> = const { Cell::new(0) };
    }
    never_suspends("thread-local", || LOCAL.set(LOCAL.get() + 1));
}

#[test]
fn what_does_not_block_in_sync_never_suspends() {
    let (mutex, rwlock) = (sync::Mutex::new(0), sync::RwLock::new(0));
    never_suspends("try_lock and unlock", || *mutex.try_lock().unwrap() += 1);
    never_suspends("try_read", || drop(rwlock.try_read().unwrap()));
    never_suspends("try_write", || *rwlock.try_write().unwrap() += 1);
    let condvar = sync::Condvar::new();
    never_suspends("notify", || {
        condvar.notify_one();
        condvar.notify_all();
    });
    let (send, receive) = mpsc::channel();
    never_suspends("unbounded send", || send.send(1).unwrap());
    never_suspends("try_recv", || assert_eq!(receive.try_recv(), Ok(1)));
    let (send, receive) = mpsc::sync_channel(1);
    never_suspends("try_send", || {
        send.try_send(1).unwrap();
        assert!(send.try_send(2).is_err());
        assert_eq!(receive.try_recv(), Ok(1));
        assert!(receive.try_recv().is_err());
    });
    never_suspends("an end that is dropped", || drop(mpsc::channel::<u32>()));
}

#[test]
fn sockets_in_non_blocking_mode_never_suspend() {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let itself = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    never_suspends("non-blocking mode", || {
        assert_eq!(socket.send_to(b"!", itself).unwrap(), 1);
        assert_eq!(socket.recv_from(&mut [0; 1]).unwrap().0, 1);
        let nothing = socket.recv_from(&mut [0; 1]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    never_suspends("set_* of a socket", || {
        listener.set_ttl(64).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
    });
}

#[test]
fn spawning_never_suspends() {
    never_suspends("spawn and detach", || drop(thread::spawn(|| ())));
    never_suspends("spawn_local and detach", || {
        drop(thread::spawn_local(|| ()));
    });
    never_suspends("Builder", || {
        let builder = thread::Builder::new().name("named".into()).stack_size(1);
        drop(builder.spawn(|| ()).unwrap());
    });
    never_suspends("spawn and cancel", || thread::spawn(|| ()).cancel());
    must_end(|| {
        sylvan::run(|| {
            let turns = Turns::count();
            thread::scope(|scope| {
                let before = turns.get();
                for _ in 0..scaled(10_000) {
                    scope.spawn(|| ());
                }
                assert_eq!(turns.get(), before, "spawn into a scope suspended");
            });
        });
    });
}

#[test]
fn looking_at_a_task_never_suspends() {
    must_end(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        runtime.run(|| {
            let turns = Turns::count();
            let parked = thread::spawn(thread::park);
            let ended: Vec<_> = (0..scaled(10_000))
                .map(|n| thread::spawn(move || n))
                .collect();
            while !ended.iter().all(thread::JoinHandle::is_finished) {
                thread::yield_now();
            }
            let before = turns.get();
            for task in ended {
                assert!(task.is_finished() && !parked.is_finished());
                task.cancel();
                task.thread().unpark();
                parked.thread().unpark();
                assert!(handle.task_count() > 0);
                // The handle is dropped, and the result with it.
            }
            assert_eq!(turns.get(), before);
            parked.join().unwrap();
        });
    });
}

#[test]
fn what_does_not_block_is_no_cancel_point() {
    must_end(|| {
        sylvan::run(|| {
            let own: Rc<Cell<Option<thread::LocalJoinHandle<()>>>> = Rc::default();
            let (theirs, reached) = (own.clone(), Rc::new(Cell::new(0)));
            let count = reached.clone();
            let task = thread::spawn_local(move || {
                let ended = thread::spawn(|| ());
                thread::yield_now();
                theirs.take().unwrap().cancel();
                assert!(task::cancel_requested());
                for _ in 0..1000 {
                    thread::current().unpark();
                    assert!(ended.is_finished());
                    drop(thread::spawn(|| ()));
                    thread::spawn_local(|| ()).cancel();
                    task::mask(thread::yield_now);
                    count.set(count.get() + 1);
                }
                thread::yield_now();
                count.set(0);
            });
            own.set(Some(task));
            while reached.get() < 1000 {
                thread::yield_now();
            }
            thread::yield_now();
            assert_eq!(reached.get(), 1000, "the next suspension was one");
        });
    });
}
