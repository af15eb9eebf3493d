//! A hub's address for other OS threads: its inbox, its pulse, and the means to end its sleep.
//!
//! Mailboxes are never freed, only used again: a waker may hold the record of a task that has ended,
//! whose hub is gone, and must be able to look at its address all the same. What arrives too late is
//! the record of an ended task, which whoever owns the mailbox by then drops.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::inbox::Inbox;
use super::pulse::Pulse;
use super::task::Task;
use crate::sys::sync::Mutex;

/// See the module's text.
pub(super) struct Mailbox {
    pub(super) inbox: Inbox<Task>,
    pub(super) pulse: Pulse,
    waker: Mutex<Option<Arc<mio::Waker>>>,
}

/// The mailbox of a hub that is not there yet. If that never comes it is closed again.
pub(super) struct Waiting(&'static Mailbox);

impl Waiting {
    pub(super) fn mailbox(&self) -> &'static Mailbox {
        self.0
    }

    /// The hub is there; it closes its mailbox itself.
    pub(super) fn arrive(self) -> &'static Mailbox {
        ManuallyDrop::new(self).0
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.close();
    }
}

static FREE: Mutex<Vec<&'static Mailbox>> = Mutex::new(Vec::new());

impl Mailbox {
    /// A mailbox for a hub whose sleep this waker ends.
    pub(super) fn open(waker: mio::Waker) -> Waiting {
        let free = FREE.lock().pop();
        let mailbox = free.unwrap_or_else(|| {
            Box::leak(Box::new(Mailbox {
                inbox: Inbox::new(),
                pulse: Pulse::new(),
                waker: Mutex::new(None),
            }))
        });
        *mailbox.waker.lock() = Some(Arc::new(waker));
        Waiting(mailbox)
    }

    /// The hub is gone, or never came; all tasks that lived on it have ended.
    pub(super) fn close(&'static self) {
        *self.waker.lock() = None;
        FREE.lock().push(self);
    }

    /// Ends the hub's sleep; the caller was told to by the inbox.
    #[cold]
    pub(super) fn ring(&self) {
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker
            && let Err(error) = waker.wake()
        {
            // An eventfd write fails only if the descriptor was closed by someone else.
            super::report::fatal(format_args!("a hub cannot be woken: {error}"));
        }
    }

    /// Ends the hub's sleep if it sleeps.
    pub(super) fn rouse(&self) {
        if self.inbox.rouse() {
            self.ring();
        }
    }
}
