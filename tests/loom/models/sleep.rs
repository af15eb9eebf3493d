//! The sleep of a hub as a whole: its inbox and the set of idle hubs together, as `src/rt/hub.rs` and
//! `src/rt/runtime.rs` use them.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use super::inbox::{Hub, Mailbox};
use crate::idle::Idle;

/// A runtime with one hub. What its atomics say is ordered by the protocols alone.
struct Runtime {
    mailbox: Arc<Mailbox>,
    idle: Idle,
    queued: AtomicUsize,
    ended: AtomicBool,
}

impl Runtime {
    fn new() -> (Arc<Runtime>, Hub) {
        let (mailbox, hub) = Mailbox::new();
        let runtime = Runtime {
            mailbox,
            idle: Idle::new(),
            queued: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        };
        // loom must know of its atomics before they are shared.
        assert!(runtime.idle.wake(0));
        (Arc::new(runtime), hub)
    }

    fn queue_task(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        if self.idle.wake_for_work().is_some() {
            self.mailbox.rouse();
        }
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.mailbox.rouse();
    }

    fn search(&self) -> usize {
        let found = self.queued.swap(0, Ordering::Relaxed);
        assert_eq!(self.idle.stop_search(found > 0), None);
        found
    }

    /// What the hub's loop does until it has seen so many letters and tasks, and the end.
    fn drive(&self, hub: &mut Hub, letters: usize, tasks: usize, end: bool) {
        let (mut seen, mut ran) = (0, 0);
        loop {
            seen += hub.take().len();
            let ended = self.ended.load(Ordering::Relaxed);
            if seen == letters && ran == tasks && ended == end {
                return;
            }
            self.idle.start_search();
            let found = self.search();
            ran += found;
            if found > 0 {
                continue;
            }
            let slept = hub.sleep(|| {
                self.idle.sleep(0);
                self.queued.load(Ordering::Relaxed) > 0
                    || self.ended.load(Ordering::Relaxed) != ended
            });
            if !slept {
                continue;
            }
            seen += hub.take().len();
            if self.idle.wake(0) {
                ran += self.search();
            }
        }
    }
}

#[test]
fn a_hub_misses_neither_a_letter_nor_a_task() {
    explore(2, || {
        let (runtime, mut hub) = Runtime::new();
        let (queuers, posters) = (runtime.clone(), runtime.clone());
        let queuer = thread::spawn(move || queuers.queue_task());
        let poster = thread::spawn(move || posters.mailbox.post(1));
        runtime.drive(&mut hub, 1, 1, false);
        queuer.join().unwrap();
        poster.join().unwrap();
    });
}

#[test]
fn a_hub_misses_neither_a_task_nor_the_end() {
    explore(2, || {
        let (runtime, mut hub) = Runtime::new();
        let (queuers, enders) = (runtime.clone(), runtime.clone());
        let queuer = thread::spawn(move || queuers.queue_task());
        let ender = thread::spawn(move || enders.end());
        runtime.drive(&mut hub, 0, 1, true);
        queuer.join().unwrap();
        ender.join().unwrap();
    });
}
