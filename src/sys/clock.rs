//! The monotonic clock in nanoseconds.

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock behind `std::time::Instant` on Linux.
#[inline]
pub(crate) fn monotonic_nanoseconds() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer, and this clock exists on every kernel we run on,
    // so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
