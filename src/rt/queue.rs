//! A hub's run queue: a ring for the tasks that live here, and one that others can steal from for those that may still
//! go elsewhere.
//!
//! With one hub all stand in the ring, in one FIFO: the order is deterministic, and a spawn costs no
//! atomic. Only those that a timer has woken stand apart, and take turns with all others: who sleeps for a
//! millisecond does not stand behind a hundred thousand that were just spawned. With several, tasks that have not
//! started stand in a [`StealRing`] that other hubs may steal from, and those that find no room there in the runtime's
//! injector; the two rings take turns.

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::iter;
use std::ptr::NonNull;
use std::sync::Arc;

use super::steal_ring::StealRing;
use super::task::Task;
use crate::sys::cache;

/// The unstarted tasks of a hub, each with the run machinery's count of it: it may start on any OS thread, as its
/// closure is `Send`.
pub(super) type Stealable = StealRing<Task, STEALABLE>;

/// As many as Go and tokio have: enough for other hubs to live on for a while.
const STEALABLE: usize = 256;

/// See the module's text. Only its own hub's OS thread touches it.
pub(super) struct RunQueue {
    ring: UnsafeCell<VecDeque<NonNull<Task>>>,
    /// Those that a timer has woken.
    due: UnsafeCell<VecDeque<NonNull<Task>>>,
    due_is_next: Cell<bool>,
    stealable: Option<Arc<Stealable>>,
    turn: Cell<bool>,
}

impl RunQueue {
    /// `shared`: other hubs may steal unstarted tasks.
    pub(super) fn new(shared: bool) -> RunQueue {
        RunQueue {
            ring: UnsafeCell::new(VecDeque::new()),
            due: UnsafeCell::new(VecDeque::new()),
            due_is_next: Cell::new(true),
            stealable: shared.then(|| Arc::new(Stealable::new())),
            turn: Cell::new(false),
        }
    }

    /// What other hubs may steal from, if there are others.
    pub(super) fn stealable(&self) -> Option<&Arc<Stealable>> {
        self.stealable.as_ref()
    }

    /// Moves some of what others may start from another hub's queue to this one. Returns whether there were any.
    pub(super) fn steal(&self, from: &Arc<Stealable>) -> bool {
        match &self.stealable {
            // SAFETY: this is the owner's OS thread, and the two are not the same.
            Some(own) if !Arc::ptr_eq(own, from) => unsafe { own.steal(from) > 0 },
            _ => false,
        }
    }

    /// Queues a task that lives on this hub.
    #[inline]
    pub(super) fn push(&self, task: NonNull<Task>) {
        // SAFETY: one thread, and no reference into the ring outlives a method of this type.
        unsafe { &mut *self.ring.get() }.push_back(task);
    }

    /// Queues a task that was woken. If nobody stands before it, what it will need is asked for: it is known who is next.
    #[inline]
    pub(super) fn push_woken(&self, task: NonNull<Task>) {
        // SAFETY: as in `push`.
        let ring = unsafe { &mut *self.ring.get() };
        if ring.is_empty() {
            // SAFETY: queued tasks are alive.
            unsafe { task.as_ref() }.prefetch_stack();
        }
        ring.push_back(task);
    }

    /// Queues a task that a timer has woken.
    #[inline]
    pub(super) fn push_due(&self, task: NonNull<Task>) {
        // SAFETY: as in `push`.
        unsafe { &mut *self.due.get() }.push_back(task);
    }

    /// Queues an unstarted task. Returns whether another hub could take it. If there is no room, the older half is given
    /// to `overflow`, as Go does: for a while there is room, then. (Not to the ring: what stands there no other hub can take.)
    #[inline]
    pub(super) fn push_unstarted(
        &self,
        task: NonNull<Task>,
        mut overflow: impl FnMut(NonNull<Task>),
    ) -> bool {
        let Some(stealable) = &self.stealable else {
            self.push(task);
            return false;
        };
        // SAFETY: this is the owner's OS thread.
        while !unsafe { stealable.push(task) } {
            // SAFETY: as above.
            let older = iter::from_fn(|| unsafe { stealable.pop() });
            older.take(STEALABLE / 2).for_each(&mut overflow);
        }
        true
    }

    /// The next task to run.
    #[inline]
    pub(super) fn pop(&self) -> Option<NonNull<Task>> {
        // SAFETY: as in `push`.
        if unsafe { &*self.due.get() }.is_empty() {
            self.pop_other()
        } else {
            self.pop_in_turn()
        }
    }

    /// Timers have woken some: they and all others take turns.
    #[cold]
    fn pop_in_turn(&self) -> Option<NonNull<Task>> {
        let due_is_next = self.due_is_next.get();
        self.due_is_next.set(!due_is_next);
        let other = if due_is_next { None } else { self.pop_other() };
        // SAFETY: as in `push`.
        other.or_else(|| unsafe { &mut *self.due.get() }.pop_front())
    }

    #[inline]
    fn pop_other(&self) -> Option<NonNull<Task>> {
        let Some(stealable) = &self.stealable else {
            return self.pop_ring();
        };
        // SAFETY: this is the owner's OS thread.
        let pop_unstarted = || unsafe { stealable.pop() };
        let turn = self.turn.get();
        self.turn.set(!turn);
        if turn {
            self.pop_ring().or_else(pop_unstarted)
        } else {
            pop_unstarted().or_else(|| self.pop_ring())
        }
    }

    /// Asks for what will be needed of the tasks that are probably next.
    #[inline]
    pub(super) fn prefetch(&self) {
        // SAFETY: as in `push`.
        let ring = unsafe { &*self.ring.get() };
        if let Some(next) = ring.front() {
            // SAFETY: queued tasks are alive.
            unsafe { next.as_ref() }.prefetch_stack();
        }
        if let Some(later) = ring.get(2) {
            cache::prefetch(later.as_ptr().cast());
        }
    }

    /// Is there nothing to run?
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: as in `push`.
        let (ring, due) = unsafe { (&*self.ring.get(), &*self.due.get()) };
        ring.is_empty() && due.is_empty() && self.stealable.as_ref().is_none_or(|it| it.is_empty())
    }

    #[inline]
    fn pop_ring(&self) -> Option<NonNull<Task>> {
        // SAFETY: as in `push`.
        unsafe { &mut *self.ring.get() }.pop_front()
    }
}
