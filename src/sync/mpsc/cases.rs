//! Receiving and sending as cases of a select.

use std::cell::Cell;
use std::ptr;

use super::channel::{Batch, Channel, Kind, Place};
use super::{Receiver, RecvError, SendError, Sender, SyncSender};
use crate::rt::{Case, Choice, Look, Signal, Stand};
use crate::sync::select::sealed::Sealed;
use crate::sync::select::{Operation, Outgoing, Receive, Transmit};

/// To receive.
#[doc(hidden)]
pub struct Receiving<'channel, T> {
    channel: &'channel Channel<T>,
    batch: &'channel Batch<T>,
    place: Place<T>,
    received: Cell<Option<Result<T, RecvError>>>,
}

/// To send.
#[doc(hidden)]
pub struct Sending<'channel, T> {
    channel: &'channel Channel<T>,
    /// Once the case was done: what could not be sent.
    message: Outgoing<'channel, T>,
}

impl<T> Sealed for Receiver<T> {}
impl<T> Sealed for Sender<T> {}
impl<T> Sealed for SyncSender<T> {}

impl<T> Receive for Receiver<T> {
    type Output = Result<T, RecvError>;
    type Operation<'queue>
        = Receiving<'queue, T>
    where
        Self: 'queue;

    fn to_receive(&self) -> Receiving<'_, T> {
        let (channel, batch) = self.parts();
        Receiving {
            channel,
            batch,
            place: Place::new(None),
            received: Cell::new(None),
        }
    }
}

impl<T> Transmit for Sender<T> {
    type Message = T;
    type Output = Result<(), SendError<T>>;
    type Operation<'queue>
        = Sending<'queue, T>
    where
        Self: 'queue;

    fn to_send<'queue>(&'queue self, message: Outgoing<'queue, T>) -> Sending<'queue, T> {
        Sending::new(self.channel(), message)
    }
}

impl<T> Transmit for SyncSender<T> {
    type Message = T;
    type Output = Result<(), SendError<T>>;
    type Operation<'queue>
        = Sending<'queue, T>
    where
        Self: 'queue;

    fn to_send<'queue>(&'queue self, message: Outgoing<'queue, T>) -> Sending<'queue, T> {
        Sending::new(self.channel(), message)
    }
}

impl<'channel: 'queue, 'queue, T> Case<'queue> for Receiving<'channel, T> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        if !self.batch.borrow().is_empty() {
            return stand.take() && self.receive(self.batch.borrow_mut().pop_front());
        }
        self.channel.trim(self.batch);
        stand.set_offer(ptr::from_ref(&self.place).cast());
        let mut taken = None;
        let mut offers = self.channel.lock_offers();
        let done = self.channel.line.enter(stand, |state| {
            let look = stand.attempt(|| {
                taken = self.channel.take(state, self.batch);
                taken.is_some() || state.senders_gone
            });
            let offers = offers.take().filter(|_| look == Look::Wait);
            let Some(mut offers) = offers else {
                return look;
            };
            match offers.choose_first_for(stand.claim()) {
                Choice::Chosen(sender) => {
                    taken = Some(Channel::take_offer(sender));
                    Look::Done
                }
                Choice::Nobody => Look::Wait,
                Choice::TooLate => Look::TooLate,
            }
        });
        done && self.receive(taken.map(|taken| self.channel.finish(taken)))
    }

    fn accept(&self, _: Signal) {
        self.receive(self.place.take());
    }

    fn pass_on(&self, _: Signal) {
        self.channel.put_back(&self.place);
    }
}

impl<T> Receiving<'_, T> {
    /// Notes what came of it; none: there is no sender any more.
    fn receive(&self, message: Option<T>) -> bool {
        self.received.set(Some(message.ok_or(RecvError)));
        true
    }
}

impl<'queue, T> Operation<'queue> for Receiving<'queue, T> {
    type Output = Result<T, RecvError>;

    fn finish(self) -> Result<T, RecvError> {
        let received = self.received.take();
        received.expect("a select asks the case that was done")
    }
}

impl<'channel: 'queue, 'queue, T> Case<'queue> for Sending<'channel, T> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        if self.message.is_empty() {
            return false;
        }
        if self.channel.kind == Kind::Unbounded {
            return stand.take() && self.send(Channel::push);
        }
        let mut receiver = None;
        let done = stand.enter_by(&self.channel.room, || {
            let mut state = self.channel.line.lock();
            if state.receiver_gone {
                return stand.attempt(|| true);
            }
            match state.choose_first_for(stand) {
                Choice::Chosen(chosen) => {
                    let message = self.message.take();
                    receiver = message.map(|message| Channel::hand_to(chosen, message));
                    return Look::Done;
                }
                Choice::TooLate => return Look::TooLate,
                Choice::Nobody => {}
            }
            if self.channel.kind == Kind::Rendezvous {
                stand.set_offer(ptr::from_ref(self.message.place()).cast());
                return Look::Wait;
            }
            let look = stand.attempt(|| state.take_place());
            match look {
                Look::Done => state.queue.extend(self.message.take()),
                Look::Wait => state.senders_wait = true,
                Look::TooLate => {}
            }
            look
        });
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        done
    }

    /// If its message was offered it was taken, or there is no receiver.
    fn accept(&self, _: Signal) {
        if self.channel.kind == Kind::Bounded {
            self.send(Channel::fill_place);
        }
    }

    fn pass_on(&self, _: Signal) {
        if self.channel.kind == Kind::Bounded {
            self.channel.free_place();
        }
    }
}

impl<'channel, T> Sending<'channel, T> {
    pub(super) fn new(channel: &'channel Channel<T>, message: Outgoing<'channel, T>) -> Self {
        Sending { channel, message }
    }

    fn send(&self, send: impl FnOnce(&Channel<T>, T) -> Result<(), SendError<T>>) -> bool {
        let message = self.message.take();
        if let Some(Err(SendError(message))) = message.map(|message| send(self.channel, message)) {
            self.message.put_back(message);
        }
        true
    }
}

impl<'queue, T> Operation<'queue> for Sending<'queue, T> {
    type Output = Result<(), SendError<T>>;

    fn finish(self) -> Result<(), SendError<T>> {
        match self.message.take() {
            Some(message) => Err(SendError(message)),
            None => Ok(()),
        }
    }
}
