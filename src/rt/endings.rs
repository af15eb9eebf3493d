//! What is to be done at the end of a task, apart from waking joiners: callbacks before it, which read
//! the result, and watchers after it, which are told that it has come.
//!
//! Callbacks are run in the order they came, one at a time: by the task itself as long as it is not
//! complete, afterwards by who brings one. Who watches many tasks waits in one line of its own instead of
//! theirs. `README.md`, section "The life word", has the races.

use std::collections::VecDeque;
use std::sync::Arc;

use super::life::Life;
use crate::sys::sync::Mutex;

/// Is given the address of the stored result.
pub(crate) type Callback = Box<dyn FnOnce(*const ()) + Send>;

/// Whoever wants to know that a task has ended.
pub(crate) trait Watcher: Send + Sync {
    /// The task that was entered under this number has ended. Called where user code may run.
    fn ended(&self, which: usize);
}

/// The callbacks and watchers of one task.
pub(crate) struct Endings(Mutex<Option<Box<Lists>>>);

#[derive(Default)]
struct Lists {
    callbacks: VecDeque<Callback>,
    /// The task is complete, and somebody runs callbacks now.
    running: bool,
    watchers: Vec<(Arc<dyn Watcher>, usize)>,
}

impl Endings {
    pub(crate) const fn new() -> Endings {
        Endings(Mutex::new(None))
    }

    /// Adds a callback. Returns whether the caller is to [`run`](Self::run) it: the task is complete.
    #[must_use]
    pub(crate) fn add_callback(&self, life: &Life, callback: Callback) -> bool {
        let mut lists = self.0.lock();
        let lists = lists.get_or_insert_default();
        let is_complete = !life.add_callback();
        lists.callbacks.push_back(callback);
        is_complete && !std::mem::replace(&mut lists.running, true)
    }

    /// Runs all callbacks, each by `run`, until there is none left.
    pub(crate) fn run(&self, life: &Life, run: impl Fn(Callback)) {
        while let Some(callback) = self.next_callback(life) {
            run(callback);
        }
    }

    fn next_callback(&self, life: &Life) -> Option<Callback> {
        let mut lists = self.0.lock();
        let lists = lists.as_mut()?;
        let next = lists.callbacks.pop_front();
        if next.is_none() {
            lists.running = false;
            life.clear_callbacks();
        }
        next
    }

    /// No callback will be run any more.
    pub(crate) fn leak_callbacks(&self, life: &Life) {
        let mut lists = self.0.lock();
        if let Some(lists) = lists.as_mut() {
            lists.callbacks.drain(..).for_each(std::mem::forget);
            life.clear_callbacks();
        }
    }

    /// Adds a watcher. `false`: the task is complete, and will tell nobody.
    #[must_use]
    pub(crate) fn watch(&self, life: &Life, watcher: Arc<dyn Watcher>, which: usize) -> bool {
        let mut lists = self.0.lock();
        if life.add_joiner() {
            return false;
        }
        let lists = lists.get_or_insert_default();
        lists.watchers.push((watcher, which));
        true
    }

    /// Takes a watcher back. It may be told at this moment all the same.
    pub(crate) fn unwatch(&self, watcher: &Arc<dyn Watcher>) {
        let mut lists = self.0.lock();
        let Some(lists) = lists.as_mut() else {
            return;
        };
        // It is the caller's as well, so no user code runs under the lock.
        lists
            .watchers
            .retain(|(other, _)| !Arc::ptr_eq(other, watcher));
    }

    /// The task is complete: the watchers, to be told.
    pub(crate) fn take_watchers(&self) -> Vec<(Arc<dyn Watcher>, usize)> {
        let mut lists = self.0.lock();
        let watchers = lists.as_mut().map(|lists| &mut lists.watchers);
        watchers.map(std::mem::take).unwrap_or_default()
    }
}
