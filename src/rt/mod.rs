//! Layer 2, the kernel: tasks, time, readiness. This file is its door: upper layers use the names
//! below, and nothing else of `rt`.
//!
//! `README.md` beside this file describes the protocols and the races they close.

mod cancel;
mod choice;
mod clock;
mod current;
mod deadlock;
mod group;
mod holder;
mod hub;
mod idle;
mod inbox;
mod life;
mod list;
mod locals;
mod mailbox;
mod metrics;
mod no_stack;
mod offload;
mod os_thread;
mod own_hub;
mod panics;
mod park;
mod pulse;
mod queue;
mod reactor;
mod reason;
mod report;
mod runtime;
mod shared;
mod source;
mod spawn;
mod stuck;
mod task;
mod timer;
mod wait_queue;
mod watchdog;
mod worker;

pub use cancel::Cancelled;
pub(crate) use cancel::{
    is_cancellation, is_certainly_panicking, is_panicking, is_requested, mask, with_deadline,
};
pub use clock::Instant;
pub use deadlock::OnDeadlock;
pub(crate) use group::Group;
pub(crate) use holder::Holder;
pub(crate) use locals::Local;
pub use metrics::Metrics;
pub use no_stack::NoStack;
pub use offload::offload;
pub(crate) use offload::{Pool, detach_to};
pub(crate) use park::{checkpoint, park, sleep_until, spend, with_current, yield_now};
pub use reason::Reason;
pub use runtime::{Builder, Handle, Runtime, run};
pub(crate) use source::{Direction, Source};
pub(crate) use spawn::{Request, spawn, spawn_into, spawn_local, spawn_scoped};
pub(crate) use task::{Join, Task, TaskRef, Woken};
pub(crate) use wait_queue::{Locked, WaitQueue, Waited};

/// The kernel's locks, for the short moments in which nothing parks; they block the OS thread.
pub(crate) use crate::sys::sync::{Mutex, MutexGuard, OnceLock};
