//! Where a task keeps its thread-locals.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

/// The values of one task, by the address of their key. Only the task's own OS thread touches them.
pub(crate) struct Locals {
    /// Without a destructor: `destroy` leaves it empty.
    values: ManuallyDrop<RefCell<Vec<Entry>>>,
    destroyed: Cell<bool>,
}

struct Entry {
    key: usize,
    /// None once its destructor has begun.
    value: Option<Box<dyn Any>>,
}

/// What there is for a key.
pub(crate) enum Local {
    /// Its value's address, valid until the task's thread-locals are destroyed.
    There(*const dyn Any),
    /// It was not initialised yet.
    Missing,
    /// It is destroyed, or all of the task's are.
    Destroyed,
}

impl Locals {
    pub(super) fn new() -> Locals {
        Locals {
            values: ManuallyDrop::new(RefCell::new(Vec::new())),
            destroyed: Cell::new(false),
        }
    }

    /// Looks `key` up.
    pub(crate) fn get(&self, key: usize) -> Local {
        match self.values.borrow().iter().find(|entry| entry.key == key) {
            Some(Entry {
                value: Some(value), ..
            }) => Local::There(&raw const **value),
            Some(_) => Local::Destroyed,
            None if self.destroyed.get() => Local::Destroyed,
            None => Local::Missing,
        }
    }

    /// Stores the value of a key that has none.
    pub(crate) fn insert(&self, key: usize, value: Box<dyn Any>) {
        let value = Some(value);
        self.values.borrow_mut().push(Entry { key, value });
    }

    /// Destroys all values, the youngest first, each by `destroy`; on the task's own stack, where
    /// their destructors may do what they like, even make new ones.
    #[inline]
    pub(super) fn destroy(&self, destroy: impl Fn(Box<dyn Any>)) {
        if self.values.borrow().capacity() == 0 {
            self.destroyed.set(true);
            return;
        }
        // Not a temporary of the loop: nothing may borrow the list while user code runs.
        while let Some(value) = self.take_youngest() {
            destroy(value);
        }
        self.destroyed.set(true);
        self.values.take();
    }

    fn take_youngest(&self) -> Option<Box<dyn Any>> {
        let mut values = self.values.borrow_mut();
        values.iter_mut().rev().find_map(|entry| entry.value.take())
    }
}
