//! A hub's run queue: a ring for the tasks that live here, a deque for those that may still go
//! elsewhere.
//!
//! With one hub all stand in the ring, in one FIFO: the order is deterministic, and a spawn costs no
//! atomic. Only those that a timer has woken stand apart, and take turns with all others: who sleeps for a
//! millisecond does not stand behind a hundred thousand that were just spawned. With several, tasks that have not started stand in a deque that other hubs may steal from
//! (crossbeam-deque's implementation of D. Chase and Y. Lev, "Dynamic circular work-stealing deque",
//! 2005); the two take turns.

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::ptr::NonNull;

use crossbeam_deque::{Stealer, Worker};

use super::task::Task;
use crate::sys::cache;

/// A task that may be run, with the run machinery's count of it.
#[derive(Clone, Copy)]
pub(super) struct Runnable(pub(super) NonNull<Task>);

// SAFETY: an unstarted task may start on any OS thread: its closure is `Send`. (Started ones stay in
// their hub's ring.)
unsafe impl Send for Runnable {}

/// See the module's text. Only its own hub's OS thread touches it.
pub(super) struct RunQueue {
    ring: UnsafeCell<VecDeque<NonNull<Task>>>,
    /// Those that a timer has woken.
    due: UnsafeCell<VecDeque<NonNull<Task>>>,
    due_is_next: Cell<bool>,
    deque: Option<Worker<Runnable>>,
    turn: Cell<bool>,
}

impl RunQueue {
    /// `shared`: other hubs may steal unstarted tasks.
    pub(super) fn new(shared: bool) -> RunQueue {
        RunQueue {
            ring: UnsafeCell::new(VecDeque::new()),
            due: UnsafeCell::new(VecDeque::new()),
            due_is_next: Cell::new(true),
            deque: shared.then(Worker::new_fifo),
            turn: Cell::new(false),
        }
    }

    pub(super) fn stealer(&self) -> Option<Stealer<Runnable>> {
        self.deque.as_ref().map(Worker::stealer)
    }

    /// The deque that a thief moves its booty into.
    pub(super) fn deque(&self) -> Option<&Worker<Runnable>> {
        self.deque.as_ref()
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

    /// Queues an unstarted task. Returns whether another hub could take it.
    #[inline]
    pub(super) fn push_unstarted(&self, task: NonNull<Task>) -> bool {
        match &self.deque {
            Some(deque) => {
                deque.push(Runnable(task));
                true
            }
            None => {
                self.push(task);
                false
            }
        }
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
        let Some(deque) = &self.deque else {
            return self.pop_ring();
        };
        let turn = self.turn.get();
        self.turn.set(!turn);
        if turn {
            self.pop_ring()
                .or_else(|| deque.pop().map(|runnable| runnable.0))
        } else {
            deque
                .pop()
                .map(|runnable| runnable.0)
                .or_else(|| self.pop_ring())
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
        ring.is_empty() && due.is_empty() && self.deque.as_ref().is_none_or(Worker::is_empty)
    }

    #[inline]
    fn pop_ring(&self) -> Option<NonNull<Task>> {
        // SAFETY: as in `push`.
        unsafe { &mut *self.ring.get() }.pop_front()
    }
}
