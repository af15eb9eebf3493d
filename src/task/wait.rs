//! Waiting for some of many green threads, without taking their results.

use std::iter::FusedIterator;
use std::time::Duration;

use super::ends::{self, Ends};
use crate::rt::Instant;
use crate::thread::Watchable;

/// What [`wait`] waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitFor {
    /// One that has ended, in whatever way.
    FirstCompleted,
    /// One that has failed: panicked or was cancelled. If none fails, all.
    FirstFailure,
    /// All.
    All,
}

/// Suspends until as many have ended as `wait_for` says, at most for `timeout`; gives the handles back, those
/// of the ended ones first, each in the order of `handles`.
///
/// It never fails and cancels nothing: a failure is in its handle. With asyncio's
/// `wait(return_when=FIRST_EXCEPTION)` a cancelled task is no exception; here it is a failure.
///
/// A failed one whose handle is dropped, and not joined, is reported, as always. One of a nursery ends the nursery,
/// and so whoever waits in it.
///
/// ```
/// use std::time::Duration;
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let tasks = [3600, 0].map(|n| thread::spawn(move || thread::sleep(Duration::from_secs(n))));
///     let (done, pending) = task::wait(tasks, task::WaitFor::FirstCompleted, None);
///     assert_eq!((done.len(), pending.len()), (1, 1));
///
///     let (done, pending) = task::wait(pending, task::WaitFor::All, Some(Duration::from_millis(1)));
///     assert_eq!((done.len(), pending.len()), (0, 1));
/// });
/// ```
pub fn wait<H: Watchable>(
    handles: impl IntoIterator<Item = H>,
    wait_for: WaitFor,
    timeout: Option<Duration>,
) -> (Vec<H>, Vec<H>) {
    let deadline = timeout.map_or(Instant::NEVER, Instant::limit);
    let ends = Ends::new(handles);
    for _ in 0..ends.handles.len() {
        let Some(which) = ends.next(deadline) else {
            break;
        };
        let enough = match wait_for {
            WaitFor::FirstCompleted => true,
            WaitFor::FirstFailure => ends.handles[which].as_ref().is_some_and(has_failed),
            WaitFor::All => false,
        };
        if enough {
            break;
        }
    }
    let is_finished = |handle: &H| ends::plain(handle).is_finished();
    ends.into_handles().into_iter().partition(is_finished)
}

fn has_failed<H: Watchable>(handle: &H) -> bool {
    let state = ends::plain(handle).state();
    state.is_finished() && state != super::State::Returned
}

/// The handles in the order in which their threads end: an iterator that suspends until the next has ended.
///
/// A handle that it gives can be joined without waiting, and tells whose result that is. Those that it still
/// has when it is dropped are detached; those of a nursery still belong to it.
///
/// ```
/// use std::time::Duration;
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let tasks = [30, 1, 10].map(|n| {
///         thread::spawn(move || {
///             thread::sleep(Duration::from_millis(n));
///             n
///         })
///     });
///     let order: Vec<_> = task::as_completed(tasks).map(|task| task.join().unwrap()).collect();
///     assert_eq!(order, [1, 10, 30]);
/// });
/// ```
pub fn as_completed<H: Watchable>(handles: impl IntoIterator<Item = H>) -> AsCompleted<H> {
    let ends = Ends::new(handles);
    let left = ends.handles.len();
    AsCompleted { ends, left }
}

/// See [`as_completed`].
#[must_use = "it waits for nothing until it is iterated over"]
pub struct AsCompleted<H: Watchable> {
    ends: Ends<H>,
    left: usize,
}

impl<H: Watchable> Iterator for AsCompleted<H> {
    type Item = H;

    fn next(&mut self) -> Option<H> {
        if self.left == 0 {
            return None;
        }
        let next = self.ends.take_next();
        // Only now: a time-out may have thrown out of the wait, and this be asked again.
        self.left -= 1;
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<H: Watchable> ExactSizeIterator for AsCompleted<H> {}
impl<H: Watchable> FusedIterator for AsCompleted<H> {}

impl<H: Watchable> std::fmt::Debug for AsCompleted<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
