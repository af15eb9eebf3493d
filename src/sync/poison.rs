//! The mark that a panic left behind, kept as std keeps it.

use super::atomic::{AtomicBool, Ordering::Relaxed};
use super::{LockResult, PoisonError};
use crate::rt;

/// Whether a panic happened while the lock was held.
pub(super) struct Poison(AtomicBool);

/// What a guard remembers from its beginning: did the task panic already?
#[derive(Clone, Copy)]
pub(super) struct Watch {
    panicking: bool,
}

impl Poison {
    pub(super) const fn new() -> Poison {
        Poison(AtomicBool::new(false))
    }

    #[inline]
    pub(super) fn get(&self) -> bool {
        self.0.load(Relaxed)
    }

    pub(super) fn clear(&self) {
        self.0.store(false, Relaxed);
    }

    /// A guard comes to be.
    #[inline]
    pub(super) fn watch(&self) -> Watch {
        Watch {
            panicking: rt::is_panicking(),
        }
    }

    /// A guard goes. If a panic certainly began meanwhile, and is no cancellation, the mark is left.
    #[inline]
    pub(super) fn done(&self, watch: Watch) {
        if !watch.panicking && rt::is_certainly_panicking() {
            self.0.store(true, Relaxed);
        }
    }

    /// `value`, as an error if there is a mark.
    #[inline]
    pub(super) fn judge<T>(&self, value: T) -> LockResult<T> {
        if self.get() {
            Err(PoisonError::new(value))
        } else {
            Ok(value)
        }
    }
}
