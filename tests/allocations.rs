//! Waiting allocates nothing: nodes lie on the waiting stacks. Counted by the allocator, and so alone in its file.

#![allow(missing_docs)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use support::{HOUR, must_end};
use sylvan::runtime::Runtime;
use sylvan::sync::mpsc::{Receiver, SyncSender, sync_channel};
use sylvan::sync::{Arc, Barrier, Condvar, Event, Mutex, ReentrantMutex, RwLock, Semaphore};
use sylvan::thread;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    /// What the test harness does on its own OS thread meanwhile is its own affair.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: it is the system's, and counts besides.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_COUNTED.get() {
            ALLOCATIONS.fetch_add(1, SeqCst);
        }
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEMBERS: usize = 4;
const STRETCHES: usize = 10;

/// All that can be waited for.
struct Things {
    mutex: Mutex<usize>,
    shared: RwLock<usize>,
    again: ReentrantMutex<()>,
    even: Condvar,
    semaphore: Semaphore,
    events: [Event; MEMBERS],
    meeting: Barrier,
    channels: [(SyncSender<u8>, Mutex<Receiver<u8>>); 2],
}

type Use = fn(&Things, usize);

/// What each of four does, over and over. Each holds what it got while others run.
const USES: &[(&str, Use)] = &[
    ("mutex", |things, _| {
        let _held = things.mutex.lock().unwrap();
        thread::yield_now();
    }),
    ("read and write", |things, member| {
        if member.is_multiple_of(2) {
            let _held = things.shared.write().unwrap();
            thread::yield_now();
        } else {
            let _held = things.shared.read().unwrap();
            thread::yield_now();
        }
    }),
    ("reentrant mutex", |things, _| {
        let _held = (things.again.lock(), things.again.lock());
        thread::yield_now();
    }),
    ("several locks", |things, member| {
        let _one = (member > 0).then(|| things.mutex.lock().unwrap());
        thread::yield_now();
        let _other = things.again.lock();
        thread::yield_now();
    }),
    ("condvar", |things, member| {
        let mut turn = things.mutex.lock().unwrap();
        while *turn % MEMBERS != member {
            turn = things.even.wait_timeout(turn, HOUR).unwrap().0;
        }
        *turn += 1;
        things.even.notify_all();
    }),
    ("semaphore", |things, member| {
        let _permits = things.semaphore.acquire_many(1 + member % 2);
        thread::yield_now();
    }),
    ("semaphore with a time-out", |things, member| {
        let permits = things
            .semaphore
            .acquire_many_timeout(1 + member % 2, Duration::from_micros(1));
        thread::yield_now();
        drop(permits);
    }),
    ("event", |things, member| {
        things.events[member].wait();
        things.events[member].clear();
        things.events[(member + 1) % MEMBERS].set();
    }),
    ("barrier", |things, _| {
        things.meeting.wait();
    }),
    ("bounded channel", |things, member| {
        send_or_receive(things, member, 0);
    }),
    ("rendezvous", |things, member| {
        send_or_receive(things, member, 1);
    }),
];

fn send_or_receive(things: &Things, member: usize, channel: usize) {
    let (sender, receiver) = &things.channels[channel];
    if member.is_multiple_of(2) {
        sender.send(1).unwrap();
    } else {
        receiver.lock().unwrap().recv().unwrap();
    }
}

/// How often they allocate in each of several stretches of waiting.
fn allocations_of(f: Use, hubs: usize) -> Vec<usize> {
    let runtime = Runtime::builder().workers(hubs).build().unwrap();
    runtime.run(|| {
        let channel = |places| {
            let (sender, receiver) = sync_channel(places);
            (sender, Mutex::new(receiver))
        };
        let things = Arc::new(Things {
            mutex: Mutex::new(0),
            shared: RwLock::new(0),
            again: ReentrantMutex::new(()),
            even: Condvar::new(),
            semaphore: Semaphore::bounded(2),
            events: [const { Event::new() }; MEMBERS],
            meeting: Barrier::new(MEMBERS),
            channels: [channel(1), channel(0)],
        });
        things.events[0].set();
        let stage = Arc::new(Barrier::new(MEMBERS + 1));
        for member in 0..MEMBERS {
            let (things, stage) = (things.clone(), stage.clone());
            thread::spawn(move || {
                // The hub's.
                IS_COUNTED.set(true);
                for _ in 0..STRETCHES {
                    stage.wait();
                    stage.wait();
                    (0..100).for_each(|_| f(&things, member));
                    stage.wait();
                }
            });
        }
        let counts = (0..STRETCHES).map(|_| {
            stage.wait();
            let before = ALLOCATIONS.load(SeqCst);
            stage.wait();
            stage.wait();
            ALLOCATIONS.load(SeqCst) - before
        });
        counts.collect()
    })
}

#[test]
fn who_waits_allocates_nothing() {
    must_end(|| {
        for hubs in [1, 2] {
            for &(name, f) in USES {
                // Rings of the hubs grow to their size in some of them. What waits allocate shows in all.
                let counts = allocations_of(f, hubs);
                assert!(counts.contains(&0), "{name} on {hubs} hubs: {counts:?}");
            }
        }
    });
}
