//! A lock for what takes a few instructions.
//!
//! To lock is one atomic swap and to unlock a plain store: half of what std's mutex costs, whose unlock must
//! find out whether somebody sleeps. Nobody does here. Who finds it locked spins for as long as a few
//! instructions take; if the holder was preempted meanwhile, it gives its processor up, and in the end sleeps
//! for moments, so that it lets the holder run whatever their priorities are.

use std::cell::UnsafeCell;
use std::hint;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// See the module's text. It has no poison: no user code runs under it, so nothing panics there.
#[derive(Default)]
pub(crate) struct Spinlock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: it admits one thread at a time to the value.
unsafe impl<T: Send> Sync for Spinlock<T> {}

/// The right to what a [`Spinlock`] protects.
pub(crate) struct SpinlockGuard<'lock, T>(&'lock Spinlock<T>);

// SAFETY: a shared guard gives the value by shared reference, no more.
unsafe impl<T: Sync> Sync for SpinlockGuard<'_, T> {}

impl<T> Spinlock<T> {
    pub(crate) const fn new(value: T) -> Spinlock<T> {
        Spinlock {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> SpinlockGuard<'_, T> {
        if self.locked.swap(true, Ordering::Acquire) {
            self.lock_slow();
        }
        SpinlockGuard(self)
    }

    #[cold]
    fn lock_slow(&self) {
        for attempt in 0_u32.. {
            if !self.locked.load(Ordering::Relaxed) && !self.locked.swap(true, Ordering::Acquire) {
                return;
            }
            pause(attempt);
        }
    }
}

/// Lets a moment pass for another OS thread to do a few instructions, which may have been preempted amidst of them.
#[cold]
pub(crate) fn pause(attempt: u32) {
    const SPINS: u32 = 100;
    const LAST_YIELD: u32 = SPINS + 20;
    const NAP: Duration = Duration::from_micros(50);
    match attempt {
        0..SPINS => hint::spin_loop(),
        SPINS..LAST_YIELD => thread::yield_now(),
        _ => thread::sleep(NAP),
    }
}

impl<T> Deref for SpinlockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for SpinlockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for SpinlockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}
