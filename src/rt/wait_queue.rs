//! The one wait queue: a FIFO of tasks whose nodes lie on the waiting stacks.
//!
//! Everything that waits for something other than time alone waits here: joins, the sides of a
//! source, locks, channels. No wait allocates. Time-outs and cancellation are handled here and nowhere
//! else: a waiter that leaves unsignalled unlinks itself; one that was signalled and leaves all the
//! same (a cancel threw out of its park) passes the signal on.
//!
//! The race that matters is between a waker and the end of the waiter's frame: the waiter may return
//! as soon as its node's signal is stored. So a waker makes sure of the task's record first, stores the
//! signal, and touches the node no more. `README.md`, section "Wake-up", has the whole argument.
//!
//! A select (`select.rs`) stands in several queues at once. Its nodes have a ticket: a waker that finds such a node first in
//! line takes it out and then has to claim the select, which another waker may have done, or the select itself; then it
//! goes on to the next. So `signal_first` may find nobody although `len` was not 0. Who hands something over
//! with the signal chooses first, hands over, and then signals.

use std::io;
use std::mem;
use std::ptr::{self, NonNull};

use super::claim::{Claim, Look, Ticket};
use super::clock::Instant;
use super::park::{self, park};
use super::reason::Reason;
use super::task::{Task, Woken};
use crate::sys::sync::{AtomicUsize, Cell, Ordering, Spinlock, SpinlockGuard};

/// See the module's text.
pub(crate) struct WaitQueue {
    list: Spinlock<List>,
    /// How many wait; a hint that is exact for whoever holds the lock.
    length: AtomicUsize,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    /// There was no need to wait.
    Ready,
    /// A waker chose this waiter, and gave it this token.
    Signalled(usize),
    /// The deadline passed first.
    TimedOut,
}

/// Where in the line a newcomer stands.
#[derive(Clone, Copy)]
enum End {
    Back,
    Front,
}

/// How a newcomer lines up.
#[derive(Clone, Copy)]
struct Manner {
    end: End,
    offer: *const (),
}

struct List {
    first: *const Node,
    last: *const Node,
}

// SAFETY: the pointers are only followed under the queue's lock, to nodes that unlink themselves
// under the same lock before their frames end.
unsafe impl Send for List {}

pub(super) struct Node {
    task: NonNull<Task>,
    /// 0 while waiting, then the token plus one.
    signal: AtomicUsize,
    /// Only touched under the queue's lock.
    next: Cell<*const Node>,
    previous: Cell<*const Node>,
    /// Of the node of a select; null in a plain wait. Only touched under the queue's lock.
    ticket: Cell<*const Ticket>,
    /// What whoever chooses it finds there; null if nothing. Set before it is in line.
    offer: Cell<*const ()>,
}

impl WaitQueue {
    /// An empty queue.
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue {
            list: Spinlock::new(List {
                first: ptr::null(),
                last: ptr::null(),
            }),
            length: AtomicUsize::new(0),
        }
    }

    /// Waits in line until signalled, or `deadline`, unless `ready` (asked once, under the queue's
    /// lock) says that there is no need. A signal that is not taken, because a cancel threw out of the
    /// wait, goes to the next in line.
    #[inline]
    pub(crate) fn wait(
        &self,
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce() -> bool,
    ) -> Waited {
        self.wait_or_pass(reason, deadline, ready, |_| {
            self.wake_one();
        })
    }

    /// As [`wait`](Self::wait); a signal that is not taken is given to `pass_on` with its token.
    pub(crate) fn wait_or_pass(
        &self,
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce() -> bool,
        pass_on: impl FnOnce(usize),
    ) -> Waited {
        self.wait_with(ptr::null(), reason, deadline, ready, pass_on)
    }

    /// As [`wait_or_pass`](Self::wait_or_pass); whoever chooses this waiter finds `offer` with it (see [`Chosen::offer`]):
    /// something on the waiter's stack.
    pub(crate) fn wait_with(
        &self,
        offer: *const (),
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce() -> bool,
        pass_on: impl FnOnce(usize),
    ) -> Waited {
        let end = End::Back;
        let manner = Manner { end, offer };
        self.wait_as(manner, reason, deadline, || false, ready, pass_on)
    }

    /// As [`wait_or_pass`](Self::wait_or_pass), for a call that can fail.
    ///
    /// # Errors
    ///
    /// See [`park::may_wait`].
    pub(crate) fn wait_or_fail(
        &self,
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce() -> bool,
        pass_on: impl FnOnce(usize),
    ) -> io::Result<Waited> {
        let must_fail = || park::may_wait().is_err();
        let manner = Manner {
            end: End::Back,
            offer: ptr::null(),
        };
        let waited = self.wait_as(manner, reason, deadline, must_fail, ready, pass_on);
        if waited == Waited::TimedOut {
            park::may_wait()?;
        }
        Ok(waited)
    }

    /// As [`wait_or_pass`](Self::wait_or_pass), but first in line: for one who was signalled, did not
    /// get what it waited for, and must not lose its place by that.
    #[cold]
    pub(crate) fn wait_in_front(
        &self,
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce() -> bool,
        pass_on: impl FnOnce(usize),
    ) -> Waited {
        let manner = Manner {
            end: End::Front,
            offer: ptr::null(),
        };
        self.wait_as(manner, reason, deadline, || false, ready, pass_on)
    }

    #[inline]
    fn wait_as(
        &self,
        manner: Manner,
        reason: Reason,
        deadline: Instant,
        must_fail: impl Fn() -> bool,
        ready: impl FnOnce() -> bool,
        pass_on: impl FnOnce(usize),
    ) -> Waited {
        park::with_current(|task| {
            let node = Node::new(task);
            node.set_offer(manner.offer);
            {
                let mut queue = self.lock();
                if ready() {
                    return Waited::Ready;
                }
                queue.link(&node, manner.end);
            }
            let place = Place {
                queue: self,
                node: &node,
                pass_on: Some(pass_on),
            };
            loop {
                if let Some(token) = node.token() {
                    mem::forget(place);
                    return Waited::Signalled(token);
                }
                if park::has_passed(deadline) || must_fail() {
                    return place.give_up();
                }
                park(reason, deadline);
            }
        })
    }

    /// Wakes the first in line, if there is one.
    #[inline]
    pub(crate) fn wake_one(&self) -> bool {
        let woken = self.lock().signal_first(0);
        woken.is_some_and(|woken| {
            woken.wake();
            true
        })
    }

    /// Wakes all that wait now.
    pub(crate) fn wake_all(&self) {
        let mut left = self.lock().len();
        // Those who come while we wake are not meant; they saw what happened under the lock.
        while left > 0 {
            let mut queue = self.lock();
            let Some(first) = queue.take_first() else {
                return;
            };
            let woken = first.is_to_be_had().then(|| Chosen(first).signal(0));
            drop(queue);
            if let Some(woken) = woken {
                woken.wake();
            }
            left -= 1;
        }
    }

    /// Does nobody wait that this caller can know of? Without the lock, so only those count who
    /// came before something the caller has synchronised with, such as its own signal.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }

    /// Locks the queue, to change what waiters wait for and choose who is woken in one step.
    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked {
            length: &self.length,
            list: self.list.lock(),
        }
    }
}

/// A locked queue. Nothing may park, and no user code may run, while it exists.
pub(crate) struct Locked<'queue> {
    length: &'queue AtomicUsize,
    list: SpinlockGuard<'queue, List>,
}

impl Locked<'_> {
    /// Signals the first in line with a token; the caller wakes it after unlocking.
    #[inline]
    pub(crate) fn signal_first(&mut self, token: usize) -> Option<Woken> {
        Some(self.choose_first()?.signal(token))
    }

    /// Takes the first who can be had out of the line. It is the caller's, who must signal it.
    #[inline]
    pub(crate) fn choose_first(&mut self) -> Option<Chosen<'_>> {
        loop {
            let node = self.take_first()?;
            if node.is_to_be_had() {
                return Some(Chosen(node));
            }
        }
    }

    /// As [`choose_first`](Self::choose_first), on behalf of a select, whose case is done if there is one; its own
    /// nodes do not count.
    pub(crate) fn choose_first_for(&mut self, select: &Claim) -> Choice<'_> {
        let mut at = self.list.first;
        // SAFETY: linked nodes are valid while the lock is held.
        while let Some(node) = unsafe { at.as_ref() } {
            at = node.next.get();
            match node.look_for(select) {
                None => {}
                Some(Look::TooLate) => return Choice::TooLate,
                Some(Look::Done) => {
                    self.take(node);
                    return Choice::Chosen(Chosen(node));
                }
                Some(Look::Wait) => self.take(node),
            }
        }
        Choice::Nobody
    }

    /// Lines up the node of a select.
    pub(super) fn link_case(&mut self, node: &Node, ticket: &Ticket) {
        node.ticket.set(ticket);
        ticket.set_in_line(true);
        self.link(node, End::Back);
    }

    /// Takes the node of a select out, if no waker has done so.
    pub(super) fn unlink_case(&mut self, node: &Node, ticket: &Ticket) {
        if ticket.is_in_line() {
            ticket.set_in_line(false);
            self.unlink(node);
        }
    }

    /// Takes the first out of the line. It is valid while the lock is held, or until it is signalled.
    #[inline]
    fn take_first<'locked>(&mut self) -> Option<&'locked Node> {
        // SAFETY: linked nodes are valid while the lock is held.
        let node = unsafe { self.list.first.as_ref() }?;
        self.unlink(node);
        Some(node)
    }

    fn take(&mut self, node: &Node) {
        // SAFETY: its select keeps it until it has left the line, which takes the lock.
        if let Some(ticket) = unsafe { node.ticket.get().as_ref() } {
            ticket.set_in_line(false);
        }
        self.unlink(node);
    }

    /// How many wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    #[inline]
    fn link(&mut self, node: &Node, end: End) {
        let (previous, next) = match end {
            End::Back => (self.list.last, ptr::null()),
            End::Front => (ptr::null(), self.list.first),
        };
        node.previous.set(previous);
        node.next.set(next);
        // SAFETY: linked nodes are valid while the lock is held.
        unsafe {
            match previous.as_ref() {
                Some(previous) => previous.next.set(node),
                None => self.list.first = node,
            }
            match next.as_ref() {
                Some(next) => next.previous.set(node),
                None => self.list.last = node,
            }
        }
        self.count(1);
    }

    #[inline]
    fn unlink(&mut self, node: &Node) {
        let (next, previous) = (node.next.get(), node.previous.get());
        // SAFETY: linked nodes and their neighbours are valid while the lock is held.
        unsafe {
            match previous.as_ref() {
                Some(previous) => previous.next.set(next),
                None => self.list.first = next,
            }
            match next.as_ref() {
                Some(next) => next.previous.set(previous),
                None => self.list.last = previous,
            }
        }
        self.count(-1);
    }

    /// Only the lock's holder writes the length.
    #[inline]
    fn count(&self, change: isize) {
        let length = self.length.load(Ordering::Relaxed);
        self.length
            .store(length.wrapping_add_signed(change), Ordering::Relaxed);
    }
}

/// Who was chosen out of a line that is still locked: to be signalled before it is unlocked.
#[must_use = "who is not signalled waits for ever"]
pub(crate) struct Chosen<'locked>(&'locked Node);

/// What a select has found in a line.
pub(crate) enum Choice<'locked> {
    Chosen(Chosen<'locked>),
    Nobody,
    /// Another case of the select was chosen meanwhile.
    TooLate,
}

impl Chosen<'_> {
    /// Lets it go with a token; the caller wakes it after unlocking.
    #[inline]
    pub(crate) fn signal(self, token: usize) -> Woken {
        let woken = Woken::new(self.0.task);
        // The waiter may be gone after this store.
        self.0.signal.store(token + 1, Ordering::Release);
        woken
    }

    /// What it offers; null if it has not said. It is there, and the caller's alone, until the waiter is signalled.
    #[inline]
    pub(crate) fn offer(&self) -> *const () {
        self.0.offer.get()
    }
}

impl Node {
    #[inline]
    pub(super) fn new(task: NonNull<Task>) -> Node {
        Node {
            task,
            signal: AtomicUsize::default(),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            ticket: Cell::new(ptr::null()),
            offer: Cell::new(ptr::null()),
        }
    }

    /// See [`Chosen::offer`]; before it is in line.
    #[inline]
    pub(super) fn set_offer(&self, offer: *const ()) {
        self.offer.set(offer);
    }

    #[inline]
    pub(super) fn token(&self) -> Option<usize> {
        self.signal.load(Ordering::Acquire).checked_sub(1)
    }

    /// Has the waker that has just taken it out of the line got it? Under the queue's lock.
    #[inline]
    fn is_to_be_had(&self) -> bool {
        let ticket = self.ticket.get();
        // SAFETY: the ticket is as valid as the node; the rest by the caller's promise.
        ticket.is_null() || unsafe { (*ticket).choose(self.address()) }
    }

    /// As [`is_to_be_had`](Self::is_to_be_had), for a select, which is then done; under the queue's lock, in line. `None`:
    /// it is its own.
    fn look_for(&self, select: &Claim) -> Option<Look> {
        // SAFETY: the ticket is as valid as the node.
        let Some(ticket) = (unsafe { self.ticket.get().as_ref() }) else {
            return Some(select.attempt(|| true));
        };
        // SAFETY: in line, under the lock.
        let other = unsafe { ticket.claim() };
        let is_own = ptr::eq(other, select);
        (!is_own).then(|| select.pair_with(other, self.address()))
    }

    /// What a claim names it by.
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// A waiter's place in line; dropping it leaves the line, in whatever way the wait ended.
struct Place<'wait, P: FnOnce(usize)> {
    queue: &'wait WaitQueue,
    node: &'wait Node,
    pass_on: Option<P>,
}

impl<P: FnOnce(usize)> Place<'_, P> {
    /// The deadline has passed, or the call must fail: leaves, unless a signal came first.
    fn give_up(self) -> Waited {
        let waited = self.leave();
        mem::forget(self);
        waited
    }

    fn leave(&self) -> Waited {
        let mut queue = self.queue.lock();
        match self.node.token() {
            Some(token) => Waited::Signalled(token),
            None => {
                queue.unlink(self.node);
                Waited::TimedOut
            }
        }
    }
}

impl<P: FnOnce(usize)> Drop for Place<'_, P> {
    fn drop(&mut self) {
        if let Waited::Signalled(token) = self.leave()
            && let Some(pass_on) = self.pass_on.take()
        {
            pass_on(token);
        }
    }
}
