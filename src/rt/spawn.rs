//! The ways a task begins.

use std::io;
use std::panic::Location;
use std::sync::Arc;

use super::cancel;
use super::cell::{self, Join};
use super::clock::Instant;
use super::current;
use super::group::Group;
use super::inherited;
use super::runtime::Handle;
use super::shared::Shared;
use super::task::Options;

/// What a spawn asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) name: Option<String>,
    pub(crate) stack_size: Option<usize>,
}

/// Spawns a task into the caller's runtime. An error: that is the default one, and it cannot be started.
pub(crate) fn spawn<F, T>(
    request: Request,
    spawned_at: &'static Location<'static>,
    f: F,
) -> io::Result<Join<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    current::with_runtime(|runtime| {
        let options = options(runtime, request, spawned_at, Group::to_inherit());
        // SAFETY: nothing is borrowed; the closure may start on any OS thread.
        unsafe { spawn_unchecked(runtime, options, f, false) }
    })
}

/// Spawns a task into the runtime of a handle.
pub(crate) fn spawn_into<F, T>(
    handle: &Handle,
    request: Request,
    spawned_at: &'static Location<'static>,
    f: F,
) -> Join<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let runtime = handle.shared();
    let options = options(runtime, request, spawned_at, None);
    // SAFETY: nothing is borrowed; the closure may start on any OS thread.
    unsafe { spawn_unchecked(runtime, options, f, false) }
}

/// Spawns a task that stays on the caller's hub.
///
/// # Panics
///
/// On a plain OS thread.
#[track_caller]
pub(crate) fn spawn_local<F, T>(
    request: Request,
    spawned_at: &'static Location<'static>,
    f: F,
) -> Join<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let Some(hub) = current::hub_of_task() else {
        panic!("spawn_local needs a hub: call it from a green thread");
    };
    let runtime = hub.runtime();
    let options = options(runtime, request, spawned_at, Group::to_inherit());
    // SAFETY: nothing is borrowed; the closure starts, runs and ends on this OS thread.
    unsafe { spawn_unchecked(runtime, options, f, true) }
}

/// Spawns a task into a scope; it inherits the deadlines of the caller.
///
/// # Safety
///
/// The caller waits for the scope's group before anything that `f` or its result borrows ends.
pub(crate) unsafe fn spawn_scoped<F, T>(
    scope: &Arc<Group>,
    request: Request,
    spawned_at: &'static Location<'static>,
    f: F,
) -> io::Result<Join<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    current::with_runtime(|runtime| {
        let mut options = options(runtime, request, spawned_at, Some(scope.clone()));
        options.deadline = cancel::deadline();
        // SAFETY: by the caller's promise; the closure may start on any OS thread.
        unsafe { spawn_unchecked(runtime, options, f, false) }
    })
}

/// Spawns a task into a group that is waited for by whoever likes.
pub(crate) fn spawn_member<F, T>(
    group: &Arc<Group>,
    request: Request,
    spawned_at: &'static Location<'static>,
    f: F,
) -> io::Result<Join<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    current::with_runtime(|runtime| {
        let options = options(runtime, request, spawned_at, Some(group.clone()));
        // SAFETY: nothing is borrowed; the closure may start on any OS thread.
        unsafe { spawn_unchecked(runtime, options, f, false) }
    })
}

#[inline(always)]
fn options(
    runtime: &Shared,
    request: Request,
    spawned_at: &'static Location<'static>,
    group: Option<Arc<Group>>,
) -> Options {
    Options {
        name: request.name.map(String::into_boxed_str),
        stack_size: request.stack_size.unwrap_or_else(|| runtime.stack_size()),
        spawned_at,
        deadline: Instant::NEVER,
        group,
        inherited: inherited::to_inherit(),
    }
}

/// # Safety
///
/// What `F` and `T` borrow outlives the task, and if it does not `stay` both may be sent.
unsafe fn spawn_unchecked<F, T>(runtime: &Shared, options: Options, f: F, stays: bool) -> Join<T>
where
    F: FnOnce() -> T,
{
    // SAFETY: by the caller's promise.
    let (pointer, join) = unsafe { cell::create(options, f) };
    // SAFETY: a new task's count.
    unsafe { runtime.spawn(pointer, stays) };
    join
}
