//! The only source of time: everything that waits, measures or expires reads it here.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::OnceLock;
use std::time::Duration;

use super::park;
use crate::sys::clock::{monotonic_nanoseconds, nanoseconds_at_last_tick, tick};

/// A measurement of a monotonically nondecreasing clock.
///
/// # Differences from std
///
/// It is a type of its own, so that a test can later put a clock of its own behind it; it converts
/// to and from [`std::time::Instant`]. It spans 292 years either way of the machine's start.
///
/// ```
/// use sylvan::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let later = start + Duration::from_millis(5);
/// assert_eq!(later - start, Duration::from_millis(5));
/// assert!(start.elapsed() < Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// A moment that no clock reaches: "no deadline".
    pub(crate) const NEVER: Instant = Instant(i64::MAX);

    /// A moment before every other: "already expired".
    pub(crate) const PAST: Instant = Instant(i64::MIN);

    /// Now.
    #[must_use]
    #[inline]
    pub fn now() -> Instant {
        Instant(monotonic_nanoseconds())
    }

    /// The time from `earlier` until this moment, or zero if `earlier` is later.
    #[must_use]
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// The time from `earlier` until this moment, or `None` if `earlier` is later.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        let nanoseconds = i128::from(self.0) - i128::from(earlier.0);
        u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
    }

    /// The time from `earlier` until this moment, or zero if `earlier` is later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.checked_duration_since(earlier).unwrap_or_default()
    }

    /// The time that has passed since this moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// This moment plus `duration`, or `None` if that cannot be represented.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        let nanoseconds = i64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanoseconds).map(Instant)
    }

    /// This moment minus `duration`, or `None` if that cannot be represented.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        let nanoseconds = i64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_sub(nanoseconds).map(Instant)
    }

    /// The moment `duration` from now; [`NEVER`](Self::NEVER) if that cannot be represented. If that is no time at
    /// all it has passed for whoever asks here, and is not waited for.
    #[inline]
    pub(crate) fn after(duration: Duration) -> Instant {
        if duration.is_zero() {
            return park::now_of_turn();
        }
        Instant::now()
            .checked_add(duration)
            .unwrap_or(Instant::NEVER)
    }

    /// As [`after`](Self::after), for one who waits for something else, and then gives up: hardly any limit is ever
    /// reached, but each costs a look at the clock.
    ///
    /// So a long one is counted from the last tick of the kernel's, and longer by two of them, in case that is
    /// somewhat overdue: it ends by less than one in [`LONG`] parts of it late. (The kernel's own time-outs of sockets are as exact.)
    #[inline]
    pub(crate) fn limit(duration: Duration) -> Instant {
        let slack = 2 * tick();
        if duration.as_nanos() < (LONG * slack) as u128 {
            return Instant::after(duration);
        }
        Instant(nanoseconds_at_last_tick() + slack)
            .checked_add(duration)
            .unwrap_or(Instant::NEVER)
    }

    /// Nanoseconds since the clock's own zero.
    #[inline]
    pub(crate) fn nanoseconds(self) -> i64 {
        self.0
    }

    /// The moment this many nanoseconds after the clock's own zero.
    #[inline]
    pub(crate) fn from_nanoseconds(nanoseconds: i64) -> Instant {
        Instant(nanoseconds)
    }
}

/// How many times longer than what it may be late a limit is that is not measured exactly. About 2 s, where the kernel
/// ticks 250 times a second.
const LONG: i64 = 256;

/// One moment on both clocks; all conversions go through it, so that there and back is exact.
fn common_moment() -> &'static (std::time::Instant, Instant) {
    static MOMENT: OnceLock<(std::time::Instant, Instant)> = OnceLock::new();
    MOMENT.get_or_init(|| (std::time::Instant::now(), Instant::now()))
}

impl From<std::time::Instant> for Instant {
    /// Moments more than 292 years away, which std's may be, become the farthest that there are.
    fn from(other: std::time::Instant) -> Instant {
        let &(theirs, ours) = common_moment();
        match other.checked_duration_since(theirs) {
            Some(after) => ours.checked_add(after).unwrap_or(Instant::NEVER),
            None => ours
                .checked_sub(theirs.duration_since(other))
                .unwrap_or(Instant(i64::MIN)),
        }
    }
}

impl From<Instant> for std::time::Instant {
    fn from(other: Instant) -> std::time::Instant {
        let &(theirs, ours) = common_moment();
        match other.checked_duration_since(ours) {
            Some(after) => theirs + after,
            None => theirs - ours.duration_since(other),
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    ///
    /// If the sum cannot be represented.
    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration)
            .expect("overflow when adding duration to instant")
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    ///
    /// If the difference cannot be represented.
    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration)
            .expect("overflow when subtracting duration from instant")
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instant")
            .field("tv_sec", &self.0.div_euclid(1_000_000_000))
            .field("tv_nsec", &self.0.rem_euclid(1_000_000_000))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_exact_or_long_compared_with_what_it_is_late() {
        for duration in [0, 1, 1_000, 10_000, 3_600_000].map(Duration::from_millis) {
            let before = Instant::now();
            let limit = Instant::limit(duration);
            let after = Instant::now();
            // The machine itself may have stood still for a while, and the last tick be older than that.
            let part = duration / LONG as u32;
            assert!(limit + part >= before + duration, "{duration:?}");
            assert!(limit <= after + duration + part, "{duration:?}");
        }
        assert_eq!(Instant::limit(Duration::MAX), Instant::NEVER);
    }

    #[test]
    fn a_later_limit_is_no_earlier() {
        let duration = Duration::from_secs(10);
        let limits = std::iter::repeat_with(|| Instant::limit(duration));
        assert!(limits.take(100_000).is_sorted());
    }
}
