//! `sylvan::sync`: what std promises of it, between green threads of one hub, of four hubs, and with
//! plain OS threads among them; and what is ours alone, cancellation.

mod auto_traits;
mod barrier;
mod condvar;
mod crew;
mod mpsc;
mod mutex;
mod once;
mod rwlock;
mod semaphore;
