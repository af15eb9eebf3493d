//! The workloads on OS threads and std.

mod children;
mod files;
mod sockets;
mod tasks;
mod waits;

use std::time::Duration;
use sylvan_benches::program;

fn main() {
    program::run(&[
        ("yield", tasks::yields),
        ("spawn", tasks::spawns),
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
        ("children", children::start_and_wait),
        ("files", files::read),
    ]);
}

/// A time-out that never comes.
const LIMIT: Duration = Duration::from_secs(10);

/// A thread with a stack small enough for thousands of them.
fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let builder = std::thread::Builder::new().stack_size(64 << 10);
    builder.spawn(f).expect("there is another thread to be had")
}
