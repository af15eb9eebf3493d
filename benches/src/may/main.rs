//! The workloads on may.

mod sockets;
mod tasks;
mod waits;

use std::time::Duration;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::program;

fn main() {
    program::run(&[
        ("yield", tasks::yields),
        ("spawn", tasks::spawns),
        ("tree", tasks::tree),
        ("memory", tasks::memory),
        ("pingpong", waits::pingpong),
        ("wake", waits::wake),
        ("stream", waits::stream),
        ("mutex", waits::mutex),
        ("lock", waits::lock),
        ("sleeps", waits::sleeps),
        ("echo", sockets::echo),
        ("hello", sockets::hello),
        ("crawl", sockets::crawl),
    ]);
}

/// Runs `f` as a coroutine on as many workers as the command line says. The rest is may's defaults.
fn run<T: Send + 'static>(arguments: &Arguments, f: impl FnOnce() -> T + Send + 'static) -> T {
    may::config().set_workers(arguments.number("workers", 1));
    may::go!(f).join().unwrap()
}

/// A time-out that never comes.
const LIMIT: Duration = Duration::from_secs(10);
