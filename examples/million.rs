//! A million green threads alive at once, in one process: what each costs, and how long it takes.
//!
//! ```text
//! cargo run --release --example million                   1,000,000 in the 64 KiB class
//! cargo run --release --example million -- 1000000 1M     as many with stacks of the default size
//! ```

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{env, fs};
use sylvan::runtime::{Handle, Runtime};
use sylvan::task::NoStack;
use sylvan::thread::{self, JoinHandle};

const USAGE: &str = "\
Parks a number of green threads at once and prints what each costs.

Usage: million [COUNT] [STACK]

  COUNT  how many green threads (default: 1000000)
  STACK  the size of their stacks: 64K, 256K, 1M or 8M (default: 64K)";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|it| it == "-h" || it == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match parse(&arguments) {
        Some((count, stack_size)) => {
            measure(count, stack_size);
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[&str]) -> Option<(usize, usize)> {
    let (count, stack) = match arguments {
        [] => ("1000000", "64K"),
        [count] => (*count, "64K"),
        [count, stack] => (*count, *stack),
        _ => return None,
    };
    let stack = match stack {
        "64K" => 64 << 10,
        "256K" => 256 << 10,
        "1M" => 1 << 20,
        "8M" => 8 << 20,
        _ => return None,
    };
    let count = count.parse().ok().filter(|count| *count > 0)?;
    Some((count, stack))
}

fn measure(count: usize, stack_size: usize) {
    let runtime = Runtime::builder()
        .stack_size(stack_size)
        .build()
        .expect("a runtime has a few descriptors");
    let handle = runtime.handle();
    runtime.run(|| run_phases(count, stack_size, &handle));
    runtime.close();
    let left = handle.metrics();
    assert_eq!((left.tasks, left.stacks), (0, 0));
}

fn run_phases(count: usize, stack_size: usize, handle: &Handle) {
    println!("{count} green threads, stacks of {} KiB", stack_size >> 10);
    let before = Memory::now();
    let mut clock = Clock(Instant::now());

    let tasks = spawn(count);
    clock.phase("spawn", count);

    // One turn: each runs to its park.
    thread::yield_now();
    let parked = PARKED.load(Ordering::Relaxed);
    clock.phase("run and park", parked);

    let alive = handle.metrics();
    println!(
        "alive at once  {:>8}, with {} stacks",
        alive.tasks, alive.stacks
    );
    let after = Memory::now();
    let resident = after.resident - before.resident;
    let tables = after.tables - before.tables;
    println!("resident       {:>8} bytes each", resident / parked);
    println!("page tables    {:>8} bytes each", tables / parked);
    println!(
        "together       {:>8} bytes each",
        (resident + tables) / parked
    );

    clock.restart();
    let failures = wake_and_join(tasks);
    clock.phase("wake and join", parked);
    assert_eq!(parked + failures.len(), count);
    if let Some(no_stack) = failures.first() {
        println!("{} did not run: {no_stack}", failures.len());
    }
}

/// How many have run up to their park.
static PARKED: AtomicUsize = AtomicUsize::new(0);

fn spawn(count: usize) -> Vec<JoinHandle<()>> {
    let body = || {
        PARKED.fetch_add(1, Ordering::Relaxed);
        thread::park();
    };
    (0..count).map(|_| thread::spawn(body)).collect()
}

/// Returns why some could not run.
fn wake_and_join(tasks: Vec<JoinHandle<()>>) -> Vec<NoStack> {
    for task in &tasks {
        task.thread().unpark();
    }
    let failures = tasks.into_iter().filter_map(|task| task.join().err());
    failures
        .map(|failure| match failure.downcast() {
            Ok(no_stack) => *no_stack,
            Err(_) => unreachable!("nothing else can fail here"),
        })
        .collect()
}

/// What the process holds now, in bytes.
struct Memory {
    resident: usize,
    tables: usize,
}

impl Memory {
    fn now() -> Memory {
        let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes =
                line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
            kibibytes.expect("the kernel tells the process's memory") << 10
        };
        Memory {
            resident: bytes("VmRSS:"),
            tables: bytes("VmPTE:"),
        }
    }
}

/// Prints how long each phase took.
struct Clock(Instant);

impl Clock {
    fn phase(&mut self, name: &str, count: usize) {
        let took = self.0.elapsed();
        let each = took.div_f64(count as f64);
        println!(
            "{name:<14} {:>8} ms, {} ns each",
            took.as_millis(),
            each.as_nanos()
        );
        self.restart();
    }

    fn restart(&mut self) {
        self.0 = Instant::now();
    }
}
