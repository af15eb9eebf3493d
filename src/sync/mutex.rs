//! Mutual exclusion with data inside.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::lock::Lock;
use super::poison::{Poison, Watch};
use super::{LockResult, TryLockError, TryLockResult};
use crate::rt::{self, Reason};

/// A mutual exclusion primitive that protects the data in it.
///
/// # Differences from std
///
/// Waiting suspends the green thread, which may hold the lock while it is suspended elsewhere. Those who
/// wait get the lock in the order they came; a newcomer may overtake a waiter that is being woken, but
/// only once. A green thread that is cancelled while it holds the lock does not poison it.
///
/// ```
/// use sylvan::sync::{Arc, Mutex};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let count = Arc::new(Mutex::new(0));
///     let tasks: Vec<_> = (0..10)
///         .map(|_| {
///             let count = count.clone();
///             thread::spawn(move || {
///                 let mut count = count.lock().unwrap();
///                 let before = *count;
///                 thread::yield_now(); // the others wait
///                 *count = before + 1;
///             })
///         })
///         .collect();
///     for task in tasks {
///         task.join().unwrap();
///     }
///     assert_eq!(*count.lock().unwrap(), 10);
/// });
/// ```
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    poison: Poison,
    data: UnsafeCell<T>,
}

// SAFETY: the lock admits one at a time to the data, so sharing it only ever moves the data about.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: as a whole it is its data.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// The right to the data of a [`Mutex`]; dropping it unlocks.
#[must_use = "if unused the Mutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'mutex, T: ?Sized + 'mutex> {
    mutex: &'mutex Mutex<T>,
    watch: Watch,
    /// A guard stays on its thread.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives shared data, no more.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    /// A new, unlocked mutex.
    ///
    /// ```
    /// static COUNT: sylvan::sync::Mutex<u32> = sylvan::sync::Mutex::new(0);
    /// *COUNT.lock().unwrap() += 1;
    /// ```
    #[inline]
    pub const fn new(data: T) -> Mutex<T> {
        Mutex {
            lock: Lock::new(),
            poison: Poison::new(),
            data: UnsafeCell::new(data),
        }
    }

    /// The data, without the mutex.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the data is in the error.
    ///
    /// ```
    /// assert_eq!(sylvan::sync::Mutex::new(5).into_inner().unwrap(), 5);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        let Mutex { poison, data, .. } = self;
        poison.judge(data.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until it is free, and locks it.
    ///
    /// A green thread that locks a mutex which it holds already waits for ever, and so do several that wait for
    /// locks of each other. That is reported when the last of them begins to wait; see
    /// [`Builder::on_deadlock`](crate::runtime::Builder::on_deadlock).
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the guard is in the error.
    ///
    /// ```
    /// let mutex = sylvan::sync::Mutex::new(1);
    /// *mutex.lock().unwrap() += 1;
    /// assert_eq!(*mutex.lock().unwrap(), 2);
    /// ```
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        rt::spend();
        self.lock.lock(Reason::Mutex);
        self.guard()
    }

    /// Locks it if it is free. Never suspends.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is locked, [`TryLockError::Poisoned`] if it is poisoned.
    ///
    /// ```
    /// let mutex = sylvan::sync::Mutex::new(());
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.lock.try_lock() {
            Ok(self.guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Did a thread panic while it held the lock?
    ///
    /// ```
    /// use sylvan::{sync::Mutex, thread};
    ///
    /// let mutex = Mutex::new(());
    /// sylvan::run(|| {
    ///     thread::scope(|scope| {
    ///         let failing = scope.spawn(|| {
    ///             let _guard = mutex.lock().unwrap();
    ///             panic!("with the lock held");
    ///         });
    ///         assert!(failing.join().is_err());
    ///     });
    /// });
    /// assert!(mutex.is_poisoned());
    /// mutex.clear_poison();
    /// assert!(mutex.lock().is_ok());
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Forgets that a thread panicked; see [`is_poisoned`](Self::is_poisoned).
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The data, which nobody else can reach.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the data is in the error.
    ///
    /// ```
    /// let mut mutex = sylvan::sync::Mutex::new(0);
    /// *mutex.get_mut().unwrap() = 10;
    /// assert_eq!(*mutex.lock().unwrap(), 10);
    /// ```
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let Mutex { poison, data, .. } = self;
        poison.judge(data.get_mut())
    }

    /// The guard of a lock that was just taken.
    #[inline]
    fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        self.poison.judge(MutexGuard {
            mutex: self,
            watch: self.poison.watch(),
            not_send: PhantomData,
        })
    }
}

/// A guard that gives the lock up for a while, for [`Condvar`](super::Condvar). Dropping it does nothing.
pub(super) struct Lent<'mutex, T: ?Sized> {
    mutex: &'mutex Mutex<T>,
    watch: Watch,
}

impl<'mutex, T: ?Sized> MutexGuard<'mutex, T> {
    pub(super) fn lend(self) -> Lent<'mutex, T> {
        let guard = ManuallyDrop::new(self);
        Lent {
            mutex: guard.mutex,
            watch: guard.watch,
        }
    }
}

impl<'mutex, T: ?Sized> Lent<'mutex, T> {
    /// To be called once, and before `take_back`.
    pub(super) fn unlock(&self) {
        self.mutex.lock.unlock();
    }

    /// Waits for the lock again. If it unwinds, the lock is not held.
    pub(super) fn take_back(self) -> LockResult<MutexGuard<'mutex, T>> {
        self.mutex.lock.lock(Reason::Mutex);
        self.mutex.poison.judge(MutexGuard {
            mutex: self.mutex,
            watch: self.watch,
            not_send: PhantomData,
        })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.poison.done(self.watch);
        self.mutex.lock.unlock();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever has the guard holds the lock.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(data: T) -> Mutex<T> {
        Mutex::new(data)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(poison)) => shown.field("data", &&**poison.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &"<locked>"),
        };
        shown
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
