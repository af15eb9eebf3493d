//! The workloads on sylvan.

mod children;
mod files;
mod pools;
mod sockets;
mod tasks;
mod waits;

use std::time::Duration;
use sylvan::runtime::Runtime;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::program;

fn main() {
    // The processes of its pools are this program, too.
    sylvan::process_pool::init();
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
        ("ready-read", sockets::ready_read),
        ("pool-apply", pools::apply),
        ("pool-map", pools::map),
        ("pool-idle", pools::idle),
        ("pool-compute", pools::compute),
        ("pool-wait", pools::wait),
    ]);
}

/// Runs `f` on as many hubs, with stacks of such a size, as the command line says.
fn run<T>(arguments: &Arguments, f: impl FnOnce() -> T) -> T {
    let mut builder = Runtime::builder().workers(arguments.number("workers", 1));
    if let stack @ 1.. = arguments.number("stack-kib", 0) {
        builder = builder.stack_size(stack << 10);
    }
    builder
        .build()
        .expect("a runtime has a few descriptors")
        .run(f)
}

/// A time-out that never comes.
const LIMIT: Duration = Duration::from_secs(10);
