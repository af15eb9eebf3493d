//! Values that a green thread inherits from the one that spawned it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::rt;

/// A value that holds for a part of the program's work, and for all green threads which that spawns: the
/// number of a request, who asked, in which language.
///
/// [`scope`](Self::scope) sets it for the length of a closure. A green thread has the values of the one
/// that spawned it, as they were at that moment, whatever either of them sets later; so have
/// [`run`](crate::run) and [`offload`](crate::offload) those of their caller. An OS thread of std has none.
///
/// It is what Python calls a context variable. Values are shared and not copied, so they do not change; put
/// a lock or an atomic in one that is to.
///
/// ```
/// use sylvan::task::ContextVar;
/// use sylvan::thread;
///
/// static REQUEST: ContextVar<String> = ContextVar::new();
///
/// fn log(text: &str) -> String {
///     REQUEST.with(|request| format!("{}: {text}", request.map_or("none", String::as_str)))
/// }
///
/// sylvan::run(|| {
///     REQUEST.scope("request 7".to_owned(), || {
///         let task = thread::spawn(|| log("half-way"));
///         assert_eq!(task.join().unwrap(), "request 7: half-way");
///     });
///     assert_eq!(log("over"), "none: over");
/// });
/// ```
///
/// Threads share the value, so it must allow that:
///
/// ```compile_fail,E0599
/// use sylvan::task::ContextVar;
///
/// static COUNT: ContextVar<std::cell::Cell<u32>> = ContextVar::new();
/// COUNT.scope(std::cell::Cell::new(1), || ());
/// ```
pub struct ContextVar<T> {
    /// Given at the first use; 0 before.
    number: AtomicU64,
    value: PhantomData<fn(T) -> T>,
}

impl<T> ContextVar<T> {
    /// A variable that is not set anywhere.
    #[must_use]
    pub const fn new() -> ContextVar<T> {
        ContextVar {
            number: AtomicU64::new(0),
            value: PhantomData,
        }
    }

    /// A number that no other variable has. (Its address may be another's later.)
    fn number(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        match self.number.load(Ordering::Relaxed) {
            0 => {
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                let set =
                    self.number
                        .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
                set.map_or_else(|first| first, |_| new)
            }
            number => number,
        }
    }
}

impl<T: Send + Sync + 'static> ContextVar<T> {
    /// Runs `f` with this value set. What was set before is so again afterwards, also if `f` is unwound.
    ///
    /// ```
    /// use sylvan::task::ContextVar;
    ///
    /// let depth = ContextVar::new();
    /// depth.scope(1, || {
    ///     depth.scope(2, || assert_eq!(depth.get().as_deref(), Some(&2)));
    ///     assert_eq!(depth.get().as_deref(), Some(&1));
    /// });
    /// ```
    pub fn scope<R>(&self, value: T, f: impl FnOnce() -> R) -> R {
        rt::with_value(self.number(), Arc::new(value), f)
    }

    /// The value that is set here, if one is.
    ///
    /// ```
    /// use sylvan::task::ContextVar;
    ///
    /// static USER: ContextVar<String> = ContextVar::new();
    /// assert_eq!(USER.get(), None);
    /// let user = USER.scope("grace".to_owned(), || USER.get());
    /// assert_eq!(*user.unwrap(), "grace");
    /// ```
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        rt::inherited_value(self.number())?.downcast().ok()
    }

    /// Calls `f` with the value that is set here, if one is.
    ///
    /// ```
    /// use sylvan::task::ContextVar;
    ///
    /// static USER: ContextVar<String> = ContextVar::new();
    /// let length = USER.scope("grace".to_owned(), || USER.with(|user| user.map(String::len)));
    /// assert_eq!(length, Some(5));
    /// ```
    pub fn with<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        f(self.get().as_deref())
    }
}

impl<T> Default for ContextVar<T> {
    fn default() -> ContextVar<T> {
        ContextVar::new()
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextVar").finish_non_exhaustive()
    }
}
