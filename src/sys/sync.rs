//! The atomics, cells and locks of the kernel.
//!
//! The pure protocol modules (`life`, `inbox`, `idle`, `pulse`, `wait_queue`, `claim`, `stand`, `select`) name no other source of them, so
//! that `tests/loom` can include their files with loom's types standing here instead.
//!
//! The locks are std's. Poison is ignored: no user code runs under a kernel lock, so nothing panics
//! there. Under `cfg(sylvan_tsan)` they also tell ThreadSanitizer of the order they make, which it
//! cannot see: the toolchain's std is not instrumented.

pub(crate) use super::spin::{Spinlock, SpinlockGuard, pause};
pub(crate) use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::PoisonError;
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
use std::time::Duration;

/// An order of things that exist at the same time: by their addresses.
pub(crate) fn precedes<T>(one: &T, other: &T) -> bool {
    ptr::from_ref(one) < ptr::from_ref(other)
}

/// As std's, but `lock` gives the guard itself.
#[derive(Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard::new(self, guard)
    }
}

/// The right to what a [`Mutex`] protects. Its fields are dropped in this order.
pub(crate) struct MutexGuard<'mutex, T> {
    hold: Hold<'mutex, T>,
    guard: std::sync::MutexGuard<'mutex, T>,
}

impl<'mutex, T> MutexGuard<'mutex, T> {
    #[inline]
    fn new(mutex: &'mutex Mutex<T>, guard: std::sync::MutexGuard<'mutex, T>) -> Self {
        MutexGuard {
            hold: Hold::new(mutex),
            guard,
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// As std's, for [`Mutex`].
#[derive(Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Condvar {
        Condvar(std::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'mutex, T>(&self, locked: MutexGuard<'mutex, T>) -> MutexGuard<'mutex, T> {
        let MutexGuard { hold, guard } = locked;
        let mutex = hold.end();
        let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        MutexGuard::new(mutex, guard)
    }

    /// Returns also whether the time was up.
    pub(crate) fn wait_timeout<'mutex, T>(
        &self,
        locked: MutexGuard<'mutex, T>,
        duration: Duration,
    ) -> (MutexGuard<'mutex, T>, bool) {
        let MutexGuard { hold, guard } = locked;
        let mutex = hold.end();
        let waited = self.0.wait_timeout(guard, duration);
        let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (MutexGuard::new(mutex, guard), timeout.timed_out())
    }
}

/// As std's, for values that point to more than themselves.
pub(crate) struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> OnceLock<T> {
        OnceLock(std::sync::OnceLock::new())
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        let value = self.0.get();
        #[cfg(sylvan_tsan)]
        sanitizer::acquire(self);
        value
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        #[cfg(sylvan_tsan)]
        sanitizer::release(self);
        self.0.set(value)
    }

    #[inline]
    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let value = self.0.get_or_init(|| {
            let value = init();
            #[cfg(sylvan_tsan)]
            sanitizer::release(self);
            value
        });
        #[cfg(sylvan_tsan)]
        sanitizer::acquire(self);
        value
    }
}

/// The time during which a mutex is held, as ThreadSanitizer is told of it: it begins right after the
/// lock and ends right before the unlock.
struct Hold<'mutex, T>(&'mutex Mutex<T>);

impl<'mutex, T> Hold<'mutex, T> {
    #[inline]
    fn new(mutex: &'mutex Mutex<T>) -> Self {
        #[cfg(sylvan_tsan)]
        sanitizer::acquire(mutex);
        Hold(mutex)
    }

    #[inline]
    fn end(self) -> &'mutex Mutex<T> {
        self.0
    }
}

#[cfg(sylvan_tsan)]
impl<T> Drop for Hold<'_, T> {
    fn drop(&mut self) {
        sanitizer::release(self.0);
    }
}

/// ThreadSanitizer's own functions, which its runtime brings along.
#[cfg(sylvan_tsan)]
mod sanitizer {
    use std::ffi::c_void;
    use std::ptr;

    unsafe extern "C" {
        fn __tsan_acquire(address: *const c_void);
        fn __tsan_release(address: *const c_void);
    }

    /// What happened before the last release of this address has happened before what comes now.
    pub(super) fn acquire<T>(object: &T) {
        // SAFETY: the address only names a place in the sanitizer's own books.
        unsafe { __tsan_acquire(ptr::from_ref(object).cast()) }
    }

    /// What has happened until now happens before what comes after the next acquire.
    pub(super) fn release<T>(object: &T) {
        // SAFETY: as above.
        unsafe { __tsan_release(ptr::from_ref(object).cast()) }
    }
}
