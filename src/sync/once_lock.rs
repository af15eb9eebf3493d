//! A cell that is written once.

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::once::Once;

/// A cell that can be written only once, by whoever comes first.
///
/// # Differences from std
///
/// Waiting for an initialiser suspends the green thread. The initialiser runs with cancellation and
/// time-outs from outside held back.
///
/// ```
/// use sylvan::sync::OnceLock;
///
/// static GREETING: OnceLock<String> = OnceLock::new();
/// assert_eq!(GREETING.get(), None);
/// assert_eq!(GREETING.get_or_init(|| "hello".to_owned()), "hello");
/// assert_eq!(GREETING.get_or_init(|| unreachable!()), "hello");
/// ```
pub struct OnceLock<T> {
    /// Done if and only if there is a value.
    once: Once,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value may be put in by one thread and dropped by another, so it must be `Send`, and is
// shared with all, so it must be `Sync`. `Once` lets one at a time write it, before anybody reads.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: as a whole it is its value.
unsafe impl<T: Send> Send for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// An empty cell.
    #[must_use]
    #[inline]
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            once: Once::new(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// The value, if there is one. Never suspends.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.once.is_completed().then(|| {
            // SAFETY: it was written before `once` was done, and will not be again while shared.
            unsafe { (*self.value.get()).assume_init_ref() }
        })
    }

    /// The value, if there is one, to be changed.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.once.is_completed_mut().then(|| {
            // SAFETY: as in `get`.
            unsafe { self.value.get_mut().assume_init_mut() }
        })
    }

    /// Waits until there is a value.
    ///
    /// ```
    /// use sylvan::{sync::OnceLock, thread};
    ///
    /// static VALUE: OnceLock<u32> = OnceLock::new();
    /// sylvan::run(|| {
    ///     thread::spawn(|| VALUE.set(4));
    ///     assert_eq!(*VALUE.wait(), 4);
    /// });
    /// ```
    #[inline]
    pub fn wait(&self) -> &T {
        loop {
            self.once.wait_force();
            if let Some(value) = self.get() {
                return value;
            }
        }
    }

    /// Writes the value, if there is none. Waits if an initialiser runs.
    ///
    /// # Errors
    ///
    /// If there was one; it stays, and the new one comes back.
    ///
    /// ```
    /// let cell = sylvan::sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    #[inline]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an initialiser runs once"));
        value.map_or(Ok(()), Err)
    }

    /// The value, which `f` makes if there is none. Waits if another makes it just now.
    ///
    /// # Panics
    ///
    /// If `f` does; the cell stays empty. An `f` that uses its own cell waits for ever.
    #[inline]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        match self.get_or_try_init(|| Ok::<T, Infallible>(f())) {
            Ok(value) => value,
        }
    }

    /// Takes the value out.
    ///
    /// ```
    /// let mut cell = sylvan::sync::OnceLock::from(1);
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.take(), None);
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        mem::take(self).into_inner()
    }

    /// The value, without the cell.
    ///
    /// ```
    /// assert_eq!(sylvan::sync::OnceLock::from(1).into_inner(), Some(1));
    /// ```
    #[inline]
    pub fn into_inner(mut self) -> Option<T> {
        let full = mem::replace(&mut self.once, Once::new()).is_completed();
        full.then(|| {
            // SAFETY: there is a value, and with a new `once` the cell is empty: its drop leaves it.
            unsafe { self.value.get_mut().assume_init_read() }
        })
    }

    #[inline]
    fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        self.initialise(f)
    }

    #[cold]
    fn initialise<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let mut failure = None;
        self.once.call(true, |state| match f() {
            Ok(value) => {
                // SAFETY: one at a time runs in `once`, and nobody reads before it is done.
                unsafe { (*self.value.get()).write(value) };
            }
            Err(error) => {
                failure = Some(error);
                state.stay_new();
            }
        });
        match (failure, self.get()) {
            (Some(error), _) => Err(error),
            (None, Some(value)) => Ok(value),
            (None, None) => unreachable!("an initialiser has returned a value"),
        }
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if self.once.is_completed_mut() {
            // SAFETY: there is a value, and nobody will read it again.
            unsafe { self.value.get_mut().assume_init_drop() }
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        let cell = OnceLock::new();
        // Nobody else can have written it.
        let _ = cell.set(value);
        cell
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> OnceLock<T> {
        self.get()
            .map_or_else(OnceLock::new, |value| value.clone().into())
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}
