//! The atomics and the lock of the pure protocol modules.
//!
//! Those modules name no other source of atomics, so that `tests/loom.rs` can include their files
//! with loom's types standing here instead.

pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};
