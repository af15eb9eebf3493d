//! What is reported: the deadlock report, the watchdog, a green thread that does not end. What they say, how often, and
//! when they are silent.
//!
//! That nothing is reported can only be seen by waiting for longer than a report would take. Such tests
//! end by taking away what kept the report from coming, and then it must come.

#![allow(missing_docs)]

mod support;

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, Once, mpsc};
use std::time::{Duration, Instant};

use support::{AGES, HOUR, must_end};
use sylvan::net::{TcpListener, UdpSocket};
use sylvan::runtime::{Builder, Handle, OnDeadlock, Runtime};
use sylvan::sync::{self, Arc, Barrier, RwLock};
use sylvan::thread::{self, JoinHandle};

/// Well beyond the second after which a deadlock is reported.
const QUIET: Duration = Duration::from_millis(2500);

/// Collects what the library reports.
struct Listener;

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target() == "sylvan" {
            SAID.lock().unwrap().push(record.args().to_string());
            MORE.notify_all();
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Listener).unwrap();
        log::set_max_level(log::LevelFilter::Error);
    });
}

/// What was reported of the green thread of this name.
fn said_of(name: &str) -> Vec<String> {
    let name = format!("'{name}'");
    let said = SAID.lock().unwrap();
    said.iter()
        .filter(|text| text.contains(&name))
        .cloned()
        .collect()
}

/// Waits until there are so many reports of the green thread of this name, and no more; returns the last of them.
fn await_report(name: &str, count: usize) -> String {
    let report = await_last_report(name, count);
    let reports = said_of(name);
    assert_eq!(reports.len(), count, "{reports:#?}");
    report
}

/// Waits until there are so many reports of the green thread of this name; returns the last of these.
fn await_last_report(name: &str, count: usize) -> String {
    let end = Instant::now() + AGES;
    loop {
        let mut reports = said_of(name);
        if reports.len() >= count {
            return reports.swap_remove(count - 1);
        }
        assert!(Instant::now() < end, "no report of '{name}'");
        // Whoever speaks between the look and the wait is seen a moment later.
        let said = SAID.lock().unwrap();
        let _ = MORE.wait_timeout(said, Duration::from_millis(50)).unwrap();
    }
}

#[track_caller]
fn assert_says(report: &str, part: &str) {
    assert!(report.contains(part), "no {part:?} in:\n{report}");
}

fn named<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(f).unwrap()
}

/// Runs `main` on an OS thread of its own; it ends by `stop`, or by itself.
fn in_background<T: Send + 'static>(
    builder: Builder,
    main: impl FnOnce() -> T + Send + 'static,
) -> (Handle, std::thread::JoinHandle<std::thread::Result<T>>) {
    let (sender, handle) = mpsc::channel();
    let runner = std::thread::Builder::new().name("sylvan-hub-0".to_owned());
    let runner = runner.spawn(move || {
        let runtime = builder.build().unwrap();
        sender.send(runtime.handle()).unwrap();
        runtime.try_run(main)
    });
    (handle.recv().unwrap(), runner.unwrap())
}

fn hubs(count: usize) -> Builder {
    Runtime::builder().workers(count)
}

/// Waits until a green thread has started on another hub than the caller's, which it blocks for that.
fn on_another_hub(name: &str, f: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let (sender, started) = mpsc::channel();
    let task = named(name, move || {
        sender.send(()).unwrap();
        f();
    });
    started.recv().unwrap();
    task
}

#[test]
fn two_that_wait_for_each_others_locks_are_named() {
    listen();
    for count in [1, 2] {
        let (first, second) = (format!("first-{count}"), format!("second-{count}"));
        let (names, place) = ((first.clone(), second.clone()), line!() + 9);
        let (handle, runner) = in_background(hubs(count), move || {
            let locks = Arc::new((sync::Mutex::new(()), sync::Mutex::new(())));
            let meeting = Arc::new(Barrier::new(2));
            let cross = |first: bool| {
                let (locks, meeting) = (locks.clone(), meeting.clone());
                move || lock_both(&locks, &meeting, first)
            };
            let other = thread::Builder::new().name(names.1);
            let other = other.spawn_local(cross(false)).unwrap();
            let one = cross(true);
            if count == 1 {
                named(&names.0, one);
            } else {
                on_another_hub(&names.0, one);
            }
            let _ = other.join();
        });
        // First when the second began to wait (see tests/circles.rs), and now that nothing else goes on.
        let report = await_last_report(&first, 2);
        let headline = report.lines().next().unwrap();
        assert_says(headline, "suspected deadlock: nothing has run for 1 s");
        assert_says(headline, "(3 in all)");
        assert_says(headline, "run at tests/reports.rs:");
        assert_says(&report, "\n  'main' waits: join, for ");
        let line =
            |who: &str, holder: &str| format!("\n  '{who}' waits: mutex held by '{holder}', for ");
        assert_says(&report, &line(&first, &second));
        assert_says(&report, &line(&second, &first));
        assert_says(&report, &format!("(spawned at tests/reports.rs:{place}:"));
        handle.stop();
        must_end(|| runner.join().unwrap()).unwrap_err();
    }
}

fn lock_both(locks: &(sync::Mutex<()>, sync::Mutex<()>), meeting: &Barrier, first: bool) {
    let (one, other) = if first {
        (&locks.0, &locks.1)
    } else {
        (&locks.1, &locks.0)
    };
    let _one = one.lock().unwrap();
    meeting.wait();
    let _other = other.lock().unwrap();
}

#[test]
fn holders_of_other_kinds_are_told() {
    listen();
    let lock = Arc::new(sync::Mutex::new(()));
    let theirs = lock.clone();
    let held = lock.lock().unwrap();
    let (handle, runner) = in_background(hubs(1), move || {
        named("wants-the-threads", move || drop(theirs.lock()));
        let shared = Arc::new(RwLock::new(()));
        let (writer, reader) = (shared.clone(), shared);
        named("writes", move || {
            let _guard = writer.write().unwrap();
            thread::park();
        });
        named("reads", move || drop(reader.read()));
        let shared = Arc::new(RwLock::new(()));
        let (writer, reader) = (shared.clone(), shared);
        named("has-read", move || {
            drop(reader.write().unwrap());
            let _guard = reader.read().unwrap();
            thread::park();
        });
        named("would-write", move || drop(writer.write()));
        let lock = Arc::new(sync::Mutex::new(()));
        let ended = lock.clone();
        named("ends", move || std::mem::forget(ended.lock()));
        named("wants-the-dead-ones", move || drop(lock.lock()));
        thread::park();
    });
    let report = await_report("wants-the-threads", 1);
    for line in [
        "'wants-the-threads' waits: mutex held by a plain OS thread, for ",
        "'reads' waits: read lock held by 'writes', for ",
        "'would-write' waits: write lock, for ",
        "'wants-the-dead-ones' waits: mutex held by a green thread that has ended, or is of another",
        "'main' waits: park, for ",
    ] {
        assert_says(&report, line);
    }
    handle.stop();
    must_end(|| runner.join().unwrap()).unwrap_err();
    drop(held);
}

#[test]
fn those_that_are_alike_are_told_of_together() {
    listen();
    let (handle, runner) = in_background(hubs(1), || {
        let barrier = Arc::new(Barrier::new(100));
        for _ in 0..70 {
            let barrier = barrier.clone();
            named("one-of-many", move || barrier.wait());
        }
        thread::park();
    });
    let report = await_report("one-of-many", 1);
    assert_says(&report, "(71 in all)");
    assert_says(&report, ", and 69 more like it");
    assert_eq!(report.lines().count(), 3, "{report}");
    handle.stop();
    must_end(|| runner.join().unwrap()).unwrap_err();
}

#[test]
fn a_deadlock_is_reported_once_an_episode() {
    listen();
    for count in [1, 2] {
        let name = format!("receiver-{count}");
        let theirs = name.clone();
        let (sender, receiver) = sync::mpsc::channel::<u32>();
        let (_handle, runner) = in_background(hubs(count), move || {
            let receive = move || receiver.iter().count();
            let task = if count == 1 {
                named(&theirs, receive)
            } else {
                let result = Arc::new(AtomicUsize::new(0));
                let task = on_another_hub(&theirs, {
                    let result = result.clone();
                    move || result.store(receive(), SeqCst)
                });
                task.join().unwrap();
                return result.load(SeqCst);
            };
            task.join().unwrap()
        });
        assert_says(&await_report(&name, 1), "waits: channel receive, for 1.");
        std::thread::sleep(QUIET);
        await_report(&name, 1);
        sender.send(1).unwrap();
        await_report(&name, 2);
        sender.send(2).unwrap();
        await_report(&name, 3);
        drop(sender);
        assert_eq!(must_end(|| runner.join().unwrap()).unwrap(), 2);
    }
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn text(payload: &(dyn Any + Send)) -> &str {
    payload.downcast_ref::<String>().expect("a text")
}

#[test]
fn the_panic_reaches_the_caller_of_run_and_the_others_unwind() {
    listen();
    for count in [1, 2] {
        let dropped = Arc::new(AtomicUsize::new(0));
        let result = must_end(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let builder = hubs(count).on_deadlock(OnDeadlock::Panic);
                let runtime = builder.build().unwrap();
                runtime.run(|| {
                    let _own = Dropped(dropped.clone());
                    for _ in 0..3 {
                        let guard = Dropped(dropped.clone());
                        named(&format!("stuck-{count}"), move || {
                            let _guard = guard;
                            thread::park();
                        });
                    }
                    let (_sender, receiver) = sync::mpsc::channel::<()>();
                    let _ = receiver.recv();
                });
            }))
        });
        let payload = result.unwrap_err();
        assert_says(text(payload.as_ref()), "suspected deadlock");
        assert_eq!(dropped.load(SeqCst), 4);
        await_report(&format!("stuck-{count}"), 1);
    }
}

#[test]
fn the_panic_cancels_what_the_main_green_threads_scope_has_spawned() {
    listen();
    let dropped = Arc::new(AtomicUsize::new(0));
    let runtime = hubs(1).on_deadlock(OnDeadlock::Panic).build().unwrap();
    let result = must_end(|| {
        runtime.try_run(|| {
            thread::scope(|scope| {
                let _child = scope.spawn(|| {
                    let _guard = Dropped(dropped.clone());
                    thread::park();
                });
            });
        })
    });
    assert_says(text(result.unwrap_err().as_ref()), "suspected deadlock");
    assert_eq!(dropped.load(SeqCst), 1);
    // The runtime is as good as before.
    assert_eq!(runtime.run(|| thread::spawn(|| 5).join().unwrap()), 5);
}

#[test]
fn a_main_green_thread_that_is_masked_does_not_panic() {
    listen();
    let (sender, receiver) = sync::mpsc::channel::<u32>();
    let builder = hubs(1).on_deadlock(OnDeadlock::Panic);
    let (_handle, runner) = in_background(builder, move || {
        named("beside-a-mask", thread::park);
        sylvan::task::mask(|| receiver.recv().unwrap())
    });
    await_report("beside-a-mask", 1);
    std::thread::sleep(QUIET);
    await_report("beside-a-mask", 1);
    sender.send(7).unwrap();
    assert_eq!(must_end(|| runner.join().unwrap()).unwrap(), 7);
}

#[test]
fn a_main_green_thread_that_goes_on_is_not_thrown_to_later() {
    listen();
    let (sender, receiver) = sync::mpsc::channel::<u32>();
    let builder = hubs(1).on_deadlock(OnDeadlock::Panic);
    let caught = Arc::new(AtomicUsize::new(0));
    let count = caught.clone();
    let (_handle, runner) = in_background(builder, move || {
        named("beside-a-catch", thread::park);
        let result = catch_unwind(AssertUnwindSafe(|| receiver.recv()));
        count.fetch_add(usize::from(result.is_err()), SeqCst);
        for _ in 0..1000 {
            thread::yield_now();
            thread::sleep(Duration::from_micros(1));
        }
        sylvan::offload(move || receiver.recv().unwrap())
    });
    await_report("beside-a-catch", 1);
    while caught.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    sender.send(8).unwrap();
    assert_eq!(must_end(|| runner.join().unwrap()).unwrap(), 8);
}

/// Something that may wake a green thread, and what ends it.
type Hope = (&'static str, fn());

/// None of them ends by itself.
const HOPES: &[Hope] = &[
    ("sleep", || thread::sleep(HOUR)),
    ("forever", || thread::sleep(Duration::MAX)),
    ("timeout", || {
        let _ = sylvan::time::timeout(HOUR, thread::park);
    }),
    ("receive with a timeout", || {
        let (_sender, receiver) = sync::mpsc::channel::<()>();
        let _ = receiver.recv_timeout(HOUR);
    }),
    ("accept", || {
        let _ = TcpListener::bind("127.0.0.1:0").unwrap().accept();
    }),
    ("datagram", || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = socket.recv(&mut [0]);
    }),
];

#[test]
fn while_something_can_wake_a_green_thread_nothing_is_reported() {
    listen();
    let mut running = Vec::new();
    for &(what, hope) in HOPES {
        for count in [1, 2] {
            let name = format!("beside-{what}-{count}");
            let (sender, hopeful) = mpsc::channel();
            let theirs = name.clone();
            let (handle, runner) = in_background(hubs(count), move || {
                let hopeful = match count {
                    1 => thread::spawn(hope),
                    _ => on_another_hub("hopeful", hope),
                };
                sender.send(hopeful).unwrap();
                named(&theirs, thread::park).join().unwrap();
            });
            running.push((name, hopeful.recv().unwrap(), handle, runner));
        }
    }
    std::thread::sleep(QUIET);
    for (name, hopeful, handle, runner) in running {
        assert_eq!(said_of(&name), [""; 0]);
        hopeful.cancel();
        await_report(&name, 1);
        handle.stop();
        must_end(|| runner.join().unwrap()).unwrap_err();
    }
}

#[test]
fn an_offloaded_job_may_wake_someone_also_if_nobody_waits_for_it() {
    listen();
    for count in [1, 2] {
        let name = format!("beside-a-job-{count}");
        let theirs = name.clone();
        let (sender, tasks) = mpsc::channel();
        let (finish, job) = mpsc::channel::<()>();
        let (handle, runner) = in_background(hubs(count), move || {
            let started = Arc::new(AtomicBool::new(false));
            let begins = started.clone();
            let caller = thread::spawn(move || {
                sylvan::offload(move || {
                    begins.store(true, SeqCst);
                    let _ = job.recv();
                });
            });
            while !started.load(SeqCst) {
                thread::yield_now();
            }
            sender.send(caller).unwrap();
            named(&theirs, thread::park).join().unwrap();
        });
        let caller = tasks.recv().unwrap();
        std::thread::sleep(QUIET);
        assert_eq!(said_of(&name), [""; 0]);
        caller.cancel();
        assert!(must_end(|| caller.join()).is_err());
        std::thread::sleep(QUIET);
        assert_eq!(said_of(&name), [""; 0]);
        finish.send(()).unwrap();
        await_report(&name, 1);
        handle.stop();
        must_end(|| runner.join().unwrap()).unwrap_err();
    }
}

#[test]
fn one_that_runs_forever_waits_for_stop() {
    listen();
    let (sender, handle) = mpsc::channel();
    let runner = std::thread::spawn(move || {
        let runtime = hubs(2).build().unwrap();
        runtime.run(|| {
            named("beside-run-forever", thread::park);
        });
        sender.send(runtime.handle()).unwrap();
        runtime.run_forever();
        // Nobody runs the first hub now: whoever has the runtime may do that at any time.
        std::thread::sleep(QUIET);
        assert_eq!(said_of("beside-run-forever"), [""; 0]);
        runtime.try_run(thread::park).map(drop)
    });
    let handle = handle.recv().unwrap();
    std::thread::sleep(QUIET);
    assert_eq!(said_of("beside-run-forever"), [""; 0]);
    handle.stop();
    await_report("beside-run-forever", 1);
    handle.stop();
    must_end(|| runner.join().unwrap()).unwrap_err();
}

#[test]
fn the_default_runtime_is_not_suspected_and_another_need_not_be() {
    listen();
    let task = named("on-the-default-runtime", thread::park);
    let (handle, runner) = in_background(hubs(1).on_deadlock(OnDeadlock::Ignore), || {
        named("fed-from-outside", thread::park).join().unwrap();
    });
    std::thread::sleep(QUIET);
    assert_eq!(said_of("on-the-default-runtime"), [""; 0]);
    assert_eq!(said_of("fed-from-outside"), [""; 0]);
    task.cancel();
    assert!(must_end(|| task.join()).is_err());
    handle.stop();
    must_end(|| runner.join().unwrap()).unwrap_err();
}

fn watchdog(limit: Duration) -> Builder {
    hubs(1).watchdog(limit)
}

const LIMIT: Duration = Duration::from_millis(100);

#[test]
fn one_that_blocks_its_os_thread_is_named() {
    listen();
    // It sleeps on when the test has ended.
    let _ = in_background(watchdog(LIMIT), || {
        named("sleeps-as-std-does", || std::thread::sleep(HOUR)).join()
    });
    let report = await_report("sleeps-as-std-does", 1);
    assert_says(
        &report,
        "green thread 'sleeps-as-std-does' (spawned at tests/reports.rs:",
    );
    assert_says(&report, " s without suspending: hub 0, OS thread ");
    assert_says(&report, "which is blocked in the kernel (clock_nanosleep)");
}

#[test]
fn one_that_spins_is_named_and_again_when_it_has_spun_ten_times_as_long() {
    listen();
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let (_handle, runner) = in_background(watchdog(LIMIT), || {
        let task = named("spins", || {
            while !ENOUGH.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        task.join().unwrap();
    });
    assert_says(&await_report("spins", 1), "which computes");
    let report = await_report("spins", 2);
    ENOUGH.store(true, SeqCst);
    must_end(|| runner.join().unwrap()).unwrap();
    // At least a second, and not much more than the look after it.
    let seconds = report.split("kept its hub for ").nth(1).unwrap();
    let seconds: f64 = seconds.split(' ').next().unwrap().parse().unwrap();
    assert!((1.0..60.0).contains(&seconds), "{report}");
}

#[test]
fn who_may_hold_a_lock_of_std_across_a_wait_is_named() {
    listen();
    static LOCK: Mutex<()> = Mutex::new(());
    // It is blocked for ever.
    let _ = in_background(watchdog(LIMIT), || {
        named("holds-a-lock-of-std", || {
            let _guard = LOCK.lock().unwrap();
            thread::park();
        });
        named("wants-a-lock-of-std", || drop(LOCK.lock())).join()
    });
    let report = await_report("wants-a-lock-of-std", 1);
    assert_says(&report, "green thread 'wants-a-lock-of-std' (spawned at ");
    assert_says(&report, "which waits for a lock of std or the like (futex");
    assert_says(
        &report,
        "if a suspended green thread of that hub holds it, it is one of these:",
    );
    assert_says(
        &report,
        "\n  'holds-a-lock-of-std' (spawned at tests/reports.rs:",
    );
    assert_says(&report, "\n  'main' (spawned at tests/reports.rs:");
}

#[test]
fn a_hub_that_idles_or_switches_is_not_reported() {
    listen();
    let (handle, idle) = in_background(watchdog(Duration::from_millis(10)), || {
        named("idles", || thread::sleep(HOUR)).join()
    });
    static ENOUGH: AtomicBool = AtomicBool::new(false);
    let (_handle, busy) = in_background(watchdog(Duration::from_secs(1)), || {
        let switch = || {
            while !ENOUGH.load(SeqCst) {
                thread::yield_now();
            }
        };
        let tasks = [named("switches", switch), named("switches", switch)];
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    std::thread::sleep(QUIET);
    ENOUGH.store(true, SeqCst);
    must_end(|| busy.join().unwrap()).unwrap();
    handle.stop();
    must_end(|| idle.join().unwrap()).unwrap_err();
    assert_eq!(said_of("idles"), [""; 0]);
    assert_eq!(said_of("switches"), [""; 0]);
}

#[test]
fn without_a_watchdog_nobody_is_named() {
    listen();
    let (_handle, runner) = in_background(hubs(1).no_watchdog(), || {
        named("is-not-watched", || std::thread::sleep(QUIET))
            .join()
            .unwrap();
    });
    must_end(|| runner.join().unwrap()).unwrap();
    assert_eq!(said_of("is-not-watched"), [""; 0]);
}

/// Runs the test of this name in a process of its own until it has written a line with this part to
/// standard error; returns that line and the next.
fn child_until(test: &str, part: &str) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("SYLVAN_TEST_CHILD", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let lines = must_end(|| {
        let lines = lines.map_while(Result::ok);
        lines
            .skip_while(|line| !line.contains(part))
            .take(2)
            .collect::<Vec<_>>()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    lines.join("\n")
}

#[test]
fn by_default_a_deadlock_is_told_on_standard_error() {
    if support::is_child() {
        sylvan::run(thread::park);
    }
    let said = child_until(
        "by_default_a_deadlock_is_told_on_standard_error",
        "deadlock",
    );
    assert_says(&said, "sylvan: suspected deadlock: ");
    assert_says(&said, "\n  'main' waits: park, for 1.");
}

#[cfg(debug_assertions)]
#[test]
fn in_a_debug_build_the_watchdog_watches_run_and_the_default_runtime() {
    let test = "in_a_debug_build_the_watchdog_watches_run_and_the_default_runtime";
    if support::is_child() {
        named("blocks-the-default-runtime", || std::thread::sleep(HOUR));
        sylvan::run(|| {
            // Not in the same moment.
            thread::sleep(Duration::from_secs(2));
            std::thread::sleep(HOUR);
        });
    }
    let said = child_until(test, "green thread ");
    assert_says(
        &said,
        "sylvan: green thread 'blocks-the-default-runtime' (spawned at ",
    );
    assert_says(&said, "\nsylvan: green thread 'main' (spawned at ");
}

#[test]
fn after_the_report_nothing_wakes_any_more() {
    let test = "after_the_report_nothing_wakes_any_more";
    if !support::is_child() {
        return support::assert_success(&support::in_child(test, &[]));
    }
    listen();
    let builder = hubs(3).watchdog(Duration::from_secs(1));
    let (handle, runner) = in_background(builder, || named("stuck-for-good", thread::park).join());
    await_report("stuck-for-good", 1);
    // They trim their stacks, and the monitor comes to rest; what wakes once a second never does.
    let end = Instant::now() + AGES;
    loop {
        let before = switches();
        std::thread::sleep(Duration::from_secs(3));
        let after = switches();
        if before == after {
            break;
        }
        assert!(Instant::now() < end, "{before:?}, then {after:?}");
    }
    let threads = switches();
    for name in ["sylvan-hub-0", "sylvan-hub-2", "sylvan-watchdog"] {
        assert!(threads.contains_key(name), "{threads:?}");
    }
    handle.stop();
    let result = must_end(|| runner.join().unwrap());
    assert!(result.is_err());
}

/// How often the kernel has switched to each OS thread that is the library's, and the first hub's. (A
/// sanitizer has one of its own.)
fn switches() -> BTreeMap<String, u64> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    threads
        .map(|entry| {
            let status = fs::read_to_string(entry.unwrap().path().join("status")).unwrap();
            let of = |field: &str| {
                let line = status.lines().find(|line| line.starts_with(field)).unwrap();
                line.split(':').nth(1).unwrap().trim().to_owned()
            };
            let voluntary: u64 = of("voluntary_ctxt_switches").parse().unwrap();
            let other: u64 = of("nonvoluntary_ctxt_switches").parse().unwrap();
            (of("Name"), voluntary + other)
        })
        .filter(|(name, _)| name.starts_with("sylvan-"))
        .collect()
}

// ---- a runtime that closes

#[test]
fn one_that_does_not_end_when_its_runtime_closes_is_named_with_what_it_waits_for() {
    listen();
    must_end(|| {
        let runtime = hubs(1).build().unwrap();
        let stays = runtime.run(|| {
            let stays = named("stays", || sylvan::task::mask(thread::park));
            thread::yield_now();
            stays
        });
        let closer = std::thread::spawn(move || {
            let report = await_report("stays", 1);
            stays.thread().unpark();
            (report, stays.join())
        });
        runtime.close();
        let (report, end) = closer.join().unwrap();
        assert_says(&report, file!());
        assert!(
            report.ends_with(") was cancelled and does not end: park"),
            "{report}"
        );
        assert!(end.is_ok(), "it was masked to its end");
    });
}
