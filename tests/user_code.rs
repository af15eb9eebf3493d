//! Where user code runs: never on a hub's own stack, so destructors and loggers may suspend anywhere.

mod support;

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use support::{HOUR, must_end};
use sylvan::runtime::Runtime;
use sylvan::task::{Cancelled, ContextVar, Group, NoStack, Task};
use sylvan::thread::{self, JoinFuture, JoinHandle};
use sylvan::{task, time};

/// Its destructor suspends in every way there is, then counts itself.
struct Suspends(Arc<AtomicUsize>);

impl Drop for Suspends {
    fn drop(&mut self) {
        thread::yield_now();
        thread::sleep(Duration::from_millis(1));
        // While the runtime closes the child is cancelled at once: the join is a join all the same.
        let child = thread::spawn(|| {
            thread::yield_now();
            5
        });
        if let Ok(value) = child.join() {
            assert_eq!(value, 5);
        }
        assert_eq!(sylvan::offload(|| 6), 6);
        assert!(time::timeout(Duration::from_millis(1), || thread::sleep(HOUR)).is_err());
        self.0.fetch_add(1, SeqCst);
    }
}

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn one(&self) -> Suspends {
        Suspends(self.0.clone())
    }

    /// Waits until this many were dropped.
    fn reaches(&self, count: usize) {
        while self.0.load(SeqCst) < count {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.0.load(SeqCst), count);
    }
}

fn on_one_hub_and_on_four(f: impl Fn(&Count)) {
    // A logger that drops what it is told: the failures here are meant.
    log::set_max_level(log::LevelFilter::Error);
    must_end(|| {
        for workers in [1, 4] {
            let count = Count::default();
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| f(&count));
            runtime.close();
        }
    });
}

#[test]
fn captures_of_a_task_that_is_cancelled_before_it_starts() {
    on_one_hub_and_on_four(|count| {
        let mut tasks = Vec::new();
        for _ in 0..50 {
            let (one, two) = (count.one(), count.one());
            // One that does start, on another hub, may be cancelled in the middle of a drop.
            let task = thread::spawn(move || task::mask(|| drop((one, two))));
            task.cancel();
            tasks.push(task);
        }
        let mut cancelled = 0;
        for task in tasks {
            cancelled += usize::from(task.join().is_err());
        }
        // With one hub none of them has run.
        assert!(cancelled > 0);
        count.reaches(100);
    });
}

#[test]
fn messages_left_in_a_channel() {
    on_one_hub_and_on_four(|count| {
        let (sender, receiver) = sylvan::sync::mpsc::channel();
        let (bounded, waiting) = sylvan::sync::mpsc::sync_channel(8);
        for _ in 0..8 {
            sender.send(count.one()).unwrap();
            bounded.send(count.one()).unwrap();
        }
        // Whichever end is the last takes the messages with it, in a task that is cancelled too.
        drop(sender);
        thread::spawn(move || task::mask(|| drop(receiver)));
        let holder = thread::spawn(move || {
            let _both_ends = (bounded, waiting);
            thread::park();
        });
        thread::yield_now();
        holder.cancel();
        count.reaches(16);
    });
}

#[test]
fn results_of_detached_tasks() {
    on_one_hub_and_on_four(|count| {
        for n in 0..50 {
            let one = count.one();
            let task = thread::spawn(move || one);
            match n % 3 {
                // Detached before it starts, while it may run, and after it has ended.
                0 => drop(task),
                1 => {
                    thread::yield_now();
                    drop(task);
                }
                _ => {
                    while !task.is_finished() {
                        thread::yield_now();
                    }
                    drop(task);
                }
            }
        }
        count.reaches(50);
    });
}

#[test]
fn payloads_of_panics() {
    silence_expected_panics();
    on_one_hub_and_on_four(|count| {
        for n in 0..20 {
            let one = count.one();
            let task = thread::spawn(move || panic::panic_any(one));
            if n % 2 == 0 {
                drop(task);
            } else {
                let payload = task.join().unwrap_err();
                assert!(payload.is::<Suspends>());
            }
        }
        count.reaches(20);
    });
}

#[test]
fn thread_locals() {
    sylvan::thread_local! {
        static FIRST: Mutex<Option<Suspends>> = const { Mutex::new(None) };
        static SECOND: Mutex<Option<Makes>> = const { Mutex::new(None) };
        static THIRD: Mutex<Option<Suspends>> = const { Mutex::new(None) };
    }
    /// Makes another thread-local while it is destroyed.
    struct Makes(Count);
    impl Drop for Makes {
        fn drop(&mut self) {
            thread::yield_now();
            THIRD.with(|third| *third.lock().unwrap() = Some(self.0.one()));
            assert!(SECOND.try_with(|_| ()).is_err(), "it is being destroyed");
        }
    }
    on_one_hub_and_on_four(|count| {
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let count = count.clone();
                thread::spawn(move || {
                    FIRST.with(|first| *first.lock().unwrap() = Some(count.one()));
                    SECOND.with(|second| *second.lock().unwrap() = Some(Makes(count.clone())));
                    if n % 4 == 0 {
                        thread::sleep(HOUR);
                    }
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            if n % 4 == 0 {
                thread::sleep(Duration::from_millis(1));
                task.cancel();
            }
            // A thread has ended when its thread-locals are gone.
            let cancelled_unstarted = task.join().is_err();
            assert_eq!(cancelled_unstarted, n % 4 == 0);
        }
        assert!(count.0.load(SeqCst) >= 30);
    });
}

#[test]
fn captures_of_a_task_that_gets_no_stack() {
    on_one_hub_and_on_four(|count| {
        let mut tasks = Vec::new();
        for n in 0..20 {
            let one = count.one();
            let builder = thread::Builder::new().stack_size(usize::MAX);
            let task = builder.spawn(move || drop(one)).unwrap();
            if n % 5 == 0 {
                task.cancel();
            }
            tasks.push(task);
        }
        for task in tasks {
            let payload = task.join().unwrap_err();
            assert!(payload.is::<NoStack>() || payload.is::<Cancelled>());
        }
        // Others run while the reserve stack is lent out.
        assert_eq!(thread::spawn(|| 3).join().unwrap(), 3);
        count.reaches(20);
    });
}

#[test]
fn all_there_is_when_a_runtime_ends() {
    silence_expected_panics();
    must_end(|| {
        for workers in [1, 4] {
            for closes in [true, false] {
                let count = Count::default();
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                runtime.run(|| {
                    for n in 0..40 {
                        let one = count.one();
                        let size = if n % 4 == 3 { usize::MAX } else { 1 };
                        let builder = thread::Builder::new().stack_size(size);
                        let task = builder.spawn(move || {
                            let one = one;
                            match n % 4 {
                                0 => thread::sleep(HOUR),
                                1 => panic::panic_any(one),
                                // What runs may be cancelled in the middle of a drop.
                                _ => task::mask(|| drop(one)),
                            }
                        });
                        drop(task);
                        if n == 20 {
                            thread::yield_now();
                        }
                    }
                });
                if closes {
                    runtime.close();
                } else {
                    drop(runtime);
                }
                assert_eq!(count.0.load(SeqCst), 40);
            }
        }
    });
}

#[test]
fn captures_of_a_spawn_on_a_closing_runtime() {
    struct Spawns(Count);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let one = self.0.one();
            let task = thread::spawn(move || drop(one));
            assert!(task.join().unwrap_err().is::<Cancelled>());
        }
    }
    must_end(|| {
        for workers in [1, 4] {
            let count = Count::default();
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                for _ in 0..10 {
                    let spawns = Spawns(count.clone());
                    thread::spawn(move || {
                        let _spawns = spawns;
                        thread::sleep(HOUR);
                    });
                }
                thread::sleep(Duration::from_millis(1));
            });
            runtime.close();
            // Those that never started are dropped by a neighbour, in the same way.
            assert_eq!(count.0.load(SeqCst), 10);
        }
    });
}

#[test]
fn a_result_and_a_panic_of_an_offloaded_job() {
    silence_expected_panics();
    on_one_hub_and_on_four(|count| {
        let (one, two, three) = (count.one(), count.one(), count.one());
        drop(sylvan::offload(move || one));
        let panics = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            sylvan::offload(move || panic::panic_any(two));
        }));
        drop(panics.unwrap_err());
        let left = time::timeout(Duration::ZERO, || {
            sylvan::offload(move || {
                std::thread::sleep(Duration::from_millis(5));
                three
            })
        });
        drop(left);
        count.reaches(3);
    });
}

#[test]
fn destructors_that_panic_end_only_themselves() {
    /// Panics when dropped, with a payload that panics when dropped.
    struct Bomb(u32);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic::panic_any(Bomb(self.0 - 1));
            }
        }
    }
    silence_expected_panics();
    sylvan::thread_local! {
        static LOCAL: Bomb = const { Bomb(3) };
    }
    on_one_hub_and_on_four(|_| {
        let cancelled = thread::spawn(|| ());
        let bomb = Bomb(3);
        let captured = thread::spawn(move || {
            let _bomb = bomb;
        });
        captured.cancel();
        drop(captured);
        drop(thread::spawn(|| Bomb(3)));
        drop(thread::spawn(|| panic::panic_any(Bomb(3))));
        drop(thread::spawn(|| LOCAL.with(|_| ())));
        let refused = Bomb(3);
        let builder = thread::Builder::new().stack_size(usize::MAX);
        drop(builder.spawn(move || drop(refused)).unwrap());
        cancelled.join().unwrap();
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(thread::spawn(|| 9).join().unwrap(), 9);
    });
}

// ---- what is told of an end, and what is kept of it

/// A way for a green thread to end, once it is told to.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Returns,
    Panics,
    IsCancelled,
    NeverStarts,
    GetsNoStack,
}

const ENDS: [End; 5] = [
    End::Returns,
    End::Panics,
    End::IsCancelled,
    End::NeverStarts,
    End::GetsNoStack,
];

impl End {
    fn spawn(self) -> JoinHandle<()> {
        let stack = if self == End::GetsNoStack {
            usize::MAX
        } else {
            1
        };
        let builder = thread::Builder::new().stack_size(stack);
        let spawned = builder.spawn(move || {
            thread::park();
            if self == End::Panics {
                panic::resume_unwind(Box::new("on purpose"));
            }
        });
        let task = spawned.unwrap();
        if self == End::NeverStarts {
            // With several hubs it may have.
            task.cancel();
        } else {
            thread::yield_now();
        }
        task
    }

    fn come(self, task: &Task) {
        match self {
            End::Returns | End::Panics => task.thread().unpark(),
            _ => task.cancel(),
        }
    }
}

/// The thread as it can be told to end whoever has its handle.
fn view<T>(task: &JoinHandle<T>) -> Option<Task> {
    task::all().into_iter().find(|it| it.id() == task.id())
}

/// Runs `f` with each way to end, ten times, on one hub and on four.
fn for_each_end(f: impl Fn(&Count, End)) {
    on_one_hub_and_on_four(|count| {
        for end in ENDS.repeat(10) {
            f(count, end);
        }
    });
}

/// Runs `f` with each way to end, ten times, in runtimes that are closed or dropped then.
fn for_each_end_left(f: impl Fn(&Count, End)) -> usize {
    log::set_max_level(log::LevelFilter::Error);
    must_end(|| {
        let total = Count::default();
        for workers in [1, 4] {
            for closes in [true, false] {
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                runtime.run(|| {
                    for end in ENDS.repeat(10) {
                        f(&total, end);
                    }
                });
                if closes {
                    runtime.close();
                } else {
                    drop(runtime);
                }
            }
        }
        total.0.load(SeqCst)
    })
}

#[test]
fn callbacks_of_done() {
    for_each_end(|count, end| {
        let before = count.0.load(SeqCst);
        let task = end.spawn();
        for _ in 0..2 {
            let one = count.one();
            task.on_done(move |_| drop(one));
        }
        if let Some(view) = view(&task) {
            end.come(&view);
        }
        drop(task);
        count.reaches(before + 2);
    });
    let left = for_each_end_left(|count, end| {
        let task = end.spawn();
        for _ in 0..2 {
            let one = count.one();
            task.on_done(move |_| drop(one));
        }
    });
    assert_eq!(left, 4 * 50 * 2);
}

/// A waker that suspends when it is called, and when it is dropped.
struct Waits {
    count: Count,
    called: Arc<AtomicUsize>,
    _dropped: Suspends,
}

impl Wake for Waits {
    fn wake(self: Arc<Self>) {
        drop(self.count.one());
        self.called.fetch_add(1, SeqCst);
    }
}

/// Polls a thread's future, once. Returns whether the waker is to be called for certain: it may be also if the
/// thread ends meanwhile.
fn poll_once(count: &Count, called: &Arc<AtomicUsize>, future: &mut JoinFuture<()>) -> bool {
    let waker = Waker::from(Arc::new(Waits {
        count: count.clone(),
        called: called.clone(),
        _dropped: count.one(),
    }));
    let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
    polled.is_pending()
}

#[test]
fn wakers_that_are_told_of_an_end() {
    for_each_end(|count, end| {
        let called = Arc::default();
        let task = end.spawn();
        let view = view(&task);
        let mut future = task.into_future();
        let certainly = poll_once(count, &called, &mut future);
        if let Some(view) = view {
            end.come(&view);
        }
        while certainly && called.load(SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
    let (called, at_least, kept) = (Arc::default(), AtomicUsize::new(0), Mutex::default());
    let left = for_each_end_left(|count, end| {
        let mut future = end.spawn().into_future();
        let certainly = poll_once(count, &called, &mut future);
        at_least.fetch_add(usize::from(certainly), SeqCst);
        // One that is dropped is not told.
        Mutex::<Vec<_>>::lock(&kept).unwrap().push(future);
    });
    assert!(called.load(SeqCst) >= at_least.into_inner());
    assert_eq!(left, 4 * 50 + called.load(SeqCst));
}

/// An error that suspends when it is dropped.
struct Slow {
    _dropped: Suspends,
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow")
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Error for Slow {}

impl Count {
    fn panic(&self) -> impl FnOnce() + Send + use<> {
        let one = self.one();
        move || panic::resume_unwind(Box::new(one))
    }

    fn error(&self) -> impl FnOnce() -> Result<(), Slow> + Send + use<> {
        let slow = Slow {
            _dropped: self.one(),
        };
        move || Err(slow)
    }
}

#[test]
fn failures_that_a_group_keeps() {
    on_one_hub_and_on_four(|count| {
        for n in 0..4 {
            let group = Group::new();
            let tasks = [(); 5].map(|()| group.spawn(count.panic()));
            match n {
                // Received by the join, and dropped there.
                0 => {
                    drop(tasks);
                    assert_eq!(group.join().unwrap_err().len(), 5);
                }
                // Kept until the group goes.
                1 => {
                    drop(tasks);
                    while !group.is_empty() {
                        thread::yield_now();
                    }
                }
                // Still to come, or in their handles, when the group goes.
                2 => drop(tasks),
                _ => {
                    group.join().unwrap();
                    drop(group);
                    drop(tasks);
                }
            }
        }
        count.reaches(20);

        // One result is taken, one is under way at most, and one item is never asked for.
        let pool = task::Pool::new(1);
        let items = [(); 3].map(|()| count.one());
        let mut results = pool.imap(items, |one| panic::resume_unwind(Box::new(one)));
        assert!(results.next().unwrap().is_err_and(|it| it.is::<Suspends>()));
        drop(results);
        drop(pool);
        count.reaches(23);
    });
    let left = for_each_end_left(|count, end| {
        let group = Group::new();
        drop(group.spawn(count.panic()));
        if end == End::Returns {
            // It has failed already.
            thread::yield_now();
        }
        let keeper = thread::spawn(move || {
            let _group = group;
            thread::park();
        });
        if end == End::Panics {
            // The keeper has begun.
            thread::yield_now();
        }
        drop(keeper);
    });
    assert_eq!(left, 4 * 50);
}

#[test]
fn failures_of_a_nursery() {
    on_one_hub_and_on_four(|count| {
        let failures = task::nursery(|nursery| {
            nursery.spawn(count.panic());
            nursery.spawn(count.error());
            nursery.spawn(count.error());
            thread::sleep(HOUR);
        });
        // Some may have been cancelled before they began.
        drop(failures.unwrap_err());
        count.reaches(3);

        drop(task::nursery(|_| count.error()()).unwrap_err());
        count.reaches(4);

        // Reported, for the body's panic is what comes out.
        let unwound = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let _ = task::nursery(|nursery| {
                let fails = nursery.spawn(count.error());
                let _ = task::mask(|| fails.join());
                count.panic()();
            });
        }));
        drop(unwound.unwrap_err());
        count.reaches(6);

        // A value that nobody asked for.
        let value = count.one();
        let ended = task::nursery(|nursery| drop(nursery.spawn(move || Ok::<_, Slow>(value))));
        ended.unwrap();
        count.reaches(7);
    });
    let left = for_each_end_left(|count, end| {
        let (error, panic) = (count.error(), count.panic());
        let task = thread::spawn(move || {
            let failures = task::nursery(|nursery| {
                nursery.spawn(error);
                nursery.spawn(panic);
                thread::park();
            });
            // What runs may be cancelled in the middle of a drop.
            task::mask(|| drop(failures));
        });
        if end != End::NeverStarts {
            thread::yield_now();
        }
        drop(task);
    });
    assert_eq!(left, 4 * 50 * 2);
}

#[test]
fn values_that_were_inherited() {
    static VALUE: ContextVar<Suspends> = ContextVar::new();
    for_each_end(|count, end| {
        let before = count.0.load(SeqCst);
        // The thread has it longest.
        let task = VALUE.scope(count.one(), || end.spawn());
        if let Some(view) = view(&task) {
            end.come(&view);
        }
        drop(task);
        count.reaches(before + 1);

        let late = time::timeout(Duration::ZERO, || {
            VALUE.scope(count.one(), || {
                sylvan::offload(|| std::thread::sleep(Duration::from_millis(1)));
            });
        });
        assert!(late.is_err());
        count.reaches(before + 2);
    });
    let left = for_each_end_left(|count, end| {
        drop(VALUE.scope(count.one(), || end.spawn()));
    });
    assert_eq!(left, 4 * 50);
}

/// A logger as bad as can be: it uses green threads, and takes its time.
struct Logger {
    messages: Mutex<mpsc::Sender<String>>,
}

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        thread::sleep(Duration::from_millis(1));
        assert_eq!(thread::spawn(|| 2).join().unwrap_or(2), 2);
        let start = Instant::now();
        thread::yield_now();
        assert!(start.elapsed() < HOUR);
        let _ = self
            .messages
            .lock()
            .unwrap()
            .send(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_may_suspend() {
    // In a process of its own: a logger is for all of it.
    if !support::is_child() {
        support::assert_success(&support::in_child("a_logger_may_suspend", &[]));
        return;
    }
    let (send, receive) = mpsc::channel();
    let logger = Logger {
        messages: Mutex::new(send),
    };
    log::set_boxed_logger(Box::new(logger)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let hears = |words: &str| {
        let message = receive.recv_timeout(support::AGES).unwrap();
        assert!(message.contains(words), "{message}");
    };
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            runtime.run(|| {
                // From a task's own stack.
                drop(thread::spawn(|| panic::panic_any("nobody listens")));
                while runtime.handle().task_count() > 1 {
                    thread::sleep(Duration::from_millis(1));
                }
            });
            hears("nobody listens");
            runtime.run(|| {
                // From a hub's, where it may not run.
                let builder = thread::Builder::new().stack_size(usize::MAX);
                drop(builder.spawn(|| ()).unwrap());
                while runtime.handle().task_count() > 1 {
                    thread::sleep(Duration::from_millis(1));
                }
            });
            hears("vm.max_map_count");
        }
    });
}

/// Panics with anything but text are meant; they would fill the screen.
fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().is::<String>() {
                before(info);
            }
        }));
    });
}
