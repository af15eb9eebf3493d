//! Explores the interleavings of the kernel's pure protocols: the life word, what is done at a task's end, the
//! inbox, the idle hubs, the ring that they steal from, the pulse, the wake-up against the end of the waiter, the select, and the lock under `Mutex`.
//!
//! The files of `src/rt` are included as they are. What they name of the rest of the kernel stands here
//! under the same names: [`sys`] has loom's atomics and locks, and [`clock`], [`park`] and [`task`] are
//! the least that a wait queue needs. loom runs each model in every order of its steps (up to a number
//! of preemptions), with every value that the memory model lets a load return.

#[allow(dead_code)]
#[path = "../../src/rt/claim.rs"]
mod claim;
#[allow(dead_code)]
#[path = "../../src/rt/endings.rs"]
mod endings;
#[allow(dead_code)]
#[path = "../../src/rt/idle.rs"]
mod idle;
#[allow(dead_code)]
#[path = "../../src/rt/inbox.rs"]
mod inbox;
#[allow(dead_code)]
#[path = "../../src/rt/life.rs"]
mod life;
#[path = "../../src/sync/lock.rs"]
mod lock;
#[allow(dead_code)]
#[path = "../../src/rt/pulse.rs"]
mod pulse;
#[allow(dead_code)]
#[path = "../../src/rt/select.rs"]
mod select;
#[allow(dead_code)]
#[path = "../../src/rt/stand.rs"]
mod stand;
#[allow(dead_code)]
#[path = "../../src/rt/steal_ring.rs"]
mod steal_ring;
#[allow(dead_code)]
#[path = "../../src/rt/wait_queue.rs"]
mod wait_queue;

mod clock;
#[path = "lock.rs"]
mod lock_needs;
mod models;
mod park;
mod sys;
mod task;

use lock_needs::{atomic, rt};

/// What waits are named for; here nobody reads it.
mod reason {
    #[derive(Clone, Copy)]
    pub(crate) struct Reason;
}

/// A model chooses its order itself.
mod choice {
    pub(crate) fn shuffle(_: &mut [usize]) {}
}
