//! Spawning green threads.

use std::io;
use std::panic::Location;

use super::join::{JoinHandle, LocalJoinHandle, ScopedJoinHandle};
use super::scoped::Scope;
use crate::rt::{self, Handle, Request, Runtime};

/// Spawns a green thread.
///
/// From a green thread it goes to the same runtime, from a plain OS thread to the process-wide default
/// runtime, which the first such call starts. It never suspends.
///
/// # Differences from std
///
/// A thread that can get no stack when it is to start ends with
/// [`task::NoStack`](crate::task::NoStack), which its handle gives. On a runtime that closes it is
/// cancelled already. A green thread that nobody joins ends with the [`run`](crate::run) it belongs to.
/// What it prints in a test is captured as that of the test which started its OS thread: inside
/// [`run`](crate::run) that is the test itself, on the default runtime whichever test was first. And the
/// message of a panic names the OS thread, not the green one.
///
/// # Panics
///
/// If the default runtime is needed and cannot be started.
///
/// ```
/// use sylvan::thread;
///
/// let sum = sylvan::run(|| {
///     let tasks: Vec<_> = (0..10).map(|n| thread::spawn(move || n * n)).collect();
///     tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
/// });
/// assert_eq!(sum, 285);
/// ```
///
/// What is not `Send` cannot go into a green thread, which may start on another OS thread:
///
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// sylvan::thread::spawn(move || println!("{shared}"));
/// ```
///
/// Nor can it come out of one, nor what is borrowed go in:
///
/// ```compile_fail,E0277
/// let task = sylvan::thread::spawn(|| std::rc::Rc::new(1));
/// ```
///
/// ```compile_fail,E0373
/// let text = String::from("short-lived");
/// let task = sylvan::thread::spawn(|| text.len());
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let join = rt::spawn(Request::default(), Location::caller(), f);
    JoinHandle::new(join.expect("failed to spawn thread"))
}

/// Spawns a green thread that stays on the hub of the calling one, so that it may use what cannot be
/// sent.
///
/// # Panics
///
/// On a plain OS thread.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let shared = Rc::new(Cell::new(1));
///     let theirs = shared.clone();
///     thread::spawn_local(move || theirs.set(2)).join().unwrap();
///     assert_eq!(shared.get(), 2);
/// });
/// ```
///
/// Its handle, too, stays there:
///
/// ```compile_fail,E0277
/// sylvan::run(|| {
///     let local = sylvan::thread::spawn_local(|| std::rc::Rc::new(1));
///     sylvan::thread::spawn(move || local.join());
/// });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> LocalJoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    LocalJoinHandle::new(rt::spawn_local(Request::default(), Location::caller(), f))
}

/// Gives a green thread a name and a stack size before it is spawned.
///
/// # Differences from std
///
/// Stack sizes are rounded up to 64 KiB, 256 KiB, 1 MiB or 8 MiB of address space, above that to whole
/// pages; only what is touched costs memory.
///
/// ```
/// use sylvan::thread;
///
/// sylvan::run(|| {
///     let builder = thread::Builder::new().name("deep".into()).stack_size(16 << 20);
///     let task = builder.spawn(|| thread::current().name().unwrap().len()).unwrap();
///     assert_eq!(task.join().unwrap(), 4);
/// });
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    request: Request,
}

impl Builder {
    /// No name, and the runtime's stack size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the thread.
    ///
    /// # Panics
    ///
    /// On [`spawn`](Self::spawn) if the name has a null byte, as std's.
    pub fn name(mut self, name: String) -> Builder {
        self.request.name = Some(name);
        self
    }

    /// The least stack size in bytes.
    pub fn stack_size(mut self, size: usize) -> Builder {
        self.request.stack_size = Some(size);
        self
    }

    /// Spawns the thread; see [`spawn`].
    ///
    /// # Errors
    ///
    /// What the operating system says if the default runtime is needed and cannot be started. What fails
    /// when the thread itself starts its handle tells.
    ///
    /// # Panics
    ///
    /// If the name has a null byte.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let request = self.checked();
        rt::spawn(request, Location::caller(), f).map(JoinHandle::new)
    }

    /// Spawns the thread on the hub of the calling one; see [`spawn_local`].
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// # Panics
    ///
    /// If the name has a null byte, and on a plain OS thread.
    #[track_caller]
    pub fn spawn_local<F, T>(self, f: F) -> io::Result<LocalJoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let join = rt::spawn_local(self.checked(), Location::caller(), f);
        Ok(LocalJoinHandle::new(join))
    }

    /// Spawns the thread into a scope; see [`scope`](super::scope).
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// If the name has a null byte.
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        scope.spawn_with(self.checked(), Location::caller(), f)
    }

    #[track_caller]
    pub(crate) fn checked(self) -> Request {
        let name = self.request.name.as_deref();
        assert!(
            name.is_none_or(|name| !name.contains('\0')),
            "thread name may not contain interior null bytes"
        );
        self.request
    }
}

impl Handle {
    /// Spawns a green thread into this runtime, from any thread; see [`spawn`].
    ///
    /// On a runtime with one hub it runs when somebody is in [`Runtime::run`].
    ///
    /// ```
    /// use sylvan::runtime::Runtime;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = Runtime::new()?;
    /// let task = runtime.handle().spawn(|| 6 * 7);
    /// assert_eq!(runtime.run(|| task.join().unwrap()), 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spawned_at = Location::caller();
        JoinHandle::new(rt::spawn_into(self, Request::default(), spawned_at, f))
    }
}

impl Runtime {
    /// As [`Handle::spawn`].
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle().spawn(f)
    }
}
