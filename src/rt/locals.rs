//! Where a task keeps its thread-locals.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr;

/// The values of one task, by the address of their key. Only the task's own OS thread touches them.
///
/// Most tasks have none: a record has room for the address of the values only, which is null if there were none yet
/// and [`DESTROYED`] after the end. It has no destructor: `destroy` leaves nothing.
pub(crate) struct Locals(Cell<*mut Values>);

type Values = RefCell<Vec<Entry>>;

/// The address of no values: all are destroyed, and there will be none.
const DESTROYED: *mut Values = ptr::dangling_mut();

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
        Locals(Cell::new(ptr::null_mut()))
    }

    /// Looks `key` up.
    pub(crate) fn get(&self, key: usize) -> Local {
        let Some(values) = self.values() else {
            return self.missing();
        };
        match values.borrow().iter().find(|entry| entry.key == key) {
            Some(Entry {
                value: Some(value), ..
            }) => Local::There(&raw const **value),
            Some(_) => Local::Destroyed,
            None => Local::Missing,
        }
    }

    /// Stores the value of a key that has none.
    pub(crate) fn insert(&self, key: usize, value: Box<dyn Any>) {
        if self.0.get().is_null() {
            self.0.set(Box::into_raw(Box::default()));
        }
        if let Some(values) = self.values() {
            let value = Some(value);
            values.borrow_mut().push(Entry { key, value });
        }
    }

    /// Destroys all values, the youngest first, each by `destroy`; on the task's own stack, where
    /// their destructors may do what they like, even make new ones.
    #[inline]
    pub(super) fn destroy(&self, destroy: impl Fn(Box<dyn Any>)) {
        // Not a temporary of the loop: nothing may borrow the list while user code runs.
        while let Some(value) = self.take_youngest() {
            destroy(value);
        }
        let values = self.0.replace(DESTROYED);
        if !values.is_null() && values != DESTROYED {
            // SAFETY: made by `insert`, and nothing refers to it any more.
            drop(unsafe { Box::from_raw(values) });
        }
    }

    fn take_youngest(&self) -> Option<Box<dyn Any>> {
        let mut values = self.values()?.borrow_mut();
        values.iter_mut().rev().find_map(|entry| entry.value.take())
    }

    fn values(&self) -> Option<&Values> {
        let values = self.0.get();
        if values == DESTROYED {
            return None;
        }
        // SAFETY: made by `insert`, or null; only `destroy` frees it, which uses no such reference by then.
        unsafe { values.as_ref() }
    }

    fn missing(&self) -> Local {
        if self.0.get() == DESTROYED {
            Local::Destroyed
        } else {
            Local::Missing
        }
    }
}
