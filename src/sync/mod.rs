//! `std::sync` with green threads: what waits here suspends the green thread that waits, and no other.
//!
//! Everything works between green threads of one hub, of several hubs and plain OS threads, in any
//! mixture; a plain OS thread is blocked, as std would. What std documents as non-blocking (`try_*`,
//! sending into an unbounded channel, notifying, unlocking) never suspends.
//!
//! A wait that is cancelled, or ended by a [`timeout`](crate::time::timeout) around it, takes nothing
//! with it: a lock, a notification or a place in a channel that was on its way to the waiter goes to the
//! next in line. Such an end is no panic, and poisons nothing.
//!
//! Beyond std there are [`Semaphore`]; [`queue`], which has queues with many getters; and [`select!`], which waits for
//! whichever of several things comes first.

mod barrier;
mod condvar;
mod lazy_lock;
mod line;
mod lock;
pub mod mpsc;
mod mutex;
mod once;
mod once_lock;
mod poison;
pub mod queue;
mod rwlock;
pub mod select;
mod semaphore;
mod shared_lock;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use select::select;
pub use semaphore::{Semaphore, SemaphorePermit};
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};
