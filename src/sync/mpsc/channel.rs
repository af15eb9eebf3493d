//! The channel under all three kinds: a queue, and the receiver's line.
//!
//! The queue is guarded by the lock of the line in which the receiver waits. A message for a receiver that
//! waits is not queued: the sender puts it into a [`Place`] of the receiver's own, and signals it, which then needs no
//! lock to take it. A receiver that is cancelled with a message in its hand puts it back at the front.
//!
//! There is one receiver, which stays on one OS thread; but green threads of one hub may share it there, by an `Rc` or a
//! thread-local of the OS thread's. So several may stand in the line, and each has its own place.
//!
//! *Unbounded*: the receiver takes all that is queued at once into a batch of its own, so that it meets
//! the lock once a batch.
//!
//! *Bounded*: a message in the queue occupies a place. A sender that finds no place waits in `room`, and
//! whoever frees a place hands it to the first there; nobody overtakes. The place of a sender that is
//! cancelled with it goes to the next. `senders_wait` tells whoever holds the queue's lock that it must
//! look into `room`, and is set under both locks. The order of locks is `room`, then the line's.
//!
//! *Rendezvous* (capacity 0): there is no place. A sender that finds no receiver waits in `room` as a select with one case,
//! whose offer is its message: a receiver that chooses it takes the message from the sender's own stack and signals
//! it. So a message is with its sender until it is taken. The receiver looks into `room` and lines up in one step,
//! with both locks held, as the sender does. Only messages that were put back by a cancelled receiver are in the
//! queue.
//!
//! *Selects* (`cases.rs`). Whoever hands a message over first chooses the receiver, for it may wait elsewhere as well and
//! have been served there; so `waiting` does not say that somebody can be had. The locks are as above, and no
//! case holds one of them while another case is looked at.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cases::Sending;
use super::{RecvTimeoutError, SendError, TryRecvError, TrySendError};
use crate::rt::{self, Chosen, Instant, Locked, Manner, Reason, WaitQueue, Waited, Woken};
use crate::sync::line::{Line, Turn};
use crate::sync::select::{Operation, Outgoing};

/// The receiver has a message in its place; or it has none, and the last sender has gone.
const LOOK: usize = 0;

/// A sender has a place, or the receiver has gone.
const PLACE: usize = 0;
/// The message that a sender offered was taken.
const TAKEN: usize = 1;

/// A batch that has grown beyond this is freed when it is empty.
const KEPT: usize = 1024;

/// See the module's text.
pub(super) struct Channel<T> {
    pub(super) line: Line<State<T>>,
    senders: AtomicUsize,
    pub(super) kind: Kind,
    pub(super) room: WaitQueue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unbounded,
    Bounded,
    Rendezvous,
}

pub(super) struct State<T> {
    pub(super) queue: VecDeque<T>,
    /// Places that are free. Negative if more messages than places are there: those put back.
    places: isize,
    pub(super) senders_wait: bool,
    pub(super) senders_gone: bool,
    pub(super) receiver_gone: bool,
}

/// Messages that the receiver has taken out of the queue and not yet returned.
pub(super) type Batch<T> = RefCell<VecDeque<T>>;

/// Where a receiver that waits finds its message: what it offers those who choose it.
pub(super) type Place<T> = Cell<Option<T>>;

impl<T> Channel<T> {
    /// `capacity`: none is unbounded.
    pub(super) fn new(capacity: Option<usize>) -> Channel<T> {
        let places = capacity.unwrap_or(0);
        Channel {
            line: Line::new(State {
                queue: VecDeque::new(),
                places: isize::try_from(places).unwrap_or(isize::MAX),
                senders_wait: false,
                senders_gone: false,
                receiver_gone: false,
            }),
            senders: AtomicUsize::new(1),
            kind: match capacity {
                None => Kind::Unbounded,
                Some(0) => Kind::Rendezvous,
                Some(_) => Kind::Bounded,
            },
            room: WaitQueue::new(),
        }
    }
}

/// The senders' side.
impl<T> Channel<T> {
    /// Sends into an unbounded channel.
    #[inline]
    pub(super) fn push(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.line.lock();
        if state.receiver_gone {
            drop(state);
            return Err(SendError(message));
        }
        if state.waiting() == 0 {
            state.queue.push_back(message);
        } else if let Err((mut state, message)) = self.hand_over(state, message) {
            state.queue.push_back(message);
        }
        Ok(())
    }

    /// Sends into a bounded channel, when there is a place.
    pub(super) fn send(&self, message: T) -> Result<(), SendError<T>> {
        rt::spend();
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(message)) => Err(SendError(message)),
            Err(TrySendError::Full(message)) => self.send_slow(message),
        }
    }

    /// Sends into a bounded channel, if there is a place; into a rendezvous, if the receiver waits.
    #[inline]
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let state = self.line.lock();
        if state.receiver_gone {
            drop(state);
            return Err(TrySendError::Disconnected(message));
        }
        let (mut state, message) = match self.hand_over(state, message) {
            Ok(()) => return Ok(()),
            Err(back) => back,
        };
        if state.take_place() {
            state.queue.push_back(message);
            Ok(())
        } else {
            drop(state);
            Err(TrySendError::Full(message))
        }
    }

    fn send_slow(&self, message: T) -> Result<(), SendError<T>> {
        if self.kind == Kind::Rendezvous {
            return self.offer(message);
        }
        self.room.wait_or_pass(
            Reason::Send,
            Instant::NEVER,
            || {
                let mut state = self.line.lock();
                let ready = state.receiver_gone || state.take_place();
                state.senders_wait |= !ready;
                ready
            },
            |_place| self.free_place(),
        );
        self.fill_place(message)
    }

    /// The sender has a place, or there is no receiver any more.
    pub(super) fn fill_place(&self, message: T) -> Result<(), SendError<T>> {
        let state = self.line.lock();
        if state.receiver_gone {
            drop(state);
            return Err(SendError(message));
        }
        match self.hand_over(state, message) {
            Ok(()) => self.free_place(),
            Err((mut state, message)) => state.queue.push_back(message),
        }
        Ok(())
    }

    /// Waits until the receiver takes the message from here.
    fn offer(&self, message: T) -> Result<(), SendError<T>> {
        let sending = Sending::new(self, Outgoing::new(message));
        let manner = Manner {
            is_biased: true,
            reason: Reason::Send,
            deadline: Instant::NEVER,
        };
        rt::select([&sending], manner);
        sending.finish()
    }

    /// Gives a message to the receiver, if that waits.
    #[inline]
    fn hand_over<'channel>(
        &self,
        mut state: Turn<'channel, State<T>>,
        message: T,
    ) -> Result<(), (Turn<'channel, State<T>>, T)> {
        let Some(receiver) = state.choose_first() else {
            return Err((state, message));
        };
        let woken = Self::hand_to(receiver, message);
        drop(state);
        woken.wake();
        Ok(())
    }

    /// Gives a message to the receiver, which was chosen.
    #[inline]
    pub(super) fn hand_to(receiver: Chosen<'_>, message: T) -> Woken {
        let place = receiver.offer().cast::<Place<T>>();
        // SAFETY: all who stand in the line offer a place, in their frame or their case of a select, which they
        // do not leave, nor look into, before they are signalled.
        unsafe { (*place).set(Some(message)) };
        receiver.signal(LOOK)
    }

    pub(super) fn free_place(&self) {
        let mut state = self.line.lock();
        state.places += 1;
        let wanted = state.senders_wait;
        drop(state);
        if wanted {
            self.admit();
        }
    }

    /// A place may be free: gives it to the sender that has waited longest.
    #[cold]
    fn admit(&self) {
        let mut room = self.room.lock();
        let mut state = self.line.lock();
        let mut woken = None;
        if state.places > 0 {
            woken = room.signal_first(PLACE);
            state.places -= isize::from(woken.is_some());
        }
        state.senders_wait = room.len() > 0;
        drop(state);
        drop(room);
        if let Some(woken) = woken {
            woken.wake();
        }
    }

    pub(super) fn add_sender(&self) {
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        self.line.lock().senders_gone = true;
        self.line.wake_all();
    }
}

/// The receiver's side.
impl<T> Channel<T> {
    #[inline]
    pub(super) fn receive(
        &self,
        batch: &Batch<T>,
        deadline: impl FnOnce() -> Instant,
    ) -> Result<T, RecvTimeoutError> {
        rt::spend();
        if let Some(message) = batch.borrow_mut().pop_front() {
            return Ok(message);
        }
        self.receive_slow(batch, deadline())
    }

    fn receive_slow(&self, batch: &Batch<T>, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.trim(batch);
        let place = Place::new(None);
        let mut taken = None;
        let mut offers = self.lock_offers();
        let waited = self.line.wait_with(
            ptr::from_ref(&place).cast(),
            Reason::Receive,
            deadline,
            |state| {
                taken = self.take(state, batch);
                if let Some(mut offers) = offers.take()
                    && taken.is_none()
                {
                    taken = offers.choose_first().map(Self::take_offer);
                }
                taken.is_some() || state.senders_gone
            },
            |_| self.put_back(&place),
        );
        match waited {
            Waited::Ready => {
                let taken = taken.ok_or(RecvTimeoutError::Disconnected)?;
                Ok(self.finish(taken))
            }
            Waited::Signalled(_) => place.take().ok_or(RecvTimeoutError::Disconnected),
            Waited::TimedOut => Err(RecvTimeoutError::Timeout),
        }
    }

    pub(super) fn try_receive(&self, batch: &Batch<T>) -> Result<T, TryRecvError> {
        if let Some(message) = batch.borrow_mut().pop_front() {
            return Ok(message);
        }
        self.trim(batch);
        let mut offers = self.lock_offers();
        let mut state = self.line.lock();
        let mut taken = self.take(&mut state, batch);
        if let Some(offers) = &mut offers
            && taken.is_none()
        {
            taken = offers.choose_first().map(Self::take_offer);
        }
        let senders_gone = state.senders_gone;
        drop(state);
        drop(offers);
        match taken {
            Some(taken) => Ok(self.finish(taken)),
            None if senders_gone => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Those who offer a message; only a rendezvous has them. To be locked before the line.
    #[inline]
    pub(super) fn lock_offers(&self) -> Option<Locked<'_>> {
        (self.kind == Kind::Rendezvous).then(|| self.room.lock())
    }

    /// What the queue has, under its lock.
    #[inline]
    pub(super) fn take(&self, state: &mut State<T>, batch: &Batch<T>) -> Option<Taken<T>> {
        if self.kind == Kind::Unbounded {
            let mut batch = batch.borrow_mut();
            mem::swap(&mut state.queue, &mut batch);
            return batch.pop_front().map(|message| Taken {
                message,
                then: Then::Nothing,
            });
        }
        let message = state.queue.pop_front()?;
        state.places += 1;
        let then = match state.senders_wait {
            true => Then::Admit,
            false => Then::Nothing,
        };
        Some(Taken { message, then })
    }

    /// What a sender offers, who was chosen from the offers, which are still locked.
    pub(super) fn take_offer(sender: Chosen<'_>) -> Taken<T> {
        let offer = sender.offer().cast::<Cell<Option<T>>>();
        // SAFETY: it lies in the case of a sender's select (see `Sending::enter`), which cannot leave before it was
        // signalled, and nobody else may look there until then.
        let message = unsafe { (*offer).take() };
        let woken = sender.signal(TAKEN);
        Taken {
            message: message.expect("who offers has a message"),
            then: Then::Wake(woken),
        }
    }

    /// Tells the senders that something was taken; without the lock.
    #[inline]
    pub(super) fn finish(&self, taken: Taken<T>) -> T {
        match taken.then {
            Then::Nothing => {}
            Then::Admit => self.admit(),
            Then::Wake(woken) => woken.wake(),
        }
        taken.message
    }

    /// A receiver is cancelled after it was signalled: the message, if it has one, is the next one's.
    #[cold]
    pub(super) fn put_back(&self, place: &Place<T>) {
        let Some(message) = place.take() else {
            return;
        };
        if let Err((mut state, message)) = self.hand_over(self.line.lock(), message) {
            state.queue.push_front(message);
            state.places -= 1;
        }
    }

    /// Gives back the memory of a large batch that is used up.
    #[inline]
    pub(super) fn trim(&self, batch: &Batch<T>) {
        let mut batch = batch.borrow_mut();
        if batch.capacity() > KEPT {
            *batch = VecDeque::new();
        }
    }

    /// The receiver goes: what is left is dropped here.
    pub(super) fn remove_receiver(&self) {
        let mut state = self.line.lock();
        state.receiver_gone = true;
        let messages = mem::take(&mut state.queue);
        drop(state);
        self.room.wake_all();
        drop(messages);
    }
}

/// A message that was taken, and what is to be done for the senders.
pub(super) struct Taken<T> {
    message: T,
    then: Then,
}

enum Then {
    Nothing,
    /// One waits for the place.
    Admit,
    /// It is this one whose offer was taken.
    Wake(Woken),
}

impl<T> State<T> {
    /// Takes a place, unless others wait for one.
    #[inline]
    pub(super) fn take_place(&mut self) -> bool {
        let free = self.places > 0 && !self.senders_wait;
        self.places -= isize::from(free);
        free
    }
}
