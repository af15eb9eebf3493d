//! A value that comes later, once, for all who want it.

use std::cell::UnsafeCell;
use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::Arc;
use super::gate::{Gate, Passing};
use super::select::{Await, sealed::Sealed};
use crate::rt::{self, Instant, Reason};

/// A promise that is not kept yet, and the right to keep it.
///
/// There are two halves, as of a channel, because the readers must learn of it when nobody is left who could
/// keep the promise: a [`Resolver`] that is dropped unused breaks it, be it that its green thread panicked,
/// was cancelled, or forgot. (With a single shared handle, as gevent's `AsyncResult` is, they would
/// wait for ever.) And the resolver is used up by its one use, so that a promise cannot be kept twice.
///
/// ```
/// use sylvan::sync::promise;
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let (resolver, address) = promise();
///     let readers: Vec<_> = (0..3)
///         .map(|_| {
///             let address = address.clone();
///             thread::spawn(move || *address.get().unwrap())
///         })
///         .collect();
///     thread::spawn(|| resolver.set("127.0.0.1"));
///     for reader in readers {
///         assert_eq!(reader.join().unwrap(), "127.0.0.1");
///     }
///     assert_eq!(address.get(), Ok(&"127.0.0.1")); // again and again
/// });
/// ```
#[must_use = "a promise that nobody can keep is broken at once"]
pub fn promise<T>() -> (Resolver<T>, Promise<T>) {
    let state = Arc::new(State {
        settled: Gate::new(),
        outcome: UnsafeCell::new(None),
    });
    let promise = Promise {
        state: state.clone(),
    };
    (Resolver { state }, promise)
}

/// What will be a value or a failure one day, for any number of readers; see [`promise`].
///
/// Clones are the same promise.
pub struct Promise<T> {
    state: Arc<State<T>>,
}

/// The right to keep a [`Promise`]. Dropping it unused breaks the promise.
#[must_use = "dropping it breaks the promise"]
pub struct Resolver<T> {
    state: Arc<State<T>>,
}

struct State<T> {
    /// Open when there is an outcome.
    settled: Gate,
    /// Written once, by the one resolver, before the gate is opened, and only read after that.
    outcome: UnsafeCell<Option<Result<T, PromiseError>>>,
}

// SAFETY: the value may be written by one thread and dropped by another, so it must be `Send`, and is shared
// with all, so it must be `Sync`. The gate keeps reading apart from writing.
unsafe impl<T: Send + Sync> Sync for State<T> {}
impl<T: UnwindSafe> UnwindSafe for State<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for State<T> {}

impl<T> Resolver<T> {
    /// Keeps the promise: this is its value. Wakes who waits for it. Never suspends.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise();
    /// resolver.set(5);
    /// assert_eq!(promise.get(), Ok(&5));
    /// ```
    #[inline]
    pub fn set(self, value: T) {
        self.settle(Ok(value));
    }

    /// Gives a failure instead of a value, to all who read: an error, or text. Never suspends.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise::<u16>();
    /// resolver.fail("no such host");
    /// assert_eq!(promise.get().unwrap_err().to_string(), "no such host");
    /// ```
    pub fn fail(self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.settle(Err(PromiseError(Cause::Failed(error.into().into()))));
    }

    /// Called at most once with an effect: by a use, and then by the drop that follows it.
    #[inline]
    fn settle(&self, outcome: Result<T, PromiseError>) {
        if !self.state.settled.is_open() {
            // SAFETY: there is one resolver, so nobody else writes, and nobody reads before it is open.
            unsafe { *self.state.outcome.get() = Some(outcome) };
            self.state.settled.open();
        }
    }
}

impl<T> Drop for Resolver<T> {
    #[inline]
    fn drop(&mut self) {
        self.settle(Err(PromiseError(Cause::Broken)));
    }
}

impl<T> Promise<T> {
    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// The failure, if it has [failed](Resolver::fail); one that [is broken](PromiseError::is_broken) if its
    /// resolver was dropped.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise::<String>();
    /// drop(resolver);
    /// assert!(promise.get().unwrap_err().is_broken());
    /// ```
    pub fn get(&self) -> Result<&T, PromiseError> {
        self.wait();
        // There is an outcome now.
        self.try_get().unwrap_or(Err(PromiseError(Cause::Broken)))
    }

    /// As [`get`](Self::get), but `None` if there is nothing for so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_resolver, promise) = sylvan::sync::promise::<String>();
    /// assert!(promise.get_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Option<Result<&T, PromiseError>> {
        self.wait_timeout(timeout);
        self.try_get()
    }

    /// What there is, if there is something. Never suspends.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise();
    /// assert_eq!(promise.try_get(), None);
    /// resolver.set(5);
    /// assert_eq!(promise.try_get(), Some(Ok(&5)));
    /// ```
    pub fn try_get(&self) -> Option<Result<&T, PromiseError>> {
        let outcome = self.outcome()?;
        Some(outcome.as_ref().map_err(PromiseError::clone))
    }

    /// Waits until there is a value or a failure, and gives neither.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise::<()>();
    /// resolver.fail("in vain");
    /// promise.wait();
    /// assert!(promise.is_ready());
    /// ```
    #[inline]
    pub fn wait(&self) {
        rt::spend();
        self.state.settled.wait(Reason::Promise, Instant::NEVER);
    }

    /// Waits as [`wait`](Self::wait), for so long at most. Returns whether there is something.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_resolver, promise) = sylvan::sync::promise::<()>();
    /// assert!(!promise.wait_timeout(Duration::from_millis(1)));
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        rt::spend();
        let settled = &self.state.settled;
        settled.is_open() || settled.wait(Reason::Promise, Instant::limit(timeout))
    }

    /// Is there a value or a failure? Never suspends.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise();
    /// assert!(!promise.is_ready());
    /// resolver.set(());
    /// assert!(promise.is_ready());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.state.settled.is_open()
    }

    /// Is there a value? Never suspends.
    ///
    /// ```
    /// let (resolver, promise) = sylvan::sync::promise::<()>();
    /// resolver.fail("in vain");
    /// assert!(promise.is_ready() && !promise.is_successful());
    /// ```
    #[must_use]
    pub fn is_successful(&self) -> bool {
        self.outcome().is_some_and(Result::is_ok)
    }

    fn outcome(&self) -> Option<&Result<T, PromiseError>> {
        if !self.is_ready() {
            return None;
        }
        // SAFETY: it was written before the gate was opened, and will not be again.
        unsafe { &*self.state.outcome.get() }.as_ref()
    }
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Promise<T> {
        Promise {
            state: self.state.clone(),
        }
    }
}

impl<T> Sealed for Promise<T> {}

impl<T> Await for Promise<T> {
    type Output<'queue>
        = ()
    where
        Self: 'queue;
    type Operation<'queue>
        = Passing<'queue>
    where
        Self: 'queue;

    fn to_wait(&self) -> Passing<'_> {
        Passing(&self.state.settled)
    }
}

impl<T: fmt::Debug> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("Promise");
        match self.outcome() {
            Some(Ok(value)) => shown.field(value),
            Some(Err(error)) => shown.field(error),
            None => shown.field(&format_args!("<not ready>")),
        };
        shown.finish()
    }
}

impl<T> fmt::Debug for Resolver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// Why a [`Promise`] has no value.
///
/// It reads as the error it was failed with does. Clones are the same error; two are equal if they are clones, or
/// both of broken promises.
#[derive(Clone)]
pub struct PromiseError(Cause);

#[derive(Clone)]
enum Cause {
    Failed(Arc<dyn Error + Send + Sync>),
    Broken,
}

impl PromiseError {
    /// Was the promise broken: is there no value because its resolver was dropped?
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self.0, Cause::Broken)
    }

    /// What the promise was failed with; `None` if it was broken.
    ///
    /// ```
    /// use std::io::{Error, ErrorKind};
    ///
    /// let (resolver, promise) = sylvan::sync::promise::<()>();
    /// resolver.fail(Error::from(ErrorKind::NotFound));
    /// let failure = promise.get().unwrap_err();
    /// let error = failure.error().unwrap().downcast_ref::<Error>();
    /// assert_eq!(error.unwrap().kind(), ErrorKind::NotFound);
    /// ```
    #[must_use]
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &self.0 {
            Cause::Failed(error) => Some(&**error),
            Cause::Broken => None,
        }
    }
}

impl PartialEq for PromiseError {
    fn eq(&self, other: &PromiseError) -> bool {
        match (&self.0, &other.0) {
            (Cause::Failed(one), Cause::Failed(other)) => Arc::ptr_eq(one, other),
            (Cause::Broken, Cause::Broken) => true,
            _ => false,
        }
    }
}

impl Eq for PromiseError {}

impl fmt::Display for PromiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Failed(error) => error.fmt(f),
            Cause::Broken => f.write_str("the promise was broken: its resolver was dropped"),
        }
    }
}

impl fmt::Debug for PromiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Cause::Broken => f.write_str("Broken"),
        }
    }
}

impl Error for PromiseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error()?.source()
    }
}
