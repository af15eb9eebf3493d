//! `std::time`, and what green threads add to it: [`timeout`].

use std::fmt;

use crate::rt;

pub use crate::rt::Instant;
pub use std::time::{Duration, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH};

/// The failure of [`timeout`]: the time was over first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// Runs `f`, but not longer than `duration`.
///
/// When the time is over while `f` waits, `f` is unwound: its destructors run, and `Err(Elapsed)` is
/// returned. Work that never suspends is not interrupted: the time-out comes at its next suspension.
/// Time-outs nest, and each ends its own `f` only. What `f` had changed half-way of what it borrowed
/// stays so. If `f` swallows the unwinding by `catch_unwind` and returns, its value wins; so it does with
/// `panic = "abort"`, see [`Cancelled`](crate::task::Cancelled).
///
/// # Errors
///
/// [`Elapsed`] if the time was over first.
///
/// ```
/// use std::time::Duration;
/// use sylvan::{thread, time};
///
/// sylvan::run(|| {
///     let slow = time::timeout(Duration::from_millis(5), || {
///         thread::sleep(Duration::from_secs(3600));
///     });
///     assert!(slow.is_err());
///     assert_eq!(time::timeout(Duration::from_secs(60), || 42), Ok(42));
/// });
/// ```
pub fn timeout<T>(duration: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    rt::with_deadline(Instant::after(duration), f).ok_or(Elapsed(()))
}
