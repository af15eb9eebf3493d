//! Thread-locals of green threads.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;

use crate::rt::{self, Local, Locals};

/// A value that every thread, green or not, has for itself; made by [`thread_local!`](crate::thread_local).
///
/// # Differences from std
///
/// The value belongs to the green thread: it is made at its first use there, and destroyed when the green
/// thread ends, on its own stack, where destructors may suspend. It may be borrowed across a suspension.
pub struct LocalKey<T: 'static> {
    make: fn() -> T,
}

/// The failure of [`LocalKey::try_with`]: the value was destroyed already.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessError;

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("already destroyed")
    }
}

impl std::error::Error for AccessError {}

const GONE: &str = "cannot access a Thread Local Storage value during or after destruction";

/// Declares thread-locals as std's macro of this name does; the values belong to green threads.
///
/// ```
/// use std::cell::Cell;
/// use sylvan::{thread, thread_local};
///
/// thread_local! {
///     static COUNT: Cell<u32> = const { Cell::new(1) };
/// }
///
/// sylvan::run(|| {
///     COUNT.set(7);
///     assert_eq!(thread::spawn(|| COUNT.get()).join().unwrap(), 1);
///     assert_eq!(COUNT.get(), 7);
/// });
/// ```
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = const $init:block $(; $($rest:tt)*)?) => {
        $crate::thread_local!(@one [$(#[$attribute])*] [$visibility] $name, $type, const $init);
        $($crate::thread_local!($($rest)*);)?
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $crate::thread_local!(@one [$(#[$attribute])*] [$visibility] $name, $type, $init);
        $($crate::thread_local!($($rest)*);)?
    };
    (@one [$(#[$attribute:meta])*] [$visibility:vis] $name:ident, $type:ty, $init:expr) => {
        $(#[$attribute])*
        $visibility static $name: $crate::thread::LocalKey<$type> = {
            fn make() -> $type {
                $init
            }
            $crate::thread::LocalKey::__new(make)
        };
    };
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(make: fn() -> T) -> LocalKey<T> {
        LocalKey { make }
    }

    /// Calls `f` with the current thread's value, which is made if there is none yet.
    ///
    /// # Panics
    ///
    /// If the value was destroyed already.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).expect(GONE)
    }

    /// As [`with`](Self::with), but fails where that would panic.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the value was destroyed already.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        rt::with_current(|task| {
            // SAFETY: the current thread's record is alive.
            let locals = &unsafe { task.as_ref() }.locals;
            let key = std::ptr::from_ref(self).addr();
            if let Local::Missing = locals.get(key) {
                let value = (self.make)();
                // Its initialiser may have used the key itself: as with std, the first one stays.
                if let Local::Missing = locals.get(key) {
                    locals.insert(key, Box::new(value));
                }
            }
            self.find(locals).map(f)
        })
    }

    /// Calls `f` with the current thread's value, which is `first` if there was none; otherwise `first` is handed on.
    fn with_first<R>(&'static self, first: T, f: impl FnOnce(&T, Option<T>) -> R) -> R {
        rt::with_current(|task| {
            // SAFETY: the current thread's record is alive.
            let locals = &unsafe { task.as_ref() }.locals;
            let key = std::ptr::from_ref(self).addr();
            let left = match locals.get(key) {
                Local::Missing => {
                    locals.insert(key, Box::new(first));
                    None
                }
                Local::There(_) | Local::Destroyed => Some(first),
            };
            let value = self.find(locals);
            f(value.expect(GONE), left)
        })
    }

    /// The value among those of the current thread.
    fn find<'value>(&'static self, locals: &'value Locals) -> Result<&'value T, AccessError> {
        let Local::There(value) = locals.get(std::ptr::from_ref(self).addr()) else {
            return Err(AccessError);
        };
        // SAFETY: values live until their task's thread-locals are destroyed, which happens when
        // its function has returned, or, one by one, after they were made unreachable.
        let value: &dyn Any = unsafe { &*value };
        value.downcast_ref::<T>().ok_or(AccessError)
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the value. One that was not made yet is not made first.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn set(&'static self, value: T) {
        self.with_first(Cell::new(value), |cell, left| {
            if let Some(value) = left {
                cell.set(value.into_inner());
            }
        });
    }

    /// Copies the value out.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Replaces the value and returns the old one.
    ///
    /// # Panics
    ///
    /// As [`with`](LocalKey::with).
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the value borrowed.
    ///
    /// # Panics
    ///
    /// If it is mutably borrowed, and as [`with`](LocalKey::with).
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the value mutably borrowed.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the value. One that was not made yet is not made first.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn set(&'static self, value: T) {
        self.with_first(RefCell::new(value), |cell, left| {
            if let Some(value) = left {
                *cell.borrow_mut() = value.into_inner();
            }
        });
    }

    /// Takes the value and leaves the default.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Replaces the value and returns the old one.
    ///
    /// # Panics
    ///
    /// If it is borrowed, and as [`with`](LocalKey::with).
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}
