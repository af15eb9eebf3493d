//! The models. Each says what must hold in every interleaving; a thread that is never woken is a
//! deadlock, which loom reports. (It then cannot take the model apart, and aborts.)
//!
//! Each was seen to fail: with orderings weakened and fences left out, one at a time, with
//! steps swapped (a signal before the unlink, a look at the queues before the entry as sleeper), and
//! with steps left out (the second look, the hand-on, the passing on).

mod endings;
mod idle;
mod inbox;
mod life;
mod lock;
mod pulse;
mod select;
mod sleep;
mod steal_ring;
mod wait_queue;

/// Explores a model with at most this many preemptions. (Most faults need no more than two.)
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
