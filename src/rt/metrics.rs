//! What a runtime can say of itself in numbers.
//!
//! A hub counts in plain cells, and publishes the sums once a turn of its loop: so counting costs a
//! task nothing, and who reads from another thread sees each hub as of its last turn, which for a
//! hub that sleeps is exact.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a runtime holds at one moment; see [`Handle::metrics`](super::Handle::metrics).
///
/// ```
/// use sylvan::{runtime::Runtime, thread};
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = Runtime::new()?;
/// let handle = runtime.handle();
/// runtime.run(|| {
///     let tasks: Vec<_> = (0..10).map(|_| thread::spawn(thread::yield_now)).collect();
///     assert_eq!(handle.metrics().tasks, 11); // and the main one
///     tasks.into_iter().for_each(|task| task.join().unwrap());
/// });
/// assert_eq!(handle.metrics().tasks, 0);
/// assert_eq!(handle.metrics().peak_tasks, 11);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Green threads that are alive: spawned and not ended.
    pub tasks: usize,
    /// The most that `tasks` ever was.
    pub peak_tasks: usize,
    /// Stacks in use: those of green threads that have started and not ended.
    pub stacks: usize,
    /// Timers that are armed: one for each green thread that waits with a deadline.
    pub timers: usize,
    /// Descriptors of which a hub watches the readiness.
    pub sources: usize,
}

/// What one hub says of itself to other OS threads. Alone on its cache lines: it is written often.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct Published {
    stacks: AtomicUsize,
    timers: AtomicUsize,
    /// Tasks that wait for something outside of the runtime.
    outside: AtomicUsize,
}

impl Published {
    /// Only the hub itself writes.
    #[inline]
    pub(super) fn set(&self, stacks: usize, timers: usize, outside: usize) {
        self.stacks.store(stacks, Relaxed);
        self.timers.store(timers, Relaxed);
        self.outside.store(outside, Relaxed);
    }

    /// Could something but another green thread wake a task of this hub?
    pub(super) fn awaits_something(&self) -> bool {
        self.timers.load(Relaxed) + self.outside.load(Relaxed) > 0
    }

    /// Adds this hub's share to `sum`.
    pub(super) fn add_to(&self, sum: &mut Metrics) {
        sum.stacks += self.stacks.load(Relaxed);
        sum.timers += self.timers.load(Relaxed);
    }
}
