//! The timers of one hub: a hierarchical timing wheel whose nodes lie on the waiting stacks.
//!
//! Scheme 7 of G. Varghese and T. Lauck, "Hashed and hierarchical timing wheels" (1987), with the
//! level chosen by the highest digit in which the expiry differs from now, so that a timer moves down
//! at most once a level. Arming and disarming are a few loads and stores, at any number of timers.
//! A timer never fires early; it fires at most one tick (65.5 µs) late by the wheel's doing. Those
//! that expire in one turn fire in the order of their deadlines, then of their arming.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::{self, NonNull};

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
const NOWHERE: u16 = u16::MAX;

/// One armed or unarmed timer. It lies on the stack of the task it will wake, and must be disarmed
/// before that frame ends.
pub(super) struct Timer {
    deadline: Instant,
    task: NonNull<Task>,
    sequence: Cell<u64>,
    list: Cell<u16>,
    next: Cell<*const Timer>,
    previous: Cell<*const Timer>,
    _pinned: PhantomPinned,
}

impl Timer {
    pub(super) fn new(task: NonNull<Task>, deadline: Instant) -> Timer {
        Timer {
            deadline,
            task,
            sequence: Cell::new(0),
            list: Cell::new(NOWHERE),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }
}

/// The wheel. Only its own hub's OS thread touches it.
pub(super) struct Wheel {
    /// All slots that start at or before this tick are empty.
    tick: Cell<u64>,
    /// How many timers are armed.
    armed: Cell<usize>,
    sequence: Cell<u64>,
    /// A bit for each slot that is not empty.
    occupied: [Cell<u64>; LEVELS],
    lists: Box<[Cell<*const Timer>; LISTS]>,
}

impl Wheel {
    pub(super) fn new(now: Instant) -> Wheel {
        Wheel {
            tick: Cell::new(tick_before(now)),
            armed: Cell::new(0),
            sequence: Cell::new(0),
            occupied: [const { Cell::new(0) }; LEVELS],
            lists: Box::new([const { Cell::new(ptr::null()) }; LISTS]),
        }
    }

    /// Is no timer armed?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.armed.get() == 0
    }

    /// How many timers are armed?
    pub(super) fn len(&self) -> usize {
        self.armed.get()
    }

    /// Arms `timer`.
    ///
    /// # Safety
    ///
    /// The timer is not armed, and is disarmed (here, or by expiring here) before it is dropped.
    #[inline]
    pub(super) unsafe fn arm(&self, timer: Pin<&Timer>) {
        let sequence = self.sequence.get();
        self.sequence.set(sequence + 1);
        timer.sequence.set(sequence);
        self.armed.set(self.armed.get() + 1);
        // SAFETY: it stands in no list, and lives until it is unlinked.
        unsafe { self.link(timer.get_ref()) };
    }

    /// Disarms `timer` if it has not expired. Returns whether it had.
    #[inline]
    pub(super) fn disarm(&self, timer: &Timer) -> bool {
        if timer.list.get() == NOWHERE {
            return true;
        }
        self.unlink(timer);
        self.armed.set(self.armed.get() - 1);
        false
    }

    /// When the hub must look again at the latest; not later than the first deadline, rounded up to
    /// a tick.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        if !self.lists[usize::from(DUE)].get().is_null() {
            return Some(Instant::PAST);
        }
        let (_, start) = self.next_slot()?;
        Some(tick_start(start))
    }

    /// Disarms all timers whose deadline has passed and hands their tasks to `wake`, soonest first.
    pub(super) fn expire(&self, now: Instant, expired: &mut Vec<Expired>) {
        let target = tick_before(now);
        while let Some((list, start)) = self.next_slot() {
            if start > target {
                break;
            }
            self.tick.set(start);
            let mut timer = self.take_list(list);
            // SAFETY: armed timers are valid, by the promise of `arm`.
            while let Some(current) = unsafe { timer.as_ref() } {
                timer = current.next.get();
                // SAFETY: it was in the list just taken, so it stands in none now.
                unsafe { self.link(current) };
            }
        }
        self.tick.set(self.tick.get().max(target));
        let mut timer = self.take_list(DUE);
        // SAFETY: as above.
        while let Some(current) = unsafe { timer.as_ref() } {
            timer = current.next.get();
            current.list.set(NOWHERE);
            self.armed.set(self.armed.get() - 1);
            expired.push(Expired {
                deadline: current.deadline,
                sequence: current.sequence.get(),
                task: current.task,
            });
        }
        expired.sort_unstable_by_key(|entry| (entry.deadline, entry.sequence));
    }

    /// The occupied slot that starts first, and the tick it starts at.
    fn next_slot(&self) -> Option<(u16, u64)> {
        let tick = self.tick.get();
        for (level, occupied) in self.occupied.iter().enumerate() {
            if occupied.get() == 0 {
                continue;
            }
            // Timers of a level share all higher digits with `tick` and have a larger digit here.
            let slot = occupied.get().trailing_zeros();
            let shift = level as u32 * LEVEL_BITS;
            let above = tick >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
            let start = above | u64::from(slot) << shift;
            return Some(((level * SLOTS) as u16 + slot as u16, start));
        }
        None
    }

    /// # Safety
    ///
    /// `timer` stands in no list, and lives until it is unlinked.
    #[inline]
    unsafe fn link(&self, timer: &Timer) {
        let list = self.list_for(tick_after(timer.deadline));
        let head = &self.lists[usize::from(list)];
        let next = head.get();
        timer.list.set(list);
        timer.previous.set(ptr::null());
        timer.next.set(next);
        // SAFETY: what stands in a list is valid.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.set(timer);
        }
        head.set(timer);
        if list != DUE {
            let occupied = &self.occupied[usize::from(list) / SLOTS];
            occupied.set(occupied.get() | 1 << (usize::from(list) % SLOTS));
        }
    }

    #[inline]
    fn unlink(&self, timer: &Timer) {
        let list = timer.list.replace(NOWHERE);
        let (next, previous) = (timer.next.get(), timer.previous.get());
        // SAFETY: what stands in a list is valid, and so are its neighbours.
        unsafe {
            if let Some(next) = next.as_ref() {
                next.previous.set(previous);
            }
            if let Some(previous) = previous.as_ref() {
                previous.next.set(next);
                return;
            }
        }
        self.lists[usize::from(list)].set(next);
        if next.is_null() {
            self.clear_occupied(list);
        }
    }

    fn take_list(&self, list: u16) -> *const Timer {
        self.clear_occupied(list);
        self.lists[usize::from(list)].replace(ptr::null())
    }

    fn clear_occupied(&self, list: u16) {
        if list != DUE {
            let occupied = &self.occupied[usize::from(list) / SLOTS];
            occupied.set(occupied.get() & !(1 << (usize::from(list) % SLOTS)));
        }
    }

    /// The list a timer that expires at `expiry` belongs into, seen from the current tick.
    #[inline]
    fn list_for(&self, expiry: u64) -> u16 {
        let tick = self.tick.get();
        if expiry <= tick {
            return DUE;
        }
        let level = (63 - (expiry ^ tick).leading_zeros()) / LEVEL_BITS;
        let slot = (expiry >> (level * LEVEL_BITS)) as usize % SLOTS;
        (level as usize * SLOTS + slot) as u16
    }
}

/// What [`Wheel::expire`] tells of a timer; the timer itself may be gone when it is read.
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
