//! An idle runtime uses no CPU: counts how often its OS threads wake while nothing happens.
//!
//! ```text
//! cargo run --release --example idle
//! ```
//!
//! Three hubs hold green threads that sleep for an hour, wait to be unparked, or wait for a
//! connection. Ten thousand more have ended, so that there are stacks whose memory goes back. After
//! the hubs have come to rest, every context switch of their OS threads is counted for five seconds.

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, process};
use sylvan::net::TcpListener;
use sylvan::runtime::{Handle, Runtime};
use sylvan::thread;

const HUBS: usize = 3;
const TASKS: usize = 10_000;
const SPAN: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let (sender, handles) = mpsc::channel();
    // The main thread only counts; the first hub is another thread.
    let hubs = std::thread::spawn(move || {
        let runtime = Runtime::builder().workers(HUBS).build();
        let runtime = runtime.expect("three hubs need a few descriptors");
        let handle = runtime.handle();
        // Ends by the cancellation that `stop` sends.
        let _ = runtime.try_run(|| hold(&sender, handle));
    });
    let handle = handles.recv().expect("the runtime sends its handle");

    let seconds = rest();
    println!("at rest after {seconds} s, with {:?}", handle.metrics());
    let wakeups = count_switches(SPAN);
    let rate = wakeups as f64 / SPAN.as_secs_f64();
    println!(
        "{wakeups} wake-ups in {} s: {rate} per second",
        SPAN.as_secs()
    );

    handle.stop();
    hubs.join().expect("the hubs end in good order");
    if wakeups == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The main green thread: spawns what waits, tells that it has, and waits as well.
fn hold(ready: &mpsc::Sender<Handle>, handle: Handle) {
    let brief = (0..TASKS).map(|_| thread::spawn(|| thread::sleep(Duration::from_millis(10))));
    let brief: Vec<_> = brief.collect();
    for task in brief {
        task.join().expect("it only sleeps");
    }
    for _ in 0..TASKS / 10 {
        thread::spawn(|| thread::sleep(HOUR));
        thread::spawn(thread::park);
    }
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        thread::spawn(move || listener.accept());
    }
    // Whoever counts sees to it that they have all come to their waits.
    ready.send(handle).expect("the main thread receives");
    thread::park();
}

/// Waits until the hubs sleep: they give back the memory of unused stacks first, bit by bit. Returns
/// how many seconds that took; gives up after a minute, and then the count will tell.
fn rest() -> u32 {
    let second = Duration::from_secs(1);
    let is_busy = |_: &u32| count_switches(second) > 0;
    (1..=60).take_while(is_busy).last().unwrap_or(0)
}

/// How often all threads but this one were switched to during a span of time.
fn count_switches(span: Duration) -> u64 {
    let before = switches();
    std::thread::sleep(span);
    switches() - before
}

/// How often the kernel has switched away from each of the process's threads but the main one, which
/// calls this.
fn switches() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let names = tasks.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let others = names.filter(|name| *name != process::id().to_string());
    others.map(|name| switches_of(&name)).sum()
}

fn switches_of(thread: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status"));
    let status = status.expect("no thread ends while all wait");
    let counts = status.lines().filter_map(|line| {
        let (name, count) = line.split_once(':')?;
        let is_count = name.ends_with("voluntary_ctxt_switches");
        is_count.then(|| count.trim().parse::<u64>().ok()).flatten()
    });
    counts.sum()
}
