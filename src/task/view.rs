//! A look at the green threads that are alive, and at the one that looks.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::State;
use crate::rt::{self, Handle, HeldBy, Instant, TaskRef};
use crate::thread::{Thread, ThreadId};

/// A green thread as others see it; see [`all`] and [`current`].
///
/// It tells about the thread also when that has ended, and does not keep its result.
#[derive(Clone)]
pub struct Task {
    record: TaskRef,
    runtime: Option<Handle>,
}

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
    Handle::of_caller().map_or_else(Vec::new, |runtime| runtime.tasks())
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
    rt::on_green_thread().then(|| Task {
        record: rt::current_task(),
        runtime: Handle::of_caller(),
    })
}

impl Handle {
    /// The green threads of this runtime that have not ended, in no order; see [`all`].
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let view = |record| Task {
            record,
            runtime: Some(self.clone()),
        };
        self.task_records().into_iter().map(view).collect()
    }
}

impl Task {
    /// The thread's handle.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        Thread::of(&self.record)
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
        self.record.identity.spawned_at
    }

    /// What it does at the moment. From another hub's thread it may be out of date when it is returned.
    #[must_use]
    pub fn state(&self) -> State {
        self.record.state()
    }

    /// How long it has waited for what it waits for, if it does.
    #[must_use]
    pub fn waits_for(&self) -> Option<Duration> {
        let waits = matches!(self.state(), State::Waiting(_));
        let (_, since) = self.record.last_wait();
        waits.then(|| Instant::now().duration_since(since))
    }

    /// The green thread that holds the lock it waits for, if it waits for one that has a single holder: a mutex, a
    /// reentrant mutex, an [`RwLock`](crate::sync::RwLock) that is held for writing, or what another initialises.
    ///
    /// `None` also where that one is a plain OS thread or belongs to another runtime. All green threads of the runtime
    /// are gone through to find it: it is for dumps.
    ///
    /// ```
    /// use sylvan::sync::{Arc, Mutex};
    /// use sylvan::{task, thread};
    ///
    /// sylvan::run(|| {
    ///     let lock = Arc::new(Mutex::new(()));
    ///     let theirs = lock.clone();
    ///     let holds = move || {
    ///         let _guard = theirs.lock();
    ///         thread::park();
    ///     };
    ///     let holds = thread::Builder::new().name("fetch-17".into()).spawn(holds).unwrap();
    ///     thread::yield_now();
    ///     let waits = thread::spawn(move || drop(lock.lock()));
    ///     thread::yield_now();
    ///     let waiter = task::all().into_iter().find(|task| task.id() == waits.id()).unwrap();
    ///     assert_eq!(waiter.blocked_by().unwrap().name(), Some("fetch-17"));
    ///     assert!(waiter.to_string().contains("waiting: mutex held by 'fetch-17' for "));
    ///     holds.thread().unpark();
    ///     waits.join().unwrap();
    ///     assert!(waiter.blocked_by().is_none());
    /// });
    /// ```
    #[must_use]
    pub fn blocked_by(&self) -> Option<Task> {
        let HeldBy::Task(number) = rt::held_by(&self.record) else {
            return None;
        };
        let record = self.runtime.as_ref()?.find(number)?;
        Some(Task {
            record,
            runtime: self.runtime.clone(),
        })
    }

    /// Asks it to end; see [`JoinHandle::cancel`](crate::thread::JoinHandle::cancel).
    pub fn cancel(&self) {
        self.record.cancel();
    }
}

/// A line of a dump.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.record.display_name();
        write!(f, "green thread '{name}', {}", self.state())?;
        if let Some(holder) = self.blocked_by() {
            write!(f, " held by '{}'", holder.record.display_name())?;
        }
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
