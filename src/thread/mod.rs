//! `std::thread` with green threads.
//!
//! Everything here works from a green thread, where it suspends only that, and from a plain OS thread,
//! which it blocks as std would.
//!
//! Beyond std: [`spawn_local`], for what is not `Send`; [`JoinHandle`] can [`cancel`](JoinHandle::cancel) and tell its
//! [`state`](JoinHandle::state), calls back [when it is done](JoinHandle::on_done), can be joined for a
//! [time](JoinHandle::join_timeout), and awaited. What there is for many of them is in [`task`](crate::task).

mod builder;
mod handle;
mod join;
mod join_future;
mod local;
mod scoped;

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

pub use builder::{Builder, spawn, spawn_local};
pub use handle::{Thread, ThreadId, current};
pub(crate) use join::sealed;
pub use join::{JoinHandle, Joinable, LocalJoinHandle, ScopedJoinHandle, Watchable};
pub use join_future::JoinFuture;
pub use local::{AccessError, LocalKey};
pub use scoped::{Scope, scope};
pub use std::thread::Result;

use crate::rt::{self, Instant, Reason};

/// Lets all others that can run on this hub go first.
pub fn yield_now() {
    rt::yield_now();
}

/// Suspends for at least `duration`.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// sylvan::run(|| {
///     let start = Instant::now();
///     sylvan::thread::sleep(Duration::from_millis(2));
///     assert!(start.elapsed() >= Duration::from_millis(2));
/// });
/// ```
pub fn sleep(duration: Duration) {
    rt::sleep_until(Instant::after(duration));
}

/// As [`sleep`], in milliseconds.
#[deprecated(note = "replaced by `sylvan::thread::sleep`, as in std")]
pub fn sleep_ms(ms: u32) {
    sleep(Duration::from_millis(u64::from(ms)));
}

/// Suspends until [`Thread::unpark`] was called on the current thread's handle, now or before.
///
/// # Differences from std
///
/// It never returns for no reason, which std's is allowed to.
pub fn park() {
    park_until(Instant::NEVER);
}

/// As [`park`], for at most `duration`.
pub fn park_timeout(duration: Duration) {
    park_until(Instant::after(duration));
}

/// As [`park_timeout`], in milliseconds.
#[deprecated(note = "replaced by `sylvan::thread::park_timeout`, as in std")]
pub fn park_timeout_ms(ms: u32) {
    park_timeout(Duration::from_millis(u64::from(ms)));
}

fn park_until(deadline: Instant) {
    rt::spend();
    let taken = || rt::with_current(handle::take_permit);
    while !taken() && (deadline == Instant::NEVER || Instant::now() < deadline) {
        rt::park(Reason::Park, deadline);
    }
}

/// Is the current thread unwinding because of a panic?
///
/// # Differences from std
///
/// It is asked for the green thread, whatever its neighbours do. Unwinding by cancellation is no panic, and a panic
/// in a destructor that runs because of it is taken for a part of it. In a panic hook a green thread does not
/// unwind yet. While a neighbour on the same OS thread unwinds, `true` may also mean a function with the ABI of
/// C that has called back.
pub fn panicking() -> bool {
    rt::is_panicking()
}

/// The number of OS threads that can usefully run at once, as std says.
///
/// # Errors
///
/// As [`std::thread::available_parallelism`].
pub fn available_parallelism() -> io::Result<NonZeroUsize> {
    std::thread::available_parallelism()
}
