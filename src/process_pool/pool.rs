//! [`Pool`].

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::Builder;
use super::core::Core;
use super::error::JobError;
use super::job::Job;
use super::jobs::Jobs;
use super::map::{Imap, ImapUnordered};
use super::stats::Stats;

/// Processes of this program that make calls, each many at once in green threads of its own.
///
/// A job is a function that captures nothing, and its argument; the argument goes to a process and the result comes
/// back by serde. [The module](super#what-travels) says what that asks of them.
///
/// Each process asks for its next job when it has room and time for it, so a slow job holds up none that is alone while a
/// process is idle (of a map, see [`chunk_size`](super::Jobs::chunk_size)). One that dies fails the jobs that it has, and no others, and is replaced.
///
/// When the pool is dropped it is [terminated](Self::terminate).
///
/// ```standalone_crate
/// use sylvan::process_pool::{self, Pool};
///
/// fn square(number: u64) -> u64 {
///     number * number
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     process_pool::init();
///     sylvan::run(|| {
///         let pool = Pool::builder().processes(2).build()?;
///         assert_eq!(pool.apply(square, 12)?, 144);
///         assert_eq!(pool.map(square, 1..=5)?, [1, 4, 9, 16, 25]);
///         Ok(())
///     })
/// }
/// ```
pub struct Pool {
    core: Arc<Core>,
}

impl Pool {
    /// A pool that is to be told what it is like.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A pool with a process for each CPU. Suspends until they are ready.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Pool> {
        Pool::builder().build()
    }

    pub(super) fn of(core: Arc<Core>) -> Pool {
        Pool { core }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Jobs with options of their own: [repeatable](Jobs::repeatable), with another
    /// [time](Jobs::timeout), in [chunks](Jobs::chunk_size) of so many.
    ///
    /// ```standalone_crate
    /// use sylvan::process_pool::{self, Pool};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     process_pool::init();
    ///     let pool = Pool::builder().processes(2).build()?;
    ///     let lengths = pool.jobs().repeatable().chunk_size(2).map(
    ///         |word: String| word.len(),
    ///         ["plain", "blocking", "code"].map(str::to_owned),
    ///     )?;
    ///     assert_eq!(lengths, [5, 8, 4]);
    ///     Ok(())
    /// }
    /// ```
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs::new(self)
    }

    /// Calls `function` in one of the processes. Suspends until it has returned; if the caller is cancelled meanwhile, the
    /// job is, too.
    ///
    /// # Errors
    ///
    /// See [`JobError`].
    pub fn apply<A, R>(&self, function: fn(A) -> R, argument: A) -> Result<R, JobError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.jobs().apply(function, argument)
    }

    /// As [`apply`](Self::apply), without waiting: Python's `apply_async`.
    ///
    /// ```standalone_crate
    /// use sylvan::process_pool::{self, Pool};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     process_pool::init();
    ///     let pool = Pool::builder().processes(1).build()?;
    ///     let job = pool.spawn(|(a, b): (u32, u32)| a + b, (1, 2));
    ///     assert_eq!(job.join()?, 3);
    ///     Ok(())
    /// }
    /// ```
    pub fn spawn<A, R>(&self, function: fn(A) -> R, argument: A) -> Job<R>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.jobs().spawn(function, argument)
    }

    /// Calls `function` with each item; returns the results in the order of the items. Suspends until all are there.
    ///
    /// Small jobs travel together; see [`Jobs::chunk_size`].
    ///
    /// # Errors
    ///
    /// The first failure that comes; the other jobs are cancelled. To have a result for each item there is
    /// [`imap`](Self::imap).
    pub fn map<A, R>(
        &self,
        function: fn(A) -> R,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, JobError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.jobs().map(function, items)
    }

    /// As [`map`](Self::map), of a function with two arguments. (One with more takes a tuple:
    /// `|(a, b, c)| function(a, b, c)`.)
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map).
    pub fn starmap<A, B, R>(
        &self,
        function: fn(A, B) -> R,
        items: impl IntoIterator<Item = (A, B)>,
    ) -> Result<Vec<R>, JobError>
    where
        A: Serialize + DeserializeOwned,
        B: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.jobs().starmap(function, items)
    }

    /// Calls `function` with each item, and gives the results one by one in the order of the items: a lazy iterator, which
    /// suspends until the next is there.
    ///
    /// Items are pulled in `next`, as there is room, and ahead of the results: some chunks for each process, which
    /// of small jobs may be thousands of items. With a [`chunk_size`](super::Jobs::chunk_size) of 1 it is so many as the
    /// processes have at once, and some more. Before it pulls it gives what results are there; but an item that is long in
    /// coming holds them up, and one that waits for an earlier result waits for ever. When it is dropped before its end,
    /// the jobs that it has begun are cancelled.
    ///
    /// ```standalone_crate
    /// use sylvan::process_pool::{self, Pool};
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     process_pool::init();
    ///     let pool = Pool::builder().processes(2).build()?;
    ///     // The items never end.
    ///     let mut halves = pool.imap(|number: u64| 100 / number, 0..);
    ///     assert!(halves.next().unwrap().is_err(), "that one panicked");
    ///     assert_eq!(halves.next(), Some(Ok(100)));
    ///     Ok(())
    /// }
    /// ```
    pub fn imap<A, R, I>(&self, function: fn(A) -> R, items: I) -> Imap<I::IntoIter, R>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.jobs().imap(function, items)
    }

    /// As [`imap`](Self::imap), but gives the results as they come.
    pub fn imap_unordered<A, R, I>(
        &self,
        function: fn(A) -> R,
        items: I,
    ) -> ImapUnordered<I::IntoIter, R>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.jobs().imap_unordered(function, items)
    }

    /// Takes no more jobs: they end with [`Closed`](JobError::Closed). Those that were taken are done, and then the
    /// processes end. Does not wait for that; [`join`](Self::join) does.
    pub fn close(&self) {
        self.core.close();
    }

    /// Kills the processes. What was not done ends with [`Cancelled`](JobError::Cancelled).
    pub fn terminate(&self) {
        self.core.terminate();
    }

    /// [Closes](Self::close) the pool and suspends until all jobs are done and all processes have ended.
    pub fn join(&self) {
        self.close();
        self.core.ended.wait();
    }

    /// What it has done, and is doing.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.core.terminate();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
