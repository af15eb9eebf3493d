//! Idle hubs: a task queued at any moment is found by a hub, or a sleeping hub was woken for it.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, mpsc};
use loom::thread;

use super::explore;
use crate::idle::Idle;

/// A runtime: its unstarted tasks are only counted, by an atomic that orders nothing else.
struct Runtime {
    idle: Idle,
    queued: AtomicUsize,
    bells: Vec<mpsc::Sender<()>>,
    rings: AtomicUsize,
}

// SAFETY: loom runs one thread at a time.
unsafe impl Sync for Runtime {}

impl Runtime {
    fn new<const HUBS: usize>() -> (Arc<Runtime>, [Hub; HUBS]) {
        let mut bells = Vec::new();
        let ears = [(); HUBS].map(|()| {
            let (bell, ear) = mpsc::channel();
            bells.push(bell);
            ear
        });
        let runtime = Arc::new(Runtime {
            idle: Idle::new(),
            queued: AtomicUsize::new(0),
            bells,
            rings: AtomicUsize::new(0),
        });
        // loom must know of its atomics before they are shared.
        runtime.idle.start_search();
        assert_eq!(runtime.idle.stop_search(false), None);
        let mut index = 0;
        let hubs = ears.map(|ear| {
            let runtime = runtime.clone();
            index += 1;
            Hub {
                runtime,
                index: index - 1,
                ear,
            }
        });
        (runtime, hubs)
    }

    fn queue_task(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        if let Some(hub) = self.idle.wake_for_work() {
            self.ring(hub);
        }
    }

    fn take_task(&self) -> bool {
        let one_less = |queued: usize| queued.checked_sub(1);
        self.queued
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    fn ring(&self, hub: usize) {
        self.rings.fetch_add(1, Ordering::Relaxed);
        self.bells[hub].send(()).unwrap();
    }
}

struct Hub {
    runtime: Arc<Runtime>,
    index: usize,
    ear: mpsc::Receiver<()>,
}

impl Hub {
    /// Blocks until it has a task, as the hub's loop does.
    fn next_task(&self) {
        loop {
            self.runtime.idle.start_search();
            if self.search() || self.sleep() {
                return;
            }
        }
    }

    /// It counts as searching; afterwards it does not.
    fn search(&self) -> bool {
        let found = self.runtime.take_task();
        if let Some(next) = self.runtime.idle.stop_search(found) {
            self.runtime.ring(next);
        }
        found
    }

    /// Returns whether it was woken to search, and found a task.
    fn sleep(&self) -> bool {
        let idle = &self.runtime.idle;
        idle.sleep(self.index);
        let slept = self.runtime.queued.load(Ordering::Relaxed) == 0;
        if slept {
            self.ear.recv().unwrap();
        }
        let chosen = idle.wake(self.index);
        assert!(chosen || !slept, "the bell rang, but for nobody");
        if chosen && !slept {
            // The ring is on its way, as a byte in the eventfd of a hub that did not sleep.
            self.ear.recv().unwrap();
        }
        chosen && self.search()
    }
}

#[test]
fn a_task_queued_while_the_hub_goes_to_sleep_is_run() {
    explore(3, || {
        let (runtime, [hub]) = Runtime::new::<1>();
        let queuer = thread::spawn(move || {
            runtime.queue_task();
            runtime.queue_task();
        });
        hub.next_task();
        hub.next_task();
        queuer.join().unwrap();
    });
}

#[test]
fn two_who_queue_at_once_are_both_served() {
    explore(2, || {
        let (runtime, [hub]) = Runtime::new::<1>();
        let queuers: Vec<_> = (0..2)
            .map(|_| {
                let runtime = runtime.clone();
                thread::spawn(move || runtime.queue_task())
            })
            .collect();
        hub.next_task();
        hub.next_task();
        for queuer in queuers {
            queuer.join().unwrap();
        }
        assert!(runtime.rings.load(Ordering::Relaxed) <= 2);
    });
}

/// Each hub runs one task, and is then busy for ever: the other task is the other hub's, which must
/// be woken for it by the queuer or by the first hub.
#[test]
fn a_searcher_that_finds_work_hands_the_search_on() {
    explore(2, || {
        let (runtime, hubs) = Runtime::new::<2>();
        let hubs = hubs.map(|hub| thread::spawn(move || hub.next_task()));
        runtime.queue_task();
        runtime.queue_task();
        for hub in hubs {
            hub.join().unwrap();
        }
        assert!(runtime.rings.load(Ordering::Relaxed) <= 2, "woken twice");
    });
}

/// Two hubs sleep for certain; two tasks are queued at once. No hub is woken twice.
#[test]
fn a_sleeper_is_woken_once() {
    explore(3, || {
        let (runtime, _hubs) = Runtime::new::<2>();
        runtime.idle.sleep(0);
        runtime.idle.sleep(1);
        let theirs = runtime.clone();
        let queuer = thread::spawn(move || theirs.idle.wake_for_work());
        let ours = runtime.idle.wake_for_work();
        let theirs = queuer.join().unwrap();
        assert!(ours.is_some() != theirs.is_some(), "one search is enough");
        let chosen = ours.or(theirs).unwrap();
        assert!(runtime.idle.wake(chosen), "it counts as searching");
        assert_eq!(runtime.idle.stop_search(true), Some(1 - chosen));
        assert!(runtime.idle.wake(1 - chosen));
        assert_eq!(runtime.idle.stop_search(true), None);
    });
}
