//! `std::time`, and what green threads add to it: [`timeout`], [`timeout_at`] and [`deadline`].
//!
//! # How exact waits are
//!
//! A sleep, and whatever waits until a given moment, never ends too soon; how late it ends is a matter of the kernel's
//! timers, some 50 µs, and of what else its hub has to do. So it is with the limits of waits ([`timeout`], a socket's
//! read time-out, a channel's `recv_timeout`) if they are short. Those of about two seconds or more may be late by 1/256 of
//! their length: they are counted from the kernel's last tick and are two ticks longer. There are very many of them, nearly
//! all are taken back, and to ask for the last tick costs a fifth of what it costs to ask for the time.

use std::fmt;

use crate::rt;

pub use crate::rt::Instant;
pub use std::time::{Duration, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH};

/// The failure of [`timeout`]: the time was over first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Debug for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elapsed")
    }
}

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
/// returned. What `f` had changed half-way of what it borrowed stays so. If `f` swallows the unwinding by
/// `catch_unwind` and returns, its value wins; so it does with `panic = "abort"`, see
/// [`Cancelled`](crate::task::Cancelled).
///
/// * Work that never suspends is not interrupted: the time-out comes at its next suspension, or its next
///   [`task::checkpoint`](crate::task::checkpoint). If none comes, and `f` returns, its value counts,
///   however late.
/// * Time-outs nest, and each ends its own `f` only. A longer one inside of a shorter one does not outlive
///   it: if the outer one is over, the inner one's `f` is unwound together with all that is around it.
/// * What `f` calls is bounded, and so are the threads of a [`scope`](crate::thread::scope) in it, which
///   inherit the deadline. What it [`spawn`](crate::thread::spawn)s is not: that may outlive it.
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
    timeout_at(Instant::limit(duration), f)
}

/// As [`timeout`], with the moment at which the time is over: for several steps that share it.
///
/// A moment that has passed ends `f` at its first suspension.
///
/// # Errors
///
/// [`Elapsed`] if the time was over first.
///
/// ```
/// use sylvan::thread;
/// use sylvan::time::{self, Duration, Instant};
///
/// sylvan::run(|| {
///     let deadline = Instant::now() + Duration::from_millis(5);
///     let quick = time::timeout_at(deadline, || "in time");
///     let slow = time::timeout_at(deadline, || thread::sleep(Duration::from_secs(3600)));
///     assert_eq!(quick, Ok("in time"));
///     assert!(slow.is_err());
/// });
/// ```
pub fn timeout_at<T>(deadline: Instant, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    rt::with_deadline(deadline, f).ok_or(Elapsed(()))
}

/// The moment at which the calling code is to be done: the soonest of the time-outs around it. `None` if
/// there is no such moment.
///
/// Those count that the thread has inherited from the one in whose [`scope`](crate::thread::scope) it runs.
/// Not those outside of a [`mask`](crate::task::mask), and not, in a destructor that runs because of an
/// unwinding, those outside of that: they do not bound what is done there.
///
/// For passing on what time is left, as to a server.
///
/// ```
/// use sylvan::time::{self, Duration, Instant};
///
/// sylvan::run(|| {
///     assert_eq!(time::deadline(), None);
///     let soon = Instant::now() + Duration::from_secs(5);
///     let seen = time::timeout_at(soon, || {
///         // The longer one inside changes nothing.
///         time::timeout(Duration::from_secs(3600), time::deadline)
///     });
///     assert_eq!(seen, Ok(Ok(Some(soon))));
/// });
/// ```
#[must_use]
pub fn deadline() -> Option<Instant> {
    let deadline = rt::deadline();
    (deadline != Instant::NEVER).then_some(deadline)
}
