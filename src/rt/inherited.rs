//! What a task inherits from the one that spawned it: the values of `task::ContextVar`s.
//!
//! A set of values never changes. Who sets one makes a new set, with the old one's other values; so a
//! spawn shares a set by its count, and what its spawner sets later is not seen. A variable is in a set once:
//! a set is as large as there are variables, however deep scopes and spawns nest, and to drop it is
//! no recursion.
//!
//! Values are the user's, and their destructors too. A record lets go of its set as soon as the task's
//! function has returned, on the task's own stack: when a hub frees the record it holds none.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use super::park;

/// A value that tasks share.
pub(crate) type Value = Arc<dyn Any + Send + Sync>;

/// A set of values, by the numbers of their variables.
pub(crate) struct Inheritance {
    values: Vec<(u64, Value)>,
}

/// The set that a record refers to. Only the task's own OS thread touches it.
pub(super) struct Inherited(Cell<Option<Arc<Inheritance>>>);

impl Inherited {
    pub(super) fn new(set: Option<Arc<Inheritance>>) -> Inherited {
        Inherited(Cell::new(set))
    }

    pub(super) fn take(&self) -> Option<Arc<Inheritance>> {
        self.0.take()
    }

    /// Looks at the set. `f` is the kernel's, and does not come back here.
    #[inline]
    fn look<R>(&self, f: impl FnOnce(Option<&Arc<Inheritance>>) -> R) -> R {
        let set = self.0.take();
        let result = f(set.as_ref());
        self.0.set(set);
        result
    }
}

/// What a task spawned by the current one inherits.
#[inline]
pub(super) fn to_inherit() -> Option<Arc<Inheritance>> {
    look(|set| Some(set?.clone()))
}

/// The current value of a variable.
pub(crate) fn inherited_value(variable: u64) -> Option<Value> {
    look(|set| set?.value(variable).cloned())
}

/// Runs `f` with another value of a variable; the old one is restored however `f` ends.
pub(crate) fn with_value<R>(variable: u64, value: Value, f: impl FnOnce() -> R) -> R {
    let set = look(|set| Inheritance::changed(set, variable, value));
    with_inheritance(Some(Arc::new(set)), f)
}

/// Runs `f` with this set in place of the current one, as if by a task that has inherited it.
pub(super) fn with_inheritance<R>(set: Option<Arc<Inheritance>>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<Inheritance>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            // The destructors of what is dropped here run with the old values.
            drop(replace(self.0.take()));
        }
    }
    let _restore = Restore(replace(set));
    f()
}

impl Inheritance {
    fn value(&self, variable: u64) -> Option<&Value> {
        let mut values = self.values.iter();
        values
            .find(|(its, _)| *its == variable)
            .map(|(_, value)| value)
    }

    fn changed(set: Option<&Arc<Inheritance>>, variable: u64, value: Value) -> Inheritance {
        let old = set.map_or(&[][..], |set| &set.values);
        let others = old.iter().filter(|(its, _)| *its != variable).cloned();
        let values = others.chain([(variable, value)]).collect();
        Inheritance { values }
    }
}

#[inline]
fn look<R>(f: impl FnOnce(Option<&Arc<Inheritance>>) -> R) -> R {
    // SAFETY: the current task's record outlives its own frames.
    park::with_current(|task| unsafe { task.as_ref() }.inherited.look(f))
}

fn replace(set: Option<Arc<Inheritance>>) -> Option<Arc<Inheritance>> {
    // SAFETY: the current task's record outlives its own frames.
    park::with_current(|task| unsafe { task.as_ref() }.inherited.0.replace(set))
}
