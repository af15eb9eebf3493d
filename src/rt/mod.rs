//! Layer 2, the kernel: tasks, time, readiness. This file is its door: upper layers use the names
//! below, and nothing else of `rt`.
//!
//! `README.md` beside this file describes the protocols and the races they close.

mod builder;
mod cancel;
mod cell;
mod choice;
mod circle;
mod claim;
mod clock;
mod ctrl_c;
mod current;
mod deadlock;
mod endings;
mod group;
mod holder;
mod hub;
mod idle;
mod inbox;
mod inherited;
mod life;
mod list;
mod locals;
mod mailbox;
mod metrics;
mod no_stack;
mod offload;
mod os_thread;
mod own_hub;
mod park;
mod pulse;
mod queue;
mod reactor;
mod reason;
mod records;
mod report;
mod runtime;
mod select;
mod shared;
mod source;
mod spawn;
mod stand;
mod state;
mod steal_ring;
mod stuck;
mod task;
mod timer;
mod wait_queue;
mod watchdog;
mod worker;

pub use builder::Builder;
pub use cancel::Cancelled;
pub(crate) use cancel::{
    deadline, is_cancellation, is_certainly_panicking, is_panicking, is_requested, mask,
    with_deadline, with_group,
};
pub(crate) use cell::Join;
pub(crate) use claim::Look;
pub use clock::Instant;
pub use deadlock::OnDeadlock;
pub(crate) use endings::Watcher;
pub(crate) use group::{Failed, Group, Returned};
pub(crate) use holder::{HeldBy, Holder, held_by};
pub(crate) use inherited::{inherited_value, with_value};
pub(crate) use locals::{Local, Locals};
pub use metrics::Metrics;
pub use no_stack::NoStack;
pub use offload::{OffloadPool, OffloadStats, offload};
pub(crate) use offload::{detach_to, offload_to};
#[cfg(feature = "http")]
pub(crate) use park::now_of_turn;
pub(crate) use park::{
    checkpoint, current_id, current_run, current_task, has_passed, on_green_thread, park,
    sleep_until, spend, with_current, yield_now,
};
pub use reason::Reason;
pub(crate) use report::{Message, error as report};
pub use runtime::{Handle, Runtime, run};
pub(crate) use select::{Case, Manner, Signal, select, select_slice};
#[cfg(feature = "http")]
pub(crate) use source::Ticket;
pub(crate) use source::{Direction, Source};
pub(crate) use spawn::{Request, spawn, spawn_into, spawn_local, spawn_member, spawn_scoped};
pub(crate) use stand::Stand;
pub use state::State;
pub(crate) use task::{Task, TaskRef, Woken};
pub(crate) use wait_queue::{Choice, Chosen, Locked, WaitQueue, Waited};

/// Whether what is shared with the kernel is still this process' alone.
pub(crate) use crate::sys::fork;
/// Where the program's own code lies.
#[cfg(feature = "process-pool")]
pub(crate) use crate::sys::image::Image;
/// The end of a child process, as something to wait for.
pub(crate) use crate::sys::process::pidfd;
/// The signals that one listener is told of.
pub(crate) use crate::sys::signal::Watch as SignalWatch;
/// What a signal would do now.
pub(crate) use crate::sys::signal::is_default as signal_is_default;
/// The kernel's locks, for the short moments in which nothing parks; they block the OS thread.
pub(crate) use crate::sys::sync::{Mutex, MutexGuard, OnceLock};
/// How a process learns that its parent has ended, and ends itself.
#[cfg(feature = "process-pool")]
pub(crate) use crate::sys::{
    poll::wait_for_hangup,
    process::{exit_at_once, is_privileged, stdin_from_null},
};
