//! Futures, driven from plain blocking code: [`block_on`].
//!
//! A waker says "poll again" by a flag of the call it belongs to, and then by the kernel's own wake of the thread
//! that waits, which holds for green and plain ones. So `unpark`, whose token is the user's, has no part in
//! it. It owns a count of the thread's record and may be called at any time, from anywhere; to wake a
//! thread that waits for something else by then, or has ended, changes nothing.
//!
//! No wake-up is lost: the flag is cleared before each poll and never between a poll and the wait that
//! follows. One that comes in the middle of a poll leads to the next. The swap that clears it sees what the
//! waker's thread did before.

#![forbid(unsafe_code)]

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::rt::{self, Instant, Reason, TaskRef};

/// Runs a future to its end on the calling thread, and suspends while it is not ready.
///
/// The future stays on this thread, so it need not be [`Send`]. It may itself call `block_on`, or whatever
/// suspends; that suspends the whole of it. If the calling thread is cancelled, or a
/// [`timeout`](crate::time::timeout) around is over, the future is dropped.
///
/// A future that needs the reactor of another runtime, as tokio's sockets and timers do, must be driven by that
/// runtime. (Spawn it there, and `block_on` its handle: such a handle needs none.)
///
/// ```
/// use sylvan::{future, thread};
///
/// sylvan::run(|| {
///     // Some other crate's `async fn`.
///     async fn double(number: u32) -> u32 {
///         number * 2
///     }
///     let task = thread::spawn(|| future::block_on(async { double(10).await + double(11).await }));
///     assert_eq!(task.join().unwrap(), 42);
/// });
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    rt::spend();
    drive(
        |context| future.as_mut().poll(context),
        || Pause::Until(Instant::NEVER),
    )
}

/// What there is to do when a poll was in vain.
pub(crate) enum Pause {
    /// Poll again: something has come of which no waker tells.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "http says it"))]
    Over,
    /// Suspend, until that moment at the latest, and ask again.
    Until(Instant),
}

/// As [`block_on`], for one who waits for other things besides wakers: `pause` looks for them, before each wait and after it.
/// Whoever brings one wakes the thread.
pub(crate) fn drive<T>(
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    mut pause: impl FnMut() -> Pause,
) -> T {
    let signal = Arc::new(Signal {
        is_set: AtomicBool::new(false),
        waiter: rt::current_task(),
    });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return value;
        }
        signal.wait(&mut pause);
    }
}

/// What the wakers of one call of [`block_on`] set.
struct Signal {
    is_set: AtomicBool,
    waiter: TaskRef,
}

impl Signal {
    /// Waits until it is set, and clears it; or until the pause is over.
    fn wait(&self, mut pause: impl FnMut() -> Pause) {
        if self.take() {
            // The future woke itself, to let others go first, or it was quick: either way it is their turn.
            rt::checkpoint(); // On a plain thread the next line is none.
            rt::yield_now();
            return;
        }
        while !self.take() {
            match pause() {
                // Who never has to wait must let others go first now and then.
                Pause::Over => return rt::spend(),
                Pause::Until(deadline) => rt::park(Reason::Future, deadline),
            }
        }
    }

    fn take(&self) -> bool {
        self.is_set.swap(false, Ordering::Acquire)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Who has set it before has woken the waiter, or is about to.
        if !self.is_set.swap(true, Ordering::Release) {
            self.waiter.wake();
        }
    }
}
