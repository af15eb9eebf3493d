//! Sets of tasks: an intrusive list under a lock.
//!
//! A task stands in two: the runtime's registry, and the group it was spawned in, if any. It owns no
//! reference there; it leaves both before its record's last reference can go.

use std::cell::Cell;
use std::ptr;

use super::task::{Task, TaskRef};
use crate::sys::sync::{Mutex, MutexGuard};

/// A set of tasks.
pub(super) struct TaskList {
    members: Mutex<Members>,
    which: Which,
}

/// Which of a task's links a list goes through.
#[derive(Clone, Copy)]
pub(super) enum Which {
    Registry = 0,
    Group = 1,
}

/// A task's place in a list; only touched under that list's lock.
#[derive(Default)]
pub(super) struct Links {
    next: Cell<Option<*const Task>>,
    previous: Cell<Option<*const Task>>,
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
            members: Mutex::new(Members {
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
        links.previous.set(None);
        // SAFETY: listed tasks are valid.
        match unsafe { members.first.as_ref() } {
            Some(first) => {
                self.links(first).previous.set(Some(task));
                links.next.set(Some(first));
            }
            None => links.next.set(None),
        }
        members.first = task;
        members.length += 1;
        members.peak = members.peak.max(members.length);
    }

    /// Removes a listed task; returns whether it was the last.
    pub(super) fn remove(&self, task: &Task) -> bool {
        let mut members = self.lock();
        let links = self.links(task);
        let (next, previous) = (links.next.take(), links.previous.take());
        // SAFETY: listed tasks, and so both neighbours, are valid.
        unsafe {
            if let Some(next) = next {
                self.links(&*next).previous.set(previous);
            }
            match previous {
                Some(previous) => self.links(&*previous).next.set(next),
                None => members.first = next.unwrap_or(ptr::null()),
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
            next = self.links(task).next.get().unwrap_or(ptr::null());
        }
        tasks
    }

    /// A reference to the member at this address, if it is one.
    pub(super) fn find(&self, address: *const Task) -> Option<TaskRef> {
        let members = self.lock();
        let mut next = members.first;
        // SAFETY: listed tasks are valid, and hold at least the reference of the run machinery.
        while let Some(task) = unsafe { next.as_ref() } {
            if ptr::eq(task, address) {
                return Some(task.reference());
            }
            next = self.links(task).next.get().unwrap_or(ptr::null());
        }
        None
    }

    fn links<'task>(&self, task: &'task Task) -> &'task Links {
        task.links(self.which)
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock()
    }
}
