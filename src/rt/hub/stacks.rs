//! How a task gets its stack and gives it back, and what becomes of those for which there is none.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::{self, NonNull};

use super::Hub;
use crate::rt::current;
use crate::rt::no_stack::NoStack;
use crate::rt::report;
use crate::rt::task::{Run, Task, TaskRef};
use crate::sys::context::{Context, Return};
use crate::sys::stack::Stack;

const RESERVE_SIZE: usize = 64 << 10;

/// A stack kept for those that could not get one: to drop their captures on.
#[derive(Default)]
pub(super) struct Reserve {
    pub(super) stack: Cell<Option<Stack>>,
    holder: Cell<*const Task>,
    waiting: RefCell<VecDeque<NonNull<Task>>>,
}

impl Reserve {
    pub(super) fn is_there(&self) -> bool {
        let stack = self.stack.take();
        let is_there = stack.is_some();
        self.stack.set(stack);
        is_there
    }
}

/// What all contexts run: a task, from its start to its end.
///
/// # Safety
///
/// `task` is one of the hub of this OS thread, and is to start.
unsafe extern "C" fn run(task: NonNull<()>) -> Return {
    // SAFETY: the hub keeps the record until this function has returned.
    let task = unsafe { task.cast::<Task>().as_ref() };
    report::without_unwinding(|| task.run());
    match (current::hub(), task.context()) {
        (Some(hub), Some(context)) => Return {
            root: NonNull::from(&hub.root),
            context: NonNull::from(context),
        },
        _ => report::fatal(format_args!("a task has lost its hub")),
    }
}

impl Hub {
    /// Gives an unstarted task its stack. `false`: there was none, and it was refused.
    pub(super) fn start(&self, task: &Task) -> bool {
        task.settle(self.mailbox);
        let stack = self.stacks.borrow_mut().take(task.identity.stack_size);
        match stack {
            Ok(stack) => {
                self.prepare(task, stack);
                true
            }
            Err(error) => {
                self.refuse(task, NoStack::new(&error));
                false
            }
        }
    }

    fn prepare(&self, task: &Task, stack: Stack) {
        let context = Context::new(stack, run);
        // SAFETY: only this hub touches it, and the task does not run.
        unsafe { *task.seat.context.get() = Some(context) };
    }

    /// Ends a task for which there is no stack. Its captures are dropped on the reserve stack, when
    /// that is free.
    #[cold]
    fn refuse(&self, task: &Task, reason: NoStack) {
        task.seat.run.set(Run::Queued);
        task.refuse(Box::new(reason));
        self.reserve.waiting.borrow_mut().push_back(task.address());
        self.use_reserve();
    }

    /// Lets the next refused task use the reserve stack.
    #[cold]
    fn use_reserve(&self) {
        if !self.reserve.holder.get().is_null() {
            return;
        }
        let Some(pointer) = self.reserve.waiting.borrow_mut().pop_front() else {
            return;
        };
        // SAFETY: it has not run, so its record is alive.
        let task = unsafe { pointer.as_ref() };
        // Any stack that is free by now will do.
        let size = task.identity.stack_size;
        let stack = self.reserve.stack.take();
        let Some(stack) = stack.or_else(|| self.stacks.borrow_mut().take(size).ok()) else {
            self.reserve.waiting.borrow_mut().push_front(pointer);
            return;
        };
        self.reserve.holder.set(pointer.as_ptr());
        self.prepare(task, stack);
        self.queue.push(pointer);
    }

    /// Lays a stack by for those that will get none.
    pub(in crate::rt) fn reserve_stack(&self) -> io::Result<()> {
        let stack = self.stacks.borrow_mut().take(RESERVE_SIZE)?;
        self.reserve.stack.set(Some(stack));
        Ok(())
    }

    /// Do started tasks live here?
    pub(in crate::rt) fn has_tasks(&self) -> bool {
        self.stacks.borrow().live() > usize::from(self.reserve.is_there())
    }

    /// Takes back all that a task which has returned still has.
    #[inline]
    pub(super) fn finish(&self, pointer: NonNull<Task>) {
        // SAFETY: the run machinery's count is given back at the end of this function.
        let task = unsafe { pointer.as_ref() };
        task.seat.run.set(Run::Ended);
        // SAFETY: only this hub touches it.
        let context = unsafe { (*task.seat.context.get()).take() };
        if let Some(context) = context {
            // SAFETY: its function has returned.
            let stack = unsafe { context.into_stack() };
            if ptr::eq(self.reserve.holder.get(), task) {
                self.reserve.holder.set(ptr::null());
                self.reserve.stack.set(Some(stack));
            } else {
                self.stacks.borrow_mut().give(stack);
                self.untrimmed.set(true);
            }
        }
        if !self.reserve.waiting.borrow().is_empty() {
            self.use_reserve();
        }
        if ptr::eq(self.goal.get(), task) {
            self.goal_reached.set(true);
        }
        self.runtime.task_has_ended(task);
        // SAFETY: the run machinery's count, which ends here.
        drop(unsafe { TaskRef::from_raw(pointer) });
    }
}
