//! What gevent and asyncio have, row by row: a case for each row, named after it, shows that what answers to it here
//! works, with its exact semantics. The other tests go into depth; this one sees to it that nothing is forgotten. `each_row_has_a_case` holds the
//! tables to that.

mod support;

use std::collections::HashSet;
use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{HOUR, must_end};
use sylvan::net::{TcpStream, ToSocketAddrs, UdpSocket};
use sylvan::process::{Command, Stdio};
use sylvan::runtime::{OnDeadlock, Runtime};
use sylvan::server::{DatagramServer, StreamServer};
use sylvan::signal::{self, Signal, Signals};
use sylvan::sync::queue::{Channel, LifoQueue, PriorityQueue, Queue};
use sylvan::sync::{self, mpsc};
use sylvan::task::{self, Cancelled, Group, Pool, Reason, State, WaitFor};
use sylvan::thread::{self, JoinHandle};
use sylvan::{offload, time};

/// gevent's rows.
const GEVENT: &[&str] = &[
    "spawn, spawn_later, Greenlet, getcurrent",
    "joinall, wait(count), iwait, killall, kill",
    "link, link_value, link_exception",
    "Timeout, with_timeout",
    "pool.Group, pool.Pool (map, imap, imap_unordered, apply_async, bounded spawn)",
    "event.Event, event.AsyncResult",
    "queue.Queue, LIFO, Priority, Joinable, Channel (rendezvous), shutdown",
    "lock.Semaphore, BoundedSemaphore, RLock",
    "local.local",
    "threadpool, resolver",
    "server.StreamServer, DatagramServer",
    "subprocess, os, signal, fileobject",
    "LoopExit, print_run_info",
];

/// asyncio's rows.
const ASYNCIO: &[&str] = &[
    "run, run_until_complete",
    "run_forever, stop, close",
    "create_task, ensure_future",
    "task states",
    "add_done_callback, result(), exception()",
    "gather, gather(return_exceptions=True)",
    "wait(return_when, timeout)",
    "as_completed, wait_for, timeout, shield",
    "TaskGroup",
    "sleep, to_thread",
    "Task.all_tasks, current_task, cancel",
    "KeyboardInterrupt",
    "Lock, Event, Condition, Semaphore, Barrier, Queue",
];

const CASES: &[(&str, fn())] = &[
    ("spawn, spawn_later, Greenlet, getcurrent", greenlets),
    (
        "joinall, wait(count), iwait, killall, kill",
        joins_and_kills,
    ),
    ("link, link_value, link_exception", links),
    ("Timeout, with_timeout", timeouts),
    (
        "pool.Group, pool.Pool (map, imap, imap_unordered, apply_async, bounded spawn)",
        groups_and_pools,
    ),
    (
        "queue.Queue, LIFO, Priority, Joinable, Channel (rendezvous), shutdown",
        queues,
    ),
    ("event.Event, event.AsyncResult", events),
    ("lock.Semaphore, BoundedSemaphore, RLock", semaphores),
    ("local.local", locals),
    ("threadpool, resolver", thread_pool_and_resolver),
    ("server.StreamServer, DatagramServer", servers),
    (
        "subprocess, os, signal, fileobject",
        processes_files_and_signals,
    ),
    ("LoopExit, print_run_info", loop_exit_and_run_info),
    ("run, run_until_complete", runs),
    ("run_forever, stop, close", loops),
    ("create_task, ensure_future", tasks),
    ("task states", states),
    ("add_done_callback, result(), exception()", results),
    ("gather, gather(return_exceptions=True)", gathers),
    ("wait(return_when, timeout)", waits),
    (
        "as_completed, wait_for, timeout, shield",
        deadlines_and_shields,
    ),
    ("TaskGroup", task_groups),
    ("sleep, to_thread", sleeps),
    ("Task.all_tasks, current_task, cancel", all_current_cancel),
    ("KeyboardInterrupt", keyboard_interrupt),
    ("Lock, Event, Condition, Semaphore, Barrier, Queue", locks),
];

#[test]
fn each_row_works() {
    let fails = |(row, case): &(&'static str, fn())| {
        println!("{row}");
        let outcome = panic::catch_unwind(|| must_end(case));
        outcome.is_err().then_some(*row)
    };
    let failed: Vec<_> = CASES.iter().filter_map(fails).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn each_row_has_a_case() {
    let rows = [GEVENT, ASYNCIO].concat();
    let cases: Vec<_> = CASES.iter().map(|(row, _)| *row).collect();
    let unique: HashSet<_> = cases.iter().collect();
    assert_eq!(unique.len(), cases.len(), "twice: {cases:?}");
    for row in &rows {
        assert!(cases.contains(row), "{row}: no case");
    }
    for case in &cases {
        assert!(rows.contains(case), "{case}: no such row");
    }
}

// ---- what the cases share

type Log = Arc<Mutex<Vec<&'static str>>>;

fn taken(log: &Log) -> Vec<&'static str> {
    std::mem::take(&mut log.lock().unwrap())
}

/// Writes a word to a log when it is dropped.
struct Says(Log, &'static str);

impl Drop for Says {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

fn sleeper() -> JoinHandle<()> {
    thread::spawn(|| thread::sleep(HOUR))
}

fn fails<T>() -> T {
    panic::resume_unwind(Box::new("out of luck"))
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn is_cancelled<T>(result: thread::Result<T>) -> bool {
    result.is_err_and(|payload| payload.is::<Cancelled>())
}

fn is_out_of_luck<T>(result: thread::Result<T>) -> bool {
    result.is_err_and(|payload| payload.downcast_ref() == Some(&"out of luck"))
}

/// Lets the others go first so many times, and returns the number.
fn after_turns<const N: usize>(turns: [u64; N]) -> [JoinHandle<u64>; N] {
    turns.map(|n| thread::spawn(move || take_turns(n)))
}

fn take_turns(n: u64) -> u64 {
    (0..n).for_each(|_| thread::yield_now());
    n
}

fn joined<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let results = handles.into_iter().map(JoinHandle::join);
    results.map(Result::unwrap).collect()
}

// ---- gevent

fn greenlets() {
    sylvan::run(|| {
        // They begin in their order, and only when the caller waits.
        let log = Log::default();
        let spawn = |word| {
            let log = log.clone();
            thread::spawn(move || {
                log.lock().unwrap().push(word);
                thread::current().id()
            })
        };
        let (first, second) = (spawn("first"), spawn("second"));
        assert!(taken(&log).is_empty());
        let ids = [first.id(), second.id()];
        assert_eq!(joined([first, second]), ids);
        assert_eq!(taken(&log), ["first", "second"]);

        let start = Instant::now();
        let later = task::spawn_later(ms(5), move || start.elapsed());
        assert!(later.join().unwrap() >= ms(5));
        let never = task::spawn_later(HOUR, || unreachable!());
        thread::yield_now();
        never.cancel();
        assert!(is_cancelled::<()>(never.join()));
    });
}

fn joins_and_kills() {
    sylvan::run(|| {
        // `joinall` does not fail; with `raise_error` it does.
        let all = [thread::spawn(fails), thread::spawn(|| ())];
        let (done, pending) = task::wait(all, WaitFor::All, None);
        assert_eq!((done.len(), pending.len()), (2, 0));
        assert!(is_out_of_luck(task::gather(done)));
        // `wait(count=2)`, and `iwait`.
        let first_two = task::as_completed(after_turns([20, 1, 10])).take(2);
        assert_eq!(joined(first_two), [1, 10]);

        // `kill` does not wait, and destructors run; what never started never runs.
        let log = Log::default();
        let says = Says(log.clone(), "unwound");
        let killed = thread::spawn(move || {
            let _says = says;
            thread::sleep(HOUR);
        });
        thread::yield_now();
        killed.cancel();
        assert!(taken(&log).is_empty());
        assert!(is_cancelled(killed.join()));
        assert_eq!(taken(&log), ["unwound"]);
        let group = Group::new();
        let member = group.spawn(|| thread::sleep(HOUR));
        let unstarted = group.spawn(|| unreachable!());
        group.cancel();
        assert!(is_cancelled(member.join()) && is_cancelled::<()>(unstarted.join()));
        group.join().unwrap();
    });
}

fn links() {
    sylvan::run(|| {
        let log = Log::default();
        let link = |task: &JoinHandle<()>| {
            for number in 0..2 {
                let log = log.clone();
                task.on_done(move |result| {
                    thread::yield_now(); // it may wait
                    let word = if result.is_ok() { "value" } else { "exception" };
                    log.lock().unwrap().push(word);
                    log.lock().unwrap().push(["first", "second"][number]);
                });
            }
        };
        let value = thread::spawn(|| ());
        link(&value);
        value.join().unwrap();
        assert_eq!(taken(&log), ["value", "first", "value", "second"]);
        let exception = thread::spawn(fails);
        link(&exception);
        assert!(is_out_of_luck(exception.join()));
        assert_eq!(taken(&log), ["exception", "first", "exception", "second"]);
        let killed = sleeper();
        killed.cancel();
        let (killed, _) = task::wait([killed], WaitFor::All, None);
        link(&killed[0]); // at once: it has ended
        assert_eq!(taken(&log), ["exception", "first", "exception", "second"]);
    });
}

fn timeouts() {
    sylvan::run(|| {
        assert_eq!(time::timeout(HOUR, || 7), Ok(7));
        assert!(time::timeout(ms(1), || thread::sleep(HOUR)).is_err());
        // The outer one is told from the inner one, which cannot outlive it.
        let outer = time::timeout(ms(1), || time::timeout(HOUR, || thread::sleep(HOUR)));
        assert!(outer.is_err());
        let outer = time::timeout(HOUR, || time::timeout(ms(1), || thread::sleep(HOUR)));
        assert!(outer.is_ok_and(|inner| inner.is_err()));
        // It cannot be swallowed, and lets destructors wait.
        let log = Log::default();
        struct Waits(Log);
        impl Drop for Waits {
            fn drop(&mut self) {
                thread::sleep(ms(2));
                self.0.lock().unwrap().push("waited");
            }
        }
        let swallowed = time::timeout(ms(1), || {
            let _waits = Waits(log.clone());
            assert!(panic::catch_unwind(|| thread::sleep(HOUR)).is_err());
            thread::sleep(HOUR);
            unreachable!("it has come again");
        });
        assert!(swallowed.is_err());
        assert_eq!(taken(&log), ["waited"]);
    });
}

fn groups_and_pools() {
    let sleeps_or_fails = |nap: Duration| match nap.is_zero() {
        true => fails(),
        false => thread::sleep(nap),
    };
    sylvan::run(|| {
        // Also the failure of one that ended before the join.
        let group = Group::new();
        drop(group.spawn(fails::<()>));
        thread::yield_now();
        assert!(group.is_empty());
        group.spawn(|| ());
        assert_eq!(group.join().unwrap_err().len(), 1);
        group.join().unwrap();

        // Two at once, results in the order of the items; the first panic is the caller's.
        let pool = Pool::new(2);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let doubled = pool.map([3, 1, 2], |n| {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            thread::sleep(ms(n));
            now.fetch_sub(1, SeqCst);
            2 * n
        });
        assert_eq!((doubled, most.into_inner()), (vec![6, 2, 4], 2));
        let panics = || pool.map([HOUR, ms(0)], sleeps_or_fails);
        assert!(is_out_of_luck(panic::catch_unwind(AssertUnwindSafe(
            panics
        ))));

        // Lazy: no more is pulled than there are slots.
        let pulled = AtomicUsize::new(0);
        let endless = (0..).inspect(|_| {
            pulled.fetch_add(1, SeqCst);
        });
        let mut ordered = pool.imap(endless, |n: usize| n);
        assert_eq!(pulled.load(SeqCst), 0);
        assert_eq!(ordered.next().unwrap().unwrap(), 0);
        assert!(pulled.load(SeqCst) <= 3);
        drop(ordered);
        pool.join().unwrap();
        let unordered = pool.imap_unordered([30, 1], take_turns);
        assert_eq!(unordered.map(Result::unwrap).collect::<Vec<_>>(), [1, 30]);

        // `spawn` waits for a slot, and `apply_async` is it with a callback.
        let both = [ms(1), HOUR].map(|nap| pool.spawn(move || thread::sleep(nap)));
        assert_eq!((pool.free(), pool.len()), (0, 2));
        assert!(pool.try_spawn(|| ()).is_err());
        let (sender, applied) = mpsc::channel();
        let third = pool.spawn(|| 7);
        assert!(both[0].is_finished() && !both[1].is_finished());
        third.on_done(move |result| sender.send(*result.as_ref().unwrap()).unwrap());
        assert_eq!(applied.recv(), Ok(7));
        pool.cancel();
        pool.join().unwrap();
        assert!(pool.is_empty());
    });
}

fn queues() {
    sylvan::run(|| {
        // A full one keeps who puts waiting, and who finds it empty waits. `shutdown` is the end of it.
        let queue = Arc::new(Queue::new(1));
        let theirs = queue.clone();
        let producer = thread::spawn(move || {
            (0..3).for_each(|n| theirs.put(n).unwrap());
            theirs.close();
        });
        thread::yield_now();
        assert_eq!(producer.state(), State::Waiting(Reason::QueuePut));
        assert_eq!(queue.peek(), Ok(0));
        assert_eq!(queue.iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(queue.put(3).unwrap_err().into_inner(), 3);

        // The orders.
        let (last_first, smallest_first) = (LifoQueue::unbounded(), PriorityQueue::unbounded());
        for n in [2, 3, 1] {
            last_first.put(n).unwrap();
            smallest_first.put(n).unwrap();
        }
        assert_eq!(last_first.try_iter().collect::<Vec<_>>(), [1, 3, 2]);
        assert_eq!(smallest_first.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(smallest_first.close_now().is_empty()); // `shutdown(immediate=True)`

        // Joinable, with many that get.
        let (jobs, done) = (Queue::new(2), AtomicUsize::new(0));
        thread::scope(|scope| {
            let worker = || {
                for job in &jobs {
                    thread::yield_now();
                    done.fetch_add(job, SeqCst);
                    jobs.task_done();
                }
            };
            for _ in 0..3 {
                scope.spawn(worker);
            }
            (1..=10).for_each(|job| jobs.put(job).unwrap());
            jobs.join();
            assert_eq!(done.load(SeqCst), 55);
            jobs.close();
        });

        // A rendezvous: nobody puts before somebody gets.
        let channel = Arc::new(Channel::new());
        assert!(channel.try_put("nobody is there").is_err());
        let theirs = channel.clone();
        let meets = thread::spawn(move || theirs.put("hello"));
        thread::yield_now();
        assert_eq!(meets.state(), State::Waiting(Reason::QueuePut));
        assert_eq!(channel.get(), Ok("hello"));
        meets.join().unwrap().unwrap();
    });
}

fn events() {
    sylvan::run(|| {
        // All that wait pass when it is set, also if it is cleared before they run; who comes later does not.
        let event = Arc::new(sync::Event::new());
        let waiters = [(); 2].map(|()| {
            let event = event.clone();
            thread::spawn(move || event.wait())
        });
        thread::yield_now();
        assert_eq!(waiters[0].state(), State::Waiting(Reason::Event));
        event.set();
        event.clear();
        joined(waiters);
        assert!(!event.wait_timeout(ms(1)) && !event.is_set());
        // `set`, `get`, `ready`, `successful`.
        let (resolver, promise) = sync::promise();
        let readers = [(); 2].map(|()| {
            let promise = promise.clone();
            thread::spawn(move || *promise.get().unwrap())
        });
        assert!(promise.get_timeout(ms(1)).is_none() && !promise.is_ready());
        resolver.set(7);
        assert_eq!(joined(readers), [7, 7]);
        assert!(promise.is_successful());
        // `set_exception`, and what gevent has not: nobody is left to set it.
        let (resolver, failed) = sync::promise::<()>();
        resolver.fail("in vain");
        assert_eq!(failed.get().unwrap_err().to_string(), "in vain");
        let (resolver, broken) = sync::promise::<()>();
        drop(resolver);
        assert!(broken.get().unwrap_err().is_broken());
    });
}

fn semaphores() {
    sylvan::run(|| {
        // Served strictly in order, and what is given back is there once.
        let semaphore = Arc::new(sync::Semaphore::new(1));
        let held = semaphore.acquire();
        let log = Log::default();
        let waiters = ["first", "second"].map(|word| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            thread::spawn(move || {
                let _permit = semaphore.acquire();
                log.lock().unwrap().push(word);
            })
        });
        thread::yield_now();
        assert_eq!(waiters[0].state(), State::Waiting(Reason::Semaphore));
        drop(held);
        assert!(semaphore.try_acquire().is_none(), "nobody overtakes");
        joined(waiters);
        assert_eq!(taken(&log), ["first", "second"]);
        assert_eq!(semaphore.available(), 1);
        let _all = semaphore.acquire();
        assert!(semaphore.acquire_timeout(ms(1)).is_none());
        // `BoundedSemaphore`.
        let bounded = sync::Semaphore::bounded(2);
        bounded.acquire().forget();
        bounded.release(1);
        assert!(bounded.try_release(1).is_err());
        // `RLock`: its owner is the green thread.
        let lock = Arc::new(sync::ReentrantMutex::new(()));
        let held = (lock.lock(), lock.lock());
        let theirs = lock.clone();
        let other = thread::spawn(move || drop(theirs.lock()));
        thread::yield_now();
        assert!(other.state() == State::Waiting(Reason::ReentrantMutex));
        drop(held);
        other.join().unwrap();
    });
}

sylvan::thread_local! {
    static SAYS: std::cell::RefCell<Option<Says>> = const { std::cell::RefCell::new(None) };
}

fn locals() {
    sylvan::run(|| {
        let log = Log::default();
        let tasks = ["first", "second"].map(|word| {
            let says = Says(log.clone(), word);
            thread::spawn(move || {
                assert!(SAYS.with_borrow(Option::is_none));
                SAYS.set(Some(says));
                thread::yield_now();
                SAYS.with_borrow(|says| says.as_ref().map(|says| says.1))
            })
        });
        assert_eq!(joined(tasks), [Some("first"), Some("second")]);
        assert_eq!(taken(&log), ["first", "second"], "destroyed at their ends");
        assert!(SAYS.with_borrow(Option::is_none));
    });
}

fn thread_pool_and_resolver() {
    sylvan::run(|| {
        // Others run while it blocks an OS thread: this one lets it go on.
        let (go, wait) = std::sync::mpsc::channel();
        let blocked = thread::spawn(move || offload(move || wait.recv()));
        thread::yield_now();
        assert_eq!(blocked.state(), State::Waiting(Reason::Offload));
        go.send(7).unwrap();
        assert_eq!(blocked.join().unwrap(), Ok(7));
        assert!(is_out_of_luck(panic::catch_unwind(|| offload(fails::<()>))));
        // Who is cancelled leaves at once; the job goes on.
        let (go, wait) = std::sync::mpsc::channel();
        let left = thread::spawn(move || offload(move || wait.recv()));
        thread::yield_now();
        left.cancel();
        assert!(is_cancelled(left.join()));
        go.send(7).unwrap();

        // A name is looked up on another OS thread; tests/readiness.rs shows that it suspends.
        let addresses = ("localhost", 80).to_socket_addrs().unwrap();
        assert!(addresses.count() > 0);
    });
}

fn servers() {
    sylvan::run(|| {
        let serving = StreamServer::bind("127.0.0.1:0")
            .unwrap()
            .max_connections(1)
            .start(|mut stream, _| {
                let mut word = [0; 5];
                stream.read_exact(&mut word)?;
                stream.write_all(&word)
            })
            .unwrap();
        let connect = || TcpStream::connect(serving.local_addr()).unwrap();
        let (mut first, mut second) = (connect(), connect());
        second.write_all(b"later").unwrap();
        first.write_all(b"first").unwrap();
        for (client, word) in [(&mut first, "first"), (&mut second, "later")] {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, word);
        }
        assert_eq!(serving.stop(), 0);
        assert_eq!(serving.stats().accepted, 2);
        assert!(TcpStream::connect(serving.local_addr()).is_err());

        let serving = DatagramServer::bind("127.0.0.1:0")
            .unwrap()
            .start(|datagram| datagram.reply(&datagram.data))
            .unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", serving.local_addr()).unwrap();
        let mut answer = [0; 8];
        let (length, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!(
            (&answer[..length], from),
            (&b"hello"[..], serving.local_addr())
        );
        serving.stop();
    });
}

fn processes_files_and_signals() {
    sylvan::run(|| {
        let signals = Signals::new([Signal::USER1, Signal::USER2]).unwrap();
        let waiter = thread::spawn(move || signals.wait().unwrap());
        thread::yield_now();
        assert_eq!(waiter.state(), State::Waiting(Reason::Signal));
        kill(Signal::USER2);
        assert_eq!(waiter.join().unwrap(), Signal::USER2);

        // A child writes into a pipe of ours, and others run while it is waited for.
        let (mut reader, writer) = sylvan::io::pipe().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "read line; echo $line; exit 7"])
            .stdin(Stdio::piped())
            .stdout(writer)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let waiter = thread::spawn(move || child.wait().unwrap());
        thread::yield_now();
        assert_eq!(waiter.state(), State::Waiting(Reason::Child));
        stdin.write_all(b"to a child\n").unwrap();
        assert_eq!(waiter.join().unwrap().code(), Some(7));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "to a child\n");

        let path = env::temp_dir().join(format!("sylvan-rows-{}", std::process::id()));
        sylvan::fs::write(&path, &text).unwrap();
        assert_eq!(sylvan::fs::read_to_string(&path).unwrap(), text);
        sylvan::fs::remove_file(path).unwrap();

        // tests/stdio.rs shows that it waits.
        writeln!(sylvan::io::stdout(), "{text}").unwrap();
    });
}

fn loop_exit_and_run_info() {
    // Nothing can wake it: main is told, as by `LoopExit`.
    let panics = Runtime::builder().on_deadlock(OnDeadlock::Panic);
    let log = Log::default();
    let stuck = panics.build().unwrap().try_run(|| {
        let _says = Says(log.clone(), "unwound");
        let (_sender, receiver) = mpsc::channel::<()>();
        receiver.recv()
    });
    let payload = stuck.unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("deadlock"), "{message}");
    assert_eq!(taken(&log), ["unwound"]);

    sylvan::run(|| {
        let fetch = thread::Builder::new().name("fetch".to_owned());
        let fetch = fetch.spawn(|| thread::sleep(HOUR)).unwrap();
        thread::yield_now();
        let lines: Vec<_> = task::all().iter().map(ToString::to_string).collect();
        let line = lines.iter().find(|line| line.contains("'fetch'")).unwrap();
        assert!(line.contains("waiting: sleep for "), "{line}");
        assert!(line.contains(file!()), "{line}");
        fetch.cancel();
    });
}

// ---- asyncio

fn runs() {
    // What is borrowed goes in, what is not `Send` comes out; what is left is unwound before it returns.
    let log = Log::default();
    let value = sylvan::run(|| {
        let says = Says(log.clone(), "unwound");
        thread::spawn(move || {
            let _says = says;
            thread::sleep(HOUR);
        });
        thread::yield_now();
        std::rc::Rc::new(7)
    });
    assert_eq!(*value, 7);
    assert_eq!(taken(&log), ["unwound"]);

    // `run_until_complete`: what is left is still there the next time.
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = mpsc::channel();
    let left = runtime.run(|| thread::spawn(move || receiver.recv().unwrap()));
    sender.send(7).unwrap();
    assert_eq!(runtime.run(|| left.join().unwrap()), 7);
    let panics = panic::catch_unwind(AssertUnwindSafe(|| runtime.run(fails::<()>)));
    assert!(is_out_of_luck(panics));
}

fn loops() {
    let runtime = Runtime::new().unwrap();
    let log = Log::default();
    let says = Says(log.clone(), "unwound");
    runtime.spawn(move || {
        let _says = says;
        thread::sleep(HOUR);
    });
    // From another OS thread.
    let handle = runtime.handle();
    let stops = runtime.spawn(move || {
        std::thread::spawn(move || handle.stop());
    });
    runtime.run_forever();
    assert!(stops.is_finished() && taken(&log).is_empty());
    // The main function of a `run` is cancelled.
    let handle = runtime.handle();
    let stopped = runtime.try_run(|| {
        handle.stop();
        thread::sleep(HOUR);
    });
    assert!(is_cancelled(stopped));
    let handle = runtime.handle();
    runtime.close();
    assert_eq!(taken(&log), ["unwound"]);
    let refused = handle.spawn(|| unreachable!());
    assert!(is_cancelled::<()>(refused.join()));
}

fn tasks() {
    sylvan::run(|| {
        // It runs whether or not somebody waits for it, or has its handle.
        let log = Log::default();
        let says = Says(log.clone(), "ended");
        drop(thread::spawn(move || drop(says)));
        thread::yield_now();
        assert_eq!(taken(&log), ["ended"]);
        assert_eq!(thread::spawn(|| 7 * 7).join().unwrap(), 49);
    });
    // A loop that runs already is not needed.
    assert_eq!(thread::spawn(|| 7 * 7).join().unwrap(), 49);
}

fn states() {
    sylvan::run(|| {
        let own_state = || {
            let id = thread::current().id();
            let all = task::all();
            all.iter().find(|it| it.id() == id).unwrap().state()
        };
        let task = thread::spawn(move || {
            assert_eq!(own_state(), State::Running);
            thread::park();
        });
        assert_eq!(task.state(), State::Pending);
        thread::yield_now();
        assert_eq!(task.state(), State::Waiting(Reason::Park));
        task.thread().unpark();
        let ends = [task, thread::spawn(fails), sleeper()];
        ends[2].cancel();
        let (done, _) = task::wait(ends, WaitFor::All, None);
        let states: Vec<_> = done.iter().map(JoinHandle::state).collect();
        assert_eq!(states, [State::Returned, State::Panicked, State::Cancelled]);
    });
}

fn results() {
    sylvan::run(|| {
        // The callback has run before the result is there.
        let log = Log::default();
        let task = thread::spawn(|| 3 + 4);
        let says = Says(log.clone(), "called back");
        task.on_done(move |result| {
            let _says = says;
            thread::yield_now();
            assert_eq!(*result.as_ref().unwrap(), 7);
        });
        let task = task.try_join().unwrap_err(); // `InvalidStateError`
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(taken(&log), ["called back"]);

        assert!(is_out_of_luck(thread::spawn(fails::<()>).join()));
        let task = sleeper().join_timeout(ms(1)).unwrap_err();
        task.cancel();
        assert!(is_cancelled(task.join()));
    });
}

fn gathers() {
    sylvan::run(|| {
        assert_eq!(task::gather(after_turns([3, 1, 2])).unwrap(), [3, 1, 2]);
        // The first failure at once; the others go on.
        let (sender, receiver) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let goes_on = thread::spawn(move || {
            wait.recv().unwrap();
            sender.send("went on").unwrap();
        });
        assert!(is_out_of_luck(task::gather([
            goes_on,
            thread::spawn(fails)
        ])));
        go.send(()).unwrap();
        assert_eq!(receiver.recv(), Ok("went on"));
        // A cancelled one has failed.
        let cancelled = sleeper();
        cancelled.cancel();
        assert!(is_cancelled(task::gather([sleeper(), cancelled])));

        let mut results = task::gather_all([thread::spawn(|| 1), thread::spawn(fails)]);
        assert!(is_out_of_luck(results.remove(1)));
        assert_eq!(results.remove(0).unwrap(), 1);

        // Who is cancelled in it cancels them.
        let log = Log::default();
        let says = Says(log.clone(), "unwound");
        let child = thread::spawn(move || {
            let _says = says;
            thread::sleep(HOUR);
        });
        assert!(time::timeout(ms(1), || task::gather([child])).is_err());
        thread::yield_now();
        assert_eq!(taken(&log), ["unwound"]);
    });
}

fn waits() {
    sylvan::run(|| {
        let wait = |handles: Vec<JoinHandle<()>>, wait_for, timeout| {
            let (done, pending) = task::wait(handles, wait_for, timeout);
            (done.len(), pending.len())
        };
        let fine = || thread::spawn(|| ());
        let cancelled = || {
            let task = sleeper();
            task.cancel();
            task
        };
        // It never fails, and cancels nothing.
        let three = [sleeper(), thread::spawn(fails), sleeper()];
        let (done, pending) = task::wait(three, WaitFor::FirstFailure, None);
        assert_eq!((done.len(), done[0].state()), (1, State::Panicked));
        assert!(pending.iter().all(|it| !it.state().is_finished()));
        assert_eq!(wait(pending, WaitFor::All, Some(ms(1))), (0, 2));
        assert_eq!(
            wait(vec![sleeper(), fine()], WaitFor::FirstCompleted, None),
            (1, 1)
        );
        // A cancelled one has failed. Where none fails it is all.
        let two = vec![sleeper(), cancelled()];
        assert_eq!(wait(two, WaitFor::FirstFailure, None), (1, 1));
        let two = vec![fine(), fine()];
        assert_eq!(wait(two, WaitFor::FirstFailure, None), (2, 0));
        assert_eq!(wait(Vec::new(), WaitFor::All, None), (0, 0));
    });
}

fn deadlines_and_shields() {
    sylvan::run(|| {
        assert_eq!(
            joined(task::as_completed(after_turns([30, 1, 10]))),
            [1, 10, 30]
        );
        // `wait_for`: it is unwound, and its end waited for; the threads of a scope, too.
        let log = Log::default();
        let outcome = time::timeout(ms(1), || {
            let _says = Says(log.clone(), "caller");
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _says = Says(log.clone(), "child");
                    thread::sleep(HOUR);
                });
            });
        });
        assert!(outcome.is_err());
        assert_eq!(taken(&log), ["child", "caller"]);

        // `shield`, of another one: its joiner is cut short and not it.
        let (go, wait) = mpsc::channel();
        let (sender, receiver) = mpsc::channel();
        let shielded = thread::spawn(move || sender.send(wait.recv().unwrap()).unwrap());
        assert!(time::timeout(ms(1), || shielded.join()).is_err());
        go.send("went on").unwrap();
        assert_eq!(receiver.recv(), Ok("went on"));
        // And of the caller's own code.
        let outcome = time::timeout(ms(1), || {
            task::mask(|| thread::sleep(ms(2)));
            let held_back = task::cancel_requested();
            thread::sleep(HOUR);
            unreachable!("{held_back}");
        });
        assert!(outcome.is_err());
    });
}

fn task_groups() {
    sylvan::run(|| {
        let numbers = [3, 4];
        let sum = task::nursery(|nursery| {
            let [left, right] = numbers
                .each_ref()
                .map(|n| nursery.spawn(move || io::Result::Ok(*n)));
            Ok::<_, Cancelled>(left.join()? + right.join()?)
        });
        assert_eq!(sum.unwrap(), 7);

        // The first failure of any kind ends the others and the body, and all are waited for.
        let kinds: [fn() -> io::Result<()>; 2] = [fails, || Err(io::Error::other("no luck"))];
        for fails_somehow in kinds {
            let log = Log::default();
            let outcome = task::nursery(|nursery| {
                let says = Says(log.clone(), "sibling");
                nursery.spawn(move || {
                    let _says = says;
                    thread::sleep(HOUR);
                });
                thread::yield_now();
                nursery.spawn(fails_somehow);
                let _says = Says(log.clone(), "body");
                thread::sleep(HOUR);
            });
            assert_eq!(outcome.unwrap_err().len(), 1);
            let mut ended = taken(&log);
            ended.sort_unstable();
            assert_eq!(ended, ["body", "sibling"]);
        }
        let outcome = task::nursery(|nursery| {
            nursery.spawn(|| thread::sleep(HOUR)).cancel();
            thread::sleep(HOUR);
        });
        assert_eq!(outcome.unwrap_err().len(), 1, "asyncio lets it be");
    });
}

fn sleeps() {
    sylvan::run(|| {
        let log = Log::default();
        let says = Says(log.clone(), "the other");
        let other = thread::spawn(move || drop(says));
        thread::yield_now(); // `sleep(0)`
        assert_eq!(taken(&log), ["the other"]);
        other.join().unwrap();
        let start = Instant::now();
        thread::sleep(ms(2));
        assert!(start.elapsed() >= ms(2));
        let hub = std::thread::current().id();
        assert_ne!(offload(|| std::thread::current().id()), hub);
    });
}

fn all_current_cancel() {
    sylvan::run(|| {
        let work = thread::Builder::new().name("work".to_owned());
        let work = work.spawn(|| thread::sleep(HOUR)).unwrap();
        let others = || {
            let mut all = task::all();
            let current = task::current().unwrap();
            all.retain(|it| it.id() != current.id());
            all
        };
        assert_eq!(others()[0].name(), Some("work"));
        // As a program does it at its end.
        others().iter().for_each(task::Task::cancel);
        assert!(is_cancelled(work.join()));
        assert!(others().is_empty());
        // Cancelled twice, and after the end, is cancelled once.
        let ended = thread::spawn(|| 7);
        thread::yield_now();
        ended.cancel();
        ended.cancel();
        assert_eq!(ended.join().unwrap(), 7);
    });
}

fn keyboard_interrupt() {
    let output = support::in_child("interrupts_for_the_child", &[]);
    assert_eq!(output.status.signal(), Some(Signal::INTERRUPT.as_raw()));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("'hangs'"), "the list of what hung: {text}");
}

/// The other half of `keyboard_interrupt`.
#[test]
fn interrupts_for_the_child() {
    if !support::is_child() {
        return;
    }
    // As something to wait for.
    sylvan::run(|| {
        let waiter = thread::spawn(|| signal::ctrl_c().unwrap());
        thread::yield_now();
        kill(Signal::INTERRUPT);
        waiter.join().unwrap();
    });
    // The first one cancels main and unwinds everything.
    let runtime = Runtime::builder().cancel_on_ctrl_c(true).build().unwrap();
    let log = Log::default();
    let interrupted = runtime.try_run(|| {
        let says = Says(log.clone(), "another");
        thread::spawn(move || {
            let _says = says;
            thread::sleep(HOUR);
        });
        let _says = Says(log.clone(), "main");
        thread::yield_now();
        kill(Signal::INTERRUPT);
        thread::sleep(HOUR);
    });
    assert!(is_cancelled(interrupted));
    runtime.close();
    assert_eq!(taken(&log), ["main", "another"]);
    // The second one ends the process.
    let runtime = Runtime::builder().cancel_on_ctrl_c(true).build().unwrap();
    let _ = runtime.try_run(|| {
        let hangs = thread::Builder::new().name("hangs".to_owned());
        hangs.spawn(|| task::mask(|| thread::sleep(HOUR))).unwrap();
        thread::yield_now();
        kill(Signal::INTERRUPT);
        thread::sleep(HOUR);
    });
    kill(Signal::INTERRUPT);
    runtime.close();
    unreachable!();
}

fn kill(signal: Signal) {
    let process = std::process::id().to_string();
    let signal = signal.as_raw().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-s", &signal, &process])
        .status();
    assert!(kill.unwrap().success());
}

fn locks() {
    sylvan::run(|| {
        let (count, few) = (sync::Mutex::new(0), sync::Semaphore::new(2));
        let (full, barrier) = (sync::Condvar::new(), sync::Barrier::new(10));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let full = full.wait_while(count.lock().unwrap(), |count| *count < 10);
                *full.unwrap()
            });
            for _ in 0..10 {
                scope.spawn(|| {
                    barrier.wait();
                    let _permit = few.acquire();
                    let mut count = count.lock().unwrap();
                    let before = *count;
                    thread::yield_now(); // held across a wait
                    *count = before + 1;
                    full.notify_one();
                });
            }
            assert_eq!(waiter.join().unwrap(), 10);
        });
        // `Event`.
        let event = sync::Event::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| event.wait());
            event.set();
            waiter.join().unwrap();
        });
        // `Queue`: first in, first out.
        let queue = Queue::new(3);
        (0..3).for_each(|n| queue.put(n).unwrap());
        assert_eq!(queue.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    });
}
