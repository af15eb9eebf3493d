//! Structured concurrency: green threads that end together.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{self, Location};
use std::sync::Arc;

use super::failure::Failures;
use super::{Cancelled, State};
use crate::rt::{self, Group, Reason, Request, Returned};
use crate::thread::{JoinHandle, Thread, ThreadId, Watchable, sealed};

/// Where the threads of a nursery are spawned; see [`nursery`].
pub struct Nursery<'scope, 'env: 'scope> {
    group: Arc<Group>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// What the body and the threads of a nursery may return: nothing, or a `Result` whose error is a failure. (Or
/// they may not return at all.)
///
/// Not any value: an error that nobody looks at must not pass for success. Another value is given as an `Ok`:
///
/// ```
/// use std::convert::Infallible;
/// use sylvan::task;
///
/// let value = task::nursery(|_| Ok::<_, Infallible>(7));
/// assert_eq!(value.unwrap(), 7);
/// ```
///
/// ```compile_fail,E0277
/// let value = sylvan::task::nursery(|_| 7);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` tells neither success nor failure, as what is run in a nursery must",
    label = "neither `()` nor a `Result` whose error can be boxed as `dyn Error + Send + Sync`",
    note = "return nothing, or wrap the value: `Ok::<_, std::convert::Infallible>(value)`"
)]
pub trait Outcome {
    /// What there is if it did not fail.
    type Value;

    /// The value, or the error.
    ///
    /// # Errors
    ///
    /// The failure, if it is one.
    fn into_result(self) -> Result<Self::Value, Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    type Value = ();

    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
}

/// The type of what never returns, such as an endless loop: Rust lets it be written only as what a function
/// returns.
type Never = <fn() -> ! as returns::Returns>::Value;

mod returns {
    pub trait Returns {
        type Value;
    }
}

impl<T> returns::Returns for fn() -> T {
    type Value = T;
}

impl Outcome for Never {
    type Value = Infallible;

    fn into_result(self) -> Result<Infallible, Box<dyn Error + Send + Sync>> {
        self
    }
}

/// Runs `body`, which may spawn green threads that borrow from outside of it, and waits for all of them. The
/// first that fails ends the others.
///
/// To fail is to panic, to return an `Err`, or to be cancelled, and it ends the nursery: its threads are
/// cancelled, and `body`, if it still runs, is unwound at its next suspension. In any case all threads have
/// ended when this returns. [`Nursery::cancel`] ends it as well.
///
/// The threads inherit the deadlines of the time-outs around. If `body` is unwound by a cancellation or
/// time-out from outside, the threads are cancelled, then waited for, then the unwinding goes on.
///
/// This is asyncio's `TaskGroup` and Trio's nursery. Unlike in asyncio, a thread that was cancelled by itself,
/// through its handle, is a failure.
///
/// # Errors
///
/// All failures, in the order in which they came. Those that were cancelled because of the first one are none.
///
/// # Panics
///
/// If `body` panics, with its payload; the threads are cancelled, and their failures are reported.
///
/// ```
/// use std::io;
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let numbers = [1, 2, 3];
///     let sum = task::nursery(|nursery| {
///         let halves = numbers.split_at(1);
///         let left = nursery.spawn(move || io::Result::Ok(halves.0.iter().sum::<i32>()));
///         let right = nursery.spawn(move || io::Result::Ok(halves.1.iter().sum::<i32>()));
///         Ok::<_, task::Cancelled>(left.join()? + right.join()?)
///     });
///     assert_eq!(sum.unwrap(), 6);
///
///     let failed = task::nursery(|nursery| {
///         nursery.spawn(|| Err::<(), _>(io::Error::other("no luck")));
///         nursery.spawn(|| thread::sleep(std::time::Duration::from_secs(3600)));
///     });
///     assert_eq!(failed.unwrap_err().len(), 1);
/// });
/// ```
///
/// What `body` itself owns ends too early to be borrowed, and what is not `Send` cannot go in:
///
/// ```compile_fail,E0373
/// sylvan::task::nursery(|nursery| {
///     let text = String::from("short-lived");
///     nursery.spawn(|| drop(&text));
/// });
/// ```
///
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// sylvan::task::nursery(|nursery| {
///     nursery.spawn(|| drop(&shared));
/// });
/// ```
pub fn nursery<'env, F, R>(body: F) -> Result<R::Value, Failures>
where
    F: for<'scope> FnOnce(&'scope Nursery<'scope, 'env>) -> R,
    R: Outcome,
{
    let nursery = Nursery {
        group: Group::of_nursery(),
        scope: PhantomData,
        env: PhantomData,
    };
    let group = &nursery.group;
    let value = group.enclose(Reason::Nursery, || {
        let end = EndIfUnwound(group);
        let outcome = rt::with_group(group, || body(&nursery));
        // The conversion of an error is the user's, too, and may panic.
        let result = outcome?.into_result();
        std::mem::forget(end);
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                group.fail(rt::current_task(), Box::new(Returned(error)));
                None
            }
        }
    });
    let value = value.unwrap_or_else(|payload| {
        // Their destructors run because of the unwinding, which is only interrupted here.
        rt::mask(|| group.give_up_failures());
        panic::resume_unwind(payload)
    });
    let failures = Failures::from(group.take_failures());
    match value {
        Some(value) if failures.is_empty() => Ok(value),
        _ => Err(failures),
    }
}

/// Cancels a nursery's threads if its body is unwound, by a panic or from outside.
struct EndIfUnwound<'group>(&'group Group);

impl Drop for EndIfUnwound<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<'scope> Nursery<'scope, '_> {
    /// Spawns a thread into the nursery. Never suspends.
    ///
    /// In a nursery that ends it never runs. One with a name comes from
    /// [`Builder::spawn_in_nursery`](crate::thread::Builder::spawn_in_nursery).
    ///
    /// # Panics
    ///
    /// As [`thread::spawn`](crate::thread::spawn).
    #[track_caller]
    pub fn spawn<F, R>(&'scope self, f: F) -> NurseryHandle<'scope, R::Value>
    where
        F: FnOnce() -> R + Send + 'scope,
        R: Outcome + 'scope,
        R::Value: Send + 'scope,
    {
        let spawned = self.spawn_with(Request::default(), Location::caller(), f);
        spawned.expect("failed to spawn thread")
    }

    pub(super) fn spawn_with<F, R>(
        &'scope self,
        request: Request,
        spawned_at: &'static Location<'static>,
        f: F,
    ) -> io::Result<NurseryHandle<'scope, R::Value>>
    where
        F: FnOnce() -> R + Send + 'scope,
        R: Outcome + 'scope,
        R::Value: Send + 'scope,
    {
        let group = &self.group;
        let run = move || match f().into_result() {
            Ok(value) => Some(value),
            Err(error) => {
                group.fail(rt::current_task(), Box::new(Returned(error)));
                None
            }
        };
        // SAFETY: `nursery` returns or unwinds only after the last thread of the group has ended, and whatever
        // `'scope` can name lives longer than that.
        let join = unsafe { rt::spawn_scoped(group, request, spawned_at, run) }?;
        Ok(NurseryHandle {
            handle: JoinHandle::new(join),
            scope: PhantomData,
        })
    }

    /// Ends the nursery: cancels its threads and its body. Never suspends.
    ///
    /// If `body` returns a value all the same, and nothing has failed, [`nursery`] returns that; else an error
    /// without failures.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sylvan::{task, thread};
    ///
    /// sylvan::run(|| {
    ///     let ended = task::nursery(|nursery| {
    ///         nursery.spawn(|| nursery.cancel());
    ///         thread::sleep(Duration::from_secs(3600));
    ///     });
    ///     assert!(ended.unwrap_err().is_empty());
    /// });
    /// ```
    pub fn cancel(&self) {
        self.group.cancel();
    }

    /// How many of its threads have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// Have all its threads ended?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Nursery<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nursery")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The handle of a thread of a [`nursery`]. Dropping it changes nothing.
///
/// [`wait`](super::wait()) and [`as_completed`](super::as_completed) take it; [`gather`](super::gather) and
/// [`race`](super::race), which have failures of their own to give and threads to cancel, do not: in a nursery both
/// are the nursery's.
///
/// ```
/// use std::io;
/// use sylvan::task;
///
/// sylvan::run(|| {
///     let sum = task::nursery(|nursery| {
///         let tasks = [1, 2, 3].map(|n| nursery.spawn(move || io::Result::Ok(n)));
///         let mut sum = 0;
///         for task in task::as_completed(tasks) {
///             sum += task.join()?;
///         }
///         Ok::<_, task::Cancelled>(sum)
///     });
///     assert_eq!(sum.unwrap(), 6);
/// });
/// ```
pub struct NurseryHandle<'scope, T> {
    /// `None` stands for an error, which the nursery has.
    handle: JoinHandle<Option<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> NurseryHandle<'_, T> {
    /// Suspends until the thread has ended, and returns its value.
    ///
    /// If it failed the nursery ends, and this unwinds with it.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] if it failed and the unwinding is held back, by [`mask`](super::mask) for example, or the
    /// caller does not belong to the nursery. What failed is in the error of [`nursery`].
    pub fn join(self) -> Result<T, Cancelled> {
        if let Ok(Some(value)) = self.handle.join() {
            return Ok(value);
        }
        rt::checkpoint();
        Err(Cancelled::new())
    }

    /// The thread's handle.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }

    /// The thread's identity: that of its [`thread`](Self::thread).
    #[must_use]
    pub fn id(&self) -> ThreadId {
        self.handle.id()
    }

    /// The thread's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }

    /// As [`JoinHandle::is_finished`](crate::thread::JoinHandle::is_finished).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// As [`JoinHandle::state`](crate::thread::JoinHandle::state).
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.state()
    }

    /// As [`JoinHandle::cancel`](crate::thread::JoinHandle::cancel). It is a failure, and ends the nursery.
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl<T> Watchable for NurseryHandle<'_, T> {}

impl<T> sealed::Sealed for NurseryHandle<'_, T> {
    type Value = Option<T>;

    fn handle(&self, _: sealed::Token) -> &JoinHandle<Option<T>> {
        &self.handle
    }

    fn into_handle(self, _: sealed::Token) -> JoinHandle<Option<T>> {
        self.handle
    }
}

impl<T> fmt::Debug for NurseryHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NurseryHandle").finish_non_exhaustive()
    }
}
