//! Tasks that belong together: those of a scope or nursery, those spawned inside a nested `run`, those that
//! the user keeps together.
//!
//! What a member's failure means is the kind's: a nested run reports it as any other, a scope notes that
//! there was one, a kept group keeps those that no handle receives, a nursery keeps all and ends.

use std::any::Any;
use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use super::cancel::{self, Cancelled, Scope};
use super::clock::Instant;
use super::list::{TaskList, Which};
use super::park;
use super::reason::Reason;
use super::report;
use super::task::{Task, TaskRef};
use super::wait_queue::WaitQueue;
use crate::sys::sync::Mutex;

/// A set of tasks that can be cancelled and waited for.
pub(crate) struct Group {
    kind: Kind,
    members: TaskList,
    all_ended: WaitQueue,
    cancelled: AtomicBool,
    /// A member has failed, and nobody has received it.
    failed: AtomicBool,
    /// A member ended by cancellation.
    cut_short: AtomicBool,
    failures: Mutex<Failures>,
    /// The nested run around, to which belongs what the members spawn.
    outer: Option<Arc<Group>>,
    /// The kept groups that were made in this nested run.
    kept: Mutex<Vec<Weak<Group>>>,
    /// The scope around a nursery's body, while it runs.
    body: Mutex<Option<Body>>,
}

/// A kept group that nobody waits for keeps no more failures than this; the others are reported.
const MOST_KEPT: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All that is spawned in a nested `run`, and what that spawns.
    Run,
    /// What a scope spawns itself.
    Scope,
    /// As a scope; the first failure ends it.
    Nursery,
    /// What the user spawns into it; nobody waits unless asked to.
    Kept,
}

/// A failure and whose it is. The payload is [`Cancelled`] if the task was cancelled.
pub(crate) struct Failed {
    pub(crate) task: TaskRef,
    pub(crate) payload: Box<dyn Any + Send>,
}

/// The payload that stands for an error which a member of a nursery has returned.
pub(crate) struct Returned(pub(crate) Box<dyn Error + Send + Sync>);

#[derive(Default)]
struct Failures {
    list: Vec<Failed>,
    /// Nobody will ask for them any more.
    given_up: bool,
}

/// A scope that other OS threads may mark. It is taken out before it ends, under the same lock.
struct Body {
    task: TaskRef,
    scope: *const Scope,
}

// SAFETY: the scope is touched under the lock it stands behind, while it is valid, and what is touched
// there is atomic.
unsafe impl Send for Body {}

impl Group {
    /// A group for the tasks that a scope spawns itself.
    pub(crate) fn of_scope() -> Arc<Group> {
        Group::new(Kind::Scope)
    }

    /// A group for the tasks that a nursery spawns itself.
    pub(crate) fn of_nursery() -> Arc<Group> {
        Group::new(Kind::Nursery)
    }

    /// A group for tasks that outlive the frame that spawned them, but not the nested run around.
    pub(crate) fn kept() -> Arc<Group> {
        let group = Group::new(Kind::Kept);
        if let Some(outer) = &group.outer {
            let mut kept = outer.kept.lock();
            kept.retain(|other| other.strong_count() > 0);
            kept.push(Arc::downgrade(&group));
        }
        group
    }

    fn new(kind: Kind) -> Arc<Group> {
        Arc::new(Group {
            kind,
            members: TaskList::new(Which::Group),
            all_ended: WaitQueue::new(),
            cancelled: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
            failures: Mutex::default(),
            outer: Group::to_inherit(),
            kept: Mutex::default(),
            body: Mutex::default(),
        })
    }

    /// The group that a task spawned by the current one belongs to.
    pub(crate) fn to_inherit() -> Option<Arc<Group>> {
        park::with_current(|task| {
            // SAFETY: the current task's record outlives its own frames.
            let task = unsafe { task.as_ref() };
            task.spawns_into().or_else(|| {
                let group = task.group.as_ref()?;
                if group.kind == Kind::Run {
                    Some(group.clone())
                } else {
                    group.outer.clone()
                }
            })
        })
    }

    /// Runs `f` in a group of its own: what it spawns, and what that spawns, is cancelled and waited
    /// for at the end.
    pub(crate) fn nested_run<T>(f: impl FnOnce() -> T) -> T {
        let group = Group::new(Kind::Run);
        let swap = |with: Option<Arc<Group>>| {
            park::with_current(|task| {
                // SAFETY: the current task's record outlives its own frames.
                unsafe { task.as_ref() }.spawn_into(with)
            })
        };
        let before = swap(Some(group.clone()));
        let result = panic::catch_unwind(AssertUnwindSafe(f));
        swap(before);
        group.cancel();
        // Where nothing can unwind they may never end: then they live on, cancelled, with the run around.
        if cfg!(panic = "unwind") {
            cancel::mask(|| group.wait_for_all_kept());
        }
        result.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// Runs `body`, then waits for all members. If that, or `body`, is unwound by a cancellation, the members
    /// are cancelled and waited for before the unwinding goes on.
    pub(crate) fn enclose<T>(&self, reason: Reason, body: impl FnOnce() -> T) -> thread::Result<T> {
        let result = panic::catch_unwind(AssertUnwindSafe(body));
        let waited = match &result {
            Err(payload) if cancel::is_cancellation(payload.as_ref()) => Ok(()),
            // A cancellation of this wait, too, must reach the members.
            _ => panic::catch_unwind(AssertUnwindSafe(|| {
                park::spend();
                self.wait(reason, Instant::NEVER);
                if self.cut_short.load(Ordering::Acquire) {
                    // By a deadline that it inherited, perhaps, and so the caller's, too.
                    park::checkpoint();
                }
            })),
        };
        if self.len() > 0 {
            self.cancel();
            cancel::mask(|| self.wait(reason, Instant::NEVER));
        }
        match (result, waited) {
            (Ok(value), Ok(())) => Ok(value),
            (Ok(value), Err(payload)) => {
                // It is dropped because of the unwinding, which is only interrupted here.
                cancel::mask(|| drop(value));
                Err(payload)
            }
            (Err(payload), _) => Err(payload),
        }
    }

    /// # Safety
    ///
    /// As [`TaskList::insert`]; `leave` removes it.
    pub(super) unsafe fn enter(&self, task: &Task) {
        // SAFETY: by the caller's promise.
        unsafe { self.members.insert(task) };
        // A kept group ends with the nested run around.
        let outer = self.outer.as_ref().filter(|_| self.kind == Kind::Kept);
        if self.is_cancelled() || outer.is_some_and(|outer| outer.is_cancelled()) {
            task.cancel();
        }
    }

    pub(super) fn leave(&self, task: &Task) {
        if self.members.remove(task) {
            self.all_ended.wake_all();
        }
    }

    /// A member has ended so. Returns what its handle gives for it.
    pub(super) fn member_failed(
        &self,
        task: &Task,
        payload: Box<dyn Any + Send>,
    ) -> Box<dyn Any + Send> {
        let was_cancelled = payload.is::<Cancelled>();
        if was_cancelled {
            self.cut_short.store(true, Ordering::Release);
        }
        if self.kind != Kind::Nursery {
            return payload;
        }
        // What is cancelled because another has failed is no failure of its own.
        if !(was_cancelled && self.has_marked()) {
            self.fail(task.reference(), payload);
        }
        Box::new(Cancelled::new())
    }

    /// Keeps a failure of a nursery, and ends it.
    pub(crate) fn fail(&self, task: TaskRef, payload: Box<dyn Any + Send>) {
        self.failures.lock().list.push(Failed { task, payload });
        self.cancel();
    }

    /// No handle has received the failure of a member. Gives it back if it is to be reported.
    pub(super) fn lost(
        &self,
        task: &Task,
        payload: Box<dyn Any + Send>,
    ) -> Option<Box<dyn Any + Send>> {
        let is_failure = !cancel::is_cancellation(payload.as_ref());
        match self.kind {
            Kind::Run => return Some(payload),
            Kind::Kept if is_failure => {
                let mut failures = self.failures.lock();
                if failures.given_up || failures.list.len() >= MOST_KEPT {
                    return Some(payload);
                }
                let task = task.reference();
                failures.list.push(Failed { task, payload });
                return None;
            }
            Kind::Scope if is_failure => self.failed.store(true, Ordering::Release),
            _ => {}
        }
        report::catch_panic(task, "dropping its result", move || drop(payload));
        None
    }

    /// Has a member of a scope failed, and nobody has received it?
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The failures that were kept so far.
    pub(crate) fn take_failures(&self) -> Vec<Failed> {
        std::mem::take(&mut self.failures.lock().list)
    }

    /// Nobody will ask for failures any more: those that were kept, and all that come, are reported.
    pub(crate) fn give_up_failures(&self) {
        let list = {
            let mut failures = self.failures.lock();
            failures.given_up = true;
            std::mem::take(&mut failures.list)
        };
        for Failed { task, payload } in list {
            report::failure(&task, payload);
        }
    }

    /// How many members are alive.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Is it cancelled, and has whoever does that marked all who are to end?
    fn has_marked(&self) -> bool {
        let _marking = self.body.lock();
        self.is_cancelled()
    }

    /// Cancels all members, and all that come; of a nursery also the body.
    pub(crate) fn cancel(&self) {
        let Some(marked) = self.mark() else {
            return;
        };
        for task in marked {
            task.interrupt();
        }
        for kept in self.kept_groups() {
            kept.cancel_members();
        }
    }

    /// Marks all that are to end, and gives them to be interrupted. `None`: that was done before.
    ///
    /// Under one lock, before one of them is woken: whoever sees that a member has ended by this is marked too.
    fn mark(&self) -> Option<Vec<TaskRef>> {
        let body = self.body.lock();
        if self.cancelled.swap(true, Ordering::SeqCst) {
            return None;
        }
        let mut marked = self.members.snapshot();
        for task in &marked {
            task.scopes.root().cancel();
        }
        if let Some(body) = &*body {
            // SAFETY: it is taken out before it ends, under this lock.
            unsafe { &*body.scope }.cancel();
            marked.push(body.task.clone());
        }
        Some(marked)
    }

    /// Cancels those that are members now.
    pub(crate) fn cancel_members(&self) {
        for task in self.members.snapshot() {
            task.cancel();
        }
    }

    /// Waits until the last member has ended, or until `deadline`. Returns whether it has.
    pub(crate) fn wait(&self, reason: Reason, deadline: Instant) -> bool {
        while self.len() > 0 {
            if deadline != Instant::NEVER && Instant::now() >= deadline {
                return false;
            }
            self.all_ended.wait(reason, deadline, || self.len() == 0);
        }
        true
    }

    /// Waits for the members, and for those of the kept groups; each may make more of the others.
    fn wait_for_all_kept(&self) {
        let reason = Reason::Scope;
        while self.len() > 0 || self.kept_groups().iter().any(|kept| kept.len() > 0) {
            self.wait(reason, Instant::NEVER);
            for kept in self.kept_groups() {
                kept.wait(reason, Instant::NEVER);
            }
        }
    }

    fn kept_groups(&self) -> Vec<Arc<Group>> {
        self.kept.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// From now on the nursery's end cancels this scope, in which the current task runs its body.
    pub(super) fn set_body(&self, task: &Task, scope: &Scope) {
        *self.body.lock() = Some(Body {
            task: task.reference(),
            scope,
        });
    }

    /// The scope of the body is about to end.
    pub(super) fn clear_body(&self) {
        let body = self.body.lock().take();
        drop(body);
    }
}
