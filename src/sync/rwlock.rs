//! Many readers or one writer, with data inside.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::poison::{Poison, Watch};
use super::shared_lock::SharedLock;
use super::{LockResult, TryLockError, TryLockResult};
use crate::rt;

/// A lock that any number of readers, or one writer, can hold.
///
/// # Differences from std
///
/// Waiting suspends the green thread. Neither side starves: a reader that comes while a writer waits
/// stands behind it, and a writer that unlocks lets in all readers that wait by then. (So one that reads
/// already must not read again: it may wait for a writer that waits for it. std says the same.) A green
/// thread that is cancelled while it writes does not poison the lock.
///
/// ```
/// use sylvan::sync::RwLock;
///
/// let lock = RwLock::new(5);
/// {
///     let (one, other) = (lock.read().unwrap(), lock.read().unwrap());
///     assert_eq!(*one + *other, 10);
/// }
/// *lock.write().unwrap() += 1;
/// assert_eq!(*lock.read().unwrap(), 6);
/// ```
pub struct RwLock<T: ?Sized> {
    lock: SharedLock,
    poison: Poison,
    data: UnsafeCell<T>,
}

// SAFETY: the lock admits writers one at a time, which moves the data about, and readers together,
// which share it.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: as a whole it is its data.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// The right to read the data of a [`RwLock`]; dropping it unlocks.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'lock, T: ?Sized + 'lock> {
    lock: &'lock RwLock<T>,
    /// A guard stays on its thread, and is as safe to unwind past as the data it shows.
    shows: PhantomData<*const T>,
}

/// The right to change the data of a [`RwLock`]; dropping it unlocks.
#[must_use = "if unused the RwLock will immediately unlock"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'lock, T: ?Sized + 'lock> {
    lock: &'lock RwLock<T>,
    watch: Watch,
    /// A guard stays on its thread.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives shared data, no more.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    /// A new, unlocked lock.
    ///
    /// ```
    /// static SETTING: sylvan::sync::RwLock<u32> = sylvan::sync::RwLock::new(0);
    /// *SETTING.write().unwrap() = 1;
    /// ```
    #[inline]
    pub const fn new(data: T) -> RwLock<T> {
        RwLock {
            lock: SharedLock::new(),
            poison: Poison::new(),
            data: UnsafeCell::new(data),
        }
    }

    /// The data, without the lock.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the data is in the error.
    ///
    /// ```
    /// assert_eq!(sylvan::sync::RwLock::new(5).into_inner().unwrap(), 5);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        let RwLock { poison, data, .. } = self;
        poison.judge(data.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes, and locks for reading.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the guard is in the error.
    ///
    /// ```
    /// assert_eq!(*sylvan::sync::RwLock::new(5).read().unwrap(), 5);
    /// ```
    #[inline]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        rt::spend();
        self.lock.read();
        self.read_guard()
    }

    /// Locks for reading if nobody writes, or waits to. Never suspends.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is locked, [`TryLockError::Poisoned`] if it is poisoned.
    ///
    /// ```
    /// let lock = sylvan::sync::RwLock::new(1);
    /// let writer = lock.write().unwrap();
    /// assert!(lock.try_read().is_err());
    /// ```
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.lock.try_read() {
            Ok(self.read_guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Waits until nobody reads or writes, and locks for writing.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the guard is in the error.
    ///
    /// ```
    /// let lock = sylvan::sync::RwLock::new(1);
    /// *lock.write().unwrap() = 2;
    /// assert_eq!(*lock.read().unwrap(), 2);
    /// ```
    #[inline]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        rt::spend();
        self.lock.write();
        self.write_guard()
    }

    /// Locks for writing if nobody reads or writes. Never suspends.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is locked, [`TryLockError::Poisoned`] if it is poisoned.
    ///
    /// ```
    /// let lock = sylvan::sync::RwLock::new(1);
    /// let reader = lock.read().unwrap();
    /// assert!(lock.try_write().is_err());
    /// ```
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.lock.try_write() {
            Ok(self.write_guard()?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Did a thread panic while it wrote?
    ///
    /// ```
    /// assert!(!sylvan::sync::RwLock::new(1).is_poisoned());
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Forgets that a thread panicked; see [`is_poisoned`](Self::is_poisoned).
    ///
    /// ```
    /// sylvan::sync::RwLock::new(1).clear_poison();
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The data, which nobody else can reach.
    ///
    /// # Errors
    ///
    /// If the lock is poisoned; the data is in the error.
    ///
    /// ```
    /// let mut lock = sylvan::sync::RwLock::new(0);
    /// *lock.get_mut().unwrap() = 10;
    /// assert_eq!(*lock.read().unwrap(), 10);
    /// ```
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let RwLock { poison, data, .. } = self;
        poison.judge(data.get_mut())
    }

    #[inline]
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.judge(RwLockReadGuard {
            lock: self,
            shows: PhantomData,
        })
    }

    #[inline]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.poison.judge(RwLockWriteGuard {
            lock: self,
            watch: self.poison.watch(),
            not_send: PhantomData,
        })
    }
}

impl<'lock, T: ?Sized> RwLockWriteGuard<'lock, T> {
    /// Goes on as a reader, with no writer in between. Never suspends.
    ///
    /// ```
    /// use sylvan::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.write().unwrap();
    /// *writer = 2;
    /// let reader = RwLockWriteGuard::downgrade(writer);
    /// assert_eq!((*reader, *lock.read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(this: RwLockWriteGuard<'lock, T>) -> RwLockReadGuard<'lock, T> {
        let lock = this.lock;
        lock.poison.done(this.watch);
        std::mem::forget(this);
        lock.lock.downgrade();
        RwLockReadGuard {
            lock,
            shows: PhantomData,
        }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.lock.unlock_read();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.done(self.watch);
        self.lock.lock.unlock_write();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever has the guard reads, so nobody writes.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever has the guard is alone.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> RwLock<T> {
        RwLock::new(data)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(poison)) => shown.field("data", &&**poison.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &format_args!("<locked>")),
        };
        shown
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
