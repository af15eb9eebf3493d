//! A look at the green threads that are alive, and at the one that looks.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::State;
use crate::rt::{self, Handle, Instant, TaskRef};
use crate::thread::{Thread, ThreadId};

/// A green thread as others see it; see [`all`] and [`current`].
///
/// It tells about the thread also when that has ended, and does not keep its result.
#[derive(Clone)]
pub struct Task(TaskRef);

/// The green threads of the caller's runtime that have not ended, in no order.
///
/// From a plain OS thread: those of the default runtime, if there is one.
///
/// ```
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     thread::Builder::new().name("fetch-1".into()).spawn(thread::park).unwrap();
///     thread::yield_now();
///     let fetch = task::all().into_iter().find(|task| task.name() == Some("fetch-1")).unwrap();
///     assert!(fetch.to_string().starts_with("green thread 'fetch-1', waiting: park for "));
///     fetch.cancel();
/// });
/// ```
#[must_use]
pub fn all() -> Vec<Task> {
    rt::tasks_of_caller().into_iter().map(Task).collect()
}

/// The calling green thread, as others see it; `None` on a plain OS thread, which is no green thread.
///
/// (Name, identity and `unpark` of whatever thread calls are in [`thread::current`](crate::thread::current).)
///
/// ```
/// use sylvan::{task, thread};
///
/// assert!(task::current().is_none());
/// sylvan::run(|| {
///     let me = thread::Builder::new().name("fetch-1".into()).spawn(task::current).unwrap();
///     let me = me.join().unwrap().unwrap();
///     assert!(me.to_string().starts_with("green thread 'fetch-1', returned, spawned at "));
/// });
/// ```
#[must_use]
pub fn current() -> Option<Task> {
    rt::on_green_thread().then(|| Task(rt::current_task()))
}

impl Handle {
    /// The green threads of this runtime that have not ended, in no order; see [`all`].
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        self.task_records().into_iter().map(Task).collect()
    }
}

impl Task {
    /// The thread's handle.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        Thread::of(&self.0)
    }

    /// The thread's identity.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        self.thread().id()
    }

    /// The thread's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.thread().name()
    }

    /// Where it was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.0.identity.spawned_at
    }

    /// What it does at the moment. From another hub's thread it may be out of date when it is returned.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// How long it has waited for what it waits for, if it does.
    #[must_use]
    pub fn waits_for(&self) -> Option<Duration> {
        let waits = matches!(self.state(), State::Waiting(_));
        let (_, since) = self.0.last_wait();
        waits.then(|| Instant::now().duration_since(since))
    }

    /// Asks it to end; see [`JoinHandle::cancel`](crate::thread::JoinHandle::cancel).
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// A line of a dump.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.display_name();
        write!(f, "green thread '{name}', {}", self.state())?;
        if let Some(duration) = self.waits_for() {
            write!(f, " for {:.1} s", duration.as_secs_f64())?;
        }
        write!(f, ", spawned at {}", self.spawned_at())
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
