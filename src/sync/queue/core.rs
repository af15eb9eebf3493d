//! What all kinds of queues are: a store of values, a line of getters, and the putters that wait.
//!
//! All of it is under one lock, that of the getters' line; no code of the user's runs under it.
//!
//! *Getters* are handed rights, not values. The values stay in the store until who has a right takes
//! one, so none is ever on its way: a getter that is thrown out of its wait with a right in its hand passes that on, to
//! the next in line, or else it is free for who comes. A right is free only when nobody in line could be given it:
//! who waits is not overtaken. There are as many values in the store as there are rights (free, on their way, or in
//! the hands of who takes or looks).
//!
//! *Putters* wait with their value in an offer (`offers.rs`). Who makes room moves the value of the first into the store,
//! in the same step, so a place is never on its way: a newcomer finds the queue full until nobody waits. A putter
//! that leaves takes its value along, if it was not taken. A rendezvous is a queue without places: a getter that comes
//! takes the first offer, and a put that finds a getter in line gives it a right.
//!
//! *Closing* refuses all offers. Getters are told only when the last value was really taken: as long as one may be passed on,
//! or is looked at, they wait for it.
//!
//! *Stores whose order is the user's* (`heap.rs`) accept values under the lock like the others, but give them outside of
//! it: to one who has a right, and keeps it if the user's code panics.

use std::mem;

use super::error::{GetTimeoutError, PutTimeoutError, TryGetError, TryPutError};
use super::offers::{CLOSED, DONE, Offer, Offers};
use crate::rt::{self, Choice, Instant, Look, Reason, Stand, WaitQueue, Waited, Woken};
use crate::sync::line::{Line, Turn};
use crate::sync::select::Outgoing;

/// The capacity of a queue that is never full.
pub(super) const UNBOUNDED: usize = usize::MAX;
/// The capacity of one that holds nothing: each value goes from its putter to a getter.
pub(super) const RENDEZVOUS: usize = 0;

/// In which order values leave.
pub trait Store<T>: Sized {
    /// What is not under the queue's lock.
    type Aside;

    /// Adds a value; under the queue's lock.
    fn push(&mut self, value: T);

    /// Puts back what left last; under the queue's lock.
    fn restore(&mut self, value: T);

    /// Takes the next value, if it can be told under the queue's lock which one that is.
    fn pop(&mut self) -> Option<T>;

    /// Takes the next value without the queue's lock, for a store whose [`pop`](Self::pop) gives nothing. The caller has a
    /// right to one. `locked` calls what it is given under the lock. Nothing is lost if this panics.
    fn pop_aside(aside: &Self::Aside, locked: impl FnOnce(&mut dyn FnMut(&mut Self))) -> T;
}

/// See the module's text.
pub struct Core<T, S: Store<T>> {
    /// The getters' line.
    pub(super) line: Line<State<T, S>>,
    joiners: WaitQueue,
    capacity: usize,
    aside: S::Aside,
}

pub(super) struct State<T, S> {
    store: S,
    pub(super) offers: Offers<T>,
    /// Values that were put and not yet taken.
    length: usize,
    /// Rights to a value that nobody has.
    free: usize,
    /// Values that were put and not yet done with.
    unfinished: usize,
    is_closed: bool,
}

/// What a getter finds.
pub(super) enum Claim {
    /// It has a right to a value; the putter whose offer was accepted for it is to be woken.
    Right(Option<Woken>),
    Nothing,
    Closed,
}

impl<T, S: Store<T>> Core<T, S> {
    pub(super) const fn new(store: S, aside: S::Aside, capacity: usize) -> Core<T, S> {
        Core {
            line: Line::new(State {
                store,
                offers: Offers::new(),
                length: 0,
                free: 0,
                unfinished: 0,
                is_closed: false,
            }),
            joiners: WaitQueue::new(),
            capacity,
            aside,
        }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        (self.capacity != UNBOUNDED).then_some(self.capacity)
    }

    pub(super) fn len(&self) -> usize {
        self.line.lock().length
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    pub(super) fn is_closed(&self) -> bool {
        self.line.lock().is_closed
    }
}

/// The putters' side.
impl<T, S: Store<T>> Core<T, S> {
    #[inline]
    pub(super) fn put(
        &self,
        value: T,
        deadline: impl FnOnce() -> Instant,
    ) -> Result<(), PutTimeoutError<T>> {
        rt::spend();
        match self.try_put(value) {
            Ok(()) => Ok(()),
            Err(TryPutError::Closed(value)) => Err(PutTimeoutError::Closed(value)),
            Err(TryPutError::Full(value)) => self.put_slow(value, deadline()),
        }
    }

    #[inline]
    pub(super) fn try_put(&self, value: T) -> Result<(), TryPutError<T>> {
        let accepted = self.accept(&mut self.line.lock(), value);
        wake(accepted?);
        Ok(())
    }

    #[cold]
    fn put_slow(&self, value: T, deadline: Instant) -> Result<(), PutTimeoutError<T>> {
        let offer = Offer::new(Some(value));
        let offered = Offered {
            core: self,
            offer: &offer,
        };
        let mut getter = None;
        let waited = offer.line.wait(
            Reason::QueuePut,
            deadline,
            |value| self.accept_or_list(value, &offer, &mut getter),
            // It says that the value was taken, which is of no use to others.
            |_| {},
        );
        wake(getter);
        drop(offered);
        let left = offer.line.lock().take();
        match left {
            None => Ok(()),
            Some(value) if waited == Waited::TimedOut => Err(PutTimeoutError::Timeout(value)),
            Some(value) => Err(PutTimeoutError::Closed(value)),
        }
    }

    /// Has the value been accepted, or refused? If neither, the offer is listed. The getter that gets a right to it is
    /// to be woken.
    fn accept_or_list(
        &self,
        value: &mut Option<T>,
        offer: &Offer<T>,
        getter: &mut Option<Woken>,
    ) -> bool {
        let Some(offered) = value.take() else {
            return true;
        };
        let mut state = self.line.lock();
        match self.accept(&mut state, offered) {
            Ok(woken) => {
                *getter = woken;
                true
            }
            Err(TryPutError::Closed(offered)) => {
                *value = Some(offered);
                true
            }
            Err(TryPutError::Full(offered)) => {
                *value = Some(offered);
                // SAFETY: it was not listed yet, and `Offered` withdraws it before its frame ends.
                unsafe { state.offers.add(offer) };
                false
            }
        }
    }

    /// Puts the value into the store, if there is a place for it or a getter that waits; that one is to be woken.
    #[inline]
    fn accept(
        &self,
        state: &mut Turn<'_, State<T, S>>,
        value: T,
    ) -> Result<Option<Woken>, TryPutError<T>> {
        if state.is_closed {
            return Err(TryPutError::Closed(value));
        }
        let has_place = state.length < self.capacity;
        let may_meet = has_place || self.capacity == RENDEZVOUS;
        let getter = may_meet.then(|| state.signal_first(DONE)).flatten();
        if !has_place && getter.is_none() {
            return Err(TryPutError::Full(value));
        }
        state.add(value);
        state.free += usize::from(getter.is_none());
        Ok(getter)
    }

    /// As [`accept`](Self::accept), for a case of a select with this value. `Done`: it was put, or it is still there
    /// because the queue is closed.
    pub(super) fn put_for(
        &self,
        state: &mut Turn<'_, State<T, S>>,
        stand: &Stand<'_, '_>,
        value: &Outgoing<'_, T>,
    ) -> (Look, Option<Woken>) {
        if state.is_closed {
            return (stand.attempt(|| true), None);
        }
        if state.length < self.capacity {
            let look = stand.attempt(|| true);
            if look != Look::Done {
                return (look, None);
            }
            // There is a place, so it is not refused.
            let accepted = value.take().map(|value| self.accept(state, value));
            return (look, accepted.and_then(Result::ok).flatten());
        }
        if self.capacity != RENDEZVOUS {
            return (Look::Wait, None);
        }
        let getter = match state.choose_first_for(stand) {
            Choice::Chosen(chosen) => chosen.signal(DONE),
            Choice::Nobody => return (Look::Wait, None),
            Choice::TooLate => return (Look::TooLate, None),
        };
        if let Some(value) = value.take() {
            state.add(value);
        }
        (Look::Done, Some(getter))
    }

    /// Moves the first offer into the store, if there is a place for it. Both are to be woken, the putter and the getter
    /// that has a right to it.
    #[inline]
    fn admit(&self, state: &mut Turn<'_, State<T, S>>) -> [Option<Woken>; 2] {
        let has_place = state.length < self.capacity;
        let Some((value, putter)) = has_place.then(|| state.take_offer()).flatten() else {
            return [None, None];
        };
        state.add(value);
        let getter = state.signal_first(DONE);
        state.free += usize::from(getter.is_none());
        [Some(putter), getter]
    }
}

/// The getters' side.
impl<T, S: Store<T>> Core<T, S> {
    #[inline]
    pub(super) fn get(&self, deadline: impl FnOnce() -> Instant) -> Result<T, GetTimeoutError> {
        rt::spend();
        match self.try_get() {
            Ok(value) => Ok(value),
            Err(TryGetError::Closed) => Err(GetTimeoutError::Closed),
            Err(TryGetError::Empty) => {
                self.wait_for_right(deadline())?;
                Ok(self.take(self.line.lock()))
            }
        }
    }

    #[inline]
    pub(super) fn try_get(&self) -> Result<T, TryGetError> {
        let mut state = self.line.lock();
        let putter = self.claim(&mut state).into_result()?;
        let value = self.take(state);
        wake(putter);
        Ok(value)
    }

    /// Looks at the next value, which is out of the queue for so long.
    pub(super) fn peek<R>(
        &self,
        deadline: Instant,
        look: impl FnOnce(&T) -> R,
    ) -> Result<R, GetTimeoutError> {
        rt::spend();
        self.wait_for_right(deadline)?;
        Ok(self.look(look))
    }

    pub(super) fn try_peek<R>(&self, look: impl FnOnce(&T) -> R) -> Result<R, TryGetError> {
        let claim = self.claim(&mut self.line.lock());
        wake(claim.into_result()?);
        Ok(self.look(look))
    }

    fn wait_for_right(&self, deadline: Instant) -> Result<(), GetTimeoutError> {
        let mut claim = Claim::Nothing;
        let waited = self.line.wait(
            Reason::QueueGet,
            deadline,
            |state| {
                claim = self.claim(state);
                !matches!(claim, Claim::Nothing)
            },
            |token| self.pass_on(token),
        );
        match (waited, claim) {
            (Waited::Ready, Claim::Right(putter)) => {
                wake(putter);
                Ok(())
            }
            (Waited::Signalled(DONE), _) => Ok(()),
            (Waited::TimedOut, _) => Err(GetTimeoutError::Timeout),
            _ => Err(GetTimeoutError::Closed),
        }
    }

    /// Takes a right to a value, if there is one; under the lock.
    #[inline]
    fn claim(&self, state: &mut State<T, S>) -> Claim {
        let claim = state.claim_stored();
        if self.capacity == RENDEZVOUS
            && matches!(claim, Claim::Nothing)
            && let Some((value, putter)) = state.take_offer()
        {
            state.add(value);
            return Claim::Right(Some(putter));
        }
        claim
    }

    /// As [`claim`](Self::claim), for a case of a select.
    pub(super) fn claim_for(
        &self,
        state: &mut State<T, S>,
        stand: &Stand<'_, '_>,
    ) -> (Look, Claim) {
        let mut claim = Claim::Nothing;
        let look = stand.attempt(|| {
            claim = state.claim_stored();
            !matches!(claim, Claim::Nothing)
        });
        if look != Look::Wait || self.capacity != RENDEZVOUS || state.is_closed {
            return (look, claim);
        }
        match state.offers.take_for(stand) {
            Ok((value, putter)) => {
                state.add(value);
                (Look::Done, Claim::Right(Some(putter)))
            }
            Err(look) => (look, Claim::Nothing),
        }
    }

    /// A getter was given this token, and has no use for it.
    pub(super) fn pass_on(&self, token: usize) {
        if token == DONE {
            self.release(self.line.lock());
        }
    }

    /// Gives up a right to a value that is in the store: to the next in line, or else to who comes.
    fn release(&self, mut state: Turn<'_, State<T, S>>) {
        let getter = state.signal_first(DONE);
        state.free += usize::from(getter.is_none());
        drop(state);
        wake(getter);
    }

    /// Takes a value. The caller has a right to one, and uses it up.
    #[inline]
    pub(super) fn take(&self, mut state: Turn<'_, State<T, S>>) -> T {
        if let Some(value) = state.store.pop() {
            self.settle(state);
            return value;
        }
        drop(state);
        let value = self.pop_aside();
        self.settle(self.line.lock());
        value
    }

    /// A value has left the queue: makes use of its place.
    #[inline]
    fn settle(&self, mut state: Turn<'_, State<T, S>>) {
        state.length -= 1;
        let admitted = self.admit(&mut state);
        let is_over = state.is_over();
        drop(state);
        admitted.into_iter().for_each(wake);
        if is_over {
            self.dismiss();
        }
    }

    fn pop_aside(&self) -> T {
        let right = Right(self);
        let value = S::pop_aside(&self.aside, |act| act(&mut self.line.lock().store));
        mem::forget(right);
        value
    }

    /// Looks at a value. The caller has a right to one, which goes to the next.
    fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        let popped = self.line.lock().store.pop();
        let held = Held {
            core: self,
            value: Some(popped.unwrap_or_else(|| self.pop_aside())),
        };
        look(held.value.as_ref().expect("it is put back at the end"))
    }
}

/// Closing, and the count of what is not done with.
impl<T, S: Store<T>> Core<T, S> {
    pub(super) fn close(&self) {
        self.line.lock().is_closed = true;
        self.dismiss();
    }

    /// Closes it, and takes what is promised to nobody.
    pub(super) fn close_now(&self) -> Vec<T> {
        self.close();
        let mut values = Vec::new();
        while let Ok(value) = self.try_get() {
            self.finish(1);
            values.push(value);
        }
        values
    }

    /// It is closed: wakes those who wait for what will not come.
    #[cold]
    fn dismiss(&self) {
        loop {
            let mut state = self.line.lock();
            let mut woken = state.offers.refuse();
            if woken.is_none() && state.is_over() {
                woken = state.signal_first(CLOSED);
            }
            drop(state);
            match woken {
                Some(woken) => woken.wake(),
                None => return,
            }
        }
    }

    /// Notes that so many values are done with. Returns whether so many were not.
    pub(super) fn finish(&self, count: usize) -> bool {
        let mut state = self.line.lock();
        let left = state.unfinished.checked_sub(count);
        let is_last = left == Some(0) && count > 0;
        state.unfinished = left.unwrap_or(state.unfinished);
        drop(state);
        if is_last {
            self.end_joins();
        }
        left.is_some()
    }

    /// All was done with a moment ago. If it still is, all who wait for that are told before anybody can come who
    /// waits for what is put later.
    #[cold]
    fn end_joins(&self) {
        let mut joiners = self.joiners.lock();
        if self.line.lock().unfinished == 0 {
            while let Some(joiner) = joiners.signal_first(0) {
                joiner.wake();
            }
        }
    }

    /// Waits until all is done with. Returns whether it was.
    pub(super) fn join(&self, deadline: Instant) -> bool {
        rt::spend();
        let waited = self.joiners.wait_or_pass(
            Reason::QueueJoin,
            deadline,
            || self.line.lock().unfinished == 0,
            // All that wait are told.
            |_| {},
        );
        waited != Waited::TimedOut
    }
}

impl<T, S: Store<T>> State<T, S> {
    #[inline]
    fn add(&mut self, value: T) {
        self.store.push(value);
        self.length += 1;
        self.unfinished += 1;
    }

    /// Takes a right to a value that is in the store, if one is free.
    #[inline]
    fn claim_stored(&mut self) -> Claim {
        if self.free > 0 {
            self.free -= 1;
            Claim::Right(None)
        } else if self.is_over() {
            Claim::Closed
        } else {
            Claim::Nothing
        }
    }

    #[inline]
    fn take_offer(&mut self) -> Option<(T, Woken)> {
        if self.is_closed {
            return None;
        }
        self.offers.take()
    }

    /// Will there never be a value again?
    #[inline]
    fn is_over(&self) -> bool {
        self.is_closed && self.length == 0
    }
}

impl Claim {
    #[inline]
    fn into_result(self) -> Result<Option<Woken>, TryGetError> {
        match self {
            Claim::Right(putter) => Ok(putter),
            Claim::Nothing => Err(TryGetError::Empty),
            Claim::Closed => Err(TryGetError::Closed),
        }
    }
}

#[inline]
fn wake(woken: Option<Woken>) {
    if let Some(woken) = woken {
        woken.wake();
    }
}

/// An offer that may be listed. Dropping it withdraws the offer.
struct Offered<'put, T, S: Store<T>> {
    core: &'put Core<T, S>,
    offer: &'put Offer<T>,
}

impl<T, S: Store<T>> Drop for Offered<'_, T, S> {
    fn drop(&mut self) {
        self.core.line.lock().offers.withdraw(self.offer);
    }
}

/// A right to a value that is in the store. Dropping it gives it up.
pub(super) struct Right<'get, T, S: Store<T>>(pub(super) &'get Core<T, S>);

impl<T, S: Store<T>> Drop for Right<'_, T, S> {
    fn drop(&mut self) {
        self.0.release(self.0.line.lock());
    }
}

/// A value that is looked at. Dropping it puts the value back.
struct Held<'peek, T, S: Store<T>> {
    core: &'peek Core<T, S>,
    value: Option<T>,
}

impl<T, S: Store<T>> Drop for Held<'_, T, S> {
    fn drop(&mut self) {
        let mut state = self.core.line.lock();
        if let Some(value) = self.value.take() {
            state.store.restore(value);
        }
        self.core.release(state);
    }
}
