//! Layer 1, the machine: the CPU and the few calls of the operating system that std lacks.
//!
//! Nothing here knows what a task is.

pub(crate) mod activity;
pub(crate) mod cache;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod fault;
pub(crate) mod fork;
#[cfg(feature = "process-pool")]
pub(crate) mod image;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod signal;
mod spin;
pub(crate) mod stack;
pub(crate) mod sync;
pub(crate) mod unwind;
