//! Mutual exclusion that its holder may enter again.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::atomic::{AtomicU64, Ordering::Relaxed};
use super::lock::Lock;
use crate::rt::{self, Reason};

/// A lock that the thread which holds it can lock again; others wait until it has unlocked it as often.
///
/// Who holds it is the green thread, or the plain OS thread: not the OS thread that happens to run several green
/// ones. As it can be held several times at once, it gives its data by shared reference only: a
/// [`Cell`] or [`RefCell`](std::cell::RefCell) inside can be changed. It is not poisoned by panics.
///
/// The API is that of std's unstable `ReentrantLock`; other languages call it `RLock`.
///
/// ```
/// use std::cell::Cell;
/// use sylvan::sync::ReentrantMutex;
///
/// struct Account {
///     balance: ReentrantMutex<Cell<i32>>,
/// }
///
/// impl Account {
///     fn add(&self, amount: i32) {
///         let balance = self.balance.lock();
///         balance.set(balance.get() + amount);
///     }
///
///     fn add_with_fee(&self, amount: i32) {
///         let _both_at_once = self.balance.lock();
///         self.add(amount); // locks it, too
///         self.add(-1);
///     }
/// }
///
/// let account = Account { balance: ReentrantMutex::new(Cell::new(0)) };
/// account.add_with_fee(10);
/// assert_eq!(account.balance.lock().get(), 9);
/// ```
pub struct ReentrantMutex<T: ?Sized> {
    lock: Lock,
    /// Who holds it; 0 for nobody. A thread that reads its own number here holds it: only it writes that
    /// number, and it takes it out before it unlocks.
    owner: AtomicU64,
    /// How often it is held besides the first time. Only touched by who holds it.
    again: Cell<usize>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock admits one thread at a time to the data and the count, which shares them within itself
// only; so between threads they only ever move.
unsafe impl<T: ?Sized + Send> Sync for ReentrantMutex<T> {}
// SAFETY: as a whole it is its data.
unsafe impl<T: ?Sized + Send> Send for ReentrantMutex<T> {}
impl<T: ?Sized + UnwindSafe> UnwindSafe for ReentrantMutex<T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for ReentrantMutex<T> {}

/// The right to the data of a [`ReentrantMutex`]; dropping it unlocks, if it is the last of its thread.
#[must_use = "if unused the ReentrantMutex will immediately unlock"]
#[clippy::has_significant_drop]
pub struct ReentrantMutexGuard<'mutex, T: ?Sized + 'mutex> {
    mutex: &'mutex ReentrantMutex<T>,
    /// A guard stays on its thread.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives shared data, no more.
unsafe impl<T: ?Sized + Sync> Sync for ReentrantMutexGuard<'_, T> {}

const NOBODY: u64 = 0;

impl<T> ReentrantMutex<T> {
    /// A new, unlocked one.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use sylvan::sync::ReentrantMutex;
    ///
    /// static COUNT: ReentrantMutex<Cell<u32>> = ReentrantMutex::new(Cell::new(0));
    /// COUNT.lock().set(1);
    /// ```
    #[must_use]
    #[inline]
    pub const fn new(data: T) -> ReentrantMutex<T> {
        ReentrantMutex {
            lock: Lock::new(),
            owner: AtomicU64::new(NOBODY),
            again: Cell::new(0),
            data: UnsafeCell::new(data),
        }
    }

    /// The data, without the lock.
    ///
    /// ```
    /// assert_eq!(sylvan::sync::ReentrantMutex::new(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    /// Waits until no other thread holds it, and locks it.
    ///
    /// # Panics
    ///
    /// If the calling thread holds it `usize::MAX` times already.
    ///
    /// ```
    /// let mutex = sylvan::sync::ReentrantMutex::new(5);
    /// let (one, other) = (mutex.lock(), mutex.lock());
    /// assert_eq!(*one + *other, 10);
    /// ```
    #[inline]
    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        rt::spend();
        if self.is_mine() {
            self.enter_again();
        } else {
            self.lock.lock(Reason::ReentrantMutex);
            self.owner.store(rt::current_id(), Relaxed);
        }
        self.guard()
    }

    /// Locks it if no other thread holds it. Never suspends.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// use sylvan::{sync::ReentrantMutex, thread};
    ///
    /// let mutex = ReentrantMutex::new(5);
    /// let held = mutex.lock();
    /// assert!(mutex.try_lock().is_some());
    /// sylvan::run(|| {
    ///     thread::scope(|scope| {
    ///         let other = scope.spawn(|| mutex.try_lock().is_none());
    ///         assert!(other.join().unwrap());
    ///     });
    /// });
    /// # drop(held);
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        if self.is_mine() {
            self.enter_again();
        } else if self.lock.try_lock() {
            self.owner.store(rt::current_id(), Relaxed);
        } else {
            return None;
        }
        Some(self.guard())
    }

    /// The data, which nobody else can reach.
    ///
    /// ```
    /// let mut mutex = sylvan::sync::ReentrantMutex::new(0);
    /// *mutex.get_mut() = 10;
    /// assert_eq!(*mutex.lock(), 10);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    #[inline]
    fn is_mine(&self) -> bool {
        self.owner.load(Relaxed) == rt::current_id()
    }

    #[inline]
    fn enter_again(&self) {
        let again = self.again.get().checked_add(1);
        self.again
            .set(again.expect("a reentrant mutex is locked too often"));
    }

    #[inline]
    fn guard(&self) -> ReentrantMutexGuard<'_, T> {
        ReentrantMutexGuard {
            mutex: self,
            not_send: PhantomData,
        }
    }
}

impl<T: ?Sized> Drop for ReentrantMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match self.mutex.again.get().checked_sub(1) {
            Some(again) => self.mutex.again.set(again),
            None => {
                self.mutex.owner.store(NOBODY, Relaxed);
                self.mutex.lock.unlock();
            }
        }
    }
}

impl<T: ?Sized> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever has the guard holds the lock, and nobody has the data by unique reference.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> From<T> for ReentrantMutex<T> {
    fn from(data: T) -> ReentrantMutex<T> {
        ReentrantMutex::new(data)
    }
}

impl<T: Default> Default for ReentrantMutex<T> {
    fn default() -> ReentrantMutex<T> {
        ReentrantMutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ReentrantMutex");
        match self.try_lock() {
            Some(guard) => shown.field("data", &&*guard),
            None => shown.field("data", &format_args!("<locked>")),
        };
        shown.finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
