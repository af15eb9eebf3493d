//! What a hub knows of the panics on its OS thread.
//!
//! std counts panics per OS thread, and tells only whether there are any. A task that is parked in the
//! middle of its unwinding makes its neighbours see a panic that is not theirs; so does an OS thread
//! that unwinds and, in a destructor, drives a hub. `README.md`, section "Cancellation", has the rules.

use std::cell::Cell;

/// Counts of one hub's parked tasks.
#[derive(Default)]
pub(super) struct Panics {
    unwinding: Cell<usize>,
    unsure: Cell<usize>,
    outside: Cell<bool>,
    /// Raised whenever it is known that nobody unwinds: those counted before count no more.
    epoch: Cell<u64>,
}

/// Who but the running task may be the reason for a panic that std reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Others {
    /// A neighbour that is parked in its unwinding, for certain.
    pub(super) unwinding: bool,
    /// A neighbour that parked while it could not be known whose panic it was.
    pub(super) unsure: bool,
    /// The OS thread, which was unwinding before it began to run tasks.
    pub(super) outside: bool,
}

impl Others {
    pub(super) fn any(self) -> bool {
        self != Others::default()
    }
}

/// How a task that parks counts among the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parks {
    Clean,
    Unsure,
    Unwinding,
}

impl Panics {
    /// The hub's OS thread begins to run tasks.
    pub(super) fn begin(&self, panicking: bool) {
        self.outside.set(panicking && self.unwinding.get() == 0);
    }

    pub(super) fn others(&self) -> Others {
        Others {
            unwinding: self.unwinding.get() > 0,
            unsure: self.unsure.get() > 0,
            outside: self.outside.get(),
        }
    }

    /// std reports no panic: nobody unwinds, whoever was counted.
    #[inline]
    pub(super) fn note_none(&self) {
        if self.unwinding.get() + self.unsure.get() > 0 {
            self.unwinding.set(0);
            self.unsure.set(0);
            self.epoch.set(self.epoch.get() + 1);
        }
    }

    /// Suspends by `switch` a task that counts like this meanwhile.
    pub(super) fn while_parked(&self, parks: Parks, switch: impl FnOnce()) {
        let count = match parks {
            Parks::Clean => return switch(),
            Parks::Unsure => &self.unsure,
            Parks::Unwinding => &self.unwinding,
        };
        let epoch = self.epoch.get();
        count.set(count.get() + 1);
        switch();
        if self.epoch.get() == epoch {
            count.set(count.get() - 1);
        }
    }
}
