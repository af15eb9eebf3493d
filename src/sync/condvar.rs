//! Waiting for a condition on the data of a mutex.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::mutex::MutexGuard;
use super::{LockResult, PoisonError};
use crate::rt::{self, Instant, Reason, WaitQueue, Waited};

/// A condition variable.
///
/// # Differences from std
///
/// It suspends the green thread, wakes in the order of coming. Different
/// mutexes may be used with it at different times, and even at once. When a wait is cancelled, it
/// unwinds without the lock, which its caller gave away with the guard; a notification that had chosen
/// it goes to the next that waits.
///
/// ```
/// use sylvan::sync::{Arc, Condvar, Mutex};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let pair = Arc::new((Mutex::new(false), Condvar::new()));
///     let theirs = pair.clone();
///     thread::spawn(move || {
///         *theirs.0.lock().unwrap() = true;
///         theirs.1.notify_one();
///     });
///     let (started, change) = &*pair;
///     let started = change.wait_while(started.lock().unwrap(), |started| !*started);
///     assert!(*started.unwrap());
/// });
/// ```
pub struct Condvar {
    waiters: WaitQueue,
}

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

/// Did a wait with a time-out end by that?
///
/// # Differences from std
///
/// A type of its own with std's API: std's cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// `true` if the time was over.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::{Condvar, Mutex};
    ///
    /// let mutex = Mutex::new(());
    /// let guard = mutex.lock().unwrap();
    /// let (_guard, result) = Condvar::new()
    ///     .wait_timeout(guard, Duration::from_millis(1))
    ///     .unwrap();
    /// assert!(result.timed_out());
    /// ```
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// What a wait with a time-out gives.
type TimedWait<'mutex, T> = LockResult<(MutexGuard<'mutex, T>, WaitTimeoutResult)>;

impl Condvar {
    /// A condition variable that nobody waits for.
    ///
    /// ```
    /// static CHANGE: sylvan::sync::Condvar = sylvan::sync::Condvar::new();
    /// CHANGE.notify_all();
    /// ```
    #[must_use]
    #[inline]
    pub const fn new() -> Condvar {
        Condvar {
            waiters: WaitQueue::new(),
        }
    }

    /// Unlocks, waits for a notification and locks again.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned when it is locked again; the guard is in the error.
    ///
    /// ```
    /// use sylvan::sync::{Condvar, Mutex};
    /// use sylvan::thread;
    ///
    /// let (ready, change) = (Mutex::new(false), Condvar::new());
    /// sylvan::run(|| {
    ///     thread::scope(|scope| {
    ///         scope.spawn(|| {
    ///             *ready.lock().unwrap() = true;
    ///             change.notify_one();
    ///         });
    ///         let mut guard = ready.lock().unwrap();
    ///         while !*guard {
    ///             guard = change.wait(guard).unwrap();
    ///         }
    ///     });
    /// });
    /// ```
    pub fn wait<'mutex, T>(
        &self,
        guard: MutexGuard<'mutex, T>,
    ) -> LockResult<MutexGuard<'mutex, T>> {
        self.wait_until(guard, Instant::NEVER).0
    }

    /// Waits as long as `condition`, which is asked first and after each notification, holds.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use sylvan::sync::{Condvar, Mutex};
    ///
    /// let pending = Mutex::new(false);
    /// let guard = Condvar::new().wait_while(pending.lock().unwrap(), |pending| *pending);
    /// assert!(!*guard.unwrap());
    /// ```
    pub fn wait_while<'mutex, T, F>(
        &self,
        mut guard: MutexGuard<'mutex, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'mutex, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), for at most `duration` until it begins to lock again.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::{Condvar, Mutex};
    ///
    /// let mutex = Mutex::new(3);
    /// let wait = Condvar::new().wait_timeout(mutex.lock().unwrap(), Duration::ZERO);
    /// let (guard, result) = wait.unwrap();
    /// assert!(*guard == 3 && result.timed_out());
    /// ```
    pub fn wait_timeout<'mutex, T>(
        &self,
        guard: MutexGuard<'mutex, T>,
        duration: Duration,
    ) -> TimedWait<'mutex, T> {
        let (guard, result) = self.wait_until(guard, Instant::limit(duration));
        match guard {
            Ok(guard) => Ok((guard, result)),
            Err(poison) => Err(PoisonError::new((poison.into_inner(), result))),
        }
    }

    /// As [`wait_timeout`](Self::wait_timeout) with milliseconds. Returns whether it was notified.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    #[deprecated(
        since = "0.1.0",
        note = "replaced by `sylvan::sync::Condvar::wait_timeout`"
    )]
    pub fn wait_timeout_ms<'mutex, T>(
        &self,
        guard: MutexGuard<'mutex, T>,
        milliseconds: u32,
    ) -> LockResult<(MutexGuard<'mutex, T>, bool)> {
        let duration = Duration::from_millis(u64::from(milliseconds));
        match self.wait_timeout(guard, duration) {
            Ok((guard, result)) => Ok((guard, !result.timed_out())),
            Err(poison) => {
                let (guard, result) = poison.into_inner();
                Err(PoisonError::new((guard, !result.timed_out())))
            }
        }
    }

    /// As [`wait_while`](Self::wait_while), for at most `duration`. The time was over if `condition`
    /// still holds.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::sync::{Condvar, Mutex};
    ///
    /// let count = Mutex::new(0);
    /// let wait = Condvar::new().wait_timeout_while(
    ///     count.lock().unwrap(),
    ///     Duration::from_millis(1),
    ///     |count| *count == 0,
    /// );
    /// assert!(wait.unwrap().1.timed_out());
    /// ```
    pub fn wait_timeout_while<'mutex, T, F>(
        &self,
        mut guard: MutexGuard<'mutex, T>,
        duration: Duration,
        mut condition: F,
    ) -> TimedWait<'mutex, T>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Instant::limit(duration);
        let mut result = WaitTimeoutResult(false);
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if result.timed_out() {
                return Ok((guard, result));
            }
            let (woken, latest) = self.wait_until(guard, deadline);
            result = latest;
            guard = match woken {
                Ok(guard) => guard,
                Err(poison) => return Err(PoisonError::new((poison.into_inner(), result))),
            };
        }
    }

    /// Wakes the one that has waited longest, if any does. Never suspends.
    ///
    /// ```
    /// sylvan::sync::Condvar::new().notify_one();
    /// ```
    #[inline]
    pub fn notify_one(&self) {
        self.waiters.wake_one();
    }

    /// Wakes all that wait now. Never suspends.
    ///
    /// ```
    /// sylvan::sync::Condvar::new().notify_all();
    /// ```
    pub fn notify_all(&self) {
        self.waiters.wake_all();
    }

    fn wait_until<'mutex, T>(
        &self,
        guard: MutexGuard<'mutex, T>,
        deadline: Instant,
    ) -> (LockResult<MutexGuard<'mutex, T>>, WaitTimeoutResult) {
        let lent = guard.lend();
        // Unlocked under the queue's lock, which a notifier must take: it finds us in line.
        let waited = self.waiters.wait(Reason::Condvar, deadline, || {
            lent.unlock();
            false
        });
        let timed_out = waited == Waited::TimedOut;
        if timed_out {
            // Perhaps it did not suspend at all.
            rt::spend();
        }
        let notified = (!timed_out).then_some(Notified(self));
        let guard = lent.take_back();
        mem::forget(notified);
        (guard, WaitTimeoutResult(timed_out))
    }
}

/// A notification whose receiver may still be cancelled while it waits for the lock. Then the next
/// gets it.
struct Notified<'condvar>(&'condvar Condvar);

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
