//! What `std::thread` lacks: many green threads at once, cancellation, a look at those that are alive.
//!
//! * Results of many: [`gather`], [`gather_all`], [`race`], [`as_completed`], [`wait`](wait()).
//! * Many that end together: [`nursery`](nursery()). Many that are kept together: [`Group`], and [`Pool`] with room for
//!   so many at once. With names, from a [`Builder`](crate::thread::Builder::spawn_in_nursery).
//! * One: [`spawn_later`]. States, callbacks, joins that do not wait are its [`JoinHandle`]'s, which can also be
//!   [awaited](crate::thread::JoinFuture).
//! * Cancellation: [`mask`], [`checkpoint`], [`cancel_requested`]; to cancel is [`JoinHandle::cancel`], and what runs
//!   out of time is unwound by [`timeout`](crate::time::timeout).
//! * A look: [`all`], [`current`], [`State`], [`Reason`].
//! * Values that are inherited: [`ContextVar`].
//!
//! To *fail* is to panic or to be cancelled, and in a nursery also to return an `Err`. What a failure was,
//! [`describe`] tells; who failed, of many, [`Failures`].

mod context;
mod ends;
mod failure;
mod gather;
mod group;
mod members;
mod nursery;
mod pool;
mod spawn;
mod view;
mod wait;

use std::time::Duration;

use crate::rt;
pub use crate::rt::{Cancelled, NoStack, Reason, State};
use crate::thread::{self, JoinHandle};

pub use context::ContextVar;
pub use failure::{Cause, Failure, Failures, Payload, describe};
pub use gather::{gather, gather_all, race};
pub use group::Group;
pub use members::{Imap, ImapUnordered};
pub use nursery::{Nursery, NurseryHandle, Outcome, nursery};
pub use pool::Pool;
pub use view::{Task, all, current};
pub use wait::{AsCompleted, WaitFor, as_completed, wait};

/// Spawns a green thread that sleeps for `delay` before it calls `f`.
///
/// If it is cancelled before, `f` is never called.
///
/// # Panics
///
/// As [`thread::spawn`].
///
/// ```
/// use std::time::{Duration, Instant};
///
/// sylvan::run(|| {
///     let start = Instant::now();
///     let later = sylvan::task::spawn_later(Duration::from_millis(5), move || start.elapsed());
///     assert!(later.join().unwrap() >= Duration::from_millis(5));
/// });
/// ```
#[track_caller]
pub fn spawn_later<F, T>(delay: Duration, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    thread::spawn(move || {
        thread::sleep(delay);
        f()
    })
}

/// Runs `f` with all cancellation and time-outs from outside held back until it returns.
///
/// A time-out or scope that `f` enters itself works as usual.
///
/// ```
/// use std::time::Duration;
/// use sylvan::{task, thread, time};
///
/// sylvan::run(|| {
///     let result = time::timeout(Duration::from_millis(1), || {
///         task::mask(|| thread::sleep(Duration::from_millis(3)));
///         "slept to the end"
///     });
///     assert_eq!(result, Ok("slept to the end"));
/// });
/// ```
pub fn mask<T>(f: impl FnOnce() -> T) -> T {
    rt::mask(f)
}

/// Would the next suspension unwind, because a scope around was cancelled or has run out of time?
///
/// For loops that compute for long and want to end early, and for `panic = "abort"`, where nothing
/// unwinds: see [`Cancelled`].
#[must_use]
pub fn cancel_requested() -> bool {
    rt::is_requested()
}

/// Unwinds if a scope around was cancelled or has run out of time. It never suspends a thread that is not
/// to end.
///
/// For loops that compute for long: a cancellation or [`timeout`](crate::time::timeout) takes effect where a
/// thread would suspend, and so not in them. This is such a place. It does not let other green threads run;
/// [`yield_now`](crate::thread::yield_now) does both in a green thread.
///
/// ```
/// use std::time::Duration;
/// use sylvan::{task, time};
///
/// let endless = time::timeout(Duration::from_millis(2), || {
///     let mut sum = 0_u64;
///     loop {
///         sum = sum.wrapping_mul(3).wrapping_add(1);
///         task::checkpoint();
///     }
/// });
/// assert!(endless.is_err());
/// ```
pub fn checkpoint() {
    rt::checkpoint();
}
