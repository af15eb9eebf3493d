//! Who waits for a lock of its own, or for one whose holder waits for one of its, all around, is reported by name when
//! the last of them begins to wait: once, and never falsely. And a dump tells who holds what others wait for.

#![allow(missing_docs)]

mod support;

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex as StdMutex, Once as StdOnce};
use std::time::Duration;

use support::{AGES, HOUR, Numbers, must_end, scaled};
use sylvan::runtime::{OnDeadlock, Runtime};
use sylvan::sync::{Arc, Barrier, LazyLock, Mutex, Once, OnceLock, ReentrantMutex, RwLock};
use sylvan::task::{self, Reason, State};
use sylvan::thread::{self, JoinHandle};
use sylvan::time;

/// Collects what the library reports.
struct Listener;

/// For the green thread of this name the logger takes a lock.
const ITS_LOGGER_LOCKS: &str = "its logger locks";

static LOGGERS: Mutex<()> = Mutex::new(());

static SAID: StdMutex<Vec<String>> = StdMutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _held = (thread::current().name() == Some(ITS_LOGGER_LOCKS)).then(|| LOGGERS.lock());
        if record.target() == "circles" {
            // Where what is logged logs as well it does so in here.
            let _ = record.args().to_string();
        }
        if record.target() == "sylvan" {
            SAID.lock().unwrap().push(record.args().to_string());
            MORE.notify_all();
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: StdOnce = StdOnce::new();
    ONCE.call_once(|| {
        log::set_logger(&Listener).unwrap();
        log::set_max_level(log::LevelFilter::Error);
    });
}

/// What was reported of locks of the green thread of this name. (That a runtime goes on in no other way is
/// reported elsewhere.)
fn said_of(name: &str) -> Vec<String> {
    let name = format!("'{name}'");
    let said = SAID.lock().unwrap();
    said.iter()
        .filter(|text| text.starts_with("deadlock: ") && text.contains(&name))
        .cloned()
        .collect()
}

/// The one report of the green thread of this name, which comes, or is there.
fn report_of(name: &str) -> String {
    let (said, waited) = MORE
        .wait_timeout_while(SAID.lock().unwrap(), AGES, |said| {
            let name = format!("'{name}'");
            !said.iter().any(|text| text.contains(&name))
        })
        .unwrap();
    drop(said);
    assert!(!waited.timed_out(), "no report of '{name}'");
    let mut reports = said_of(name);
    assert_eq!(reports.len(), 1, "{reports:#?}");
    reports.remove(0)
}

#[track_caller]
fn assert_says(report: &str, part: &str) {
    assert!(report.contains(part), "no {part:?} in:\n{report}");
}

fn named<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(f).unwrap()
}

fn on_hubs<T>(hubs: usize, f: impl FnOnce() -> T) -> T {
    let runtime = Runtime::builder().workers(hubs).build().unwrap();
    must_end(|| runtime.run(f))
}

/// Until the green thread waits for this.
fn until_it_waits<T>(task: &JoinHandle<T>, reason: Reason) {
    while task.state() != State::Waiting(reason) {
        thread::yield_now();
    }
}

fn cancel<T: fmt::Debug>(task: JoinHandle<T>) {
    task.cancel();
    assert!(task.join().unwrap_err().is::<task::Cancelled>());
}

#[test]
fn who_waits_for_itself_is_named() {
    listen();
    let cases: [(&str, Reason, fn()); 5] = [
        ("mutex", Reason::Mutex, || {
            let lock = Mutex::new(());
            let _held = lock.lock();
            drop(lock.lock());
        }),
        ("read lock", Reason::RwLockRead, || {
            let lock = RwLock::new(());
            let _held = lock.write();
            drop(lock.read());
        }),
        ("write lock", Reason::RwLockWrite, || {
            let lock = RwLock::new(());
            let _held = lock.write();
            drop(lock.write());
        }),
        // Also if it would end one day: one does not get by waiting what one holds.
        ("mutex", Reason::Mutex, || {
            let lock = Mutex::new(());
            let _held = lock.lock();
            let _ = time::timeout(HOUR, || drop(lock.lock()));
        }),
        // What is read by several has no single holder.
        ("", Reason::RwLockWrite, || {
            let lock = RwLock::new(());
            let _held = lock.read();
            drop(lock.write());
        }),
    ];
    on_hubs(1, || {
        for (number, (kind, reason, case)) in cases.into_iter().enumerate() {
            let name = format!("selfish-{number}");
            let task = named(&name, case);
            // Others go on all the while.
            until_it_waits(&task, reason);
            if kind.is_empty() {
                assert!(said_of(&name).is_empty());
            } else {
                let report = report_of(&name);
                let waits = format!("deadlock: green thread '{name}' waits: {kind} held by itself");
                assert_says(&report, &waits);
                assert_says(&report, "(spawned at tests/circles.rs:");
            }
            cancel(task);
        }
    });
}

#[test]
fn an_initialiser_that_waits_for_itself_is_named() {
    listen();
    static ONCE: Once = Once::new();
    static CELL: OnceLock<u32> = OnceLock::new();
    static LAZY: LazyLock<u32> = LazyLock::new(|| *LAZY + 1);
    let cases: [(&str, fn()); 3] = [
        ("once-in-once", || ONCE.call_once(|| ONCE.call_once(|| ()))),
        ("cell-in-cell", || {
            CELL.get_or_init(|| *CELL.wait());
        }),
        ("lazy-in-lazy", || assert_eq!(*LAZY, 0)),
    ];
    for (name, case) in cases {
        // It runs masked, and so cannot be cancelled: it breaks off where it is told.
        let runtime = Runtime::builder().on_deadlock(OnDeadlock::Panic);
        let runtime = runtime.build().unwrap();
        must_end(|| runtime.run(|| named(name, case).join().unwrap_err()));
        let report = report_of(name);
        assert_says(&report, "waits: once initialisation held by itself");
    }
}

/// So many green threads, each of which holds a lock and waits for that of the next; they wait once all hold theirs.
fn circle(
    names: &[String],
    wait: impl Fn(&Mutex<()>) + Copy + Send + 'static,
) -> Vec<JoinHandle<()>> {
    let count = names.len();
    let locks: Arc<Vec<_>> = Arc::new((0..count).map(|_| Mutex::new(())).collect());
    let meeting = Arc::new(Barrier::new(count));
    let members = names.iter().enumerate().map(|(place, name)| {
        let (locks, meeting) = (locks.clone(), meeting.clone());
        named(name, move || {
            let _held = locks[place].lock();
            meeting.wait();
            wait(&locks[(place + 1) % count]);
        })
    });
    members.collect()
}

fn names(what: &str, count: usize) -> Vec<String> {
    (0..count).map(|place| format!("{what}-{place}")).collect()
}

#[test]
fn each_circle_is_reported_once_whoever_closes_it() {
    listen();
    for hubs in [1, 4] {
        on_hubs(hubs, || {
            for round in 0..scaled(100) {
                let count = 2 + round % 4;
                let names = names(&format!("circle-{hubs}-{round}"), count);
                let members = circle(&names, |lock| drop(lock.lock()));
                let report = sylvan::offload({
                    let name = names[0].clone();
                    move || report_of(&name)
                });
                let headline = format!("deadlock: {count} green threads wait for each other");
                assert_says(&report, &headline);
                for (place, name) in names.iter().enumerate() {
                    let next = &names[(place + 1) % count];
                    assert_says(
                        &report,
                        &format!("\n  '{name}' waits: mutex held by '{next}' ("),
                    );
                }
                // By now all wait, or soon will; nobody reports it again.
                for member in &members {
                    until_it_waits(member, Reason::Mutex);
                }
                assert_eq!(said_of(&names[0]).len(), 1);
                // One gives way, and all the others get through.
                let mut members = members.into_iter();
                cancel(members.next().unwrap());
                members.for_each(|member| member.join().unwrap());
            }
        });
    }
}

#[test]
fn a_circle_may_lead_over_locks_of_all_kinds() {
    listen();
    on_hubs(1, || {
        static ONCE: Once = Once::new();
        let (mutex, shared, again) = (Mutex::new(()), RwLock::new(()), ReentrantMutex::new(()));
        let locks = Arc::new((mutex, shared, again));
        let meeting = Arc::new(Barrier::new(4));
        type Locks = (Mutex<()>, RwLock<()>, ReentrantMutex<()>);
        let spawn = |name: &str, f: fn(&Locks, &Barrier)| {
            let (locks, meeting) = (locks.clone(), meeting.clone());
            named(name, move || f(&locks, &meeting))
        };
        let members = [
            spawn("kind-once", |locks, meeting| {
                ONCE.call_once(|| {
                    meeting.wait();
                    let _mutex = locks.0.lock();
                });
            }),
            spawn("kind-mutex", |locks, meeting| {
                let _held = locks.0.lock();
                meeting.wait();
                let _shared = locks.1.read();
            }),
            spawn("kind-shared", |locks, meeting| {
                let _held = locks.1.write();
                meeting.wait();
                let _again = locks.2.lock();
            }),
            spawn("kind-again", |locks, meeting| {
                let _held = (locks.2.lock(), locks.2.lock());
                meeting.wait();
                ONCE.wait();
            }),
        ];
        let report = sylvan::offload(|| report_of("kind-once"));
        for line in [
            "'kind-once' waits: mutex held by 'kind-mutex'",
            "'kind-mutex' waits: read lock held by 'kind-shared'",
            "'kind-shared' waits: reentrant mutex held by 'kind-again'",
            "'kind-again' waits: once initialisation held by 'kind-once'",
        ] {
            assert_says(&report, line);
        }
        members[3].cancel();
        let failed = members.map(|member| member.join().is_err());
        assert_eq!(failed, [false, false, false, true]);
    });
}

#[test]
fn who_waits_for_one_in_a_circle_does_not_report_it_again() {
    listen();
    on_hubs(1, || {
        let names = names("inner", 3);
        let tail = Arc::new(Mutex::new(()));
        let theirs = tail.clone();
        let members = circle(&names, |lock| drop(lock.lock()));
        for member in &members {
            until_it_waits(member, Reason::Mutex);
        }
        report_of(&names[0]);
        // The holder of `tail` waits for one of them, and others for it.
        let all = task::all();
        let member = all.iter().find(|task| task.name() == Some(&*names[1]));
        assert!(member.unwrap().blocked_by().is_some());
        let waits = |lock: Arc<Mutex<()>>| named("tail", move || drop(lock.lock()));
        let holder = named("tail-holder", move || {
            let _held = theirs.lock();
            drop(members);
            thread::park();
        });
        until_it_waits(&holder, Reason::Park);
        let waiters = [waits(tail.clone()), waits(tail)];
        waiters
            .iter()
            .for_each(|task| until_it_waits(task, Reason::Mutex));
        assert!(said_of("tail").is_empty());
        assert_eq!(said_of(&names[0]).len(), 1);
        holder.thread().unpark();
        for task in waiters {
            task.join().unwrap();
        }
    });
}

#[test]
fn who_has_a_deadline_is_left_to_it() {
    listen();
    on_hubs(1, || {
        let names = names("patient", 3);
        let wait = |lock: &Mutex<()>| {
            let short = Duration::from_millis(1);
            // One of them is enough, and any.
            let _ = time::timeout(short, || drop(lock.lock()));
        };
        for member in circle(&names, wait) {
            member.join().unwrap();
        }
        assert!(said_of(&names[0]).is_empty());
    });
}

#[test]
fn a_runtime_that_ignores_deadlocks_reports_no_circle() {
    listen();
    let runtime = Runtime::builder().on_deadlock(OnDeadlock::Ignore);
    let runtime = runtime.build().unwrap();
    runtime.run(|| {
        let names = names("ignored", 2);
        let members = circle(&names, |lock| drop(lock.lock()));
        for member in &members {
            until_it_waits(member, Reason::Mutex);
        }
        assert!(said_of(&names[0]).is_empty());
        let mut members = members.into_iter();
        cancel(members.next().unwrap());
        members.for_each(|member| member.join().unwrap());
    });
}

#[test]
fn with_panics_the_one_that_closes_a_circle_breaks_it() {
    listen();
    let runtime = Runtime::builder().on_deadlock(OnDeadlock::Panic);
    let runtime = runtime.build().unwrap();
    must_end(|| {
        runtime.run(|| {
            let names = names("breaks", 3);
            let members = circle(&names, |lock| drop(lock.lock()));
            let failures: Vec<_> = members
                .into_iter()
                .filter_map(|member| member.join().err())
                .collect();
            assert_eq!(failures.len(), 1);
            let message = failures[0].downcast_ref::<String>().unwrap();
            assert_eq!(*message, report_of(&names[0]));
        });
    });
}

/// Locks are handed over, taken again at once by who has just unlocked them, and waited for in long chains: none
/// of that is a circle, for all take them in one order.
#[test]
fn where_there_is_no_circle_none_is_reported() {
    const LOCKS: usize = 6;
    listen();
    let locks: Arc<Vec<_>> = Arc::new((0..LOCKS).map(|_| Mutex::new(0_usize)).collect());
    let shared: Arc<Vec<_>> = Arc::new((0..LOCKS).map(|_| RwLock::new(0_usize)).collect());
    let total = Arc::new(AtomicUsize::new(0));
    let work = |seed: u64| {
        let (locks, shared, total) = (locks.clone(), shared.clone(), total.clone());
        move || {
            let mut numbers = Numbers::new(seed);
            for _ in 0..scaled(1_000) {
                let first = numbers.below(LOCKS as u64) as usize;
                let mut held = Vec::new();
                let mut written = Vec::new();
                for place in first..LOCKS {
                    if numbers.below(2) == 0 {
                        held.push(locks[place].lock().unwrap());
                    } else {
                        written.push(shared[place].write().unwrap());
                    }
                }
                if numbers.below(4) == 0 {
                    thread::yield_now();
                }
                for guard in &mut held {
                    **guard += 1;
                }
                total.fetch_add(held.len(), SeqCst);
            }
        }
    };
    on_hubs(4, || {
        let plain: Vec<_> = (0..2).map(|seed| std::thread::spawn(work(seed))).collect();
        let tasks: Vec<_> = (2..14).map(|seed| named("orderly", work(seed))).collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        sylvan::offload(|| plain.into_iter().for_each(|thread| thread.join().unwrap()));
    });
    let sum: usize = locks.iter().map(|lock| *lock.lock().unwrap()).sum();
    assert_eq!(sum, total.load(SeqCst));
    assert!(said_of("orderly").is_empty(), "{:?}", said_of("orderly"));
}

#[test]
fn a_dump_tells_who_holds_what_others_wait_for() {
    listen();
    for hubs in [1, 4] {
        on_hubs(hubs, || {
            let lock = Arc::new(Mutex::new(()));
            let is_held = Arc::new(AtomicBool::new(false));
            let (theirs, says) = (lock.clone(), is_held.clone());
            let holder = named("fetch-17", move || {
                let _held = theirs.lock();
                says.store(true, SeqCst);
                thread::park();
            });
            while !is_held.load(SeqCst) {
                thread::yield_now();
            }
            let theirs = lock.clone();
            let waiter = named("waits", move || drop(theirs.lock()));
            until_it_waits(&waiter, Reason::Mutex);
            let find = |id| {
                task::all()
                    .into_iter()
                    .find(|task| task.id() == id)
                    .unwrap()
            };
            let view = find(waiter.id());
            assert_eq!(view.blocked_by().unwrap().id(), holder.id());
            assert_says(
                &view.to_string(),
                "'waits', waiting: mutex held by 'fetch-17' for 0.",
            );
            let view = find(holder.id());
            assert!(view.blocked_by().is_none());
            assert_says(&view.to_string(), "'fetch-17', waiting: park for 0.");
            holder.thread().unpark();
            waiter.join().unwrap();
            holder.join().unwrap();
            assert!(view.blocked_by().is_none());
        });
    }
}

/// A guard that is dropped in the midst of the next wait, by the unwinding of a cancel, ends what was held.
#[test]
fn who_has_left_a_wait_is_in_no_circle() {
    listen();
    on_hubs(1, || {
        let locks = Arc::new((Mutex::new(Cell::new(0)), Mutex::new(Cell::new(0))));
        let theirs = locks.clone();
        let first = named("left-first", move || {
            let _one = theirs.0.lock().unwrap();
            thread::park();
            let _other = theirs.1.lock().unwrap();
        });
        until_it_waits(&first, Reason::Park);
        let held = locks.1.lock().unwrap();
        first.thread().unpark();
        until_it_waits(&first, Reason::Mutex);
        cancel(first);
        // It held this one.
        drop(locks.0.lock().unwrap());
        drop(held);
        assert!(said_of("left-first").is_empty());
    });
}

/// The report needs the lock that it is about. It reported itself until the stack was used up.
#[test]
fn a_logger_that_waits_for_itself_is_not_reported_for_ever() {
    struct Logs;

    impl fmt::Display for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            log::error!(target: "circles", "within");
            f.write_str("around")
        }
    }

    listen();
    on_hubs(1, || {
        let task = named(
            ITS_LOGGER_LOCKS,
            || log::error!(target: "circles", "{Logs}"),
        );
        until_it_waits(&task, Reason::Mutex);
        cancel(task);
    });
}

/// It has not come to unwind yet, but will, and give up what it holds.
#[test]
fn who_is_cancelled_is_in_no_circle() {
    listen();
    on_hubs(1, || {
        let locks = [(); 2].map(|()| Arc::new(Mutex::new(())));
        let [first, second] = locks.clone();
        let _second = locks[1].lock().unwrap();
        let holder = named("leaves at once", move || {
            let _first = first.lock().unwrap();
            drop(second.lock());
        });
        until_it_waits(&holder, Reason::Mutex);
        holder.cancel();
        drop(locks[0].lock());
        assert!(holder.join().is_err());
    });
    assert_eq!(said_of("leaves at once"), Vec::<String>::new());
}
