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
    let stack = match stack.to_uppercase().strip_suffix('M') {
        Some(mebibytes) => mebibytes.parse::<usize>().ok()? << 20,
        None => {
            stack
                .to_uppercase()
                .strip_suffix('K')?
                .parse::<usize>()
                .ok()?
                << 10
        }
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
    clock.phase(count, "spawn");

    // One turn: each runs to its park.
    thread::yield_now();
    assert_eq!(RUNNING.load(Ordering::Relaxed), count);
    clock.phase(count, "run and park");

    let alive = handle.metrics();
    let after = Memory::now();
    println!(
        "alive at once: {} with {} stacks",
        alive.tasks, alive.stacks
    );
    let (resident, tables) = (
        after.resident - before.resident,
        after.tables - before.tables,
    );
    println!("resident       {:>8} bytes each", resident / count);
    println!("page tables    {:>8} bytes each", tables / count);
    println!(
        "together       {:>8} bytes each",
        (resident + tables) / count
    );

    clock.restart();
    let ended = wake_and_join(tasks);
    clock.phase(count, "wake and join");
    assert_eq!(ended, count);
}

/// How many have run up to their park.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

fn spawn(count: usize) -> Vec<JoinHandle<usize>> {
    let body = || {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        thread::park();
        1
    };
    (0..count).map(|_| thread::spawn(body)).collect()
}

fn wake_and_join(tasks: Vec<JoinHandle<usize>>) -> usize {
    for task in &tasks {
        task.thread().unpark();
    }
    let value = |task: JoinHandle<usize>| {
        task.join().unwrap_or_else(|failure| {
            match failure.downcast_ref::<sylvan::task::NoStack>() {
                Some(no_stack) => panic!("{no_stack}"),
                None => panic!("a task panicked"),
            }
        })
    };
    tasks.into_iter().map(value).sum()
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
    fn phase(&mut self, count: usize, name: &str) {
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
