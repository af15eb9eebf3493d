//! Tasks that belong together: those of a scope, and those spawned inside a nested `run`.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cancel;
use super::clock::Instant;
use super::list::{TaskList, Which};
use super::park;
use super::reason::Reason;
use super::task::Task;
use super::wait_queue::WaitQueue;

/// A set of tasks that can be cancelled and waited for.
pub(crate) struct Group {
    members: TaskList,
    all_ended: WaitQueue,
    cancelled: AtomicBool,
    failed: AtomicBool,
    /// A member ended by cancellation.
    cut_short: AtomicBool,
    /// What the members spawn belongs to this group too. If not, to `outer`.
    inherited: bool,
    outer: Option<Arc<Group>>,
}

impl Group {
    /// A group for the tasks that a scope spawns itself.
    pub(crate) fn of_scope() -> Arc<Group> {
        Group::new(false)
    }

    fn new(inherited: bool) -> Arc<Group> {
        Arc::new(Group {
            members: TaskList::new(Which::Group),
            all_ended: WaitQueue::new(),
            cancelled: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            inherited,
            outer: Group::to_inherit(),
        })
    }

    /// The group that a task spawned by the current one belongs to.
    pub(crate) fn to_inherit() -> Option<Arc<Group>> {
        park::with_current(|task| {
            // SAFETY: the current task's record outlives its own frames.
            let task = unsafe { task.as_ref() };
            if let Some(group) = &*task.spawns_into.borrow() {
                return Some(group.clone());
            }
            let group = task.group.as_ref()?;
            if group.inherited {
                Some(group.clone())
            } else {
                group.outer.clone()
            }
        })
    }

    /// Runs `f` in a group of its own: what it spawns, and what that spawns, is cancelled and waited
    /// for at the end.
    pub(crate) fn nested_run<T>(f: impl FnOnce() -> T) -> T {
        let group = Group::new(true);
        let swap = |with: Option<Arc<Group>>| {
            park::with_current(|task| {
                // SAFETY: the current task's record outlives its own frames.
                unsafe { task.as_ref() }.spawns_into.replace(with)
            })
        };
        let before = swap(Some(group.clone()));
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        swap(before);
        group.cancel();
        // Where nothing can unwind they may never end: then they live on, cancelled, with the run around.
        if cfg!(panic = "unwind") {
            group.wait_masked(Reason::Runtime);
        }
        result.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// # Safety
    ///
    /// As [`TaskList::insert`]; `leave` removes it.
    pub(super) unsafe fn enter(&self, task: &Task) {
        // SAFETY: by the caller's promise.
        unsafe { self.members.insert(task) };
        if self.cancelled.load(Ordering::SeqCst) {
            task.cancel();
        }
    }

    pub(super) fn leave(&self, task: &Task) {
        if self.members.remove(task) {
            self.all_ended.wake_all();
        }
    }

    /// A member's failure was seen by nobody.
    pub(super) fn note_failure(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// A member ended by cancellation.
    pub(super) fn note_cancelled(&self) {
        self.cut_short.store(true, Ordering::Release);
    }

    /// Has a member ended by cancellation, by a deadline that it inherited perhaps?
    pub(crate) fn was_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Acquire)
    }

    /// Has a member failed, and nobody has taken the failure?
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Does a member's failure count as seen when the group ends?
    pub(super) fn watches_failures(&self) -> bool {
        !self.inherited
    }

    /// How many members are alive.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Cancels all members, and all that come.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        for task in self.members.snapshot() {
            task.cancel();
        }
    }

    /// Waits until the last member has ended.
    pub(crate) fn wait(&self, reason: Reason) {
        while self.members.len() > 0 {
            self.all_ended
                .wait(reason, Instant::NEVER, || self.members.len() == 0);
        }
    }

    /// As [`wait`](Self::wait), with all cancellation from outside held back.
    pub(crate) fn wait_masked(&self, reason: Reason) {
        cancel::mask(|| self.wait(reason));
    }
}
