//! corosensei without a scheduler: a queue of coroutines, each resumed in turn.

use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::collections::VecDeque;
use std::hint::black_box;
use std::ptr;
use std::sync::Mutex;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::machine::Memory;
use sylvan_benches::outcome::{Meter, Outcome, bytes_each};

pub fn yields(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1000);
    let each = arguments.number("count", 10_000_000_u64) / tasks;
    let depth: u32 = arguments.number("depth", 0);
    let meter = Meter::start();
    let mut ring: VecDeque<_> = stacks(tasks as usize)
        .map(|stack| {
            Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
                yield_often(yielder, each, depth);
            })
        })
        .collect();
    while let Some(mut next) = ring.pop_front() {
        if let CoroutineResult::Yield(()) = next.resume(()) {
            ring.push_back(next);
        }
    }
    meter.stop(tasks * each)
}

fn yield_often(yielder: &Yielder<(), ()>, count: u64, depth: u32) {
    if depth == 0 {
        (0..count).for_each(|_| yielder.suspend(()));
    } else {
        (0..count).for_each(|_| deep(yielder, depth));
    }
}

/// Yields that many frames below the loop.
#[inline(never)]
fn deep(yielder: &Yielder<(), ()>, depth: u32) {
    match depth {
        1 => yielder.suspend(()),
        _ => deep(yielder, depth - 1),
    }
    // Keeps the call above from being the last thing done, and the frame from being left out.
    black_box(depth);
}

/// On stacks that are used again.
pub fn spawns(arguments: &Arguments) -> Outcome {
    let batch: u64 = arguments.number("batch", 1000);
    let batches = arguments.number("count", 1_000_000_u64) / batch;
    let yielding = arguments.flag("yield");
    let mut stacks: Vec<_> = stacks(batch as usize).collect();
    let mut tasks = Vec::with_capacity(batch as usize);
    let meter = Meter::start();
    for _ in 0..batches {
        tasks.extend(stacks.drain(..).map(|stack| {
            Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
                if yielding {
                    yielder.suspend(());
                }
            })
        }));
        for task in &mut tasks {
            task.resume(());
        }
        for mut task in tasks.drain(..) {
            if yielding {
                task.resume(());
            }
            stacks.push(task.into_stack());
        }
    }
    meter.stop(batches * batch)
}

/// A page touched of each stack.
pub fn memory(arguments: &Arguments) -> Outcome {
    let count: usize = arguments.number("tasks", 100_000);
    let mut tasks = Vec::with_capacity(count);
    let before = Memory::now();
    let meter = Meter::start();
    tasks.extend(stacks(count).map(|stack| {
        let mut task = Coroutine::with_stack(stack, |yielder: &Yielder<(), ()>, ()| {
            yielder.suspend(());
        });
        task.resume(());
        task
    }));
    let outcome = bytes_each(&before, count as u64, &meter);
    for mut task in tasks {
        task.resume(());
    }
    outcome
}

/// The size of a stack.
const SIZE: usize = 64 << 10;

/// One mapping, cut into stacks. Their tops are not equally far from a page's end, so that they share
/// no line of the cache.
fn stacks(count: usize) -> impl Iterator<Item = Slice> {
    let slab = map(count * SIZE);
    (0..count).map(move |index| Slice {
        top: slab + (index + 1) * SIZE - (index % 32) * 64,
        bottom: slab + index * SIZE,
    })
}

/// Address space that costs nothing until it is touched; it is never given back.
fn map(size: usize) -> usize {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping overlaps nothing; the advice is about that mapping alone.
    unsafe {
        let slab = libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0);
        assert!(slab != libc::MAP_FAILED, "no address space");
        libc::madvise(slab, size, libc::MADV_NOHUGEPAGE);
        slab as usize
    }
}

/// A piece of the mapping. Without a guard: what runs on it does nothing but suspend.
struct Slice {
    top: usize,
    bottom: usize,
}

// SAFETY: the piece is mapped and no other has it; its top is aligned to 64 bytes, its bottom to pages.
unsafe impl Stack for Slice {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.top).expect("a mapping does not begin at null")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.bottom).expect("a mapping does not begin at null")
    }
}

/// std's lock, which nobody else wants.
pub fn lock(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 10_000_000);
    let counter = Mutex::new(0_u64);
    let meter = Meter::start();
    for _ in 0..count {
        *black_box(&counter).lock().unwrap() += 1;
    }
    meter.stop(count)
}
