//! The ends of many green threads, in the order in which they come: what everything here waits on that
//! waits for more than one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::rt::{self, Instant, Reason, WaitQueue, Watcher};
use crate::thread::{JoinHandle, Joinable, Watchable, sealed::Token};

/// Handles whose threads tell of their ends.
pub(super) struct Ends<H: Watchable> {
    /// A handle is taken out when its thread has ended and it was asked for.
    pub(super) handles: Vec<Option<H>>,
    /// The places of those that were taken out.
    free: Vec<usize>,
    queue: Arc<Queue>,
}

struct Queue {
    /// The places of the handles whose threads have ended and were not asked for yet.
    ended: rt::Mutex<VecDeque<usize>>,
    line: WaitQueue,
}

impl Watcher for Queue {
    fn ended(&self, which: usize) {
        self.ended.lock().push_back(which);
        self.line.wake_one();
    }
}

impl<H: Watchable> Ends<H> {
    /// Watches these; those that have ended already come first, in the order given.
    pub(super) fn new(handles: impl IntoIterator<Item = H>) -> Ends<H> {
        let mut ends = Ends {
            handles: Vec::new(),
            free: Vec::new(),
            queue: Arc::new(Queue {
                ended: rt::Mutex::default(),
                line: WaitQueue::new(),
            }),
        };
        for handle in handles {
            ends.add(handle);
        }
        ends
    }

    /// Watches one more, at a place that is free, or else after all others.
    pub(super) fn add(&mut self, handle: H) {
        let which = self.free.pop().unwrap_or(self.handles.len());
        if which == self.handles.len() {
            self.handles.push(None);
        }
        let watches = inner(&handle).watch(self.queue.clone(), which);
        self.handles[which] = Some(handle);
        if !watches {
            self.queue.ended(which);
        }
    }

    /// Suspends until a thread has ended that was not told of before, and returns its place; `None`:
    /// `deadline` came first. The caller knows that there is such a thread.
    pub(super) fn next(&self, deadline: Instant) -> Option<usize> {
        rt::spend();
        loop {
            if let Some(which) = self.queue.ended.lock().pop_front() {
                return Some(which);
            }
            if deadline != Instant::NEVER && Instant::now() >= deadline {
                return None;
            }
            let ready = || !self.queue.ended.lock().is_empty();
            self.queue.line.wait(Reason::Join, deadline, ready);
        }
    }

    /// As [`next`](Self::next), without a deadline: the thread's place, and its handle, which is taken out.
    pub(super) fn take_next_with_place(&mut self) -> (usize, H) {
        loop {
            if let Some(which) = self.next(Instant::NEVER)
                && let Some(handle) = self.handles[which].take()
            {
                self.free.push(which);
                return (which, handle);
            }
        }
    }

    /// Suspends until a thread has ended, and takes its handle out. The caller knows that there is one.
    pub(super) fn take_next(&mut self) -> H {
        self.take_next_with_place().1
    }

    /// How many handles are here.
    pub(super) fn len(&self) -> usize {
        self.handles.len() - self.free.len()
    }

    /// Cancels all whose handles are still here.
    pub(super) fn cancel(&self) {
        self.handles.iter().flatten().for_each(cancel);
    }

    /// Ends the watch, and gives the handles back that are still here, in the order given.
    pub(super) fn into_handles(mut self) -> Vec<H> {
        self.unwatch();
        std::mem::take(&mut self.handles)
            .into_iter()
            .flatten()
            .collect()
    }

    fn unwatch(&self) {
        let watcher: Arc<dyn Watcher> = self.queue.clone();
        for handle in self.handles.iter().flatten() {
            inner(handle).unwatch(&watcher);
        }
    }
}

impl<H: Watchable> Drop for Ends<H> {
    fn drop(&mut self) {
        self.unwatch();
    }
}

pub(super) fn cancel<H: Watchable>(handle: &H) {
    handle.handle(Token::NEW).cancel();
}

/// The result of a thread that has ended.
pub(super) fn result<H: Joinable>(handle: H) -> std::thread::Result<H::Output> {
    handle.into_handle(Token::NEW).into_result()
}

/// The handle, whichever kind it is.
pub(super) fn plain<H: Watchable>(handle: &H) -> &JoinHandle<H::Value> {
    handle.handle(Token::NEW)
}

fn inner<H: Watchable>(handle: &H) -> &rt::Join<H::Value> {
    plain(handle).inner()
}
