//! Runtimes of one's own: several hubs, or green threads that outlive a call of `run`.

pub use crate::rt::{Builder, Handle, Metrics, OnDeadlock, Runtime};
