//! The wheel against a sorted list, with no task and no clock but the test's own.

use std::pin::Pin;
use std::ptr::NonNull;

use super::*;

/// Timers in places of their own, as they have on a stack.
fn timer(nanoseconds: i64) -> Pin<Box<Timer>> {
    let task = NonNull::without_provenance(
        std::num::NonZero::new(nanoseconds.unsigned_abs() as usize | 1).unwrap(),
    );
    Box::pin(Timer::new(task, at(nanoseconds)))
}

fn at(nanoseconds: i64) -> Instant {
    Instant::from_nanoseconds(nanoseconds)
}

fn arm(wheel: &Wheel, timer: &Pin<Box<Timer>>) {
    // SAFETY: each test keeps its timers longer than its wheel uses them.
    unsafe { wheel.arm(timer.as_ref()) };
}

fn expire(wheel: &Wheel, now: i64) -> Vec<i64> {
    let mut expired = Vec::new();
    wheel.expire(at(now), &mut expired);
    expired
        .iter()
        .map(|entry| entry.deadline.nanoseconds())
        .collect()
}

const TICK: i64 = 1 << TICK_BITS;
/// Where a machine's clock may well stand.
const NOW: i64 = 123_456_789_012_345;

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn a_timer_never_fires_early_and_at_most_a_tick_late() {
    for distance in [
        1,
        TICK - 1,
        TICK,
        TICK + 1,
        64 * TICK,
        4_097 * TICK + 5,
        1 << 45,
    ] {
        let wheel = Wheel::new(at(NOW));
        let timer = timer(NOW + distance);
        arm(&wheel, &timer);
        assert!(expire(&wheel, NOW + distance - 1).is_empty(), "{distance}");
        assert_eq!(expire(&wheel, NOW + distance + TICK), [NOW + distance]);
        assert!(wheel.is_empty());
        assert!(wheel.disarm(&timer), "it has expired");
    }
}

#[test]
fn what_is_over_already_fires_at_the_next_turn() {
    let wheel = Wheel::new(at(NOW));
    let timers = [timer(NOW - 5), timer(i64::MIN), timer(NOW)];
    timers.iter().for_each(|timer| arm(&wheel, timer));
    assert_eq!(wheel.next_turn(), Some(Instant::PAST));
    // `NOW` itself lies within a tick that has not begun when the wheel's has.
    let fired = expire(&wheel, NOW + TICK);
    assert_eq!(fired, [i64::MIN, NOW - 5, NOW]);
}

#[test]
fn timers_of_one_turn_fire_in_the_order_of_deadline_then_of_arming() {
    let wheel = Wheel::new(at(NOW));
    let distances = [700, 3, TICK * 70, 3, TICK * 5000, 1];
    let timers: Vec<_> = distances.iter().map(|&it| timer(NOW + it)).collect();
    timers.iter().for_each(|timer| arm(&wheel, timer));
    let mut expired = Vec::new();
    wheel.expire(at(NOW + TICK * 6000), &mut expired);
    let order: Vec<_> = expired.iter().map(|entry| entry.sequence).collect();
    assert_eq!(order, [5, 1, 3, 0, 2, 4]);
}

#[test]
fn the_end_of_time_can_be_waited_for() {
    let wheel = Wheel::new(at(i64::MIN));
    let never = timer(i64::MAX);
    arm(&wheel, &never);
    for now in [i64::MIN + 1, 0, NOW, i64::MAX - 2 * TICK] {
        assert!(expire(&wheel, now).is_empty());
        assert!(wheel.next_turn().is_some_and(|turn| turn > at(now)));
    }
    assert!(!wheel.disarm(&never));
    assert!(wheel.is_empty() && wheel.next_turn().is_none());
}

#[test]
fn a_hundred_thousand_of_all_distances_agree_with_a_sorted_list() {
    let mut numbers = Numbers(42);
    let wheel = Wheel::new(at(NOW));
    let mut now = NOW;
    let mut armed: Vec<Pin<Box<Timer>>> = Vec::new();
    for _ in 0..100_000 {
        match numbers.below(10) {
            0..6 => {
                let magnitude = numbers.below(40);
                let distance = numbers.below(1 << magnitude) as i64;
                let timer = timer(now + distance);
                arm(&wheel, &timer);
                armed.push(timer);
            }
            6..8 if !armed.is_empty() => {
                let which = numbers.below(armed.len() as u64) as usize;
                assert!(!wheel.disarm(&armed.swap_remove(which)));
            }
            _ => {
                let magnitude = numbers.below(36);
                now += numbers.below(1 << magnitude) as i64;
                let turn = wheel.next_turn();
                let fired = expire(&wheel, now);
                let deadline = |timer: &Pin<Box<Timer>>| timer.deadline.nanoseconds();
                // All that are over by a tick, and none that are not over, in order.
                assert!(fired.is_sorted());
                assert!(fired.iter().all(|&it| it <= now));
                let (over, left): (Vec<_>, Vec<_>) = armed
                    .into_iter()
                    .partition(|timer| timer.list.get() == NOWHERE);
                assert_eq!(over.len(), fired.len());
                assert!(left.iter().all(|timer| deadline(timer) + TICK > now));
                if !fired.is_empty() {
                    assert!(
                        turn.is_some_and(|turn| turn <= at(now)),
                        "it slept too long"
                    );
                }
                armed = left;
            }
        }
        assert_eq!(wheel.len(), armed.len());
    }
    armed.iter().for_each(|timer| {
        wheel.disarm(timer);
    });
    assert!(wheel.is_empty());
}
