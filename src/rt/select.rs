//! To wait for one of several things.
//!
//! Each of them is a [`Case`]. The select goes through its cases: each is done at once if it can be, or else stands
//! in the line of what it waits for. Then it parks. A waker that finds one of its nodes first in line claims the select
//! (`claim.rs`), signals that node, and is done; the select wakes, leaves all other lines, and tells the case.
//!
//! * *One lock at a time.* A case locks its own line, and what that line's own users lock with it. No lock
//!   is held from one case to the next.
//! * *Losers leave no trace.* Before the select returns, or throws, each node has left its line, under the lock of
//!   that line. A waker may have found a node of a select that was not to be had any more; then it has taken it out
//!   of the line and gone on to the next, so nothing is lost with a loser.
//! * *The end of the frame.* A waker claims, signals, and unlocks the line. The select can see the claim before the
//!   signal; it then takes the lock of that line, as of each other one, before it goes. So a waker that holds the lock
//!   may touch a node of that line, and the claim, until it has signalled it.
//! * *A cancel or a deadline* closes the claim first, and leaves after. Whoever was claimed before that was chosen: at a
//!   deadline it counts; who is thrown out passes on what the token stands for.

use std::array;

use super::choice;
use super::claim::Claim;
use super::clock::Instant;
use super::park::{self, park};
use super::reason::Reason;
use super::stand::Stand;

/// One of the things a select waits for.
///
/// # How to implement it
///
/// The implementing type borrows what it waits for, for at least `'queue`, and has a cell for what comes of it. Write
/// `impl<'a: 'queue, 'queue> Case<'queue> for Waiting<'a>`: then what one case gives does not keep the operands of the
/// others borrowed. All methods take `&self`, since wakers may look at it meanwhile (see [`Stand::set_offer`]): use `Cell`s.
///
/// * [`enter`](Self::enter) is the first half of a plain wait. Where that calls
///   `queue.wait_or_pass(reason, deadline, ready, pass_on)`, it calls `stand.enter(&queue, ready)`. `ready` has the same
///   duty: under the queue's lock, look and take in one step, or leave the mark by which wakers know that somebody
///   waits. It must not take a lock or choose somebody from a line (itself or in what it calls); a case that has to do
///   so uses [`Stand::enter_by`], as `mpsc` does. If there is nothing to wait for at all it
///   calls [`Stand::take`]. Afterwards, with the queue unlocked, it may wake others. It never suspends.
/// * [`accept`](Self::accept) is what a plain wait does for `Waited::Signalled(token)`.
/// * [`pass_on`](Self::pass_on) is the plain wait's `pass_on`.
///
/// Wakers of the queue need not know of selects: `signal_first`, `wake_one` and `wake_all` pass over those that are not to be
/// had any more. But `len() > 0` does not mean that somebody is to be had. A waker that has to know before it changes
/// anything, because it hands something over, asks with `Locked::choose_first`, then hands it over, then signals.
///
/// `wait_or_pass` puts who waits again *in front* with `wait_in_front`; a case is always entered at the back.
pub trait Case<'queue> {
    /// Does it now, or stands in line for it. Returns whether it was done. If another case was chosen
    /// meanwhile it does nothing and returns `false`.
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool;

    /// It was chosen by a waker, which gave it this signal; it has left the line. Never suspends.
    fn accept(&self, signal: Signal);

    /// As for `accept`, but the select is thrown out: what it was given goes to the next. Never suspends.
    fn pass_on(&self, signal: Signal);

    /// When it is done without anybody's doing.
    fn deadline(&self) -> Instant {
        Instant::NEVER
    }
}

/// The token a waker gave. (A type of its own, so that only the kernel can call what takes one.)
#[derive(Debug)]
pub struct Signal(usize);

impl Signal {
    pub(crate) fn token(&self) -> usize {
        self.0
    }
}

/// How to select.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Of several cases that can be done the first one is, and not any.
    pub(crate) is_biased: bool,
    pub(crate) reason: Reason,
    /// `Instant::PAST`: does not wait, and does not suspend.
    pub(crate) deadline: Instant,
}

/// Does one of the cases, waiting until one can be done. Returns which; `None`: the deadline has passed first.
pub(crate) fn select<'queue, const N: usize>(
    cases: [&dyn Case<'queue>; N],
    manner: Manner,
) -> Option<usize> {
    let claim = Claim::new();
    park::with_current(|task| {
        let stands: [Stand; N] = array::from_fn(|_| Stand::new(task, &claim));
        let mut order: [usize; N] = array::from_fn(|index| index);
        let select = Select::new(&cases, &stands, &claim);
        select.run(&mut order, manner)
    })
}

/// As [`select`], for any number of cases; it allocates.
pub(crate) fn select_slice<'queue>(cases: &[&dyn Case<'queue>], manner: Manner) -> Option<usize> {
    let claim = Claim::new();
    park::with_current(|task| {
        let stands: Vec<Stand> = cases.iter().map(|_| Stand::new(task, &claim)).collect();
        let mut order: Vec<usize> = (0..cases.len()).collect();
        let select = Select::new(cases, &stands, &claim);
        select.run(&mut order, manner)
    })
}

/// A select under way. Dropping it leaves all lines, in whatever way it ended; a signal that nobody has looked at is passed
/// on.
struct Select<'run, 'select, 'queue> {
    cases: &'run [&'run dyn Case<'queue>],
    stands: &'run [Stand<'select, 'queue>],
    claim: &'run Claim,
}

impl<'run, 'select, 'queue> Select<'run, 'select, 'queue> {
    fn new(
        cases: &'run [&'run dyn Case<'queue>],
        stands: &'run [Stand<'select, 'queue>],
        claim: &'run Claim,
    ) -> Self {
        Select {
            cases,
            stands,
            claim,
        }
    }

    fn run(self, order: &mut [usize], manner: Manner) -> Option<usize> {
        if !manner.is_biased {
            choice::shuffle(order);
        }
        self.enter(order).or_else(|| self.wait(order, manner))
    }

    /// Goes through all cases. Returns the one that could be done.
    fn enter(&self, order: &[usize]) -> Option<usize> {
        for &index in order {
            if self.cases[index].enter(&self.stands[index]) {
                return Some(index);
            }
            if self.claim.is_chosen() {
                break;
            }
        }
        None
    }

    fn wait(&self, order: &[usize], manner: Manner) -> Option<usize> {
        let deadlines = self.cases.iter().map(|case| case.deadline());
        let deadline = deadlines.fold(manner.deadline, Ord::min);
        while !self.claim.is_chosen() {
            if !park::has_passed(deadline) {
                park(manner.reason, deadline);
            } else if self.claim.close() {
                let has_passed = |index: &usize| park::has_passed(self.cases[*index].deadline());
                return order.iter().copied().find(has_passed);
            }
        }
        let (index, signal) = self.leave()?;
        self.cases[index].accept(signal);
        Some(index)
    }

    /// Leaves all lines, once. Returns which case was chosen, and its signal.
    fn leave(&self) -> Option<(usize, Signal)> {
        let mut chosen = None;
        for (index, stand) in self.stands.iter().enumerate() {
            chosen = stand.leave().map(|token| (index, Signal(token))).or(chosen);
        }
        chosen
    }
}

impl Drop for Select<'_, '_, '_> {
    fn drop(&mut self) {
        // Whatever comes from now on comes too late.
        self.claim.close();
        if let Some((index, signal)) = self.leave() {
            self.cases[index].pass_on(signal);
        }
    }
}
