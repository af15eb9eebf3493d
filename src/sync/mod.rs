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
//! Beyond std there are [`Semaphore`], [`Event`], [`Promise`], [`ReentrantMutex`] and [`WaitGroup`]; [`queue`], which has
//! queues with many getters; and [`select!`], which waits for whichever of several things comes first.
//!
//! A dump ([`task::all`](crate::task::all)) and the report of a deadlock tell which green thread holds the
//! mutex, reentrant mutex or write lock that another waits for, and what initialises what it waits for. Green
//! threads that wait for locks of each other are reported when the last of them begins to wait.

mod barrier;
mod condvar;
mod event;
mod gate;
mod lazy_lock;
mod line;
mod lock;
pub mod mpsc;
mod mutex;
mod once;
mod once_lock;
mod permits;
mod poison;
mod promise;
pub mod queue;
mod reentrant_mutex;
mod rwlock;
pub mod select;
mod semaphore;
mod shared_lock;
mod wait_group;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
#[expect(deprecated, reason = "std has it, too")]
pub use once::ONCE_INIT;
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub use promise::{Promise, PromiseError, Resolver, promise};
pub use reentrant_mutex::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use select::select;
pub use semaphore::{OverRelease, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};
pub use wait_group::WaitGroup;
