//! The wheel against a sorted list, with no task and no clock but the test's own.

use std::ptr::NonNull;

use super::*;

fn arm(wheel: &mut Wheel, nanoseconds: i64) -> Timer {
    // Nobody looks at the task here.
    wheel.arm(NonNull::dangling(), at(nanoseconds))
}

fn at(nanoseconds: i64) -> Instant {
    Instant::from_nanoseconds(nanoseconds)
}

fn expire(wheel: &mut Wheel, now: i64) -> Vec<i64> {
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
        let mut wheel = Wheel::new(at(NOW));
        let timer = arm(&mut wheel, NOW + distance);
        let early = expire(&mut wheel, NOW + distance - 1);
        assert!(early.is_empty(), "{distance}");
        let fired = expire(&mut wheel, NOW + distance + TICK);
        assert_eq!(fired, [NOW + distance]);
        assert!(wheel.is_empty());
        assert!(wheel.disarm(timer), "it has expired");
        // Its place is another's now.
        let other = arm(&mut wheel, NOW + (1 << 50));
        assert!(wheel.disarm(timer));
        assert!(!wheel.disarm(other));
    }
}

#[test]
fn what_is_over_already_fires_at_the_next_turn() {
    let mut wheel = Wheel::new(at(NOW));
    for moment in [NOW - 5, i64::MIN, NOW] {
        arm(&mut wheel, moment);
    }
    assert_eq!(wheel.next_turn(), Some(Instant::PAST));
    // `NOW` itself lies within a tick that has not begun when the wheel's has.
    let fired = expire(&mut wheel, NOW + TICK);
    assert_eq!(fired, [i64::MIN, NOW - 5, NOW]);
}

#[test]
fn timers_of_one_turn_fire_in_the_order_of_deadline_then_of_arming() {
    let mut wheel = Wheel::new(at(NOW));
    for distance in [700, 3, TICK * 70, 3, TICK * 5000, 1] {
        arm(&mut wheel, NOW + distance);
    }
    let mut expired = Vec::new();
    wheel.expire(at(NOW + TICK * 6000), &mut expired);
    let order: Vec<_> = expired.iter().map(|entry| entry.sequence).collect();
    assert_eq!(order, [5, 1, 3, 0, 2, 4]);
}

#[test]
fn the_end_of_time_can_be_waited_for() {
    let mut wheel = Wheel::new(at(i64::MIN));
    let never = arm(&mut wheel, i64::MAX);
    for now in [i64::MIN + 1, 0, NOW, i64::MAX - 2 * TICK] {
        assert!(expire(&mut wheel, now).is_empty());
        assert!(wheel.next_turn().is_some_and(|turn| turn > at(now)));
    }
    assert!(!wheel.disarm(never));
    assert!(wheel.is_empty() && wheel.next_turn().is_none());
}

#[test]
fn a_hundred_thousand_of_all_distances_agree_with_a_sorted_list() {
    let mut numbers = Numbers(42);
    let mut wheel = Wheel::new(at(NOW));
    let mut now = NOW;
    let mut armed: Vec<(Timer, i64)> = Vec::new();
    for _ in 0..100_000 {
        match numbers.below(10) {
            0..6 => {
                let magnitude = numbers.below(40);
                let distance = numbers.below(1 << magnitude) as i64;
                armed.push((arm(&mut wheel, now + distance), now + distance));
            }
            6..8 if !armed.is_empty() => {
                let which = numbers.below(armed.len() as u64) as usize;
                assert!(!wheel.disarm(armed.swap_remove(which).0));
            }
            _ => {
                let magnitude = numbers.below(36);
                now += numbers.below(1 << magnitude) as i64;
                let turn = wheel.next_turn();
                let fired = expire(&mut wheel, now);
                // All that are over by a tick, and none that are not over, in order.
                assert!(fired.is_sorted());
                assert!(fired.iter().all(|&it| it <= now));
                let (over, left): (Vec<_>, Vec<_>) = armed
                    .into_iter()
                    .partition(|&(timer, _)| !wheel.is_armed(timer));
                assert_eq!(over.len(), fired.len());
                assert!(left.iter().all(|(_, deadline)| deadline + TICK > now));
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
    for (timer, _) in armed {
        assert!(!wheel.disarm(timer));
    }
    assert!(wheel.is_empty());
    wheel.trim();
    arm(&mut wheel, now + 1);
    assert_eq!(expire(&mut wheel, now + 2 * TICK), [now + 1]);
}
