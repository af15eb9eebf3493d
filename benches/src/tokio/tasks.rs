//! Switching, spawning, and what a task costs.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use sylvan_benches::arguments::Arguments;
use sylvan_benches::machine::Memory;
use sylvan_benches::outcome::{Meter, Outcome, bytes_each};
use sylvan_benches::random;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

pub fn yields(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1000);
    let each = arguments.number("count", 10_000_000_u64) / tasks;
    let depth: u32 = arguments.number("depth", 0);
    super::run(arguments, async move {
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| tokio::spawn(yield_often(each, depth)))
            .collect();
        let count = tasks.len() as u64 * each;
        for task in tasks {
            task.await.unwrap();
        }
        meter.stop(count)
    })
}

async fn yield_often(count: u64, depth: u32) {
    if depth == 0 {
        for _ in 0..count {
            yield_now().await;
        }
    } else {
        for _ in 0..count {
            deep_4().await;
        }
    }
}

// Frames of an async function are part of the task, and what calls what is known when it is compiled:
// the depth is always 4.
async fn deep_4() {
    deep_3().await;
    black_box(4);
}

async fn deep_3() {
    deep_2().await;
    black_box(3);
}

async fn deep_2() {
    deep_1().await;
    black_box(2);
}

async fn deep_1() {
    yield_now().await;
    black_box(1);
}

pub fn spawns(arguments: &Arguments) -> Outcome {
    let batch: u64 = arguments.number("batch", 1000);
    let batches = arguments.number("count", 1_000_000_u64) / batch;
    let yielding = arguments.flag("yield");
    super::run(arguments, async move {
        let mut tasks = Vec::with_capacity(batch as usize);
        let meter = Meter::start();
        for _ in 0..batches {
            if yielding {
                tasks.extend((0..batch).map(|_| tokio::spawn(yield_now())));
            } else {
                tasks.extend((0..batch).map(|_| tokio::spawn(async {})));
            }
            for task in tasks.drain(..) {
                task.await.unwrap();
            }
        }
        meter.stop(batches * batch)
    })
}

pub fn tree(arguments: &Arguments) -> Outcome {
    let depth: u32 = arguments.number("depth", 12);
    let steps: u64 = arguments.number("steps", 50_000);
    super::run(arguments, async move {
        let meter = Meter::start();
        black_box(branch(depth, steps).await);
        meter.stop(1 << depth)
    })
}

/// Boxed, as a function that calls itself must be.
fn branch(depth: u32, steps: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            return random::compute(black_box(steps));
        }
        let left = tokio::spawn(branch(depth - 1, steps));
        let right = tokio::spawn(branch(depth - 1, steps));
        left.await.unwrap() ^ right.await.unwrap()
    })
}

pub fn memory(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("tasks", 100_000);
    super::run(arguments, async move {
        let mut tasks = Vec::with_capacity(count as usize);
        let before = Memory::now();
        let meter = Meter::start();
        let gate = Arc::new(Semaphore::new(0));
        tasks.extend((0..count).map(|_| tokio::spawn(park(gate.clone()))));
        while PARKED.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
        let outcome = bytes_each(&before, count, &meter);
        gate.add_permits(count as usize);
        for task in tasks {
            task.await.unwrap();
        }
        outcome
    })
}

/// How many have come to their wait.
static PARKED: AtomicU64 = AtomicU64::new(0);

async fn park(gate: Arc<Semaphore>) {
    PARKED.fetch_add(1, Ordering::Relaxed);
    gate.acquire().await.unwrap().forget();
}
