//! The monotonic clock in nanoseconds.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock behind `std::time::Instant` on Linux.
#[inline]
pub(crate) fn monotonic_nanoseconds() -> i64 {
    ask(libc::clock_gettime, libc::CLOCK_MONOTONIC)
}

/// What the same clock said when the kernel last ticked: it costs a fifth, for the processor's counter is not read.
#[inline]
pub(crate) fn nanoseconds_at_last_tick() -> i64 {
    ask(libc::clock_gettime, libc::CLOCK_MONOTONIC_COARSE)
}

/// The time between two ticks, in nanoseconds.
#[inline]
pub(crate) fn tick() -> i64 {
    static TICK: AtomicI64 = AtomicI64::new(0);
    let tick = TICK.load(Relaxed);
    if tick > 0 {
        return tick;
    }
    let tick = ask(libc::clock_getres, libc::CLOCK_MONOTONIC_COARSE);
    TICK.store(tick, Relaxed);
    tick
}

#[inline(always)]
fn ask(
    what: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int,
    clock: libc::clockid_t,
) -> i64 {
    let mut answer = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `answer` is a valid place for the answer, and these clocks exist on every kernel we run on,
    // so the call cannot fail.
    unsafe { what(clock, &raw mut answer) };
    answer.tv_sec * 1_000_000_000 + answer.tv_nsec
}
