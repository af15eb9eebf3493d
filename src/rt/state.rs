//! What a task does, as its handle and the dumps tell it.

use std::fmt;

use super::reason::Reason;

/// What a green thread does at the moment; see [`JoinHandle::state`](crate::thread::JoinHandle::state).
///
/// ```
/// use sylvan::task::{Reason, State};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let task = thread::spawn(|| thread::park());
///     assert_eq!(task.state(), State::Pending);
///     thread::yield_now();
///     assert_eq!(task.state(), State::Waiting(Reason::Park));
///     task.cancel();
///     assert_eq!(task.state().to_string(), "waiting: park"); // it unwinds when it runs
///     thread::yield_now();
///     assert_eq!(task.state(), State::Cancelled);
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// It has not started.
    Pending,
    /// It runs, or is about to for the first time.
    Running,
    /// It waits, or it does not any more and will run in its turn.
    Waiting(Reason),
    /// Its function has returned.
    Returned,
    /// Its function has panicked, or it could get no stack to run on
    /// ([`NoStack`](crate::task::NoStack)).
    Panicked,
    /// It was cancelled, and has unwound.
    Cancelled,
}

impl State {
    /// Has the green thread ended, in whatever way?
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, State::Returned | State::Panicked | State::Cancelled)
    }

    /// The words for it in reports that ask who keeps something from ending.
    pub(super) fn doing(self) -> &'static str {
        match self {
            State::Pending => "has not started",
            State::Running => "runs, or blocks its OS thread",
            State::Waiting(Reason::Yield) => "runs, or could",
            State::Waiting(reason) => reason.name(),
            State::Returned | State::Panicked | State::Cancelled => "has ended",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Pending => f.write_str("pending"),
            State::Running => f.write_str("running"),
            State::Waiting(reason) => write!(f, "waiting: {reason}"),
            State::Returned => f.write_str("returned"),
            State::Panicked => f.write_str("panicked"),
            State::Cancelled => f.write_str("cancelled"),
        }
    }
}
