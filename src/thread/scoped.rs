//! Green threads that borrow from the frame that spawned them.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{self, Location};
use std::sync::Arc;

use super::join::ScopedJoinHandle;
use crate::rt::{self, Group, Reason, Request};

/// Where scoped threads are spawned; see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    group: Arc<Group>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Runs `f`, which may spawn green threads that borrow from outside of it, and waits for all of them.
///
/// # Differences from std
///
/// It suspends the green thread. The threads inherit the deadlines of the time-outs around. If `f` is
/// unwound by a cancellation or time-out, they are cancelled, then waited for, then the unwinding goes
/// on: `timeout(1 s, || scope(|s| s.spawn(|| sleep(1 h))))` takes one second.
///
/// # Panics
///
/// If `f` panics, or a thread that nobody joined has.
///
/// ```
/// use sylvan::thread;
///
/// let mut numbers = vec![1, 2, 3];
/// sylvan::run(|| {
///     thread::scope(|scope| {
///         for number in &mut numbers {
///             scope.spawn(move || *number *= 10);
///         }
///     });
/// });
/// assert_eq!(numbers, [10, 20, 30]);
/// ```
///
/// What is not `Send` goes neither into such a thread nor out of it, and what `f` itself owns ends too
/// early to be borrowed:
///
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// sylvan::thread::scope(|scope| {
///     scope.spawn(|| println!("{shared}"));
/// });
/// ```
///
/// ```compile_fail,E0277
/// sylvan::thread::scope(|scope| {
///     scope.spawn(|| std::rc::Rc::new(1));
/// });
/// ```
///
/// ```compile_fail,E0373
/// sylvan::thread::scope(|scope| {
///     let text = String::from("short-lived");
///     scope.spawn(|| text.len());
/// });
/// ```
///
/// The handle of a thread does not leave the scope:
///
/// ```compile_fail
/// let handle = sylvan::thread::scope(|scope| scope.spawn(|| 1));
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        group: Group::of_scope(),
        scope: PhantomData,
        env: PhantomData,
    };
    match scope.group.enclose(Reason::Scope, || f(&scope)) {
        Err(payload) => panic::resume_unwind(payload),
        Ok(_) if scope.group.has_failed() => panic!("a scoped thread panicked"),
        Ok(value) => value,
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Spawns a thread into the scope. Never suspends.
    ///
    /// # Panics
    ///
    /// As [`spawn`](super::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let spawned = self.spawn_with(Request::default(), Location::caller(), f);
        spawned.expect("failed to spawn thread")
    }

    pub(super) fn spawn_with<F, T>(
        &'scope self,
        request: Request,
        spawned_at: &'static Location<'static>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: `scope` returns or unwinds only after the last thread of the group has ended, and
        // whatever `'scope` can name lives longer than that.
        let join = unsafe { rt::spawn_scoped(&self.group, request, spawned_at, f) }?;
        Ok(ScopedJoinHandle::new(join))
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}
