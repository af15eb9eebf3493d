//! `sylvan::sync`: what std promises of it, between green threads of one hub, of four hubs, and with
//! plain OS threads among them; and what is ours alone, cancellation.

mod auto_traits;
mod barrier;
mod complete;
mod condvar;
mod crew;
mod endings;
mod event;
mod fairness;
mod mpsc;
mod mutex;
mod once;
mod promise;
mod reentrant_mutex;
mod rwlock;
mod semaphore;
mod stress;
mod wait_group;
