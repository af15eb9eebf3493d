//! A line of waiters and the state they wait for, under one lock.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr;

use crate::rt::{Choice, Chosen, Instant, Locked, Look, Reason, Stand, WaitQueue, Waited, Woken};

/// State that is guarded by the lock of the line that waits for it. So looking at it and standing in
/// line is one step, and so is changing it and choosing who is woken.
pub(super) struct Line<S> {
    waiters: WaitQueue,
    state: UnsafeCell<S>,
}

// SAFETY: the state is only reached by reference under the lock (or with the line owned).
unsafe impl<S: Send> Sync for Line<S> {}

/// The state, locked. Nothing may park and no user code may run while it exists.
pub(super) struct Turn<'line, S> {
    waiters: Locked<'line>,
    state: &'line UnsafeCell<S>,
}

impl<S> Line<S> {
    pub(super) const fn new(state: S) -> Line<S> {
        Line {
            waiters: WaitQueue::new(),
            state: UnsafeCell::new(state),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> Turn<'_, S> {
        Turn {
            waiters: self.waiters.lock(),
            state: &self.state,
        }
    }

    /// Waits in line until signalled, or `deadline`, unless `ready` says that there is no need. A token
    /// that is not taken, because a cancel threw out of the wait, goes to `pass_on`.
    #[inline]
    pub(super) fn wait(
        &self,
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce(&mut S) -> bool,
        pass_on: impl FnOnce(usize),
    ) -> Waited {
        self.wait_with(ptr::null(), reason, deadline, ready, pass_on)
    }

    /// As [`wait`](Self::wait); see [`WaitQueue::wait_with`].
    #[inline]
    pub(super) fn wait_with(
        &self,
        offer: *const (),
        reason: Reason,
        deadline: Instant,
        ready: impl FnOnce(&mut S) -> bool,
        pass_on: impl FnOnce(usize),
    ) -> Waited {
        let ready = || {
            // SAFETY: it is called under the lock of the waiters.
            ready(unsafe { &mut *self.state.get() })
        };
        let waiters = &self.waiters;
        waiters.wait_with(offer, reason, deadline, ready, pass_on)
    }

    /// The case of a select stands in line, unless `look` says that there is no need; see [`Stand::enter_by`].
    pub(super) fn enter<'line>(
        &'line self,
        stand: &Stand<'_, 'line>,
        look: impl FnOnce(&mut S) -> Look,
    ) -> bool {
        stand.enter_by(&self.waiters, || {
            // SAFETY: it is called under the lock of the waiters.
            look(unsafe { &mut *self.state.get() })
        })
    }

    /// Wakes all that wait now.
    pub(super) fn wake_all(&self) {
        self.waiters.wake_all();
    }
}

impl<S> Turn<'_, S> {
    /// Signals the first in line with a token; it is to be woken after unlocking.
    #[inline]
    pub(super) fn signal_first(&mut self, token: usize) -> Option<Woken> {
        self.waiters.signal_first(token)
    }

    /// Chooses the first in line, if there is one to be had; it is to be signalled, and woken after unlocking.
    #[inline]
    pub(super) fn choose_first(&mut self) -> Option<Chosen<'_>> {
        self.waiters.choose_first()
    }

    /// As `choose_first`, on behalf of the case of a select.
    pub(super) fn choose_first_for(&mut self, stand: &Stand<'_, '_>) -> Choice<'_> {
        self.waiters.choose_first_for(stand.claim())
    }

    /// How many wait. Those count who have not left yet, although they have been served elsewhere.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.waiters.len()
    }
}

impl<S> Deref for Turn<'_, S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        // SAFETY: the lock is held.
        unsafe { &*self.state.get() }
    }
}

impl<S> DerefMut for Turn<'_, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut S {
        // SAFETY: the lock is held.
        unsafe { &mut *self.state.get() }
    }
}
