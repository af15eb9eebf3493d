//! Runtimes of one's own: several hubs, or green threads that outlive a call of `run`; and pools of OS threads for
//! what blocks.

pub use crate::rt::{Builder, Handle, Metrics, OffloadPool, OffloadStats, OnDeadlock, Runtime};
