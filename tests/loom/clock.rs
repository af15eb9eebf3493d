//! The time: a thread is early until it has parked with a deadline, and late ever after.

use std::cell::Cell;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u32);

impl Instant {
    pub(crate) const NEVER: Instant = Instant(u32::MAX);
    /// The only deadline there is.
    pub(crate) const SOON: Instant = Instant(1);

    pub(crate) fn now() -> Instant {
        Instant(NOW.with(Cell::get))
    }

    /// Makes it late for the calling thread.
    pub(crate) fn pass() {
        NOW.with(|now| now.set(Instant::SOON.0));
    }
}

loom::thread_local! {
    static NOW: Cell<u32> = Cell::new(0);
}
