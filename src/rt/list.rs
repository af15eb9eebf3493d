//! Sets of tasks: an intrusive list under a lock.
//!
//! A task stands in two: the runtime's registry, and the group it was spawned in, if any. It owns no
//! reference there; it leaves both before its record's last reference can go.

use std::cell::Cell;
use std::ptr;

use super::task::{Task, TaskRef};
use crate::sys::sync::{Spinlock, SpinlockGuard};

/// A set of tasks.
pub(super) struct TaskList {
    members: Spinlock<Members>,
    which: Which,
}

/// Which of a task's links a list goes through.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Registry = 0,
    Group = 1,
}

/// A task's place in a list; only touched under that list's lock.
pub(super) struct Links {
    next: Cell<*const Task>,
    previous: Cell<*const Task>,
}

impl Links {
    pub(super) const fn new() -> Links {
        Links {
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
        }
    }
}

struct Members {
    first: *const Task,
    length: usize,
    /// The most that `length` ever was.
    peak: usize,
}

// SAFETY: the pointer is only followed under the list's lock, to tasks that are valid while listed.
unsafe impl Send for Members {}

impl TaskList {
    pub(super) fn new(which: Which) -> TaskList {
        TaskList {
            members: Spinlock::new(Members {
                first: ptr::null(),
                length: 0,
                peak: 0,
            }),
            which,
        }
    }

    /// # Safety
    ///
    /// The task stands in no list of this kind, and is removed before its record is freed.
    pub(super) unsafe fn insert(&self, task: &Task) {
        let mut members = self.lock();
        let links = self.links(task);
        links.previous.set(ptr::null());
        links.next.set(members.first);
        // SAFETY: listed tasks are valid.
        if let Some(first) = unsafe { members.first.as_ref() } {
            self.links(first).previous.set(task);
        }
        members.first = task;
        members.length += 1;
        members.peak = members.peak.max(members.length);
    }

    /// Removes a listed task; returns whether it was the last.
    pub(super) fn remove(&self, task: &Task) -> bool {
        let mut members = self.lock();
        let links = self.links(task);
        let (next, previous) = (links.next.get(), links.previous.get());
        // SAFETY: listed tasks, and so both neighbours, are valid.
        unsafe {
            if let Some(next) = next.as_ref() {
                self.links(next).previous.set(previous);
            }
            match previous.as_ref() {
                Some(previous) => self.links(previous).next.set(next),
                None => members.first = next,
            }
        }
        members.length -= 1;
        members.length == 0
    }

    pub(super) fn len(&self) -> usize {
        self.lock().length
    }

    /// How many members there are, and the most there ever were.
    pub(super) fn len_and_peak(&self) -> (usize, usize) {
        let members = self.lock();
        (members.length, members.peak)
    }

    /// References to all members, for work that must not happen under the lock.
    pub(super) fn snapshot(&self) -> Vec<TaskRef> {
        let members = self.lock();
        let mut tasks = Vec::with_capacity(members.length);
        let mut next = members.first;
        // SAFETY: listed tasks are valid, and hold at least the reference of the run machinery.
        while let Some(task) = unsafe { next.as_ref() } {
            tasks.push(task.reference());
            next = self.links(task).next.get();
        }
        tasks
    }

    /// A reference to the first member that is wanted.
    pub(super) fn find(&self, wanted: impl Fn(&Task) -> bool) -> Option<TaskRef> {
        let members = self.lock();
        let mut next = members.first;
        // SAFETY: listed tasks are valid, and hold at least the reference of the run machinery.
        while let Some(task) = unsafe { next.as_ref() } {
            if wanted(task) {
                return Some(task.reference());
            }
            next = self.links(task).next.get();
        }
        None
    }

    fn links<'task>(&self, task: &'task Task) -> &'task Links {
        task.links(self.which)
    }

    fn lock(&self) -> SpinlockGuard<'_, Members> {
        self.members.lock()
    }
}
