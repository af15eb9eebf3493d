//! The timers of one hub: a hierarchical timing wheel.
//!
//! Scheme 7 of G. Varghese and T. Lauck, "Hashed and hierarchical timing wheels" (1987), with the
//! level chosen by the highest digit in which the expiry differs from now, so that a timer moves down
//! at most once a level. Arming and disarming are a few loads and stores, at any number of timers.
//! A timer never fires early; it fires at most one tick (65.5 µs) late by the wheel's doing. Those
//! that expire in one turn fire in the order of their deadlines, then of their arming.
//!
//! The nodes lie in a table of the wheel's own and not on the waiting stacks. When a slot of a higher level begins
//! all its timers move down: with a hundred thousand of them that touched as many stacks, none of them in any
//! cache, and kept the hub for 10 ms.

use std::ptr::NonNull;

use super::clock::Instant;
use super::task::Task;

/// A tick is 2^16 ns.
const TICK_BITS: u32 = 16;
/// A level has 64 slots: one word of bits tells which are occupied.
const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
/// Eight levels reach 2^48 ticks, more than an `Instant` can express.
const LEVELS: usize = 8;
const LAST_TICK: u64 = (1 << (LEVELS as u32 * LEVEL_BITS)) - 1;

/// A slot's number across all levels; the list of those that are due already comes after them.
const DUE: u16 = (LEVELS * SLOTS) as u16;
const LISTS: usize = LEVELS * SLOTS + 1;
/// The list of a node that is free.
const FREE: u16 = u16::MAX;
/// No place.
const NONE: u32 = u32::MAX;

/// An armed timer, or one that was.
#[derive(Clone, Copy)]
pub(super) struct Timer {
    place: u32,
    /// No other timer of the wheel has it, so a place that was used again is told apart.
    sequence: u64,
}

/// A place of the table: an armed timer in one of the lists, or a free place in the list of those.
struct Node {
    deadline: Instant,
    task: NonNull<Task>,
    sequence: u64,
    next: u32,
    previous: u32,
    list: u16,
}

/// The wheel. Only its own hub's OS thread touches it.
pub(super) struct Wheel {
    /// All slots that start at or before this tick are empty.
    tick: u64,
    /// How many timers are armed.
    armed: usize,
    sequence: u64,
    /// A bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    lists: Box<[u32; LISTS]>,
    nodes: Vec<Node>,
    /// The first free place of `nodes`.
    free: u32,
}

impl Wheel {
    pub(super) fn new(now: Instant) -> Wheel {
        Wheel {
            tick: tick_before(now),
            armed: 0,
            sequence: 0,
            occupied: [0; LEVELS],
            lists: Box::new([NONE; LISTS]),
            nodes: Vec::new(),
            free: NONE,
        }
    }

    /// Is no timer armed?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// How many timers are armed?
    pub(super) fn len(&self) -> usize {
        self.armed
    }

    /// Arms a timer that is to wake `task` at `deadline`.
    #[inline]
    pub(super) fn arm(&mut self, task: NonNull<Task>, deadline: Instant) -> Timer {
        let place = self.take_place();
        let sequence = self.sequence;
        // One by one: a node that is made elsewhere and copied here has to wait for its own stores.
        let node = self.node(place);
        node.deadline = deadline;
        node.task = task;
        node.sequence = sequence;
        let timer = Timer { place, sequence };
        self.sequence += 1;
        self.armed += 1;
        self.link(place);
        timer
    }

    /// Disarms a timer if it has not expired. Returns whether it had.
    #[inline]
    pub(super) fn disarm(&mut self, timer: Timer) -> bool {
        if !self.is_armed(timer) {
            return true;
        }
        self.unlink(timer.place);
        self.release(timer.place);
        false
    }

    #[inline]
    fn is_armed(&self, timer: Timer) -> bool {
        let node = self.nodes.get(timer.place as usize);
        node.is_some_and(|node| node.sequence == timer.sequence && node.list != FREE)
    }

    /// When the hub must look again at the latest; not later than the first deadline, rounded up to
    /// a tick.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        if self.lists[usize::from(DUE)] != NONE {
            return Some(Instant::PAST);
        }
        let (_, start) = self.next_slot()?;
        Some(tick_start(start))
    }

    /// Disarms all timers whose deadline has passed and tells of them, soonest first.
    pub(super) fn expire(&mut self, now: Instant, expired: &mut Vec<Expired>) {
        let target = tick_before(now);
        while let Some((list, start)) = self.next_slot() {
            if start > target {
                break;
            }
            self.tick = start;
            let mut place = self.take_list(list);
            while place != NONE {
                let next = self.node(place).next;
                self.link(place);
                place = next;
            }
        }
        self.tick = self.tick.max(target);
        let mut place = self.take_list(DUE);
        while place != NONE {
            let node = self.node(place);
            expired.push(Expired {
                deadline: node.deadline,
                sequence: node.sequence,
                task: node.task,
            });
            let next = node.next;
            self.release(place);
            place = next;
        }
        expired.sort_unstable_by_key(|entry| (entry.deadline, entry.sequence));
    }

    /// Gives the table back, if no timer is armed.
    pub(super) fn trim(&mut self) {
        if self.is_empty() {
            self.nodes = Vec::new();
            self.free = NONE;
        }
    }

    /// The occupied slot that starts first, and the tick it starts at.
    fn next_slot(&self) -> Option<(u16, u64)> {
        for (level, &occupied) in self.occupied.iter().enumerate() {
            if occupied == 0 {
                continue;
            }
            // Timers of a level share all higher digits with `tick` and have a larger digit here.
            let slot = occupied.trailing_zeros();
            let shift = level as u32 * LEVEL_BITS;
            let above = self.tick >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
            let start = above | u64::from(slot) << shift;
            return Some(((level * SLOTS) as u16 + slot as u16, start));
        }
        None
    }

    /// A place that is free, or a new one.
    #[inline]
    fn take_place(&mut self) -> u32 {
        let place = self.free;
        if place == NONE {
            return self.new_place();
        }
        self.free = self.node(place).next;
        place
    }

    #[cold]
    fn new_place(&mut self) -> u32 {
        let place = self.nodes.len() as u32;
        assert!(place < NONE, "there are four thousand million timers");
        self.nodes.push(Node {
            deadline: Instant::NEVER,
            task: NonNull::dangling(),
            sequence: 0,
            next: NONE,
            previous: NONE,
            list: FREE,
        });
        place
    }

    /// Gives the place of a timer that stands in no list back.
    #[inline]
    fn release(&mut self, place: u32) {
        self.armed -= 1;
        let free = self.free;
        let node = self.node(place);
        node.list = FREE;
        node.next = free;
        self.free = place;
    }

    /// Enters an armed timer, which stands in no list, into that of its expiry.
    #[inline]
    fn link(&mut self, place: u32) {
        let expiry = tick_after(self.node(place).deadline);
        let list = self.list_for(expiry);
        let next = std::mem::replace(&mut self.lists[usize::from(list)], place);
        let node = self.node(place);
        node.list = list;
        node.previous = NONE;
        node.next = next;
        if next != NONE {
            self.node(next).previous = place;
        }
        if list != DUE {
            self.occupied[usize::from(list) / SLOTS] |= 1 << (usize::from(list) % SLOTS);
        }
    }

    #[inline]
    fn unlink(&mut self, place: u32) {
        let &mut Node {
            next,
            previous,
            list,
            ..
        } = self.node(place);
        if next != NONE {
            self.node(next).previous = previous;
        }
        if previous != NONE {
            self.node(previous).next = next;
            return;
        }
        self.lists[usize::from(list)] = next;
        if next == NONE {
            self.clear_occupied(list);
        }
    }

    #[inline]
    fn node(&mut self, place: u32) -> &mut Node {
        &mut self.nodes[place as usize]
    }

    fn take_list(&mut self, list: u16) -> u32 {
        self.clear_occupied(list);
        std::mem::replace(&mut self.lists[usize::from(list)], NONE)
    }

    fn clear_occupied(&mut self, list: u16) {
        if list != DUE {
            self.occupied[usize::from(list) / SLOTS] &= !(1 << (usize::from(list) % SLOTS));
        }
    }

    /// The list a timer that expires at `expiry` belongs into, seen from the current tick.
    #[inline]
    fn list_for(&self, expiry: u64) -> u16 {
        if expiry <= self.tick {
            return DUE;
        }
        let level = (63 - (expiry ^ self.tick).leading_zeros()) / LEVEL_BITS;
        let slot = (expiry >> (level * LEVEL_BITS)) as usize % SLOTS;
        (level as usize * SLOTS + slot) as u16
    }
}

/// What [`Wheel::expire`] tells of a timer, which is no more.
pub(super) struct Expired {
    deadline: Instant,
    sequence: u64,
    pub(super) task: NonNull<Task>,
}

/// The clock shifted to start at zero, so that ticks are unsigned.
fn unsigned(moment: Instant) -> u64 {
    (moment.nanoseconds() as u64) ^ (1 << 63)
}

/// The tick that has begun at `moment`.
fn tick_before(moment: Instant) -> u64 {
    unsigned(moment) >> TICK_BITS
}

/// The first tick that begins at or after `moment`; the last there is stands for all beyond it.
fn tick_after(moment: Instant) -> u64 {
    unsigned(moment).div_ceil(1 << TICK_BITS).min(LAST_TICK)
}

/// When a tick begins.
fn tick_start(tick: u64) -> Instant {
    Instant::from_nanoseconds(((tick << TICK_BITS) ^ (1 << 63)) as i64)
}

#[cfg(test)]
mod tests;
