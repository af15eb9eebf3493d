//! A counting semaphore, with one permit at a time or several.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::Arc;
use super::permits::Permits;
use super::select::{Await, Operation, sealed::Sealed};
use crate::rt::{self, Case, Instant, Signal, Stand};

/// A number of permits: who needs one and finds none waits until one is given back.
///
/// It bounds how many do something at once. Waiters are served strictly in their order: nobody, not even
/// [`try_acquire`](Self::try_acquire), takes a permit while others wait for it. What one gets who waits for [several
/// at once](Self::acquire_many) is kept for it until it is enough. A waiter that is cancelled,
/// or ended by a [`timeout`](crate::time::timeout), when a permit is on its way to it leaves that to the
/// next.
///
/// A semaphore is not poisoned by panics.
///
/// ```
/// use std::time::Duration;
/// use sylvan::sync::Semaphore;
/// use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
/// use sylvan::thread;
///
/// let at_once = Semaphore::new(2);
/// let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
/// sylvan::run(|| {
///     thread::scope(|scope| {
///         for _ in 0..10 {
///             scope.spawn(|| {
///                 let _permit = at_once.acquire();
///                 most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
///                 thread::sleep(Duration::from_millis(1));
///                 now.fetch_sub(1, SeqCst);
///             });
///         }
///     });
/// });
/// assert_eq!(most.into_inner(), 2);
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

/// Permits of a [`Semaphore`], which has them back when this is dropped.
#[must_use = "if unused the permit is given back at once"]
#[derive(Debug)]
pub struct SemaphorePermit<'semaphore> {
    semaphore: &'semaphore Semaphore,
    permits: usize,
}

/// As [`SemaphorePermit`], for who cannot borrow the semaphore, such as a green thread that gets its permit before it
/// is spawned.
#[must_use = "if unused the permit is given back at once"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

/// More permits were given than a [`Semaphore`] can have. It is as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverRelease {
    most: usize,
}

impl Semaphore {
    /// The most permits that can be free at once.
    pub const MAX_PERMITS: usize = Permits::MAX;

    /// A semaphore with so many permits, all of them free. It can have more later: see
    /// [`release`](Self::release).
    ///
    /// # Panics
    ///
    /// If these are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// ```
    /// use sylvan::sync::Semaphore;
    ///
    /// static DOWNLOADS: Semaphore = Semaphore::new(8);
    /// assert_eq!(DOWNLOADS.available(), 8);
    /// ```
    #[must_use]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Self::MAX_PERMITS, "too many permits");
        Semaphore {
            permits: Permits::new(permits, Self::MAX_PERMITS),
        }
    }

    /// As [`new`](Self::new), but there can never be more permits free than these: it is an error to
    /// [`release`](Self::release) what was not acquired. Python calls it `BoundedSemaphore`.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    ///
    /// ```
    /// use sylvan::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::bounded(2);
    /// semaphore.acquire().forget();
    /// semaphore.release(1);
    /// assert!(semaphore.try_release(1).is_err());
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    #[must_use]
    pub const fn bounded(permits: usize) -> Semaphore {
        assert!(permits <= Self::MAX_PERMITS, "too many permits");
        Semaphore {
            permits: Permits::new(permits, permits),
        }
    }

    /// Takes a permit, and suspends until there is one.
    ///
    /// # Panics
    ///
    /// If there can never be one, as the semaphore is [bounded](Self::bounded) to none.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(1);
    /// let permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 0);
    /// drop(permit);
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    #[inline]
    pub fn acquire(&self) -> SemaphorePermit<'_> {
        self.get(1, || Instant::NEVER);
        self.permit(1)
    }

    /// Takes so many permits at once, and suspends until there are as many.
    ///
    /// # Panics
    ///
    /// If there can never be as many: more than [`MAX_PERMITS`](Self::MAX_PERMITS), or than a
    /// [bounded](Self::bounded) one has.
    ///
    /// ```
    /// let megabytes = sylvan::sync::Semaphore::new(100);
    /// let large = megabytes.acquire_many(70);
    /// assert_eq!((large.permits(), megabytes.available()), (70, 30));
    /// ```
    #[inline]
    pub fn acquire_many(&self, permits: usize) -> SemaphorePermit<'_> {
        self.get(permits, || Instant::NEVER);
        self.permit(permits)
    }

    /// Takes a permit if one is free. Never suspends.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some());
    /// assert!(semaphore.try_acquire().is_none());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes so many permits if they are free. Never suspends.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(2);
    /// assert!(semaphore.try_acquire_many(3).is_none());
    /// assert!(semaphore.try_acquire_many(2).is_some());
    /// ```
    #[inline]
    pub fn try_acquire_many(&self, permits: usize) -> Option<SemaphorePermit<'_>> {
        self.permits.take(permits).then(|| self.permit(permits))
    }

    /// As [`acquire`](Self::acquire), but `None` if there is no permit for so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = sylvan::sync::Semaphore::new(0);
    /// assert!(semaphore.acquire_timeout(Duration::from_millis(1)).is_none());
    /// ```
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        self.acquire_many_timeout(1, timeout)
    }

    /// As [`acquire_many`](Self::acquire_many), but `None` if there are not as many for so long.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = sylvan::sync::Semaphore::new(1);
    /// assert!(semaphore.acquire_many_timeout(2, Duration::from_millis(1)).is_none());
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn acquire_many_timeout(
        &self,
        permits: usize,
        timeout: Duration,
    ) -> Option<SemaphorePermit<'_>> {
        let taken = self.get(permits, || Instant::limit(timeout));
        taken.then(|| self.permit(permits))
    }

    /// As [`acquire`](Self::acquire), with a permit that does not borrow.
    ///
    /// ```
    /// use sylvan::sync::{Arc, Semaphore};
    /// use sylvan::thread;
    ///
    /// sylvan::run(|| {
    ///     let connections = Arc::new(Semaphore::new(2));
    ///     for _ in 0..10 {
    ///         let permit = connections.clone().acquire_owned(); // before there is another one
    ///         thread::spawn(move || {
    ///             thread::yield_now();
    ///             drop(permit);
    ///         });
    ///     }
    /// });
    /// ```
    pub fn acquire_owned(self: Arc<Self>) -> OwnedSemaphorePermit {
        self.acquire_many_owned(1)
    }

    /// As [`acquire_many`](Self::acquire_many), with a permit that does not borrow.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Self::acquire_many).
    pub fn acquire_many_owned(self: Arc<Self>, permits: usize) -> OwnedSemaphorePermit {
        self.get(permits, || Instant::NEVER);
        OwnedSemaphorePermit {
            semaphore: self,
            permits,
        }
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that does not borrow. Never suspends.
    pub fn try_acquire_owned(self: Arc<Self>) -> Option<OwnedSemaphorePermit> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), with a permit that does not borrow. Never suspends.
    pub fn try_acquire_many_owned(self: Arc<Self>, permits: usize) -> Option<OwnedSemaphorePermit> {
        self.permits.take(permits).then(|| OwnedSemaphorePermit {
            semaphore: self,
            permits,
        })
    }

    /// How many permits are free now. (What is kept for one who waits for several is not.)
    ///
    /// ```
    /// assert_eq!(sylvan::sync::Semaphore::new(3).available(), 3);
    /// ```
    #[must_use]
    pub fn available(&self) -> usize {
        self.permits.free()
    }

    /// Gives so many permits, also ones that were never acquired: the semaphore has more of them from then
    /// on, unless it is [bounded](Self::bounded). Never suspends.
    ///
    /// # Panics
    ///
    /// Where [`try_release`](Self::try_release) gives an error.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(0);
    /// semaphore.release(2);
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn release(&self, permits: usize) {
        if let Err(error) = self.try_release(permits) {
            panic!("{error}");
        }
    }

    /// As [`release`](Self::release), but without a panic.
    ///
    /// # Errors
    ///
    /// If more permits would be free than the semaphore can have, [`MAX_PERMITS`](Self::MAX_PERMITS) or what it
    /// is [bounded](Self::bounded) to. None of them was given then.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::bounded(2);
    /// let error = semaphore.try_release(1).unwrap_err();
    /// assert_eq!(error.to_string(), "a semaphore that can have 2 permits was given more");
    /// ```
    #[inline]
    pub fn try_release(&self, permits: usize) -> Result<(), OverRelease> {
        if self.permits.give(permits) {
            Ok(())
        } else {
            let most = self.permits.most();
            Err(OverRelease { most })
        }
    }

    #[inline]
    fn get(&self, permits: usize, deadline: impl FnOnce() -> Instant) -> bool {
        rt::spend();
        self.permits.take(permits) || self.get_slow(permits, deadline())
    }

    #[cold]
    #[track_caller]
    fn get_slow(&self, permits: usize, deadline: Instant) -> bool {
        let most = self.permits.most();
        assert!(
            permits <= most,
            "{permits} permits are wanted of a semaphore that can have {most}"
        );
        self.permits.wait(permits, deadline)
    }

    #[inline]
    fn permit(&self, permits: usize) -> SemaphorePermit<'_> {
        SemaphorePermit {
            semaphore: self,
            permits,
        }
    }

    /// Permits end. Where others have given what was not theirs, what is too much vanishes: a drop does not panic.
    #[inline]
    fn give_back(&self, permits: usize) {
        let (mut left, mut step) = (permits, permits);
        while step > 0 {
            if self.permits.give(step) {
                left -= step;
                step = step.min(left);
            } else {
                step /= 2;
            }
        }
    }
}

impl SemaphorePermit<'_> {
    /// How many permits these are.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Keeps the permits from being given back: the semaphore has less from now on, until somebody
    /// [`release`](Semaphore::release)s some.
    ///
    /// ```
    /// let semaphore = sylvan::sync::Semaphore::new(2);
    /// semaphore.acquire().forget();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl OwnedSemaphorePermit {
    /// How many permits these are.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// The semaphore they are of.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// As [`SemaphorePermit::forget`].
    pub fn forget(mut self) {
        self.permits = 0;
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.give_back(self.permits);
    }
}

impl Drop for OwnedSemaphorePermit {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.give_back(self.permits);
    }
}

/// A permit to be acquired by a select.
#[doc(hidden)]
pub struct Acquiring<'semaphore> {
    semaphore: &'semaphore Semaphore,
    permit: Cell<Option<SemaphorePermit<'semaphore>>>,
}

impl Acquiring<'_> {
    /// There is one, and it was taken.
    fn take(&self) {
        self.permit.set(Some(self.semaphore.permit(1)));
    }
}

impl Sealed for Semaphore {}

impl Await for Semaphore {
    type Output<'queue> = SemaphorePermit<'queue>;
    type Operation<'queue> = Acquiring<'queue>;

    fn to_wait(&self) -> Acquiring<'_> {
        Acquiring {
            semaphore: self,
            permit: Cell::new(None),
        }
    }
}

impl<'semaphore: 'queue, 'queue> Case<'queue> for Acquiring<'semaphore> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        let taken = self.semaphore.permits.enter(stand);
        if taken {
            self.take();
        }
        taken
    }

    fn accept(&self, signal: Signal) {
        self.semaphore.permits.accept(signal.token());
        self.take();
    }

    fn pass_on(&self, signal: Signal) {
        self.semaphore.permits.pass_on(signal.token());
    }
}

impl fmt::Debug for Acquiring<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquiring").finish_non_exhaustive()
    }
}

impl<'queue> Operation<'queue> for Acquiring<'queue> {
    type Output = SemaphorePermit<'queue>;

    fn finish(self) -> SemaphorePermit<'queue> {
        let permit = self.permit.take();
        permit.expect("a select asks the case that was done")
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.most;
        write!(f, "a semaphore that can have {most} permits was given more")
    }
}

impl Error for OverRelease {}
