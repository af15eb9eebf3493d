//! [`Process`] and [`Worker`]: one function in a process of its own.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::Builder;
use super::call::{self, Call};
use super::error::JobError;
use super::job::Job;
use super::pool::Pool;

/// A function that runs in a process of its own.
///
/// When this is dropped the process is killed.
///
/// ```standalone_crate
/// use sylvan::process_pool::{self, Process};
///
/// fn main() -> std::io::Result<()> {
///     process_pool::init();
///     sylvan::run(|| {
///         let process = Process::spawn(|name: String| println!("Hello, {name}"), "world".to_owned())?;
///         assert!(process.join()?.success());
///         Ok(())
///     })
/// }
/// ```
pub struct Process {
    single: Single<()>,
}

/// A function that runs in a process of its own, and whose result comes back.
///
/// When this is dropped the process is killed.
///
/// ```standalone_crate
/// use sylvan::process_pool::{self, Worker};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     process_pool::init();
///     let worker = Worker::spawn(|numbers: Vec<u64>| numbers.iter().sum::<u64>(), vec![1, 2, 3])?;
///     assert_eq!(worker.join()?, 6);
///     Ok(())
/// }
/// ```
pub struct Worker<R> {
    single: Single<R>,
}

struct Single<R> {
    pool: Pool,
    job: Job<R>,
    pid: u32,
}

impl<R: Serialize + DeserializeOwned> Single<R> {
    fn spawn<A>(alone: bool, function: fn(A) -> R, argument: A) -> io::Result<Single<R>>
    where
        A: Serialize + DeserializeOwned,
    {
        // What cannot travel needs no process.
        let invalid = |fault: String| io::Error::new(io::ErrorKind::InvalidInput, fault);
        Call::one(function).map_err(|error| invalid(error.to_string()))?;
        call::encode(&argument).map_err(invalid)?;
        let pool = Builder::single(alone).build()?;
        let gone = || io::Error::other("the process has ended before it had anything to do");
        let pid = pool.core().any_pid().ok_or_else(gone)?;
        let job = pool.spawn(function, argument);
        pool.close();
        Ok(Single { pool, job, pid })
    }
}

impl Process {
    /// Starts a process and calls `function` there. Suspends until the process is ready.
    ///
    /// It ends with status 0 when the function returns, and with 101 and a message when that panics.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`]; [`InvalidInput`](io::ErrorKind::InvalidInput) if the argument cannot travel.
    pub fn spawn<A>(function: fn(A), argument: A) -> io::Result<Process>
    where
        A: Serialize + DeserializeOwned,
    {
        let single = Single::spawn(true, function, argument)?;
        Ok(Process { single })
    }

    /// Suspends until the process has ended.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the argument could not travel.
    pub fn join(self) -> io::Result<ExitStatus> {
        let Single { pool, job, .. } = self.single;
        let ended = job.join();
        pool.join();
        if let Err(error @ JobError::Unserialisable(_)) = ended {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        pool.core()
            .last_status()
            .ok_or_else(|| io::Error::other("nobody knows how the process ended"))
    }

    /// Ends the process by SIGKILL.
    pub fn kill(&self) {
        self.single.pool.core().kill();
    }

    /// How it ended; `None` if it has not. Never suspends.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.single.pool.core().last_status()
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.single.pid
    }
}

impl<R: Serialize + DeserializeOwned> Worker<R> {
    /// Starts a process and calls `function` there. Suspends until the process is ready.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`]; [`InvalidInput`](io::ErrorKind::InvalidInput) if the argument cannot travel.
    pub fn spawn<A>(function: fn(A) -> R, argument: A) -> io::Result<Worker<R>>
    where
        A: Serialize + DeserializeOwned,
    {
        let single = Single::spawn(false, function, argument)?;
        Ok(Worker { single })
    }

    /// Suspends until the function has returned and the process has ended.
    ///
    /// # Errors
    ///
    /// See [`JobError`].
    pub fn join(self) -> Result<R, JobError> {
        let Single { pool, job, .. } = self.single;
        let result = job.join();
        pool.join();
        result
    }

    /// Cancels the green thread that runs the function.
    pub fn cancel(&self) {
        self.single.job.cancel();
    }

    /// Ends the process by SIGKILL: [`join`](Self::join) gives [`WorkerDied`](JobError::WorkerDied).
    pub fn kill(&self) {
        self.single.pool.core().kill();
    }

    /// Has the function returned, or failed?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.single.job.is_finished()
    }

    /// How the process ended; `None` if it has not. Never suspends.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.single.pool.core().last_status()
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.single.pid
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Process");
        debug.field("pid", &self.single.pid).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Worker<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Worker");
        debug.field("pid", &self.single.pid).finish_non_exhaustive()
    }
}
