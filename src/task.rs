//! What `std::thread` lacks: cancellation, and a look at the green threads that are alive.

use crate::rt;
pub use crate::rt::{Cancelled, NoStack, Reason};

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
