//! Getting as a case of a select.
//!
//! The select is for a right to a value. The value is taken when the select is over and has left all other lines, so
//! comparing, which may be the user's code, is done then.

use std::cell::Cell;
use std::mem;

use super::Closed;
use super::core::{Claim, Core, Right, Store};
use super::offers::DONE;
use crate::rt::{Case, Signal, Stand};
use crate::sync::select::Operation;

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
