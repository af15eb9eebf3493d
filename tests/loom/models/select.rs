//! The select: one waiter in several lines is had by one waker, two selects that need each other find each other, and
//! who is thrown out passes on what it was given.

use loom::sync::Arc;

use super::explore;
use super::wait_queue::{Green, PERMIT, Semaphore, acquirer};
use crate::claim::Look;
use crate::clock::Instant;
use crate::reason::Reason;
use crate::select::{Case, Manner, Signal, select};
use crate::stand::Stand;
use crate::sys::forget_order;
use crate::wait_queue::{Choice, WaitQueue};

const FOR_EVER: Manner = Manner {
    is_biased: true,
    reason: Reason,
    deadline: Instant::NEVER,
};

/// To acquire a permit.
struct Acquire<'queue>(&'queue Semaphore);

impl<'queue> Case<'queue> for Acquire<'queue> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        stand.enter(&self.0.queue, || self.0.take())
    }

    fn accept(&self, signal: Signal) {
        assert_eq!(signal.token(), PERMIT);
    }

    fn pass_on(&self, _: Signal) {
        self.0.release();
    }
}

/// Selects among permits of several semaphores.
fn selector(semaphores: [&Arc<Semaphore>; 2], manner: Manner) -> Green<Option<usize>> {
    let [first, second] = semaphores.map(Arc::clone);
    Green::spawn(move || select([&Acquire(&first), &Acquire(&second)], manner))
}

#[test]
fn of_two_wakers_one_has_the_select() {
    explore(3, || {
        let semaphores = [Semaphore::new(), Semaphore::new()];
        let [first, second] = semaphores.each_ref();
        let selector = selector([first, second], FOR_EVER).detached();
        first.release();
        second.release();
        let chosen = selector.join().flatten().expect("it has no deadline");
        assert_eq!(semaphores[chosen].permits(), 0);
        assert_eq!(semaphores[1 - chosen].permits(), 1);
        assert!(
            semaphores
                .iter()
                .all(|semaphore| semaphore.queue.is_empty())
        );
    });
}

#[test]
fn a_waker_passes_over_a_select_that_was_had() {
    explore(3, || {
        let semaphores = [Semaphore::new(), Semaphore::new()];
        let [first, second] = semaphores.each_ref();
        let selector = selector([first, second], FOR_EVER);
        let patient = acquirer(second, Instant::NEVER);
        first.release();
        second.release();
        if selector.join() == Some(Some(1)) {
            second.release();
            assert_eq!(first.permits(), 1);
        }
        assert!(patient.join().is_some());
        assert_eq!(second.permits(), 0);
    });
}

#[test]
fn a_time_out_and_a_waker_agree_on_who_has_the_permit() {
    explore(3, || {
        let semaphores = [Semaphore::new(), Semaphore::new()];
        let [first, second] = semaphores.each_ref();
        let soon = Manner {
            deadline: Instant::SOON,
            ..FOR_EVER
        };
        let selector = selector([first, second], soon).detached();
        second.release();
        let chosen = selector.join().expect("nobody cancels");
        assert_eq!(second.permits(), usize::from(chosen.is_none()));
        assert!(
            semaphores
                .iter()
                .all(|semaphore| semaphore.queue.is_empty())
        );
    });
}

#[test]
fn a_permit_given_to_a_select_that_is_thrown_out_is_passed_on() {
    explore(3, || {
        let semaphores = [Semaphore::new(), Semaphore::new()];
        let [first, second] = semaphores.each_ref();
        let selector = selector([first, second], FOR_EVER);
        selector.record.cancel();
        second.release();
        let was_served = selector.join().is_some();
        assert_eq!(second.permits(), usize::from(!was_served));
        assert!(
            semaphores
                .iter()
                .all(|semaphore| semaphore.queue.is_empty())
        );
    });
}

/// A place where one meets another: two lines, of which the second is locked with the first.
struct Meeting {
    lines: [WaitQueue; 2],
}

impl Meeting {
    fn new() -> Arc<Meeting> {
        let lines = [WaitQueue::new(), WaitQueue::new()];
        // loom must know of its atomics before they are shared.
        for line in &lines {
            assert_eq!(line.lock().len(), 0);
        }
        Arc::new(Meeting { lines })
    }
}

/// To meet, on one of the two sides.
struct Meet<'queue> {
    meeting: &'queue Meeting,
    side: usize,
}

impl<'queue> Case<'queue> for Meet<'queue> {
    fn enter(&self, stand: &Stand<'_, 'queue>) -> bool {
        let lines = &self.meeting.lines;
        let other = &lines[1 - self.side];
        // The first line is locked first, by both sides.
        let mut before = (self.side == 1).then(|| other.lock());
        let mut woken = None;
        let done = stand.enter_by(&lines[self.side], || {
            let mut other = before.take().unwrap_or_else(|| other.lock());
            match other.choose_first_for(stand.claim()) {
                Choice::Chosen(other) => {
                    woken = Some(other.signal(0));
                    Look::Done
                }
                Choice::Nobody => Look::Wait,
                Choice::TooLate => Look::TooLate,
            }
        });
        if let Some(woken) = woken {
            woken.wake();
        }
        done
    }

    fn accept(&self, _: Signal) {}

    fn pass_on(&self, _: Signal) {}
}

/// Selects among meetings, always on the same side.
fn visitor(meetings: [&Arc<Meeting>; 2], side: usize) -> Green<Option<usize>> {
    let meetings = meetings.map(Arc::clone);
    Green::spawn(move || {
        let [first, second] = meetings.each_ref().map(|meeting| Meet { meeting, side });
        select([&first, &second], FOR_EVER)
    })
}

/// They look at the two places in opposite orders, so that each may find the other while it is found.
fn two_meet(first_makes_way: bool) {
    explore(3, move || {
        forget_order(!first_makes_way);
        let meetings = [Meeting::new(), Meeting::new()];
        let [first, second] = meetings.each_ref();
        let one = visitor([first, second], 0);
        let other = visitor([second, first], 1);
        // They wake each other, and one may be gone by then.
        let _records = [one.record.clone(), other.record.clone()];
        let here = one.join().flatten().expect("it has no deadline");
        let there = other.join().flatten().expect("it has no deadline");
        assert_eq!(here, 1 - there, "they are at different places");
        let lines = meetings.iter().flat_map(|meeting| &meeting.lines);
        assert!(lines.into_iter().all(WaitQueue::is_empty));
    });
}

#[test]
fn two_selects_that_need_each_other_meet_at_one_place() {
    two_meet(false);
}

#[test]
fn two_selects_that_need_each_other_meet_if_the_first_makes_way() {
    two_meet(true);
}

/// Three of them, each with two places of which it shares one with either of the others: two meet, and the third is left
/// alone.
#[test]
fn of_three_selects_in_a_ring_two_meet() {
    explore(2, || {
        forget_order(true);
        let meetings = [Meeting::new(), Meeting::new(), Meeting::new()];
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let own = meetings[number].clone();
                let next = meetings[(number + 1) % 3].clone();
                Green::spawn(move || {
                    let host = Meet {
                        meeting: &own,
                        side: 0,
                    };
                    let guest = Meet {
                        meeting: &next,
                        side: 1,
                    };
                    let soon = Manner {
                        deadline: Instant::SOON,
                        ..FOR_EVER
                    };
                    select([&host, &guest], soon)
                })
            })
            .collect();
        // They wake each other, and one may be gone by then.
        let _records: Vec<_> = threads.iter().map(|thread| thread.record.clone()).collect();
        let met = threads.into_iter().map(|thread| thread.join().flatten());
        let met = met.filter(Option::is_some).count();
        assert!(met == 0 || met == 2, "{met} have met");
        let lines = meetings.iter().flat_map(|meeting| &meeting.lines);
        assert!(lines.into_iter().all(WaitQueue::is_empty));
    });
}
