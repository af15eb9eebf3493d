//! Switching, spawning, and what a task costs.

use std::hint::black_box;
use sylvan::thread;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::machine::Memory;
use sylvan_benches::outcome::{Meter, Outcome, bytes_each};
use sylvan_benches::random;

pub fn yields(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1000);
    let each = arguments.number("count", 10_000_000_u64) / tasks;
    let depth: u32 = arguments.number("depth", 0);
    super::run(arguments, || {
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| thread::spawn(move || yield_often(each, depth)))
            .collect();
        let count = tasks.len() as u64 * each;
        for task in tasks {
            task.join().unwrap();
        }
        meter.stop(count)
    })
}

fn yield_often(count: u64, depth: u32) {
    if depth == 0 {
        (0..count).for_each(|_| thread::yield_now());
    } else {
        (0..count).for_each(|_| deep(depth));
    }
}

/// Yields that many frames below the loop.
#[inline(never)]
fn deep(depth: u32) {
    match depth {
        1 => thread::yield_now(),
        _ => deep(depth - 1),
    }
    // Keeps the call above from being the last thing done, and the frame from being left out.
    black_box(depth);
}

pub fn spawns(arguments: &Arguments) -> Outcome {
    let batch: u64 = arguments.number("batch", 1000);
    let batches = arguments.number("count", 1_000_000_u64) / batch;
    let yielding = arguments.flag("yield");
    super::run(arguments, || {
        let mut tasks = Vec::with_capacity(batch as usize);
        let meter = Meter::start();
        for _ in 0..batches {
            if yielding {
                tasks.extend((0..batch).map(|_| thread::spawn(thread::yield_now)));
            } else {
                tasks.extend((0..batch).map(|_| thread::spawn(|| ())));
            }
            for task in tasks.drain(..) {
                task.join().unwrap();
            }
        }
        meter.stop(batches * batch)
    })
}

pub fn tree(arguments: &Arguments) -> Outcome {
    let depth: u32 = arguments.number("depth", 12);
    let steps: u64 = arguments.number("steps", 50_000);
    super::run(arguments, || {
        let meter = Meter::start();
        black_box(branch(depth, steps));
        meter.stop(1 << depth)
    })
}

fn branch(depth: u32, steps: u64) -> u64 {
    if depth == 0 {
        return random::compute(black_box(steps));
    }
    let left = thread::spawn(move || branch(depth - 1, steps));
    let right = thread::spawn(move || branch(depth - 1, steps));
    left.join().unwrap() ^ right.join().unwrap()
}

pub fn memory(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("tasks", 100_000);
    super::run(arguments, || {
        let mut tasks = Vec::with_capacity(count as usize);
        let before = Memory::now();
        let meter = Meter::start();
        tasks.extend((0..count).map(|_| thread::spawn(thread::park)));
        // One turn: each runs up to its park.
        thread::yield_now();
        let outcome = bytes_each(&before, count, &meter);
        for task in &tasks {
            task.thread().unpark();
        }
        for task in tasks {
            task.join().unwrap();
        }
        outcome
    })
}
