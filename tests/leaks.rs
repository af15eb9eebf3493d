//! Nothing is left behind, however a green thread ends: descriptors, OS threads, stacks, timers,
//! registry entries and heap memory are back to what they were.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use support::{HOUR, must_end, scaled};
use sylvan::runtime::{Handle, Runtime};
use sylvan::task::{self, Cancelled, ContextVar, Group, NoStack, Pool, WaitFor, nursery};
use sylvan::thread::{self, JoinHandle};
use sylvan::{future, time};

#[test]
fn ten_thousand_ends_of_every_kind_on_one_hub() {
    check(|| end_in_every_way(1));
}

#[test]
fn ten_thousand_ends_of_every_kind_on_three_hubs() {
    check(|| end_in_every_way(3));
}

#[test]
fn what_is_left_when_run_ends_is_unwound() {
    check(|| {
        let drops = Counter::default();
        let count = scaled(2_000);
        sylvan::run(|| {
            spawn_waiters(count, &drops);
            thread::yield_now();
        });
        assert_eq!(drops.get(), count);
    });
}

#[test]
fn what_never_started_is_dropped() {
    check(|| {
        let drops = Counter::default();
        let count = scaled(2_000);
        sylvan::run(|| spawn_waiters(count, &drops));
        assert_eq!(drops.get(), count);
    });
}

#[test]
fn a_spawn_on_a_closing_runtime_is_refused() {
    check(|| {
        let drops = Counter::default();
        let count = scaled(1_000);
        sylvan::run(|| {
            for _ in 0..count {
                let captured = drops.guard();
                thread::spawn(move || {
                    let _spawns_at_the_end = on_drop(move || {
                        let late = thread::spawn(move || drop(captured));
                        assert!(late.join().unwrap_err().is::<Cancelled>());
                    });
                    thread::park();
                });
            }
            thread::yield_now();
        });
        assert_eq!(drops.get(), count);
    });
}

#[test]
fn a_runtime_dropped_by_a_panic_unwinds_what_is_left() {
    check(|| {
        let drops = Counter::default();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let runtime = Runtime::builder().workers(2).build().unwrap();
            runtime.run(|| {
                spawn_waiters(100, &drops);
                thread::yield_now();
                spawn_waiters(100, &drops);
                panic::resume_unwind(Box::new("main fails"));
            });
        }));
        assert!(outcome.is_err());
        assert_eq!(drops.get(), 200);
    });
}

#[test]
fn a_run_inside_a_destructor_of_an_unwinding_thread_ends() {
    check(|| {
        let drops = Counter::default();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let _runs = on_drop(|| {
                sylvan::run(|| {
                    spawn_waiters(10, &drops);
                    thread::yield_now();
                    let late = time::timeout(Duration::from_millis(1), || thread::sleep(HOUR));
                    assert!(late.is_err());
                });
            });
            panic::resume_unwind(Box::new("unwinds"));
        }));
        assert!(outcome.is_err());
        assert_eq!(drops.get(), 10);
    });
}

#[test]
fn runtimes_come_and_go() {
    check(|| {
        for hubs in (1..=3).cycle().take(scaled(100)) {
            let runtime = Runtime::builder().workers(hubs).build().unwrap();
            let sum: u32 = runtime.run(|| {
                let tasks: Vec<_> = (0..10).map(|n| thread::spawn(move || n)).collect();
                tasks.into_iter().map(|task| task.join().unwrap()).sum()
            });
            assert_eq!(sum, 45);
        }
    });
}

/// It lacks descriptors when some of its hubs are made already.
#[test]
fn a_build_that_fails_leaves_nothing() {
    check(|| {
        let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let allowed = descriptor_limit(open + 20);
        let error = Runtime::builder().workers(64).build().unwrap_err();
        descriptor_limit(allowed);
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    });
}

#[test]
fn a_nested_run_ends_what_it_spawned() {
    check(|| {
        let drops = Counter::default();
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        runtime.run(|| {
            sylvan::run(|| {
                spawn_waiters(100, &drops);
                thread::yield_now();
            });
            assert_eq!(drops.get(), 100);
            assert_settled(&handle, 1);
        });
    });
}

#[test]
fn peak_tasks_is_the_most_there_were() {
    check(|| {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle();
        runtime.run(|| {
            for count in [5, 50, 20] {
                let tasks: Vec<_> = (0..count).map(|_| thread::spawn(|| ())).collect();
                tasks.into_iter().for_each(|task| task.join().unwrap());
            }
        });
        assert_eq!(handle.metrics().peak_tasks, 51);
        assert_eq!(handle.metrics().tasks, 0);
    });
}

/// Ten thousand tasks, one way to end after the other.
fn end_in_every_way(hubs: usize) {
    let drops = Counter::default();
    let runtime = Runtime::builder().workers(hubs);
    let runtime = runtime.build().unwrap();
    let handle = runtime.handle();
    let rounds = scaled(10_000).div_ceil(WAYS.len());
    runtime.run(|| {
        for _ in 0..rounds.div_ceil(100) {
            let tasks: Vec<_> = (0..100)
                .flat_map(|_| WAYS.map(|way| way.spawn(&drops)))
                .collect();
            // They come to their waits, most of them.
            thread::yield_now();
            for (way, task) in tasks {
                way.end(task);
            }
        }
        assert_settled(&handle, 1);
    });
    runtime.close();
    assert_settled(&handle, 0);
    let count = rounds.div_ceil(100) * 100 * WAYS.len();
    assert_eq!(drops.get(), count);
}

/// A way for a task to end.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Returns,
    Panics,
    Refused,
    TimesOut,
    CancelledUnstarted,
    CancelledInSleep,
    CancelledInPark,
    CancelledInJoin,
    CancelledInScope,
    CancelledInOffload,
    CancelledInDestructor,
    TellsOfItsEnd,
    Inherits,
    Gathers,
    TimesOutInGather,
    Races,
    Maps,
    DropsImap,
    FailsInNursery,
    FailsInGroup,
    BlocksOn,
    CancelledInGather,
    CancelledInRace,
    CancelledInWaitForMany,
    CancelledInNursery,
    CancelledInGroup,
    CancelledInImap,
    CancelledInBlockOn,
}

const WAYS: [Way; 28] = [
    Way::Returns,
    Way::Panics,
    Way::Refused,
    Way::TimesOut,
    Way::CancelledUnstarted,
    Way::CancelledInSleep,
    Way::CancelledInPark,
    Way::CancelledInJoin,
    Way::CancelledInScope,
    Way::CancelledInOffload,
    Way::CancelledInDestructor,
    Way::TellsOfItsEnd,
    Way::Inherits,
    Way::Gathers,
    Way::TimesOutInGather,
    Way::Races,
    Way::Maps,
    Way::DropsImap,
    Way::FailsInNursery,
    Way::FailsInGroup,
    Way::BlocksOn,
    Way::CancelledInGather,
    Way::CancelledInRace,
    Way::CancelledInWaitForMany,
    Way::CancelledInNursery,
    Way::CancelledInGroup,
    Way::CancelledInImap,
    Way::CancelledInBlockOn,
];

static REQUEST: ContextVar<Vec<u8>> = ContextVar::new();

/// One that ends soon, and one that does not.
fn two() -> [JoinHandle<()>; 2] {
    [
        thread::spawn(thread::yield_now),
        thread::spawn(thread::park),
    ]
}

/// Two that end soon.
fn two_that_end() -> [JoinHandle<()>; 2] {
    [(); 2].map(|()| thread::spawn(thread::yield_now))
}

fn fail() {
    panic::resume_unwind(Box::new("fails"))
}

impl Way {
    fn spawn(self, drops: &Counter) -> (Way, JoinHandle<()>) {
        let captured = drops.guard();
        // There is no such stack.
        let stack_size = if self == Way::Refused { usize::MAX } else { 1 };
        let builder = thread::Builder::new().stack_size(stack_size);
        let spawn = || {
            builder.spawn(move || {
                let _captured = captured;
                self.act();
            })
        };
        let task = match self {
            Way::Inherits => REQUEST.scope(vec![1; 100], spawn).unwrap(),
            _ => spawn().unwrap(),
        };
        match self {
            Way::CancelledUnstarted => task.cancel(),
            Way::TellsOfItsEnd => {
                for word in [vec![1; 100], vec![2; 100]] {
                    task.on_done(move |result| assert!(result.is_ok() && word.len() == 100));
                }
            }
            _ => {}
        }
        (self, task)
    }

    fn act(self) {
        match self {
            Way::Returns | Way::TellsOfItsEnd => thread::yield_now(),
            Way::Panics => panic::resume_unwind(Box::new("fails")),
            Way::Refused => unreachable!("it has no stack"),
            Way::TimesOut => {
                let late = time::timeout(Duration::from_micros(100), || thread::sleep(HOUR));
                assert!(late.is_err());
            }
            Way::CancelledUnstarted | Way::CancelledInSleep => thread::sleep(HOUR),
            Way::CancelledInPark => thread::park(),
            Way::CancelledInJoin => {
                let _ = thread::spawn(|| thread::sleep(Duration::from_millis(1))).join();
                thread::park();
            }
            Way::CancelledInScope => thread::scope(|scope| {
                scope.spawn(thread::park);
                scope.spawn(|| thread::sleep(HOUR));
            }),
            Way::CancelledInOffload => {
                sylvan::offload(|| std::thread::sleep(Duration::from_micros(50)));
                thread::park();
            }
            Way::CancelledInDestructor => {
                let _slow = on_drop(|| thread::sleep(Duration::from_micros(100)));
                thread::park();
            }
            _ => self.act_with_others(),
        }
    }

    fn act_with_others(self) {
        match self {
            Way::Inherits => {
                let theirs = thread::spawn(|| REQUEST.with(|it| it.map(Vec::len)));
                assert_eq!(theirs.join().unwrap(), Some(100));
            }
            Way::Gathers => {
                task::gather(two_that_end()).unwrap();
                task::as_completed(two_that_end()).for_each(|it| it.join().unwrap());
            }
            Way::TimesOutInGather => {
                let limit = Duration::from_micros(100);
                assert!(time::timeout(limit, || task::gather(two())).is_err());
            }
            Way::Races => task::race(two()).unwrap(),
            Way::Maps => assert_eq!(Pool::new(2).map(0..4, |n| n), [0, 1, 2, 3]),
            Way::DropsImap => {
                let pool = Pool::new(2);
                let mut results = pool.imap_unordered(0.., |n| vec![n; 100]);
                assert!(results.next().unwrap().is_ok());
            }
            Way::FailsInNursery => {
                let failures = nursery(|nursery| {
                    nursery.spawn(fail);
                    nursery.spawn(|| Err::<(), _>("an error on the heap"));
                    thread::park();
                });
                assert!(!failures.unwrap_err().is_empty());
            }
            Way::FailsInGroup => {
                let group = Group::new();
                drop([group.spawn(fail), group.spawn(fail)]);
                assert_eq!(group.join().unwrap_err().len(), 2);
            }
            Way::BlocksOn => future::block_on(async {
                for task in two_that_end() {
                    task.await.unwrap();
                }
            }),
            Way::CancelledInGather => drop(task::gather_all([thread::spawn(thread::park)])),
            Way::CancelledInRace => task::race([thread::spawn(thread::park)]).unwrap(),
            Way::CancelledInWaitForMany => {
                let (ended, _) = task::wait(two_that_end(), WaitFor::All, None);
                drop(task::as_completed(ended).next());
                thread::park();
            }
            Way::CancelledInNursery => {
                let _ = nursery(|nursery| nursery.spawn(thread::park).join());
            }
            Way::CancelledInGroup => {
                let group = Group::new();
                let _ends = on_drop(|| group.cancel());
                drop(group.spawn(thread::park));
                group.join().unwrap();
            }
            Way::CancelledInImap => {
                let pool = Pool::new(2);
                pool.imap(0.., |_| thread::park()).for_each(drop);
            }
            Way::CancelledInBlockOn => {
                let task = thread::spawn(thread::yield_now);
                future::block_on(async {
                    task.await.unwrap();
                    std::future::pending::<()>().await;
                });
            }
            _ => unreachable!("it acts by itself"),
        }
    }

    fn end(self, task: JoinHandle<()>) {
        match self {
            Way::Returns
            | Way::TimesOut
            | Way::TellsOfItsEnd
            | Way::Inherits
            | Way::Gathers
            | Way::TimesOutInGather
            | Way::Races
            | Way::Maps
            | Way::DropsImap
            | Way::FailsInNursery
            | Way::FailsInGroup
            | Way::BlocksOn => task.join().unwrap(),
            Way::Panics => assert!(task.join().unwrap_err().is::<&str>()),
            Way::Refused => assert!(task.join().unwrap_err().is::<NoStack>()),
            _ => {
                task.cancel();
                assert!(task.join().unwrap_err().is::<Cancelled>());
            }
        }
    }
}

fn spawn_waiters(count: usize, drops: &Counter) {
    for n in 0..count {
        let captured = drops.guard();
        thread::spawn(move || {
            let _captured = captured;
            if n % 2 == 0 {
                thread::park();
            } else {
                thread::sleep(HOUR);
            }
        });
    }
}

/// Counts the drops of its guards.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

struct Guard(Counter);

impl Counter {
    fn guard(&self) -> Guard {
        Guard(self.clone())
    }

    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

struct OnDrop<F: FnOnce()>(Option<F>);

fn on_drop<F: FnOnce()>(f: F) -> OnDrop<F> {
    OnDrop(Some(f))
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// Waits until only so many tasks are left, and nothing else. (A task's joiner goes on before its hub
/// has taken the stack back, and other hubs tell of their counts at their next turn.)
fn assert_settled(handle: &Handle, tasks: usize) {
    let settled = || {
        let now = handle.metrics();
        (now.tasks, now.stacks, now.timers, now.sources) == (tasks, tasks, 0, 0)
    };
    let until = Instant::now() + Duration::from_secs(30);
    while !settled() {
        assert!(Instant::now() < until, "{:?}", handle.metrics());
        thread::yield_now();
    }
}

/// Runs `f`, alone, and asserts that the process has afterwards what it had before.
///
/// What is made once and kept (pools of OS threads, tables that keep their size) may take a few rounds to
/// reach its full size; a leak grows in every round.
fn check(f: impl Fn()) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    must_end(|| check_alone(&f));
}

fn check_alone(f: &impl Fn()) {
    f();
    let rounds: Vec<_> = (0..10)
        .map_while(|_| {
            let before = Held::now();
            f();
            let after = Held::settle(&before);
            (!after.is_back_to(&before)).then_some((before, after))
        })
        .collect();
    assert!(rounds.len() < 10, "{rounds:#?}");
}

/// What the process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    hubs: usize,
    heap: isize,
}

/// More heap than this must not stay behind: far less than a record for each task.
const SLACK: isize = 8 << 10;

impl Held {
    fn now() -> Held {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        Held {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            hubs: names.filter(|name| name.starts_with("sylvan-hub")).count(),
            heap: HEAP.load(SeqCst),
        }
    }

    /// What is held soon after: jobs of cancelled callers may still run on their pool.
    fn settle(before: &Held) -> Held {
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            let now = Held::now();
            if now.is_back_to(before) || Instant::now() > until {
                return now;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_back_to(&self, before: &Held) -> bool {
        self.descriptors == before.descriptors
            && self.hubs == before.hubs
            && self.heap <= before.heap + SLACK
    }
}

/// Sets the limit of open descriptors, and returns what it was.
fn descriptor_limit(new: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the calls get a valid place, and change this process's limit only.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = new;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        before
    }
}

/// Bytes on the heap.
static HEAP: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size() as isize, SeqCst);
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size() as isize, SeqCst);
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}
