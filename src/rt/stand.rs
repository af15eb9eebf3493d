//! The place of one case of a select in the line of what it waits for.

use std::ptr::NonNull;

use super::claim::{Claim, Look, Ticket};
use super::task::Task;
use super::wait_queue::{Node, WaitQueue};
use crate::sys::sync::Cell;

/// Where one case of a select stands, or is to stand. It lies on the selecting stack until the select has left
/// all lines.
pub struct Stand<'select, 'queue> {
    claim: &'select Claim,
    node: Node,
    ticket: Ticket,
    queue: Cell<Option<&'queue WaitQueue>>,
}

impl<'select, 'queue> Stand<'select, 'queue> {
    pub(super) fn new(task: NonNull<Task>, claim: &'select Claim) -> Self {
        Stand {
            claim,
            node: Node::new(task),
            ticket: Ticket::new(claim),
            queue: Cell::new(None),
        }
    }

    /// Does the case at once if `ready` says that it could, and has done, what there is to do; else stands in
    /// line. Returns whether it was done.
    ///
    /// `ready` is called under the queue's lock, as that of [`WaitQueue::wait`]; but it may choose nobody of any line, and
    /// take no lock. It is not called if another case was chosen meanwhile.
    pub(crate) fn enter(&self, queue: &'queue WaitQueue, ready: impl FnOnce() -> bool) -> bool {
        self.enter_by(queue, || self.attempt(ready))
    }

    /// As [`enter`](Self::enter), for a case that has more to look at: `look` is called under the queue's lock, may
    /// take others, and finds out by [`attempt`](Self::attempt), or by choosing somebody in another line
    /// [for](Self::claim) this select.
    pub(crate) fn enter_by(&self, queue: &'queue WaitQueue, look: impl FnOnce() -> Look) -> bool {
        let mut locked = queue.lock();
        match look() {
            Look::Done => true,
            Look::TooLate => false,
            Look::Wait => {
                assert!(self.queue.get().is_none(), "a case stands in one line");
                self.queue.set(Some(queue));
                locked.link_case(&self.node, &self.ticket);
                false
            }
        }
    }

    /// Does the case, if `ready` says that it could, and has done, what there is to do, without a line. `ready` as for
    /// [`enter`](Self::enter).
    #[inline]
    pub(crate) fn attempt(&self, ready: impl FnOnce() -> bool) -> Look {
        self.claim.attempt(ready)
    }

    /// Decides for this case, which can be done. `false`: another one was chosen meanwhile.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.attempt(|| true) == Look::Done
    }

    /// On whose behalf the case chooses somebody who waits in another line.
    pub(crate) fn claim(&self) -> &Claim {
        self.claim
    }

    /// What whoever chooses this case finds there, under the queue's lock: something in the case itself.
    pub(crate) fn set_offer(&self, offer: *const ()) {
        self.node.set_offer(offer);
    }

    /// Leaves the line, if it stands in one. Returns the token, if it was this case that was chosen.
    pub(super) fn leave(&self) -> Option<usize> {
        let queue = self.queue.get()?;
        self.queue.set(None);
        // Once it is signalled nobody touches it any more.
        self.node.token().or_else(|| {
            queue.lock().unlink_case(&self.node, &self.ticket);
            self.node.token()
        })
    }
}
