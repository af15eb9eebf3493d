//! Getting and putting as cases of a select.
//!
//! *To get* the select is for a right to a value. The value is taken when the select is over and has left all other
//! lines, so comparing, which may be the user's code, is done then.
//!
//! *To put* the case has an offer, as a plain putter has, which stays listed when another case is done: it is passed over
//! then. A case may be moved between that and its drop, which withdraws the offer, so the offer has a place of its own.

use std::cell::{Cell, OnceCell};
use std::mem;
use std::rc::Rc;

use super::core::{Claim, Core, Right, Store};
use super::offers::{DONE, Offer};
use super::{Closed, PutError};
use crate::rt::{Case, Look, Signal, Stand};
use crate::sync::line::Line;
use crate::sync::select::{Operation, Outgoing};

/// To put.
pub struct Putting<'queue, T, S: Store<T>> {
    core: &'queue Core<T, S>,
    /// Empty if it was put, or while it is offered.
    message: Outgoing<'queue, T>,
    offer: OnceCell<Rc<Offer<T>>>,
}

/// To get.
pub struct Getting<'queue, T, S: Store<T>> {
    core: &'queue Core<T, S>,
    outcome: Cell<Option<Result<Right<'queue, T, S>, Closed>>>,
}

impl<'queue, T, S: Store<T>> Getting<'queue, T, S> {
    pub(super) fn new(core: &'queue Core<T, S>) -> Self {
        Getting {
            core,
            outcome: Cell::new(None),
        }
    }

    /// Notes what came of it.
    fn note(&self, has_right: bool) {
        let right = has_right.then_some(self.core).map(Right);
        self.outcome.set(Some(right.ok_or(Closed)));
    }
}

impl<'queue, T, S: Store<T>> Case<'queue> for Getting<'queue, T, S> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        let mut claim = Claim::Nothing;
        let done = self.core.line.enter(stand, |state| {
            let look;
            (look, claim) = self.core.claim_for(state, stand);
            look
        });
        if done {
            self.note(!matches!(claim, Claim::Closed));
        }
        if let Claim::Right(Some(putter)) = claim {
            putter.wake();
        }
        done
    }

    fn accept(&self, signal: Signal) {
        self.note(signal.token() == DONE);
    }

    fn pass_on(&self, signal: Signal) {
        self.core.pass_on(signal.token());
    }
}

impl<'queue, T, S: Store<T>> Operation<'queue> for Getting<'queue, T, S> {
    type Output = Result<T, Closed>;

    fn finish(self) -> Result<T, Closed> {
        let outcome = self.outcome.take();
        let right = outcome.expect("a select asks the case that was done")?;
        let state = self.core.line.lock();
        mem::forget(right);
        Ok(self.core.take(state))
    }
}

impl<'queue, T, S: Store<T>> Putting<'queue, T, S> {
    pub(super) fn new(core: &'queue Core<T, S>, message: Outgoing<'queue, T>) -> Self {
        Putting {
            core,
            message,
            offer: OnceCell::new(),
        }
    }

    /// Stands in line with an offer, unless there is no need after all. Returns whether it was put, or refused.
    fn offer(&self, stand: &Stand<'_, 'queue>) -> bool {
        // The same one each time: where a select has this case twice, it stands in that line already.
        let offer = self.offer.get_or_init(|| Rc::new(Offer::new(None)));
        let line: *const Line<Option<T>> = &raw const offer.line;
        // SAFETY: this case keeps the offer until it is dropped, and the select borrows it until it has left the line.
        let line: &'queue Line<Option<T>> = unsafe { &*line };
        let mut getter = None;
        let done = line.enter(stand, |value| {
            let mut state = self.core.line.lock();
            let (look, woken) = self.core.put_for(&mut state, stand, &self.message);
            getter = woken;
            if look == Look::Wait {
                *value = self.message.take();
                // SAFETY: it is not listed. It is in the heap, until it is withdrawn by the drop of this case;
                // without that it stays for good.
                unsafe { state.offers.add(offer) };
            }
            look
        });
        if let Some(getter) = getter {
            getter.wake();
        }
        done
    }

    /// Has the value back, unless it was taken.
    fn withdraw(&self) {
        let Some(offer) = self.offer.get() else {
            return;
        };
        self.core.line.lock().offers.withdraw(offer);
        let left = offer.line.lock().take();
        if let Some(value) = left {
            self.message.put_back(value);
        }
    }
}

impl<'queue, T, S: Store<T>> Case<'queue> for Putting<'queue, T, S> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        // A builder is used again after a run that did none of its cases: the value may lie in that run's offer.
        self.withdraw();
        if self.message.is_empty() {
            return false;
        }
        let (look, getter) = self
            .core
            .put_for(&mut self.core.line.lock(), stand, &self.message);
        if let Some(getter) = getter {
            getter.wake();
        }
        match look {
            Look::Done => true,
            Look::TooLate => false,
            Look::Wait => self.offer(stand),
        }
    }

    /// The value was taken, or refused.
    fn accept(&self, _: Signal) {
        self.withdraw();
    }

    /// As above, and nobody else has a use for it.
    fn pass_on(&self, _: Signal) {}
}

impl<'queue, T, S: Store<T>> Operation<'queue> for Putting<'queue, T, S> {
    type Output = Result<(), PutError<T>>;

    fn finish(self) -> Result<(), PutError<T>> {
        match self.message.take() {
            Some(value) => Err(PutError(value)),
            None => Ok(()),
        }
    }
}

impl<T, S: Store<T>> Drop for Putting<'_, T, S> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
