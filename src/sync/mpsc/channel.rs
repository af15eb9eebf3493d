//! The channel under all three kinds: a queue, and the receiver's line.
//!
//! The queue is guarded by the lock of the line in which the receiver waits. A message for a receiver that
//! waits is not queued: it goes into `handed`, and the receiver is signalled, which then needs no lock to
//! take it. A receiver that is cancelled with a message in its hand puts it back at the front.
//!
//! *Unbounded*: the receiver takes all that is queued at once into a batch of its own, so that it meets
//! the lock once a batch.
//!
//! *Bounded*: a message in the queue occupies a place. A sender that finds no place waits in `room`, and
//! whoever frees a place hands it to the first there; nobody overtakes. The place of a sender that is
//! cancelled with it goes to the next. `senders_wait` tells whoever holds the queue's lock that it must
//! look into `room`, and is set under both locks. The order of locks is `room`, then the line's;
//! `taken`, then the line's.
//!
//! *Rendezvous* (capacity 0): there is one place, and a sender that has filled it waits in `taken` until the
//! receiver has taken its message: until then it can take it back, when it is cancelled or the
//! receiver goes. Deposits are numbered, so that a sender knows its own. Only messages that were put back
//! by a cancelled receiver can stand before a deposit, and nothing after it.

use std::cell::{RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{RecvTimeoutError, SendError, TryRecvError, TrySendError};
use crate::rt::{self, Instant, Reason, WaitQueue, Waited};
use crate::sync::line::{Line, Turn};

/// The receiver was given a message.
const HANDED: usize = 0;
/// The last sender has gone.
const NO_SENDERS: usize = 1;

/// A batch that has grown beyond this is freed when it is empty.
const KEPT: usize = 1024;

/// See the module's text.
pub(super) struct Channel<T> {
    line: Line<State<T>>,
    handed: UnsafeCell<Option<T>>,
    senders: AtomicUsize,
    kind: Kind,
    room: WaitQueue,
    taken: WaitQueue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unbounded,
    Bounded,
    Rendezvous,
}

struct State<T> {
    queue: VecDeque<T>,
    /// Places that are free. Negative if more messages than places are there: those put back.
    places: isize,
    senders_wait: bool,
    senders_gone: bool,
    receiver_gone: bool,
    /// How many messages were put into the place of a rendezvous, and how many of those are out.
    deposits: u64,
    withdrawals: u64,
}

/// Messages that the receiver has taken out of the queue and not yet returned.
pub(super) type Batch<T> = RefCell<VecDeque<T>>;

// SAFETY: `handed` is written under the lock while the receiver waits, and read by the receiver after
// it was signalled; there is one receiver, which only one thread uses at a time. All else is locked.
unsafe impl<T: Send> Sync for Channel<T> {}

impl<T> Channel<T> {
    /// `capacity`: none is unbounded.
    pub(super) fn new(capacity: Option<usize>) -> Channel<T> {
        let places = capacity.unwrap_or(0).max(1);
        Channel {
            line: Line::new(State {
                queue: VecDeque::new(),
                places: isize::try_from(places).unwrap_or(isize::MAX),
                senders_wait: false,
                senders_gone: false,
                receiver_gone: false,
                deposits: 0,
                withdrawals: 0,
            }),
            handed: UnsafeCell::new(None),
            senders: AtomicUsize::new(1),
            kind: match capacity {
                None => Kind::Unbounded,
                Some(0) => Kind::Rendezvous,
                Some(_) => Kind::Bounded,
            },
            room: WaitQueue::new(),
            taken: WaitQueue::new(),
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
        if state.waiting() > 0 {
            self.hand_over(state, message);
        } else {
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
        let mut state = self.line.lock();
        if state.receiver_gone {
            drop(state);
            Err(TrySendError::Disconnected(message))
        } else if state.waiting() > 0 {
            self.hand_over(state, message);
            Ok(())
        } else if self.kind == Kind::Bounded && state.take_place() {
            state.queue.push_back(message);
            Ok(())
        } else {
            drop(state);
            Err(TrySendError::Full(message))
        }
    }

    fn send_slow(&self, message: T) -> Result<(), SendError<T>> {
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
        // We have a place, or there is no receiver any more.
        let mut state = self.line.lock();
        if state.receiver_gone {
            drop(state);
            return Err(SendError(message));
        }
        if state.waiting() > 0 {
            self.hand_over(state, message);
            self.free_place();
            return Ok(());
        }
        state.queue.push_back(message);
        if self.kind == Kind::Bounded {
            return Ok(());
        }
        state.deposits += 1;
        let deposit = Deposit {
            channel: self,
            number: state.deposits,
        };
        drop(state);
        deposit.wait()
    }

    /// Gives a message to the receiver, which waits.
    #[inline]
    fn hand_over(&self, mut state: Turn<'_, State<T>>, message: T) {
        // SAFETY: the lock is held and the receiver is in line: it does not look, nor do others write.
        unsafe { *self.handed.get() = Some(message) };
        let woken = state.signal_first(HANDED);
        drop(state);
        if let Some(woken) = woken {
            woken.wake();
        }
    }

    fn free_place(&self) {
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
            woken = room.signal_first(0);
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
        let mut state = self.line.lock();
        state.senders_gone = true;
        let woken = state.signal_first(NO_SENDERS);
        drop(state);
        if let Some(woken) = woken {
            woken.wake();
        }
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
        let mut taken = None;
        let waited = self.line.wait(
            Reason::Receive,
            deadline,
            |state| {
                taken = self.take(state, batch);
                taken.is_some() || state.senders_gone
            },
            |token| self.put_back(token),
        );
        match waited {
            Waited::Ready => {
                let taken = taken.ok_or(RecvTimeoutError::Disconnected)?;
                Ok(self.finish(taken))
            }
            Waited::Signalled(HANDED) => self.handed().ok_or(RecvTimeoutError::Disconnected),
            Waited::Signalled(_) => Err(RecvTimeoutError::Disconnected),
            Waited::TimedOut => Err(RecvTimeoutError::Timeout),
        }
    }

    pub(super) fn try_receive(&self, batch: &Batch<T>) -> Result<T, TryRecvError> {
        if let Some(message) = batch.borrow_mut().pop_front() {
            return Ok(message);
        }
        self.trim(batch);
        let mut state = self.line.lock();
        let taken = self.take(&mut state, batch);
        let senders_gone = state.senders_gone;
        drop(state);
        match taken {
            Some(taken) => Ok(self.finish(taken)),
            None if senders_gone => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// What the queue has, under its lock.
    #[inline]
    fn take(&self, state: &mut State<T>, batch: &Batch<T>) -> Option<Taken<T>> {
        if self.kind == Kind::Unbounded {
            let mut batch = batch.borrow_mut();
            mem::swap(&mut state.queue, &mut batch);
            return batch.pop_front().map(|message| Taken {
                message,
                place_wanted: false,
            });
        }
        let message = state.queue.pop_front()?;
        state.places += 1;
        if state.queue.is_empty() {
            state.withdrawals = state.deposits;
        }
        Some(Taken {
            message,
            place_wanted: state.senders_wait,
        })
    }

    /// Tells the senders that something was taken; without the lock.
    #[inline]
    fn finish(&self, taken: Taken<T>) -> T {
        if self.kind == Kind::Rendezvous {
            self.taken.wake_one();
        }
        if taken.place_wanted {
            self.admit();
        }
        taken.message
    }

    /// The receiver is cancelled with a signal in its hand.
    #[cold]
    fn put_back(&self, token: usize) {
        if token == HANDED
            && let Some(message) = self.handed()
        {
            let mut state = self.line.lock();
            state.queue.push_front(message);
            state.places -= 1;
        }
    }

    /// The message handed over, for the receiver that was signalled.
    #[inline]
    fn handed(&self) -> Option<T> {
        // SAFETY: the sender has signalled after it wrote, and the receiver does not wait any more, so
        // nobody writes.
        unsafe { (*self.handed.get()).take() }
    }

    /// Gives back the memory of a large batch that is used up.
    #[inline]
    fn trim(&self, batch: &Batch<T>) {
        let mut batch = batch.borrow_mut();
        if batch.capacity() > KEPT {
            *batch = VecDeque::new();
        }
    }

    /// The receiver goes: what nobody waits to have back is dropped here.
    pub(super) fn remove_receiver(&self) {
        let mut state = self.line.lock();
        state.receiver_gone = true;
        let awaited = usize::from(state.withdrawals < state.deposits);
        let left = state.queue.len() - awaited;
        let kept = state.queue.split_off(left);
        let messages = mem::replace(&mut state.queue, kept);
        drop(state);
        self.room.wake_all();
        self.taken.wake_all();
        drop(messages);
    }
}

/// A message that left the queue, and whether a sender waits for its place.
struct Taken<T> {
    message: T,
    place_wanted: bool,
}

impl<T> State<T> {
    /// Takes a place, unless others wait for one.
    #[inline]
    fn take_place(&mut self) -> bool {
        let free = self.places > 0 && !self.senders_wait;
        self.places -= isize::from(free);
        free
    }
}

/// A sender's message in the place of a rendezvous. Dropping it takes the message back, if it is still
/// there.
struct Deposit<'channel, T> {
    channel: &'channel Channel<T>,
    number: u64,
}

impl<T> Deposit<'_, T> {
    fn wait(self) -> Result<(), SendError<T>> {
        let channel = self.channel;
        loop {
            let state = channel.line.lock();
            let gone = state.receiver_gone;
            let withdrawn = state.withdrawals >= self.number;
            drop(state);
            if withdrawn {
                return Ok(());
            }
            if gone {
                return self
                    .withdraw()
                    .map_or(Ok(()), |message| Err(SendError(message)));
            }
            channel.taken.wait_or_pass(
                Reason::Send,
                Instant::NEVER,
                || {
                    let state = channel.line.lock();
                    state.receiver_gone || state.withdrawals >= self.number
                },
                // It says that this message was taken, which is of no use to others.
                |_| {},
            );
        }
    }

    fn withdraw(&self) -> Option<T> {
        let mut state = self.channel.line.lock();
        if state.withdrawals >= self.number {
            return None;
        }
        state.withdrawals = self.number;
        let message = state.queue.pop_back();
        drop(state);
        self.channel.free_place();
        message
    }
}

impl<T> Drop for Deposit<'_, T> {
    fn drop(&mut self) {
        drop(self.withdraw());
    }
}
