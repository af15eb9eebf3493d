//! A meeting point for a fixed number of threads.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::line::Line;
use crate::rt::{self, Instant, Reason};

/// A barrier: nobody passes before so many have come.
///
/// # Differences from std
///
/// It suspends the green thread. One that is cancelled while it waits has not come.
///
/// ```
/// use sylvan::sync::{Arc, Barrier};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let barrier = Arc::new(Barrier::new(3));
///     let tasks: Vec<_> = (0..3)
///         .map(|_| {
///             let barrier = barrier.clone();
///             thread::spawn(move || barrier.wait().is_leader())
///         })
///         .collect();
///     let leaders = tasks.into_iter().filter_map(|task| task.join().ok());
///     assert_eq!(leaders.filter(|leader| *leader).count(), 1);
/// });
/// ```
pub struct Barrier {
    needed: usize,
    line: Line<State>,
}

struct State {
    arrived: usize,
    /// How often it has opened.
    round: u64,
}

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

/// Whether a thread was the one that the others waited for.
pub struct BarrierWaitResult(bool);

impl Barrier {
    /// A barrier for `count` threads. 0 is taken as 1: nobody waits.
    ///
    /// ```
    /// let barrier = sylvan::sync::Barrier::new(1);
    /// assert!(barrier.wait().is_leader());
    /// ```
    #[must_use]
    #[inline]
    pub const fn new(count: usize) -> Barrier {
        Barrier {
            needed: count,
            line: Line::new(State {
                arrived: 0,
                round: 0,
            }),
        }
    }

    /// Waits until all have come. The barrier can be used again then.
    ///
    /// ```
    /// let barrier = sylvan::sync::Barrier::new(1);
    /// barrier.wait();
    /// barrier.wait();
    /// ```
    pub fn wait(&self) -> BarrierWaitResult {
        rt::spend();
        let mut state = self.line.lock();
        state.arrived += 1;
        let round = state.round;
        if state.arrived >= self.needed {
            state.arrived = 0;
            state.round += 1;
            drop(state);
            self.line.wake_all();
            return BarrierWaitResult(true);
        }
        drop(state);
        let arrival = Arrival {
            barrier: self,
            round,
        };
        while arrival.is_waiting() {
            // Who is woken by mistake, instead of one that was cancelled, looks and waits on.
            self.line.wait(
                Reason::Barrier,
                Instant::NEVER,
                |state| state.round != round,
                |_| {},
            );
        }
        mem::forget(arrival);
        BarrierWaitResult(false)
    }
}

/// One that has come and waits. Dropping it takes that back.
struct Arrival<'barrier> {
    barrier: &'barrier Barrier,
    round: u64,
}

impl Arrival<'_> {
    fn is_waiting(&self) -> bool {
        self.barrier.line.lock().round == self.round
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let mut state = self.barrier.line.lock();
        if state.round == self.round {
            state.arrived -= 1;
        }
    }
}

impl BarrierWaitResult {
    /// `true` for exactly one thread of each round: the last to come.
    ///
    /// ```
    /// assert!(sylvan::sync::Barrier::new(1).wait().is_leader());
    /// ```
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult")
            .field("is_leader", &self.is_leader())
            .finish()
    }
}
