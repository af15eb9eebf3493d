//! The putters that wait, in their order, each with its value.
//!
//! An [`Offer`] lies on its putter's stack (that of a select in the heap): the value, and a line in which the putter stands alone. Who can
//! accept it takes it out of there, for the putter, which need not run for that. The list that the offers are
//! linked into is part of the queue's state, and so under the queue's lock.
//!
//! * *Order of locks*: the queue's, then an offer's. A putter takes the queue's lock under that of its offer
//!   once, when nobody else can know the offer yet: to link it and stand in line in one step.
//! * *Nobody there.* Signalling the putter may fail, because its time is up and it has left the line, or because it was
//!   chosen elsewhere, where it stands in line as well. So the putter is signalled first, and only then its value is
//!   moved; an offer whose putter could not be signalled is passed over, and keeps its value.
//! * *The end of the frame.* A putter withdraws its offer, under the queue's lock, before its frame ends, in whatever
//!   way the wait ended. Who takes a value touches the offer under the queue's lock only, and so not after that.

use std::cell::Cell;
use std::ptr;

use crate::rt::{Choice, Look, Stand, Woken};
use crate::sync::line::Line;

/// The token of a putter whose value was taken, and of a getter that has a right to a value.
pub(super) const DONE: usize = 0;
/// The token of who waited for what will not come: the queue is closed.
pub(super) const CLOSED: usize = 1;

/// A putter's value until it is accepted.
pub(super) struct Offer<T> {
    pub(super) line: Line<Option<T>>,
    /// Only touched under the queue's lock, as the links.
    is_listed: Cell<bool>,
    next: Cell<*const Offer<T>>,
    previous: Cell<*const Offer<T>>,
}

/// See the module's text.
pub(super) struct Offers<T> {
    first: *const Offer<T>,
    last: *const Offer<T>,
}

// SAFETY: the pointers are only followed under the queue's lock, to offers that are withdrawn under the same
// lock before their frames end. What is reached by them is under the offers' own locks and so has to be `Send`.
unsafe impl<T: Send> Send for Offers<T> {}

impl<T> Offer<T> {
    pub(super) fn new(value: Option<T>) -> Offer<T> {
        Offer {
            line: Line::new(value),
            is_listed: Cell::new(false),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
        }
    }
}

impl<T> Offers<T> {
    pub(super) const fn new() -> Offers<T> {
        Offers {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    /// Adds an offer as the last one.
    ///
    /// # Safety
    ///
    /// It is in no list, and neither moves nor ends before it was [withdrawn](Self::withdraw).
    pub(super) unsafe fn add(&mut self, offer: &Offer<T>) {
        offer.is_listed.set(true);
        offer.next.set(ptr::null());
        offer.previous.set(self.last);
        // SAFETY: listed offers are alive.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(offer),
            None => self.first = offer,
        }
        self.last = offer;
    }

    /// Removes an offer, if it is still there. It is in this list or in none.
    pub(super) fn withdraw(&mut self, offer: &Offer<T>) {
        if !offer.is_listed.replace(false) {
            return;
        }
        let (next, previous) = (offer.next.get(), offer.previous.get());
        // SAFETY: listed offers are alive.
        unsafe {
            match previous.as_ref() {
                Some(previous) => previous.next.set(next),
                None => self.first = next,
            }
            match next.as_ref() {
                Some(next) => next.previous.set(previous),
                None => self.last = previous,
            }
        }
    }

    /// Takes the value of the first that still waits, and tells it so.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(T, Woken)> {
        if self.first.is_null() {
            return None;
        }
        self.signal(DONE, Option::take)
    }

    /// As [`take`](Self::take), on behalf of a case of a select, which is done if there is one.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(super) fn take_for(&mut self, stand: &Stand<'_, '_>) -> Result<(T, Woken), Look> {
        let mut at = self.first;
        // SAFETY: listed offers are alive.
        while let Some(offer) = unsafe { at.as_ref() } {
            at = offer.next.get();
            let mut putter = offer.line.lock();
            match putter.choose_first_for(stand) {
                Choice::Chosen(chosen) => {
                    let woken = chosen.signal(DONE);
                    self.withdraw(offer);
                    let value = putter.take().expect("who waits has its value");
                    return Ok((value, woken));
                }
                // Whose offer it is withdraws it.
                Choice::Nobody => {}
                Choice::TooLate => return Err(Look::TooLate),
            }
        }
        Err(Look::Wait)
    }

    /// Tells the first that still waits that its value is not wanted.
    pub(super) fn refuse(&mut self) -> Option<Woken> {
        let signalled = self.signal(CLOSED, |_| Some(()));
        signalled.map(|((), woken)| woken)
    }

    /// Signals the first that can be, and does something with its value. All before it are passed over for good.
    fn signal<R>(
        &mut self,
        token: usize,
        act: impl Fn(&mut Option<T>) -> Option<R>,
    ) -> Option<(R, Woken)> {
        // SAFETY: listed offers are alive.
        while let Some(offer) = unsafe { self.first.as_ref() } {
            self.withdraw(offer);
            let mut putter = offer.line.lock();
            if let Some(woken) = putter.signal_first(token) {
                // It is still under both locks, so the putter cannot have gone.
                return act(&mut putter).map(|result| (result, woken));
            }
        }
        None
    }
}
