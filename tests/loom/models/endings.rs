//! The end of a task: each callback runs once and none at the same time as another, each watcher is told or
//! knows.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use crate::endings::{Callback, Endings, Watcher};
use crate::life::{Ending, Life};

/// A task that has a handle.
struct Task {
    life: Life,
    endings: Endings,
    /// What callbacks read, as if it were not `Sync`: loom tells of two at the same time.
    result: UnsafeCell<u32>,
}

impl Task {
    fn new() -> Arc<Task> {
        let task = Task {
            life: Life::with_handle(),
            endings: Endings::new(),
            result: UnsafeCell::new(0),
        };
        // The lock must be used before it is shared.
        assert!(task.endings.take_watchers().is_empty());
        Arc::new(task)
    }

    fn run_callbacks(&self) {
        self.endings.run(&self.life, |callback| {
            // SAFETY: if another one touches it, loom says so.
            self.result.with_mut(|result| unsafe { *result += 1 });
            callback(std::ptr::null());
        });
    }

    /// What the task itself does at its end.
    fn end(&self) {
        // SAFETY: as above.
        self.result.with_mut(|result| unsafe { *result = 10 });
        let completion = loop {
            match self.life.complete(Ending::Returned) {
                Some(completion) => break completion,
                None => self.run_callbacks(),
            }
        };
        if completion.joiners {
            for (watcher, which) in self.endings.take_watchers() {
                watcher.ended(which);
            }
        }
    }

    /// What whoever has the handle does.
    fn on_done(&self, count: &Arc<AtomicUsize>) {
        let count = count.clone();
        let callback: Callback = Box::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        if self.endings.add_callback(&self.life, callback) {
            self.run_callbacks();
        }
    }
}

#[test]
fn callbacks_run_once_and_one_at_a_time() {
    explore(2, || {
        let task = Task::new();
        let count = Arc::new(AtomicUsize::new(0));
        let its = task.clone();
        let runner = thread::spawn(move || its.end());
        let (theirs, their_count) = (task.clone(), count.clone());
        let other = thread::spawn(move || theirs.on_done(&their_count));
        task.on_done(&count);
        runner.join().unwrap();
        other.join().unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 2);
        // SAFETY: as above; nobody else is left.
        assert_eq!(task.result.with(|result| unsafe { *result }), 12);
    });
}

struct Told(AtomicUsize);

impl Watcher for Told {
    fn ended(&self, which: usize) {
        self.0.fetch_add(which, Ordering::Relaxed);
    }
}

#[test]
fn a_watcher_is_told_or_knows() {
    explore(3, || {
        let task = Task::new();
        let told = Arc::new(Told(AtomicUsize::new(0)));
        let its = task.clone();
        let runner = thread::spawn(move || its.end());
        let watcher: std::sync::Arc<dyn Watcher> = std::sync::Arc::new(ByProxy(told.clone()));
        let watches = task.endings.watch(&task.life, watcher.clone(), 1);
        runner.join().unwrap();
        assert_eq!(told.0.load(Ordering::Relaxed), usize::from(watches));
        assert!(watches || task.life.is_complete());
        task.endings.unwatch(&watcher);
    });
}

/// The kernel's files have std's `Arc`, the counts have loom's.
struct ByProxy(Arc<Told>);

impl Watcher for ByProxy {
    fn ended(&self, which: usize) {
        self.0.ended(which);
    }
}
