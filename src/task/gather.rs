//! The results of many green threads at once.

use std::panic::{self, AssertUnwindSafe};
use std::thread::Result;

use super::ends::{self, Ends};
use crate::rt;
use crate::thread::{Joinable, sealed::Token};

/// Suspends until all have ended, and returns their results in the order of `handles`; or until the first
/// has failed, and returns its failure.
///
/// The others go on then, detached: what fails of them later is reported. If the caller is cancelled, or runs
/// out of time, while it waits, those that have not ended are cancelled, and not waited for: nobody else
/// has their handles.
///
/// An `Err` that a thread returns is a value like any other, and ends nothing. To have the first error at once, and
/// the others cancelled, use a [`nursery`](super::nursery()); to have it when all have ended, `collect` the values into
/// a `Result`, as below.
///
/// asyncio's `gather` does the same, but that it waits, if it is cancelled itself, until one of the others has
/// unwound; `return_exceptions=True` is [`gather_all`]. A thread that was cancelled is a failure, as there.
///
/// # Errors
///
/// The payload of the first failure to come: of a panic, or [`Cancelled`](super::Cancelled).
///
/// ```
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let tasks = (1..=3).map(|n| thread::spawn(move || n * n));
///     assert_eq!(task::gather(tasks).unwrap(), [1, 4, 9]);
///
///     let tasks = ["1", "2", "x"].map(|text| thread::spawn(|| text.parse::<u32>()));
///     let values = task::gather(tasks).unwrap();
///     let numbers: Result<Vec<u32>, _> = values.into_iter().collect();
///     assert!(numbers.is_err());
/// });
/// ```
pub fn gather<H: Joinable>(handles: impl IntoIterator<Item = H>) -> Result<Vec<H::Output>> {
    let mut all = OrCancel::new(Ends::new(handles));
    let mut results: Vec<_> = all.ends().handles.iter().map(|_| None).collect();
    for _ in 0..results.len() {
        let (which, handle) = all.ends().take_next_with_place();
        match ends::result(handle) {
            Ok(value) => results[which] = Some(value),
            Err(failure) => {
                drop(all.let_go());
                return Err(failure);
            }
        }
    }
    drop(all.let_go());
    Ok(results.into_iter().flatten().collect())
}

/// Suspends until all have ended, and returns the result of each in the order of `handles`.
///
/// If the caller is cancelled, or runs out of time, while it waits, those that have not ended are cancelled,
/// and not waited for. This is asyncio's `gather(return_exceptions=True)`.
///
/// ```
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let fine = thread::spawn(|| 1);
///     let cancelled = thread::spawn(|| 2);
///     cancelled.cancel();
///     let results = task::gather_all([fine, cancelled]);
///     assert_eq!(*results[0].as_ref().unwrap(), 1);
///     assert!(results[1].is_err());
/// });
/// ```
pub fn gather_all<H: Joinable>(handles: impl IntoIterator<Item = H>) -> Vec<Result<H::Output>> {
    let mut all = OrCancel::new(Ends::new(handles));
    let mut results: Vec<_> = all.ends().handles.iter().map(|_| None).collect();
    for _ in 0..results.len() {
        let (which, handle) = all.ends().take_next_with_place();
        results[which] = Some(ends::result(handle));
    }
    drop(all.let_go());
    results.into_iter().flatten().collect()
}

/// Suspends until the first has ended, in whatever way, cancels the others, waits for them, and returns the
/// first one's result.
///
/// The others are cancelled and waited for as well if the caller is cancelled, or runs out of time, while it
/// waits. asyncio spells this `wait(return_when=FIRST_COMPLETED)`, and the rest by hand.
///
/// # Errors
///
/// The payload of the first one's failure, if it failed.
///
/// # Panics
///
/// If there are no handles: nobody would ever be first.
///
/// ```
/// use std::time::Duration;
/// use sylvan::{task, thread};
///
/// sylvan::run(|| {
///     let slow = thread::spawn(|| {
///         thread::sleep(Duration::from_secs(3600));
///         "slow"
///     });
///     let quick = thread::spawn(|| "quick");
///     assert_eq!(task::race([slow, quick]).unwrap(), "quick");
/// });
/// ```
#[track_caller]
pub fn race<H: Joinable>(handles: impl IntoIterator<Item = H>) -> Result<H::Output> {
    let mut all = Ends::new(handles);
    assert!(!all.handles.is_empty(), "a race of nobody has no end");
    // Caught, for nobody may unwind while it waits for the losers: theirs might wait for the end of that.
    let first = panic::catch_unwind(AssertUnwindSafe(|| all.take_next()));
    all.cancel();
    rt::mask(|| {
        for loser in all.into_handles() {
            // It was asked to end; a panic on the way is the hook's to tell.
            drop(loser.into_handle(Token::NEW).join());
        }
    });
    match first {
        Ok(first) => ends::result(first),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Cancels the threads whose handles it has, unless told to let them go.
struct OrCancel<H: Joinable>(Option<Ends<H>>);

impl<H: Joinable> OrCancel<H> {
    fn new(ends: Ends<H>) -> OrCancel<H> {
        OrCancel(Some(ends))
    }

    fn ends(&mut self) -> &mut Ends<H> {
        self.0.as_mut().expect("there until it is let go")
    }

    fn let_go(mut self) -> Vec<H> {
        let ends = self.0.take().expect("there until it is let go");
        ends.into_handles()
    }
}

impl<H: Joinable> Drop for OrCancel<H> {
    fn drop(&mut self) {
        if let Some(ends) = &self.0 {
            ends.cancel();
        }
    }
}
