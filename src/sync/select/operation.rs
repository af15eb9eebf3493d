//! What the macro and the builder share, and the cases that belong to no other type.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use super::sealed::Sealed;
use super::{Await, Operation, Receive};
use crate::rt::{self, Case, Instant, Look, Manner, Reason, Signal, Stand};

/// Which case is done if several can be.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Any.
    Random,
    /// The first.
    Listed,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// Until something comes.
    Never,
    /// Not at all.
    Now,
    /// So long.
    Over(Duration),
    /// Until then.
    At(Instant),
}

/// What was selected: one of nested alternatives, so that each case has a type of its own.
#[derive(Debug)]
pub enum Selected<This, Other> {
    /// This case.
    This(This),
    /// One of those after it.
    Other(Other),
}

/// Does one of the cases. Returns which; as many as there are, if it was none of them.
pub fn run<'queue, const N: usize>(
    order: Order,
    until: Until,
    cases: [&dyn Case<'queue>; N],
) -> usize {
    rt::select(cases, manner(order, until)).unwrap_or(N)
}

/// The last alternative of a select that waits until something comes.
pub fn nothing_else() -> Infallible {
    unreachable!("a select without a default has ended without a case")
}

pub(super) fn manner(order: Order, until: Until) -> Manner {
    let deadline = match until {
        Until::Never => Instant::NEVER,
        Until::Now => Instant::PAST,
        Until::Over(duration) => Instant::limit(duration),
        Until::At(moment) => moment,
    };
    if deadline != Instant::PAST {
        rt::spend();
    }
    Manner {
        is_biased: matches!(order, Order::Listed),
        reason: Reason::Select,
        deadline,
    }
}

/// A message that a case is to send.
///
/// If its case is not done it is dropped, or goes back to where it was taken from.
#[doc(hidden)]
pub struct Outgoing<'slot, T> {
    message: Cell<Option<T>>,
    home: Option<&'slot mut Option<T>>,
}

impl<'slot, T> Outgoing<'slot, T> {
    #[must_use]
    pub fn new(message: T) -> Outgoing<'slot, T> {
        Outgoing {
            message: Cell::new(Some(message)),
            home: None,
        }
    }

    /// There may be none: then the case must never be done.
    #[must_use]
    pub fn lent(home: &'slot mut Option<T>) -> Outgoing<'slot, T> {
        Outgoing {
            message: Cell::new(home.take()),
            home: Some(home),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let message = self.message.take();
        let is_empty = message.is_none();
        self.message.set(message);
        is_empty
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.message.take()
    }

    pub(crate) fn put_back(&self, message: T) {
        self.message.set(Some(message));
    }

    /// Where the message is, for whoever chooses the case (see `Stand::set_offer`).
    pub(crate) fn place(&self) -> &Cell<Option<T>> {
        &self.message
    }
}

impl<T> Drop for Outgoing<'_, T> {
    fn drop(&mut self) {
        if let Some(home) = &mut self.home {
            **home = self.message.take();
        }
    }
}

impl<T> fmt::Debug for Outgoing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}

/// A case that is done when its time has come: `recv(after(duration))`, or `after(duration)` for short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct After(Instant);

/// Comes when `duration` is over, counted from now. It is a value, and may serve several selects one after the other:
/// a limit that they share.
///
/// ```
/// use std::time::Duration;
/// use sylvan::sync::{mpsc, select};
///
/// let (_sender, receiver) = mpsc::channel::<i32>();
/// let limit = select::after(Duration::from_millis(2));
/// for _ in 0..3 {
///     select! {
///         recv(receiver) -> _ => unreachable!("nobody sends"),
///         wait(limit) => {}
///     }
/// }
/// ```
#[must_use = "it is for a select"]
pub fn after(duration: Duration) -> After {
    After(Instant::after(duration))
}

/// Comes at a moment; as [`after`].
///
/// ```
/// use std::time::Duration;
/// use sylvan::select;
/// use sylvan::time::Instant;
///
/// let soon = Instant::now() + Duration::from_millis(1);
/// let came = select! {
///     at(soon) -> moment => moment,
/// };
/// assert_eq!(came, soon);
/// ```
#[must_use = "it is for a select"]
pub fn at(moment: Instant) -> After {
    After(moment)
}

impl Sealed for After {}

impl Receive for After {
    type Output = Instant;
    type Operation<'queue> = After;

    fn to_receive(&self) -> After {
        *self
    }
}

impl Await for After {
    type Output<'queue> = Instant;
    type Operation<'queue> = After;

    fn to_wait(&self) -> After {
        *self
    }
}

impl<'queue> Case<'queue> for After {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        stand.attempt(|| rt::has_passed(self.0)) == Look::Done
    }

    /// It stands in no line, and so nobody gives it a signal.
    fn accept(&self, _: Signal) {}

    fn pass_on(&self, _: Signal) {}

    fn deadline(&self) -> Instant {
        self.0
    }
}

impl Operation<'_> for After {
    type Output = Instant;

    fn finish(self) -> Instant {
        self.0
    }
}
