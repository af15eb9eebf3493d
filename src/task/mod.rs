//! What `std::thread` lacks: cancellation, a look at the green threads that are alive, and values that they
//! inherit.

mod context;

use crate::rt;
pub use crate::rt::{Cancelled, NoStack, Reason};
pub use context::ContextVar;

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
/// unwinds.
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
