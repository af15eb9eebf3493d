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

/// The life word.
pub(crate) struct Life(AtomicU32);

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

    /// Has a hub run it?
    pub(crate) fn is_started(&self) -> bool {
        self.0.load(Ordering::Acquire) & STARTED != 0
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

    /// The result is stored. The caller drops it if there is no handle, and wakes joiners.
    #[inline]
    pub(crate) fn complete(&self) -> Completion {
        let before = self.0.fetch_or(COMPLETE, Ordering::AcqRel);
        Completion {
            handle: before & HANDLE != 0,
            joiners: before & JOINERS != 0,
        }
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
