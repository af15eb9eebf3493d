//! The workloads on tokio, in either flavour.

mod children;
mod files;
mod sockets;
mod tasks;
mod waits;

use std::future::Future;
use std::time::Duration;
use sylvan_benches::arguments::{Arguments, refuse};
use sylvan_benches::program;
use tokio::runtime::{Builder, Runtime};

fn main() {
    program::run(&[
        ("yield", tasks::yields),
        ("spawn", tasks::spawns),
        ("tree", tasks::tree),
        ("memory", tasks::memory),
        ("pingpong", waits::pingpong),
        ("wake", waits::wake),
        ("stream", waits::stream),
        ("select", waits::select),
        ("mutex", waits::mutex),
        ("lock", waits::lock),
        ("sleeps", waits::sleeps),
        ("timer", waits::timer),
        ("echo", sockets::echo),
        ("hello", sockets::hello),
        ("crawl", sockets::crawl),
        ("children", children::start_and_wait),
        ("files", files::read),
    ]);
}

/// Runs `future` on the runtime that the command line says. On the multi-thread flavour it runs on a
/// worker, as the rest does, and not on the thread that waits for it.
fn run<F>(arguments: &Arguments, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match arguments.word("flavour", "current_thread") {
        "current_thread" => current_thread().block_on(future),
        "multi_thread" => {
            let mut builder = Builder::new_multi_thread();
            let builder = builder.worker_threads(arguments.number("workers", 1));
            let runtime = builder.enable_all().build().unwrap();
            runtime.block_on(async { tokio::spawn(future).await.unwrap() })
        }
        _ => refuse("--flavour is current_thread or multi_thread"),
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A time-out that never comes.
const LIMIT: Duration = Duration::from_secs(10);
