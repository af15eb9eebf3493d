//! Every kind of wait there is, and what a cancel or a time-out does to it: who waits is unwound, innermost
//! first; no line keeps it; and what was on its way to it goes to the next in line.
//!
//! [`WAITS`] is the table, a row a kind of wait; the tests below it go through all rows. To add a row: write a
//! function that sets one instance of the wait up and says what a waiter does and what serves it ([`Wait`]),
//! and name it in the table with the reason that a dump shows and with whom it serves ([`Serves`]). A new
//! [`Reason`] without a row makes `every_reason_has_a_row` fail.
//!
//! A row is a fair test only if its waiters stand in the line of the thing itself and if what serves them is kept for
//! who comes late; `is_clean` is where to ask what a waiter that left must not have taken along. Plant a fault, such
//! as a `pass_on` that does nothing, and see the row fail.
//!
//! Elsewhere: the wait of `run_forever` and those of a runtime that is closed are in `tests/runtime.rs`, for
//! they are waits of main and end by `stop`.

mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream, UdpSocket as StdUdp};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar as StdCondvar, Mutex as StdMutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use support::{HOUR, Numbers, must_end, scaled};
use sylvan::future::block_on;
use sylvan::io::pipe;
use sylvan::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use sylvan::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener, UnixStream};
use sylvan::process::{Child, Command};
use sylvan::runtime::{Handle, Runtime};
use sylvan::select;
use sylvan::signal::{Signal, Signals};
use sylvan::sync::queue::{Channel, LifoQueue, PriorityQueue, Queue};
use sylvan::sync::{
    Barrier, Condvar, Event, LazyLock, Mutex, Once, OnceLock, ReentrantMutex, Resolver, RwLock,
    Semaphore, WaitGroup, mpsc, promise,
};
use sylvan::task::{self, Cancelled, Group, Pool, Reason, State, WaitFor, nursery};
use sylvan::thread::{self, JoinHandle, Thread};
use sylvan::time::timeout;

/// A kind of wait.
struct Row {
    name: &'static str,
    /// What the first in line is said to wait for.
    reason: Reason,
    serves: Serves,
    set_up: fn() -> Wait,
}

/// Who is served at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    /// Nobody: who waits so can only leave.
    Nobody,
    /// One waiter; who comes for it later finds it, if nobody took it.
    One,
    /// One waiter, and it may be cancelled although it was served: what it was to give was taken.
    OnePerhaps,
    /// All that wait, and who comes later. It may be done again, and serves none that it did not serve before
    /// (but at a barrier, where those who were cancelled are to be replaced).
    All,
}

/// An instance of a wait.
struct Wait {
    /// What every waiter does. It returns when the waiter was served.
    wait: Arc<dyn Fn() + Send + Sync>,
    /// Serves. It is given all that wait, and must not take long.
    serve: Serve,
    /// Called when they wait, for a wait that has two stages.
    once_parked: Box<dyn FnMut()>,
    /// Nobody waits any more: is it as if nobody had, nothing taken, nothing left over?
    is_clean: Box<dyn Fn() -> bool>,
}

type Serve = Box<dyn FnMut(&[Thread])>;

impl Wait {
    fn new(
        wait: impl Fn() + Send + Sync + 'static,
        serve: impl FnMut(&[Thread]) + 'static,
    ) -> Wait {
        Wait {
            wait: Arc::new(wait),
            serve: Box::new(serve),
            once_parked: Box::new(|| ()),
            is_clean: Box::new(|| true),
        }
    }

    fn clean_if(self, is_clean: impl Fn() -> bool + 'static) -> Wait {
        Wait {
            is_clean: Box::new(is_clean),
            ..self
        }
    }
}

use Serves::{All, Nobody, One, OnePerhaps};

#[rustfmt::skip]
const WAITS: &[Row] = &[
    row("sleep", Reason::Sleep, Nobody, sleep),
    row("park", Reason::Park, All, park),
    row("park with a time-out", Reason::Park, All, park_timeout),
    row("yield", Reason::Yield, All, yields),
    row("join", Reason::Join, All, join),
    row("join in a scope", Reason::Join, All, scoped_join),
    row("join of a local thread", Reason::Join, All, local_join),
    row("end of a scope", Reason::Scope, All, end_of_scope),
    row("nested run", Reason::Park, All, nested_run),
    row("end of a nursery", Reason::Nursery, All, end_of_nursery),
    row("join in a nursery", Reason::Join, All, nursery_join),
    row("end of a group", Reason::Group, All, end_of_group),
    row("slot of a pool", Reason::Semaphore, All, slot_of_a_pool),
    row("slot of a pool, for a map", Reason::Semaphore, All, slot_for_a_map),
    row("map", Reason::Join, All, map),
    row("imap", Reason::Join, All, imap),
    row("imap, unordered", Reason::Join, All, imap_unordered),
    row("gather", Reason::Join, All, gather),
    row("gather all", Reason::Join, All, gather_all),
    row("race", Reason::Join, All, race_of_threads),
    row("wait for the first", Reason::Join, All, wait_for_first),
    row("wait for all", Reason::Join, All, wait_for_all),
    row("as completed", Reason::Join, All, as_completed),
    row("future", Reason::Future, All, future),
    row("future of a thread", Reason::Future, All, future_of_a_thread),
    row("offload", Reason::Offload, All, offload),
    row("mutex", Reason::Mutex, All, mutex),
    row("read lock", Reason::RwLockRead, All, read_lock),
    row("write lock held by a reader", Reason::RwLockWrite, All, write_lock_held_by_a_reader),
    row("write lock held by a writer", Reason::RwLockWrite, All, write_lock_held_by_a_writer),
    row("condvar", Reason::Condvar, One, condvar),
    row("condvar with a time-out", Reason::Condvar, One, condvar_timeout),
    row("lock after a condvar", Reason::Mutex, All, lock_after_condvar),
    row("lock after one notification", Reason::Mutex, One, lock_after_one_notification),
    row("barrier", Reason::Barrier, All, barrier),
    row("once, to call", Reason::Once, All, once_call),
    row("once, to wait", Reason::Once, All, once_wait),
    row("cell, to initialise", Reason::Once, All, cell_initialise),
    row("cell, to wait", Reason::Once, All, cell_wait),
    row("lazy value", Reason::Once, All, lazy_value),
    row("semaphore", Reason::Semaphore, One, semaphore),
    row("semaphore with a time-out", Reason::Semaphore, One, semaphore_timeout),
    row("semaphore, for several permits", Reason::Semaphore, One, semaphore_many),
    row("semaphore, for several with a time-out", Reason::Semaphore, One, semaphore_many_timeout),
    row("reentrant mutex", Reason::ReentrantMutex, All, reentrant_mutex),
    row("event", Reason::Event, All, event),
    row("event with a time-out", Reason::Event, All, event_timeout),
    row("promise", Reason::Promise, All, promise_kept),
    row("promise with a time-out", Reason::Promise, All, promise_failed),
    row("promise that is broken", Reason::Promise, All, promise_broken),
    row("wait group", Reason::WaitGroup, All, wait_group),
    row("wait group with a time-out", Reason::WaitGroup, All, wait_group_timeout),
    row("receive", Reason::Receive, One, receive),
    row("receive with a time-out", Reason::Receive, One, receive_timeout),
    row("receive, bounded", Reason::Receive, One, receive_bounded),
    row("receive, rendezvous", Reason::Receive, One, receive_rendezvous),
    row("send, bounded", Reason::Send, One, send_bounded),
    row("send, rendezvous", Reason::Send, OnePerhaps, send_rendezvous),
    row("queue get", Reason::QueueGet, One, queue_get),
    row("queue get with a time-out", Reason::QueueGet, One, queue_get_timeout),
    row("queue get, last in first out", Reason::QueueGet, One, lifo_queue_get),
    row("queue get, by priority", Reason::QueueGet, One, priority_queue_get),
    row("queue get, rendezvous", Reason::QueueGet, One, channel_get),
    row("queue peek", Reason::QueueGet, All, queue_peek),
    row("queue put", Reason::QueuePut, OnePerhaps, queue_put),
    row("queue put with a time-out", Reason::QueuePut, OnePerhaps, queue_put_timeout),
    row("queue put, by priority", Reason::QueuePut, OnePerhaps, priority_queue_put),
    row("queue put, rendezvous", Reason::QueuePut, OnePerhaps, channel_put),
    row("queue join", Reason::QueueJoin, All, queue_join),
    row("select, to receive", Reason::Select, One, select_receive),
    row("select, to receive at a rendezvous", Reason::Select, One, select_receive_rendezvous),
    row("select, to send", Reason::Select, One, select_send),
    row("select, to send at a rendezvous", Reason::Select, OnePerhaps, select_send_rendezvous),
    row("select, to acquire", Reason::Select, One, select_acquire),
    row("select, to get", Reason::Select, One, select_get),
    row("select, to get by priority", Reason::Select, One, select_get_by_priority),
    row("select, to get at a rendezvous", Reason::Select, One, select_get_rendezvous),
    row("select, to put", Reason::Select, OnePerhaps, select_put),
    row("select, to put at a rendezvous", Reason::Select, OnePerhaps, select_put_rendezvous),
    row("select, with a time-out", Reason::Select, One, select_timeout),
    row("select, to join", Reason::Select, All, select_join),
    row("accept", Reason::Accept, One, accept),
    row("connect", Reason::Connect, Nobody, connect),
    row("tcp read", Reason::TcpRead, One, tcp_read),
    row("tcp peek", Reason::TcpRead, All, tcp_peek),
    row("tcp write", Reason::TcpWrite, All, tcp_write),
    row("udp receive", Reason::UdpReceive, One, udp_receive),
    row("udp receive from", Reason::UdpReceive, One, udp_receive_from),
    row("udp peek", Reason::UdpReceive, All, udp_peek),
    row("udp send", Reason::UdpSend, All, udp_send),
    row("unix read", Reason::UnixRead, One, unix_read),
    row("unix write", Reason::UnixWrite, All, unix_write),
    row("unix accept", Reason::Accept, One, unix_accept),
    row("unix datagram", Reason::UnixRead, One, unix_datagram),
    row("name lookup", Reason::Lookup, All, name_lookup),
    row("signal", Reason::Signal, One, signal),
    row("child", Reason::Child, Nobody, child),
    row("pipe read", Reason::Readable, One, pipe_read),
    row("pipe write", Reason::Writable, All, pipe_write),
];

/// Reasons that no row shows, and why.
const WITHOUT_A_ROW: &[(&str, &str)] =
    &[("Runtime", "a wait of main, or masked: see tests/runtime.rs")];

const fn row(name: &'static str, reason: Reason, serves: Serves, set_up: fn() -> Wait) -> Row {
    Row {
        name,
        reason,
        serves,
        set_up,
    }
}

/// Longer than it ever takes to serve somebody.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many wait at once, at most.
const WAITERS: usize = 3;

// ── The waits: time and threads

fn sleep() -> Wait {
    Wait::new(|| thread::sleep(HOUR), |_| ())
}

fn park() -> Wait {
    Wait::new(thread::park, |waiters| {
        waiters.iter().for_each(Thread::unpark);
    })
}

fn park_timeout() -> Wait {
    let park = || thread::park_timeout(HOUR);
    Wait::new(park, |waiters| waiters.iter().for_each(Thread::unpark))
}

fn yields() -> Wait {
    let flag = Arc::new(AtomicBool::new(false));
    let done = flag.clone();
    let wait = move || {
        while !done.load(SeqCst) {
            thread::yield_now();
        }
    };
    Wait::new(wait, move |_| flag.store(true, SeqCst))
}

fn join() -> Wait {
    Gate::wait_by(|gate| {
        let gate = gate.clone();
        thread::spawn(move || gate.pass()).join().unwrap();
    })
}

fn scoped_join() -> Wait {
    Gate::wait_by(|gate| thread::scope(|scope| scope.spawn(|| gate.pass()).join().unwrap()))
}

fn local_join() -> Wait {
    Gate::wait_by(|gate| {
        let gate = gate.clone();
        thread::spawn_local(move || gate.pass()).join().unwrap();
    })
}

fn end_of_scope() -> Wait {
    Gate::wait_by(|gate| thread::scope(|scope| drop(scope.spawn(|| gate.pass()))))
}

fn nested_run() -> Wait {
    Gate::wait_by(|gate| {
        sylvan::run(|| {
            let theirs = gate.clone();
            drop(thread::spawn(move || theirs.pass()));
            gate.pass();
        });
    })
}

fn end_of_nursery() -> Wait {
    Gate::wait_by(|gate| nursery(|nursery| drop(nursery.spawn(|| gate.pass()))).unwrap())
}

fn nursery_join() -> Wait {
    Gate::wait_by(|gate| nursery(|nursery| nursery.spawn(|| gate.pass()).join()).unwrap())
}

fn end_of_group() -> Wait {
    let (gate, group) = (Gate::default(), leak(Group::new()));
    let theirs = gate.clone();
    drop(group.spawn(move || theirs.pass()));
    let wait = || group.join().unwrap();
    Wait::new(wait, move |_| gate.open()).clean_if(|| group.is_empty())
}

fn slot_of_a_pool() -> Wait {
    full_pool(|pool| pool.spawn(|| ()).join().unwrap())
}

fn slot_for_a_map() -> Wait {
    full_pool(|pool| assert_eq!(pool.map([2], |n| n + 1), [3]))
}

/// A pool whose one slot is taken, by one who gives it back and by nobody else.
fn full_pool(wait: impl Fn(&Pool) + Send + Sync + 'static) -> Wait {
    let (gate, pool) = (Gate::default(), leak(Pool::new(1)));
    let theirs = gate.clone();
    drop(pool.spawn(move || theirs.pass()));
    // A member whose spawner was cancelled may still run.
    let is_clean = || pool.join().is_ok() && pool.free() == 1;
    Wait::new(move || wait(pool), move |_| gate.open()).clean_if(is_clean)
}

fn map() -> Wait {
    Gate::wait_by(|gate| drop(Pool::new(3).map([1, 2], |_| gate.pass())))
}

fn imap() -> Wait {
    Gate::wait_by(|gate| {
        let (pool, gate) = (Pool::new(2), gate.clone());
        let results = pool.imap([1, 2], move |_| gate.pass());
        results.for_each(Result::unwrap);
    })
}

fn imap_unordered() -> Wait {
    Gate::wait_by(|gate| {
        let (pool, gate) = (Pool::new(2), gate.clone());
        let results = pool.imap_unordered([1, 2], move |_| gate.pass());
        results.for_each(Result::unwrap);
    })
}

fn gather() -> Wait {
    Gate::wait_by(|gate| drop(task::gather(gate.two_that_pass()).unwrap()))
}

fn gather_all() -> Wait {
    Gate::wait_by(|gate| {
        let results = task::gather_all(gate.two_that_pass());
        assert!(results.iter().all(Result::is_ok));
    })
}

fn race_of_threads() -> Wait {
    Gate::wait_by(|gate| task::race(gate.two_that_pass()).unwrap())
}

fn wait_for_first() -> Wait {
    Gate::wait_by(|gate| {
        let (done, _) = task::wait(gate.two_that_pass(), WaitFor::FirstCompleted, None);
        assert!(!done.is_empty());
    })
}

fn wait_for_all() -> Wait {
    Gate::wait_by(|gate| {
        let (done, _) = task::wait(gate.two_that_pass(), WaitFor::All, Some(HOUR));
        assert_eq!(done.len(), 2);
    })
}

fn as_completed() -> Wait {
    Gate::wait_by(|gate| assert_eq!(task::as_completed(gate.two_that_pass()).count(), 2))
}

fn future() -> Wait {
    let wakers = Arc::new(StdMutex::new(Some(Vec::new())));
    let theirs = wakers.clone();
    let wait = move || {
        block_on(poll_fn(|context| match &mut *theirs.lock().unwrap() {
            Some(wakers) => {
                wakers.push(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }));
    };
    let wake_all = move |_: &[Thread]| {
        let wakers = wakers.lock().unwrap().take();
        wakers.into_iter().flatten().for_each(Waker::wake);
    };
    Wait::new(wait, wake_all)
}

fn future_of_a_thread() -> Wait {
    Gate::wait_by(|gate| {
        let gate = gate.clone();
        block_on(thread::spawn(move || gate.pass())).unwrap();
    })
}

fn offload() -> Wait {
    let hold = Hold::default();
    let theirs = hold.clone();
    let wait = move || {
        let hold = theirs.clone();
        sylvan::offload(move || hold.wait());
    };
    Wait::new(wait, move |_| hold.let_go())
}

// ── The waits: locks and channels

fn mutex() -> Wait {
    let lock = leak(Mutex::new(()));
    let held = lock.lock().unwrap();
    Wait::new(|| drop(lock.lock().unwrap()), by_dropping(held)).clean_if(|| lock.try_lock().is_ok())
}

fn read_lock() -> Wait {
    let lock = leak(RwLock::new(()));
    let held = lock.write().unwrap();
    Wait::new(|| drop(lock.read().unwrap()), by_dropping(held))
        .clean_if(|| lock.try_write().is_ok())
}

fn write_lock_held_by_a_reader() -> Wait {
    let lock = leak(RwLock::new(()));
    let held = lock.read().unwrap();
    Wait::new(|| drop(lock.write().unwrap()), by_dropping(held))
        .clean_if(|| lock.try_write().is_ok())
}

fn write_lock_held_by_a_writer() -> Wait {
    let lock = leak(RwLock::new(()));
    let held = lock.write().unwrap();
    Wait::new(|| drop(lock.write().unwrap()), by_dropping(held))
        .clean_if(|| lock.try_write().is_ok())
}

/// Does at the first time what serves all, and nothing later.
fn once(mut serve: impl FnMut(&[Thread])) -> impl FnMut(&[Thread]) {
    let mut done = false;
    move |waiters| {
        if !std::mem::replace(&mut done, true) {
            serve(waiters);
        }
    }
}

/// Serves by giving up what is held.
fn by_dropping(held: impl Sized + 'static) -> impl FnMut(&[Thread]) {
    let mut held = Some(held);
    move |_| drop(held.take())
}

/// A counter of what may be taken, and what says that there is more.
type Supply = (Mutex<usize>, Condvar);

fn put(supply: &Supply) {
    *supply.0.lock().unwrap() += 1;
    supply.1.notify_one();
}

fn take(supply: &Supply) {
    let mut left = supply.0.lock().unwrap();
    while *left == 0 {
        left = supply.1.wait(left).unwrap();
    }
    *left -= 1;
}

fn is_empty(supply: &Supply) -> bool {
    supply.0.try_lock().is_ok_and(|left| *left == 0)
}

fn condvar() -> Wait {
    let supply: &Supply = leak((Mutex::new(0), Condvar::new()));
    let wait = || take(supply);
    Wait::new(wait, |_| put(supply)).clean_if(|| is_empty(supply))
}

fn condvar_timeout() -> Wait {
    let supply: &Supply = leak((Mutex::new(0), Condvar::new()));
    let wait = || {
        let left = supply.0.lock().unwrap();
        let waited = supply.1.wait_timeout_while(left, HOUR, |left| *left == 0);
        *waited.unwrap().0 -= 1;
    };
    Wait::new(wait, |_| put(supply)).clean_if(|| is_empty(supply))
}

fn lock_after_condvar() -> Wait {
    let (lock, opened) = leak((Mutex::new(false), Condvar::new()));
    let guard = Rc::new(RefCell::new(None));
    let held = guard.clone();
    let wait = || drop(opened.wait_while(lock.lock().unwrap(), |is_open| !*is_open));
    Wait {
        // They are notified, and find the lock taken.
        once_parked: Box::new(move || {
            let mut is_open = lock.lock().unwrap();
            *is_open = true;
            opened.notify_all();
            guard.replace(Some(is_open));
        }),
        ..Wait::new(wait, move |_| drop(held.take()))
    }
}

fn lock_after_one_notification() -> Wait {
    let supply: &Supply = leak((Mutex::new(0), Condvar::new()));
    let guard = Rc::new(RefCell::new(None));
    let held = guard.clone();
    let serve = move |_: &[Thread]| {
        if held.take().is_none() {
            put(supply);
        }
    };
    let wait = Wait::new(|| take(supply), serve).clean_if(|| is_empty(supply));
    Wait {
        // The first is notified, and finds the lock taken.
        once_parked: Box::new(move || {
            let mut left = supply.0.lock().unwrap();
            *left = 1;
            supply.1.notify_one();
            guard.replace(Some(left));
        }),
        ..wait
    }
}

fn barrier() -> Wait {
    let barrier = Arc::new(Barrier::new(WAITERS + 1));
    let theirs = barrier.clone();
    let mut others = Helpers::default();
    // Those who were cancelled have not come: others come in their place.
    let serve = move |waiters: &[Thread]| {
        for _ in waiters.len()..=WAITERS {
            let barrier = barrier.clone();
            others.spawn(move || {
                barrier.wait();
            });
        }
    };
    let wait = move || {
        theirs.wait();
    };
    Wait::new(wait, serve)
}

fn once_call() -> Wait {
    let once = leak(Once::new());
    begun_by_another(
        |gate| once.call_once(|| gate.pass()),
        || once.call_once(|| unreachable!()),
    )
}

fn once_wait() -> Wait {
    let once = leak(Once::new());
    begun_by_another(|gate| once.call_once(|| gate.pass()), || once.wait())
}

fn cell_initialise() -> Wait {
    let cell = leak(OnceLock::new());
    let begin = |gate: &Gate| *cell.get_or_init(|| gate.pass());
    begun_by_another(begin, || *cell.get_or_init(|| unreachable!()))
}

fn cell_wait() -> Wait {
    let cell = leak(OnceLock::new());
    Wait::new(|| *cell.wait(), |_| *cell.get_or_init(|| ()))
}

fn lazy_value() -> Wait {
    let gate = Gate::default();
    let inside = gate.clone();
    let lazy: &LazyLock<(), Box<dyn FnOnce() + Send>> =
        leak(LazyLock::new(Box::new(move || inside.pass())));
    let wait = begun_by_another(|_| **lazy, || **lazy);
    gate.until_somebody_waits();
    Wait {
        serve: Box::new(move |_| gate.open()),
        ..wait
    }
}

fn semaphore() -> Wait {
    let semaphore = leak(Semaphore::new(0));
    let wait = || semaphore.acquire().forget();
    Wait::new(wait, |_| semaphore.release(1)).clean_if(|| semaphore.available() == 0)
}

fn semaphore_timeout() -> Wait {
    let semaphore = leak(Semaphore::new(0));
    let wait = || semaphore.acquire_timeout(HOUR).unwrap().forget();
    Wait::new(wait, |_| semaphore.release(1)).clean_if(|| semaphore.available() == 0)
}

fn semaphore_many() -> Wait {
    let semaphore = leak(Semaphore::new(1));
    let wait = || semaphore.acquire_many(3).forget();
    let serve = |_: &[Thread]| semaphore.release(3);
    Wait::new(wait, serve).clean_if(|| semaphore.available() == 1)
}

fn semaphore_many_timeout() -> Wait {
    let semaphore = Arc::new(Semaphore::new(0));
    let theirs = semaphore.clone();
    let wait = move || {
        let permits = theirs.acquire_many_timeout(2, HOUR);
        permits.unwrap().forget();
    };
    let ours = semaphore.clone();
    Wait::new(wait, move |_| semaphore.release(2)).clean_if(move || ours.available() == 0)
}

fn reentrant_mutex() -> Wait {
    let lock = leak(ReentrantMutex::new(()));
    let held = (lock.lock(), lock.lock());
    let wait = || drop((lock.lock(), lock.lock()));
    Wait::new(wait, by_dropping(held)).clean_if(|| lock.try_lock().is_some())
}

fn event() -> Wait {
    let event = leak(Event::new());
    Wait::new(|| event.wait(), |_| event.set())
}

fn event_timeout() -> Wait {
    let event = leak(Event::new());
    Wait::new(|| assert!(event.wait_timeout(HOUR)), |_| event.set())
}

fn promise_kept() -> Wait {
    let (resolver, promise) = promise();
    let wait = move || assert_eq!(promise.get(), Ok(&7));
    settled_by(resolver, wait, |resolver| resolver.set(7))
}

fn promise_failed() -> Wait {
    let (resolver, promise) = promise();
    let wait = move || {
        let outcome = promise.get_timeout(HOUR).unwrap();
        assert_eq!(outcome.unwrap_err().to_string(), "in vain");
    };
    settled_by(resolver, wait, |resolver| resolver.fail("in vain"))
}

fn promise_broken() -> Wait {
    let (resolver, promise) = promise();
    settled_by(resolver, move || promise.wait(), drop)
}

fn settled_by(
    resolver: Resolver<u32>,
    wait: impl Fn() + Send + Sync + 'static,
    settle: fn(Resolver<u32>),
) -> Wait {
    let mut resolver = Some(resolver);
    Wait::new(
        wait,
        once(move |_| resolver.take().into_iter().for_each(settle)),
    )
}

fn wait_group() -> Wait {
    left_by_another(WaitGroup::wait)
}

fn wait_group_timeout() -> Wait {
    left_by_another(|group| group.wait_timeout(HOUR).unwrap())
}

/// A group that one who does not wait is a member of.
fn left_by_another(wait: fn(WaitGroup)) -> Wait {
    let other = Arc::new(StdMutex::new(Some(WaitGroup::new())));
    let theirs = other.clone();
    let wait = move || {
        let group = theirs.lock().unwrap().clone();
        group.into_iter().for_each(wait);
    };
    Wait::new(wait, move |_| drop(other.lock().unwrap().take()))
}

/// An initialiser that waits at a gate, and those who wait for it.
fn begun_by_another(
    begin: impl FnOnce(&Gate) + Send + 'static,
    wait: impl Fn() + Send + Sync + 'static,
) -> Wait {
    let gate = Gate::default();
    let inside = gate.clone();
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    drop(thread::spawn(move || {
        begins.store(true, SeqCst);
        begin(&inside);
    }));
    while !begun.load(SeqCst) {
        thread::yield_now();
    }
    settle();
    Wait::new(wait, move |_| gate.open())
}

fn receive() -> Wait {
    let (sender, receiver) = mpsc::channel();
    receive_by(
        receiver,
        |receiver| receiver.recv().unwrap(),
        move || sender.send(()).unwrap(),
    )
}

fn receive_timeout() -> Wait {
    let (sender, receiver) = mpsc::channel();
    let receive = |receiver: &mpsc::Receiver<()>| receiver.recv_timeout(HOUR).unwrap();
    receive_by(receiver, receive, move || sender.send(()).unwrap())
}

fn receive_bounded() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(WAITERS);
    receive_by(
        receiver,
        |receiver| receiver.recv().unwrap(),
        move || sender.send(()).unwrap(),
    )
}

fn receive_rendezvous() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(0);
    let mut senders = Helpers::default();
    let serve = move || {
        let sender = sender.clone();
        senders.spawn(move || sender.send(()).unwrap());
    };
    receive_by(receiver, |receiver| receiver.recv().unwrap(), serve)
}

/// A channel has one receiver: the first in line waits for a message, the others for the receiver.
fn receive_by(
    receiver: mpsc::Receiver<()>,
    receive: impl Fn(&mpsc::Receiver<()>) + Send + Sync + 'static,
    mut serve: impl FnMut() + 'static,
) -> Wait {
    let receiver = Arc::new(Mutex::new(receiver));
    let theirs = receiver.clone();
    let wait = move || receive(&theirs.lock().unwrap());
    Wait::new(wait, move |_| serve()).clean_if(move || {
        let free = receiver.try_lock();
        free.is_ok_and(|receiver| receiver.try_recv().is_err())
    })
}

fn send_bounded() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(1);
    sender.send(()).unwrap();
    Wait::new(
        move || sender.send(()).unwrap(),
        move |_| receiver.recv().unwrap(),
    )
}

fn send_rendezvous() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(0);
    // Somebody stands there with a message, or nobody does.
    let serve = move |_: &[Thread]| receiver.try_recv().unwrap_or_default();
    Wait::new(move || sender.send(()).unwrap(), serve)
}

// ── The waits: queues

fn queue_get() -> Wait {
    let queue = leak(Queue::new(WAITERS));
    let wait = || queue.get().unwrap();
    Wait::new(wait, |_| queue.put(()).unwrap()).clean_if(|| queue.try_get().is_err())
}

fn queue_get_timeout() -> Wait {
    let queue = leak(Queue::new(WAITERS));
    let wait = || queue.get_timeout(HOUR).unwrap();
    Wait::new(wait, |_| queue.put(()).unwrap()).clean_if(|| queue.try_get().is_err())
}

fn lifo_queue_get() -> Wait {
    let queue = leak(LifoQueue::unbounded());
    let wait = || queue.get().unwrap();
    Wait::new(wait, |_| queue.put(()).unwrap()).clean_if(|| queue.try_get().is_err())
}

fn priority_queue_get() -> Wait {
    let queue = leak(PriorityQueue::new(WAITERS));
    let wait = || queue.get().unwrap();
    Wait::new(wait, |_| queue.put(()).unwrap()).clean_if(|| queue.try_get().is_err())
}

fn channel_get() -> Wait {
    let channel = leak(Channel::new());
    let mut putters = Helpers::default();
    let wait = || channel.get().unwrap();
    let serve = move |_: &[Thread]| putters.spawn(|| channel.put(()).unwrap());
    Wait::new(wait, serve).clean_if(|| channel.try_get().is_err())
}

fn queue_peek() -> Wait {
    let queue = leak(Queue::new(1));
    let wait = || queue.peek().unwrap();
    Wait::new(wait, once(|_| queue.put(()).unwrap())).clean_if(|| queue.try_get().is_ok())
}

fn queue_put() -> Wait {
    let queue = leak(Queue::new(1));
    queue.put(()).unwrap();
    let wait = || queue.put(()).unwrap();
    let serve = |_: &[Thread]| queue.try_get().unwrap_or_default();
    Wait::new(wait, serve).clean_if(|| queue.try_iter().count() <= 1)
}

fn queue_put_timeout() -> Wait {
    let queue = leak(Queue::new(1));
    queue.put(()).unwrap();
    let wait = || queue.put_timeout((), HOUR).unwrap();
    let serve = |_: &[Thread]| queue.try_get().unwrap_or_default();
    Wait::new(wait, serve).clean_if(|| queue.try_iter().count() <= 1)
}

fn priority_queue_put() -> Wait {
    let queue = leak(PriorityQueue::new(1));
    queue.put(()).unwrap();
    let wait = || queue.put(()).unwrap();
    let serve = |_: &[Thread]| queue.try_get().unwrap_or_default();
    Wait::new(wait, serve).clean_if(|| queue.try_iter().count() <= 1)
}

fn channel_put() -> Wait {
    let channel = leak(Channel::new());
    let wait = || channel.put(()).unwrap();
    let serve = |_: &[Thread]| channel.try_get().unwrap_or_default();
    Wait::new(wait, serve).clean_if(|| channel.try_get().is_err())
}

fn queue_join() -> Wait {
    let queue = leak(Queue::new(1));
    queue.put(()).unwrap();
    Wait::new(|| queue.join(), once(|_| queue.task_done()))
}

// ── The waits: selects. Each has other cases, of which nothing comes, before and behind.

fn select_receive() -> Wait {
    let (sender, receiver) = mpsc::channel();
    receive_by(receiver, receive_or_never, move || sender.send(()).unwrap())
}

fn select_receive_rendezvous() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(0);
    let mut senders = Helpers::default();
    let serve = move || {
        let sender = sender.clone();
        senders.spawn(move || {
            select! {
                acquire(NEVER) -> _ => unreachable!(),
                send(sender, ()) -> sent => sent.unwrap(),
            }
        });
    };
    receive_by(receiver, receive_or_never, serve)
}

fn receive_or_never(receiver: &mpsc::Receiver<()>) {
    select! {
        acquire(NEVER) -> _ => unreachable!(),
        recv(receiver) -> message => message.unwrap(),
        acquire(NEVER) -> _ => unreachable!(),
    }
}

fn select_send() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(1);
    sender.send(()).unwrap();
    let wait = move || send_or_never(&sender);
    Wait::new(wait, move |_| receiver.recv().unwrap())
}

fn select_send_rendezvous() -> Wait {
    let (sender, receiver) = mpsc::sync_channel(0);
    // Somebody stands there with a message, or nobody does.
    let serve = move |_: &[Thread]| receiver.try_recv().unwrap_or_default();
    Wait::new(move || send_or_never(&sender), serve)
}

fn send_or_never(sender: &mpsc::SyncSender<()>) {
    select! {
        acquire(NEVER) -> _ => unreachable!(),
        send(sender, ()) -> sent => sent.unwrap(),
        acquire(NEVER) -> _ => unreachable!(),
    }
}

fn select_acquire() -> Wait {
    let semaphore = leak(Semaphore::new(0));
    let wait = || {
        select! {
            acquire(NEVER) -> _ => unreachable!(),
            acquire(semaphore) -> permit => permit.forget(),
        }
    };
    Wait::new(wait, |_| semaphore.release(1)).clean_if(|| semaphore.available() == 0)
}

fn select_timeout() -> Wait {
    let semaphore = leak(Semaphore::new(0));
    let wait = || {
        select! {
            acquire(semaphore) -> permit => permit.forget(),
            acquire(NEVER) -> _ => unreachable!(),
            after(HOUR) => unreachable!(),
            default(HOUR) => unreachable!(),
        }
    };
    Wait::new(wait, |_| semaphore.release(1)).clean_if(|| semaphore.available() == 0)
}

fn select_join() -> Wait {
    Gate::wait_by(|gate| {
        let gate = gate.clone();
        let task = thread::spawn(move || gate.pass());
        select! {
            acquire(NEVER) -> _ => unreachable!(),
            join(task) => task.join().unwrap(),
        }
    })
}

fn select_get() -> Wait {
    let queue = leak(Queue::new(WAITERS));
    let wait = || {
        select! {
            acquire(NEVER) -> _ => unreachable!(),
            get(queue) -> value => value.unwrap(),
            acquire(NEVER) -> _ => unreachable!(),
        }
    };
    Wait::new(wait, |_| queue.put(()).unwrap()).clean_if(|| queue.try_get().is_err())
}

fn select_get_by_priority() -> Wait {
    let queue = leak(PriorityQueue::new(WAITERS));
    let wait = || {
        select! {
            acquire(NEVER) -> _ => unreachable!(),
            get(queue) -> value => value.unwrap(),
        }
    };
    Wait::new(wait, |_| queue.put(()).unwrap()).clean_if(|| queue.try_get().is_err())
}

fn select_get_rendezvous() -> Wait {
    let channel = leak(Channel::new());
    let mut putters = Helpers::default();
    let wait = || {
        select! {
            get(channel) -> value => value.unwrap(),
            acquire(NEVER) -> _ => unreachable!(),
        }
    };
    let serve = move |_: &[Thread]| putters.spawn(|| channel.put(()).unwrap());
    Wait::new(wait, serve).clean_if(|| channel.try_get().is_err())
}

fn select_put() -> Wait {
    let queue = leak(Queue::new(1));
    queue.put(()).unwrap();
    let wait = || {
        select! {
            acquire(NEVER) -> _ => unreachable!(),
            put(queue, ()) -> put => put.unwrap(),
            acquire(NEVER) -> _ => unreachable!(),
        }
    };
    let serve = |_: &[Thread]| queue.try_get().unwrap_or_default();
    Wait::new(wait, serve).clean_if(|| queue.try_iter().count() <= 1)
}

fn select_put_rendezvous() -> Wait {
    let channel = leak(Channel::new());
    let wait = || {
        select! {
            put(channel, ()) -> put => put.unwrap(),
            acquire(NEVER) -> _ => unreachable!(),
        }
    };
    let serve = |_: &[Thread]| channel.try_get().unwrap_or_default();
    Wait::new(wait, serve).clean_if(|| channel.try_get().is_err())
}

/// It has no permits and gets none.
static NEVER: Semaphore = Semaphore::new(0);

// ── The waits: sockets

fn accept() -> Wait {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    Wait::new(
        move || drop(listener.accept().unwrap()),
        move |_| clients.push(StdStream::connect(address).unwrap()),
    )
}

fn connect() -> Wait {
    // A listener whose line is full answers no more.
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
    let deaf = move |_: &[Thread]| unreachable!("{listener:?} is deaf, for {line:?}");
    Wait::new(move || drop(TcpStream::connect(address).unwrap()), deaf)
}

fn tcp_read() -> Wait {
    let (stream, mut peer) = pair();
    Wait::new(
        move || (&stream).read_exact(&mut [0]).unwrap(),
        move |_| peer.write_all(&[1]).unwrap(),
    )
}

fn tcp_peek() -> Wait {
    let (stream, mut peer) = pair();
    let peek = move || assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
    Wait::new(peek, once(move |_| peer.write_all(&[1]).unwrap()))
}

fn tcp_write() -> Wait {
    let (mut stream, mut peer) = pair();
    stream.set_nonblocking(true).unwrap();
    let mut filled = 0;
    loop {
        let before = filled;
        while let Ok(count) = stream.write(&[0; 1 << 16]) {
            filled += count;
        }
        if filled == before {
            break;
        }
        settle();
    }
    stream.set_nonblocking(false).unwrap();
    let drain = move |_: &[Thread]| {
        peer.read_exact(&mut vec![0; std::mem::take(&mut filled)])
            .unwrap();
    };
    Wait::new(move || (&stream).write_all(&[1]).unwrap(), drain)
}

fn udp() -> (UdpSocket, impl FnMut(&[Thread])) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let sender = StdUdp::bind("127.0.0.1:0").unwrap();
    (socket, move |_: &[Thread]| {
        assert_eq!(sender.send_to(&[1], address).unwrap(), 1);
    })
}

fn udp_receive() -> Wait {
    let (socket, serve) = udp();
    Wait::new(move || assert_eq!(socket.recv(&mut [0]).unwrap(), 1), serve)
}

fn udp_receive_from() -> Wait {
    let (socket, serve) = udp();
    Wait::new(
        move || assert_eq!(socket.recv_from(&mut [0]).unwrap().0, 1),
        serve,
    )
}

fn udp_peek() -> Wait {
    let (socket, serve) = udp();
    Wait::new(
        move || assert_eq!(socket.peek_from(&mut [0]).unwrap().0, 1),
        once(serve),
    )
}

/// No internet socket of the loopback ever waits to send, but a datagram socket of unix does, whose peer
/// does not read.
fn udp_send() -> Wait {
    let (ours, theirs) = StdUnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    while ours.send(&[0]).is_ok() {}
    ours.set_nonblocking(false).unwrap();
    let socket = UdpSocket::from(OwnedFd::from(ours));
    let drain = once(move |_| while theirs.recv(&mut [0]).is_ok() {});
    Wait::new(move || assert_eq!(socket.send(&[1]).unwrap(), 1), drain)
}

fn name_lookup() -> Wait {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("held-{}.test", COUNT.fetch_add(1, SeqCst));
    let (asked, host) = ((name.clone(), 80), name);
    // It finds nothing, in the end.
    let wait = move || assert!((asked.0.as_str(), asked.1).to_socket_addrs().is_err());
    Wait::new(wait, move |_| {
        LET_GO.0.lock().unwrap().insert(host.clone());
        LET_GO.1.notify_all();
    })
}

/// Names whose lookup may end.
static LET_GO: (StdMutex<BTreeSet<String>>, StdCondvar) =
    (StdMutex::new(BTreeSet::new()), StdCondvar::new());

/// Stands before the C library's own in this program: a lookup takes until it is let go.
#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    node: *const c_char,
    _service: *const c_char,
    _hints: *const c_void,
    _result: *mut *mut c_void,
) -> c_int {
    // SAFETY: std gives a name that ends with a zero.
    let name = unsafe { CStr::from_ptr(node) }.to_str().unwrap();
    let let_go = LET_GO.0.lock().unwrap();
    drop(LET_GO.1.wait_while(let_go, |names| !names.contains(name)));
    libc::EAI_NONAME
}

/// Signals are the process's: there is one such wait at a time. They do nothing to who does not watch them, and
/// each serves with another, because two of one number may be one.
fn signal() -> Wait {
    static ALONE: StdMutex<()> = StdMutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let harmless = [Signal::URGENT, Signal::WINDOW_CHANGE, Signal::CONTINUE];
    const { assert!(WAITERS == 3) };
    let signals = Arc::new(Signals::new(harmless).unwrap());
    let (theirs, mut unused) = (signals.clone(), harmless.into_iter());
    let wait = move || assert!(harmless.contains(&theirs.wait().unwrap()));
    let raise = move |_: &[Thread]| {
        let _ = &alone;
        let signal = unused.next().expect("one for each that waits");
        // SAFETY: the handler is the library's own.
        assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
    };
    Wait::new(wait, raise).clean_if(move || signals.try_next().is_none())
}

fn unix_read() -> Wait {
    let (stream, mut peer) = UnixStream::pair().unwrap();
    let wait = move || {
        let mut byte = [0];
        assert_eq!((&stream).read(&mut byte).unwrap(), 1);
    };
    Wait::new(wait, move |_| peer.write_all(b"!").unwrap())
}

fn unix_write() -> Wait {
    let (mut stream, mut peer) = UnixStream::pair().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut filled = 0;
    while let Ok(count) = stream.write(&[0; 1 << 16]) {
        filled += count;
    }
    stream.set_nonblocking(false).unwrap();
    let drain = move |_: &[Thread]| {
        let filled = std::mem::take(&mut filled);
        peer.read_exact(&mut vec![0; filled]).unwrap();
    };
    Wait::new(move || (&stream).write_all(&[1]).unwrap(), drain)
}

fn unix_accept() -> Wait {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, SeqCst);
    let name = format!("sylvan-waits-{}-{number}", std::process::id());
    let address = UnixAddress::from_abstract_name(name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let wait = move || drop(listener.accept().unwrap());
    let connect = move |_: &[Thread]| drop(UnixStream::connect_addr(&address).unwrap());
    Wait::new(wait, connect)
}

fn unix_datagram() -> Wait {
    let (socket, peer) = UnixDatagram::pair().unwrap();
    let wait = move || assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 1);
    Wait::new(wait, move |_| assert_eq!(peer.send(b"!").unwrap(), 1))
}

/// Each waits for a child of its own, which ends with whoever waits for it.
fn child() -> Wait {
    struct Doomed(Child);
    impl Drop for Doomed {
        fn drop(&mut self) {
            self.0.kill().unwrap();
        }
    }
    let start = |_| Doomed(Command::new("sleep").arg("3600").spawn().unwrap());
    let children = StdMutex::new((0..WAITERS).map(start).collect::<Vec<_>>());
    let wait = move || {
        let child = children.lock().unwrap().pop();
        let mut child = child.unwrap_or_else(|| start(0));
        let status = child.0.wait().unwrap();
        panic!("nobody has ended it: {status}");
    };
    Wait::new(wait, |_| unreachable!())
}

fn pipe_read() -> Wait {
    let (reader, mut writer) = pipe().unwrap();
    let wait = move || {
        let mut byte = [0];
        assert_eq!((&reader).read(&mut byte).unwrap(), 1);
    };
    Wait::new(wait, move |_| writer.write_all(b"!").unwrap())
}

/// The pipe is full; to serve is to empty it, for all that are there and come.
fn pipe_write() -> Wait {
    let (mut reader, writer) = pipe().unwrap();
    let mut rest = 64 << 10;
    while rest > 0 {
        rest -= (&writer).write(&vec![0; rest]).unwrap();
    }
    let wait = move || assert_eq!((&writer).write(b"!").unwrap(), 1);
    let mut filled = 64 << 10;
    let empty = move |_: &[Thread]| {
        let filled = std::mem::take(&mut filled);
        reader.read_exact(&mut vec![0; filled]).unwrap();
    };
    Wait::new(wait, empty)
}

// ── What the waits are made of

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn pair() -> (TcpStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from(listener.accept().unwrap().0), client)
}

/// Green threads park here until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, StdMutex<Vec<Thread>>)>);

impl Gate {
    /// Waiters that do `wait` with a gate, and are served by its opening.
    fn wait_by(wait: impl Fn(&Gate) + Send + Sync + 'static) -> Wait {
        let gate = Gate::default();
        let theirs = gate.clone();
        Wait::new(move || wait(&theirs), move |_| gate.open())
    }

    fn pass(&self) {
        self.0.1.lock().unwrap().push(thread::current());
        while !self.0.0.load(SeqCst) {
            thread::park();
        }
    }

    fn two_that_pass(&self) -> [JoinHandle<()>; 2] {
        [self.clone(), self.clone()].map(|gate| thread::spawn(move || gate.pass()))
    }

    fn until_somebody_waits(&self) {
        while self.0.1.lock().unwrap().is_empty() {
            thread::yield_now();
        }
    }

    fn open(&self) {
        self.0.0.store(true, SeqCst);
        for thread in self.0.1.lock().unwrap().drain(..) {
            thread.unpark();
        }
    }
}

/// Plain OS threads wait here until they are let go.
#[derive(Clone, Default)]
struct Hold(Arc<(StdMutex<bool>, StdCondvar)>);

impl Hold {
    fn wait(&self) {
        drop(
            self.0
                .1
                .wait_while(self.0.0.lock().unwrap(), |let_go| !*let_go),
        );
    }

    fn let_go(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Threads that help to serve, and end with the wait.
#[derive(Default)]
struct Helpers(Vec<JoinHandle<()>>);

impl Helpers {
    fn spawn(&mut self, f: impl FnOnce() + Send + 'static) {
        self.0.push(thread::spawn(f));
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::cancel);
    }
}

/// Lets the others of the hub come to their waits, and the hub ask the kernel.
fn settle() {
    for _ in 0..200 {
        thread::yield_now();
    }
}

// ── Those who wait

/// A green thread in a wait.
struct Waiter {
    task: JoinHandle<Outcome>,
    entered: Arc<AtomicBool>,
    trail: Trail,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Served,
    Elapsed,
    Cancelled,
}

/// What was dropped, in its order.
#[derive(Clone, Default)]
struct Trail(Arc<StdMutex<Vec<&'static str>>>);

struct Noted(Trail, &'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(self.1);
    }
}

impl Trail {
    fn note(&self, name: &'static str) -> Noted {
        Noted(self.clone(), name)
    }

    #[track_caller]
    fn is(&self, names: &[&str]) {
        assert_eq!(*self.0.lock().unwrap(), names);
    }
}

/// How a waiter comes to its wait.
#[derive(Clone, Copy)]
struct Mood {
    /// It gives up after this time; never, if that is `Duration::MAX`.
    limit: Duration,
    /// So much was thrown to it before that the next throw lets the others run first.
    weary: bool,
}

const PATIENT: Mood = Mood {
    limit: Duration::MAX,
    weary: false,
};

impl Mood {
    /// A throw to one that has swallowed many comes in two steps, with the others in between: the one way to
    /// serve a waiter, on its own hub, between its last look at what it waits for and its leaving the line.
    fn assume(self) {
        if self.weary {
            for _ in 0..8 {
                assert!(timeout(Duration::ZERO, thread::yield_now).is_err());
            }
        }
    }
}

impl Waiter {
    fn new(wait: &Wait, mood: Mood) -> Waiter {
        let (wait, trail) = (wait.wait.clone(), Trail::default());
        let entered = Arc::new(AtomicBool::new(false));
        let (theirs, captured, enters) = (trail.clone(), trail.note("captured"), entered.clone());
        let task = thread::spawn(move || {
            let _captured = captured;
            let _outer = theirs.note("outer");
            mood.assume();
            enters.store(true, SeqCst);
            let within = || {
                let _middle = theirs.note("middle");
                innermost(&theirs, &*wait);
            };
            if mood.limit == Duration::MAX {
                within();
                return Outcome::Served;
            }
            timeout(mood.limit, within).map_or(Outcome::Elapsed, |()| Outcome::Served)
        });
        Waiter {
            task,
            entered,
            trail,
        }
    }

    fn outcome(self, row: &Row) -> Outcome {
        let Ok(result) = timeout(PATIENCE, || self.task.join()) else {
            panic!("{}: it waits for ever", row.name);
        };
        let outcome = result.unwrap_or_else(|payload| {
            assert!(payload.is::<Cancelled>(), "{}: it panicked", row.name);
            Outcome::Cancelled
        });
        self.trail.is(&["inner", "middle", "outer", "captured"]);
        outcome
    }
}

fn innermost(trail: &Trail, wait: &dyn Fn()) {
    let _inner = trail.note("inner");
    wait();
}

/// The threads of those who still wait.
fn threads<'all>(waiters: impl IntoIterator<Item = &'all Waiter>) -> Vec<Thread> {
    waiters
        .into_iter()
        .map(|waiter| waiter.task.thread().clone())
        .collect()
}

/// Runs `f` with each row in a runtime, and finds nothing left of it.
fn for_each_row(workers: usize, f: impl Fn(&Row, &Handle)) {
    must_end(|| {
        let builder = Runtime::builder().workers(workers).stack_size(256 << 10);
        let runtime = builder.build().unwrap();
        let handle = runtime.handle();
        runtime.run(|| {
            for row in WAITS {
                f(row, &handle);
                // Those who were let go are still on their way.
                while handle.task_count() > 1 {
                    thread::yield_now();
                }
            }
        });
        runtime.close();
        let left = handle.metrics();
        assert_eq!((left.tasks, left.timers, left.sources), (0, 0, 0));
    });
}

// ── The tests

#[test]
fn a_cancel_unwinds_who_waits_and_the_next_in_line_is_served() {
    for_each_row(1, |row, _| {
        let mut wait = (row.set_up)();
        let [first, second] = [PATIENT; 2].map(|mood| Waiter::new(&wait, mood));
        settle();
        (wait.once_parked)();
        settle();
        first.trail.is(&[]);
        assert!(!first.task.is_finished(), "{}: it does not wait", row.name);
        first.task.cancel();
        first.task.cancel();
        assert_eq!(first.outcome(row), Outcome::Cancelled, "{}", row.name);
        settle();
        assert!(
            !second.task.is_finished(),
            "{}: the wrong one ended",
            row.name
        );
        ends(row, &mut wait, second);
    });
}

#[test]
fn a_timeout_unwinds_who_waits_and_the_next_in_line_is_served() {
    for_each_row(1, |row, handle| {
        let mut wait = (row.set_up)();
        // The trail shows the inner ones before the outer ones, which are dropped after the time-out.
        let limited = |limit| Mood { limit, ..PATIENT };
        let first = Waiter::new(&wait, limited(Duration::from_millis(3)));
        let second = Waiter::new(&wait, limited(HOUR));
        settle();
        (wait.once_parked)();
        assert_eq!(first.outcome(row), Outcome::Elapsed, "{}", row.name);
        assert!(
            !second.task.is_finished(),
            "{}: the wrong one ended",
            row.name
        );
        ends(row, &mut wait, second);
        drop(wait);
        while handle.metrics().tasks > 1 {
            thread::yield_now();
        }
        assert_eq!(handle.metrics().timers, 0, "{}", row.name);
    });
}

#[test]
fn the_state_of_who_waits_tells_for_what() {
    for_each_row(1, |row, _| {
        let mut wait = (row.set_up)();
        let waiter = Waiter::new(&wait, PATIENT);
        settle();
        (wait.once_parked)();
        settle();
        let state = waiter.task.state();
        assert_eq!(state, State::Waiting(row.reason), "{}", row.name);
        ends(row, &mut wait, waiter);
    });
}

/// The last one that waits is served, or can be cancelled.
fn ends(row: &Row, wait: &mut Wait, last: Waiter) {
    if row.serves == Nobody {
        last.task.cancel();
        assert_eq!(last.outcome(row), Outcome::Cancelled, "{}", row.name);
    } else {
        (wait.serve)(&threads([&last]));
        assert_eq!(last.outcome(row), Outcome::Served, "{}", row.name);
        assert!((wait.is_clean)(), "{}", row.name);
    }
}

/// On one hub, in both orders and at every distance: from the same turn to one in which the first in line has
/// been told, and so chosen, but has not run yet. (The kernel is asked once in 64 switches.)
#[test]
fn what_is_on_its_way_to_one_that_is_cancelled_goes_to_the_next() {
    for_each_row(1, |row, _| {
        let distances = match row.serves {
            Nobody => 0,
            _ if told_by_the_kernel(row) => 68,
            _ => 4,
        };
        for distance in 0..distances {
            for (serves_first, weary) in
                [(true, true), (true, false), (false, true), (false, false)]
            {
                serve_and_cancel(row, serves_first, distance, Mood { weary, ..PATIENT });
            }
        }
    });
}

fn serve_and_cancel(row: &Row, serves_first: bool, distance: usize, mood: Mood) {
    let mut wait = (row.set_up)();
    let first = Waiter::new(&wait, mood);
    let second = Waiter::new(&wait, PATIENT);
    settle();
    (wait.once_parked)();
    let both = threads([&first, &second]);
    let mut serve = || (wait.serve)(&both);
    let mut cancel = || first.task.cancel();
    let mut acts: [&mut dyn FnMut(); 2] = [&mut serve, &mut cancel];
    if !serves_first {
        acts.reverse();
    }
    acts[0]();
    for _ in 0..distance {
        thread::yield_now();
    }
    acts[1]();

    // What one has got the other has not; what none has got is not lost.
    let took = first.outcome(row) == Outcome::Served;
    let again = match row.serves {
        One => took,
        OnePerhaps => took || !is_served_soon(&second),
        // It waits for one more, if one was cancelled.
        _ => row.reason == Reason::Barrier,
    };
    if again {
        assert!(
            row.serves != One || !is_served_soon(&second),
            "{}: served twice",
            row.name
        );
        (wait.serve)(&threads([&second]));
    }
    assert_eq!(second.outcome(row), Outcome::Served, "{}", row.name);
    assert!((wait.is_clean)(), "{}", row.name);
}

fn is_served_soon(waiter: &Waiter) -> bool {
    settle();
    waiter.task.is_finished()
}

/// Does the hub learn from its poll that such a wait is over?
fn told_by_the_kernel(row: &Row) -> bool {
    let socket = [
        Reason::TcpRead,
        Reason::TcpWrite,
        Reason::UdpReceive,
        Reason::UdpSend,
        Reason::UnixRead,
        Reason::UnixWrite,
    ];
    let other = [
        Reason::Accept,
        Reason::Signal,
        Reason::Child,
        Reason::Readable,
        Reason::Writable,
    ];
    socket.contains(&row.reason) || other.contains(&row.reason)
}

#[test]
fn on_several_hubs_nothing_that_serves_is_lost_or_doubled() {
    for_each_row(4, |row, _| {
        if row.serves != Nobody {
            for round in 0..scaled(60) as u64 {
                race(row, Numbers::new(round + 1));
            }
        }
    });
}

/// Of several that wait on other hubs one is cancelled, or runs out of time, while one is served.
fn race(row: &Row, mut numbers: Numbers) {
    let mut wait = (row.set_up)();
    let victim = numbers.below(WAITERS as u64) as usize;
    let by_timeout = numbers.below(3) == 0;
    let mut waiters: Vec<_> = (0..WAITERS)
        .map(|place| {
            if place != victim {
                return Waiter::new(&wait, PATIENT);
            }
            let limit = Duration::from_micros(numbers.below(300));
            let limit = if by_timeout { limit } else { Duration::MAX };
            let weary = numbers.below(2) == 0;
            Waiter::new(&wait, Mood { limit, weary })
        })
        .collect();
    while !waiters.iter().all(|waiter| waiter.entered.load(SeqCst)) {
        thread::yield_now();
    }
    spin(numbers.below(100));
    (wait.once_parked)();
    let (before_cancel, before_serve) = (numbers.below(100), numbers.below(100));
    let all = threads(&waiters);
    let victim = waiters.swap_remove(victim);
    thread::scope(|scope| {
        scope.spawn(|| {
            spin(before_cancel);
            if !by_timeout {
                victim.task.cancel();
            }
        });
        spin(before_serve);
        (wait.serve)(&all);
    });
    let outcome = victim.outcome(row);
    let left = match row.serves {
        One => waiters.len() - usize::from(outcome != Outcome::Served),
        _ => 0,
    };
    for _ in 0..left {
        (wait.serve)(&[]);
    }
    for waiter in waiters {
        // If it is never served `outcome` says so.
        let _ = timeout(PATIENCE, || {
            while row.serves != One && !waiter.task.is_finished() {
                (wait.serve)(&threads([&waiter]));
                thread::yield_now();
            }
        });
        assert_eq!(waiter.outcome(row), Outcome::Served, "{}", row.name);
    }
    assert!((wait.is_clean)(), "{}", row.name);
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

#[test]
fn every_reason_has_a_row() {
    let source = include_str!("../src/rt/reason.rs");
    let (_, listed) = source.split_once("\nreasons! {").unwrap();
    let (listed, _) = listed.split_once('}').unwrap();
    let names = listed
        .lines()
        .filter_map(|line| line.trim().split_once(" = "));
    let mut count = 0;
    for (name, _) in names {
        let has_row = WAITS.iter().any(|row| format!("{:?}", row.reason) == name);
        let is_excused = WITHOUT_A_ROW.iter().any(|(it, _)| *it == name);
        assert!(has_row != is_excused, "{name}: a row, or a reason why not");
        count += 1;
    }
    assert!(count >= 20, "the list was not found");
}
