//! The models. Each says what must hold in every interleaving; a thread that is never woken is a
//! deadlock, which loom reports.

mod idle;
mod inbox;
mod life;
mod wait_queue;

/// Explores a model with at most this many preemptions. (Most faults need no more than two.)
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
