//! Running something once.

use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::atomic::AtomicU8;
use super::atomic::Ordering::{Acquire, Release};
use crate::rt::{self, Holder, Instant, Reason, WaitQueue};

/// Runs a closure once, however many ask for it; the others wait until it has returned.
///
/// # Differences from std
///
/// Waiting suspends the green thread. The closure may suspend, and runs with cancellation and time-outs
/// from outside held back: a first use that is cancelled does not spoil a static for good. Those who
/// wait can be cancelled.
///
/// ```
/// static START: sylvan::sync::Once = sylvan::sync::Once::new();
///
/// let mut count = 0;
/// for _ in 0..3 {
///     START.call_once(|| count += 1);
/// }
/// assert_eq!(count, 1);
/// ```
pub struct Once {
    word: AtomicU8,
    waiters: WaitQueue,
    /// Who runs the closure.
    holder: Holder,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// A `Once` that has not run, to begin a static with.
#[deprecated(since = "0.1.0", note = "the `Once::new()` function is now preferred")]
#[expect(clippy::declare_interior_mutable_const, reason = "std has it so")]
pub const ONCE_INIT: Once = Once::new();

const NEW: u8 = 0;
const POISONED: u8 = 1;
const RUNNING: u8 = 2;
const DONE: u8 = 3;

/// What the closure of [`Once::call_once_force`] learns.
pub struct OnceState {
    poisoned: bool,
    /// What the word becomes when the closure returns.
    outcome: Cell<u8>,
}

impl Once {
    /// One that has not run.
    #[must_use]
    #[inline]
    #[expect(clippy::new_without_default, reason = "std's has none")]
    pub const fn new() -> Once {
        Once {
            word: AtomicU8::new(NEW),
            waiters: WaitQueue::new(),
            holder: Holder::new(),
        }
    }

    /// Runs `f` if nothing ran before, and waits if it runs just now.
    ///
    /// # Panics
    ///
    /// If the closure that ran before has panicked. A closure that calls this on its own `Once` waits
    /// for ever, which is reported; see [`Builder::on_deadlock`](crate::runtime::Builder::on_deadlock).
    #[inline]
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_completed() {
            self.call(false, |_| f());
        }
    }

    /// As [`call_once`](Self::call_once), but runs `f` also if closures before have panicked.
    ///
    /// ```
    /// use sylvan::sync::Once;
    ///
    /// let once = Once::new();
    /// let failed = std::panic::catch_unwind(|| once.call_once(|| panic!("at first")));
    /// assert!(failed.is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// assert!(once.is_completed());
    /// ```
    #[inline]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            self.call(true, |state| f(state));
        }
    }

    /// Has a closure run to its end?
    ///
    /// ```
    /// assert!(!sylvan::sync::Once::new().is_completed());
    /// ```
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.word.load(Acquire) == DONE
    }

    /// Waits until a closure has run.
    ///
    /// # Panics
    ///
    /// If it panics.
    ///
    /// ```
    /// use sylvan::{sync::Once, thread};
    ///
    /// static READY: Once = Once::new();
    /// sylvan::run(|| {
    ///     thread::spawn(|| READY.call_once(|| ()));
    ///     READY.wait();
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_for(false);
    }

    /// As [`wait`](Self::wait), but waits on if a closure panics.
    ///
    /// ```
    /// let once = sylvan::sync::Once::new();
    /// once.call_once(|| ());
    /// once.wait_force();
    /// ```
    pub fn wait_force(&self) {
        self.wait_for(true);
    }

    /// Runs `f`, or waits for who does. `f` may leave its state poisoned without a panic.
    #[cold]
    #[track_caller]
    pub(super) fn call(&self, force: bool, f: impl FnOnce(&OnceState)) {
        loop {
            match self.word.load(Acquire) {
                DONE => return,
                POISONED if !force => panic!("Once instance has previously been poisoned"),
                RUNNING => self.park(|word| word != RUNNING),
                before => {
                    let begun = self
                        .word
                        .compare_exchange(before, RUNNING, Acquire, Acquire);
                    if begun.is_ok() {
                        return self.run(before == POISONED, f);
                    }
                }
            }
        }
    }

    fn run(&self, poisoned: bool, f: impl FnOnce(&OnceState)) {
        self.holder.set();
        let state = OnceState {
            poisoned,
            outcome: DONE.into(),
        };
        let mut running = Running {
            once: self,
            outcome: POISONED,
        };
        rt::mask(|| f(&state));
        running.outcome = state.outcome.get();
    }

    #[track_caller]
    fn wait_for(&self, force: bool) {
        loop {
            match self.word.load(Acquire) {
                DONE => return,
                POISONED if !force => panic!("Once instance has previously been poisoned"),
                _ => self.park(|word| word == DONE || (word == POISONED && !force)),
            }
        }
    }

    /// Waits until the word may have changed, unless it is already as wanted.
    fn park(&self, wanted: impl Fn(u8) -> bool) {
        let ready = || wanted(self.word.load(Acquire));
        if ready() {
            return;
        }
        self.holder.while_waiting(Reason::Once, || {
            // All are woken, so nobody misses what this one does not see.
            let pass_on = |_| {};
            self.waiters
                .wait_or_pass(Reason::Once, Instant::NEVER, ready, pass_on);
        });
    }

    /// Nobody else can reach it: has a closure run to its end?
    pub(super) fn is_completed_mut(&mut self) -> bool {
        *self.word.get_mut() == DONE
    }
}

/// The run of a closure. Dropping it says how it ended, and wakes all that wait.
struct Running<'once> {
    once: &'once Once,
    outcome: u8,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.once.holder.clear();
        // Under the lock, so that nobody who has seen the old word stands in line unseen.
        let line = self.once.waiters.lock();
        self.once.word.store(self.outcome, Release);
        drop(line);
        self.once.waiters.wake_all();
    }
}

impl OnceState {
    /// Has a closure before this one panicked?
    ///
    /// ```
    /// let once = sylvan::sync::Once::new();
    /// once.call_once_force(|state| assert!(!state.is_poisoned()));
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The closure returns without having done its work: the next may try.
    pub(super) fn stay_new(&self) {
        self.outcome.set(NEW);
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState")
            .field("poisoned", &self.is_poisoned())
            .finish()
    }
}
