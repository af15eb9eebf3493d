//! The life of a task as the other OS threads see it: one atomic word.
//!
//! Every transition is a read-modify-write of the same word, so of two that race one is first and
//! the second knows it. The table of states stands in `README.md`, section "The life word".

use crate::sys::sync::{AtomicU32, Ordering};

const STARTED: u32 = 1;
const COMPLETE: u32 = 1 << 1;
const HANDLE: u32 = 1 << 2;
const JOINERS: u32 = 1 << 3;
const INTERRUPTED: u32 = 1 << 4;
const CALLBACKS: u32 = 1 << 5;
const FAILED: u32 = 1 << 6;
const CANCELLED: u32 = 1 << 7;

/// The life word.
pub(crate) struct Life(AtomicU32);

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its function returned.
    Returned,
    /// It panicked, or could not be started.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// Where a task stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No hub has run it yet.
    Unstarted,
    /// It lives on a hub.
    Started,
    /// Its result is stored.
    Ended(Ending),
}

/// What [`Life::complete`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// A handle exists: the result is its, to take or to drop.
    pub(crate) handle: bool,
    /// Somebody waits, or has registered a wish to be told.
    pub(crate) joiners: bool,
}

impl Life {
    /// A task that has not started and has a handle.
    pub(crate) fn with_handle() -> Life {
        Life(AtomicU32::new(HANDLE))
    }

    /// The record of a plain OS thread: it runs, and has no handle.
    pub(crate) fn of_os_thread() -> Life {
        Life(AtomicU32::new(STARTED))
    }

    /// Its hub is about to run it for the first time. The hub wrote where it can be woken before.
    ///
    /// Returns whether it was interrupted before. An interruption that comes after this sees the
    /// hub's mailbox, one that came before is seen here: none is lost.
    #[inline]
    pub(crate) fn start(&self) -> bool {
        self.0.fetch_or(STARTED, Ordering::AcqRel) & INTERRUPTED != 0
    }

    /// Asks the task to look at its cancel scopes. Returns whether it has started, that is, must be
    /// woken to see it.
    pub(crate) fn interrupt(&self) -> bool {
        self.0.fetch_or(INTERRUPTED, Ordering::AcqRel) & STARTED != 0
    }

    /// Was it asked to look at its cancel scopes?
    #[inline]
    pub(crate) fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Acquire) & INTERRUPTED != 0
    }

    /// Has it ended, its result stored?
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Is there a handle still? Once there is none there never will be.
    #[inline]
    pub(crate) fn has_handle(&self) -> bool {
        self.0.load(Ordering::Acquire) & HANDLE != 0
    }

    /// Where the task stands now.
    pub(crate) fn stage(&self) -> Stage {
        let word = self.0.load(Ordering::Acquire);
        if word & COMPLETE == 0 {
            return if word & STARTED == 0 {
                Stage::Unstarted
            } else {
                Stage::Started
            };
        }
        Stage::Ended(if word & CANCELLED != 0 {
            Ending::Cancelled
        } else if word & FAILED != 0 {
            Ending::Failed
        } else {
            Ending::Returned
        })
    }

    /// Nobody asks the task to look at its scopes any more. Who does that at the same time marked a scope
    /// before, which the caller looks at afterwards.
    pub(crate) fn calm(&self) {
        self.0.fetch_and(!INTERRUPTED, Ordering::AcqRel);
    }

    /// The result is stored. The caller drops it if there is no handle, and wakes joiners.
    ///
    /// `None`: there are callbacks, which come first.
    #[inline]
    pub(crate) fn complete(&self, ending: Ending) -> Option<Completion> {
        let ending = match ending {
            Ending::Returned => COMPLETE,
            Ending::Failed => COMPLETE | FAILED,
            Ending::Cancelled => COMPLETE | CANCELLED,
        };
        let change = |word: u32| (word & CALLBACKS == 0).then_some(word | ending);
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        before.ok().map(|before| Completion {
            handle: before & HANDLE != 0,
            joiners: before & JOINERS != 0,
        })
    }

    /// A callback is about to enter the list, whose lock the caller holds. `false`: the task is complete
    /// and will not run it.
    pub(crate) fn add_callback(&self) -> bool {
        let change = |word: u32| (word & COMPLETE == 0).then_some(word | CALLBACKS);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
            .is_ok()
    }

    /// The list of callbacks, whose lock the caller holds, is empty.
    pub(crate) fn clear_callbacks(&self) {
        self.0.fetch_and(!CALLBACKS, Ordering::AcqRel);
    }

    /// Are there callbacks that the task must run?
    #[inline]
    pub(crate) fn has_callbacks(&self) -> bool {
        self.0.load(Ordering::Acquire) & CALLBACKS != 0
    }

    /// Somebody is about to wait for the end. Returns whether the end has come already.
    pub(crate) fn add_joiner(&self) -> bool {
        self.0.fetch_or(JOINERS, Ordering::AcqRel) & COMPLETE != 0
    }

    /// The handle is dropped. Returns whether the result is stored, and so the caller's to drop.
    #[inline]
    pub(crate) fn drop_handle(&self) -> bool {
        self.0.fetch_and(!HANDLE, Ordering::AcqRel) & COMPLETE != 0
    }
}
