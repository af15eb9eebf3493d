//! [`Job`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::call;
use super::core::{Answer, Core, Outcome};
use super::error::JobError;
use crate::sync::Mutex;
use crate::sync::mpsc::{Receiver, RecvTimeoutError};

/// A job that was submitted, by [`Pool::spawn`](super::Pool::spawn).
///
/// When it is dropped the job goes on, as the thread of a `JoinHandle` does.
#[must_use = "the job goes on, but nobody will have its result"]
pub struct Job<R> {
    place: Place,
    result: PhantomData<fn() -> R>,
}

enum Place {
    /// It did not get so far.
    Refused(JobError),
    Taken(Box<Submitted>),
}

struct Submitted {
    id: u64,
    core: Arc<Core>,
    outcome: Mutex<Coming>,
}

struct Coming {
    answers: Receiver<Answer>,
    outcome: Option<Outcome>,
}

impl<R> Job<R> {
    pub(super) fn refused(error: JobError) -> Job<R> {
        Job {
            place: Place::Refused(error),
            result: PhantomData,
        }
    }

    pub(super) fn submitted(id: u64, core: Arc<Core>, answers: Receiver<Answer>) -> Job<R> {
        let coming = Coming {
            answers,
            outcome: None,
        };
        Job {
            place: Place::Taken(Box::new(Submitted {
                id,
                core,
                outcome: Mutex::new(coming),
            })),
            result: PhantomData,
        }
    }

    /// Cancels it: if it waits it is not begun, if a process has it the green thread there is cancelled. [`join`](Self::join)
    /// tells: with [`Cancelled`](JobError::Cancelled), or with a result that came before. Does not wait.
    pub fn cancel(&self) {
        if let Place::Taken(job) = &self.place {
            job.core.cancel(job.id);
        }
    }

    /// Has it ended?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.place {
            Place::Refused(_) => true,
            Place::Taken(job) => lock(&job.outcome).wait(Some(Duration::ZERO)),
        }
    }
}

impl<R: DeserializeOwned> Job<R> {
    /// Suspends until it has ended. If the caller is cancelled, the job goes on.
    ///
    /// # Errors
    ///
    /// See [`JobError`].
    pub fn join(self) -> Result<R, JobError> {
        let outcome = match self.place {
            Place::Refused(error) => Err(error),
            Place::Taken(job) => {
                let mut coming = lock(&job.outcome);
                coming.wait(None);
                coming.take()
            }
        };
        result(&outcome?)
    }

    /// As [`join`](Self::join), for so long at most.
    ///
    /// # Errors
    ///
    /// The job, if it has not ended by then.
    pub fn join_timeout(self, timeout: Duration) -> Result<Result<R, JobError>, Job<R>> {
        let ended = match &self.place {
            Place::Refused(_) => true,
            Place::Taken(job) => lock(&job.outcome).wait(Some(timeout)),
        };
        if ended { Ok(self.join()) } else { Err(self) }
    }
}

impl Coming {
    /// Suspends until the outcome is there, or the time is over. Returns whether it is.
    fn wait(&mut self, timeout: Option<Duration>) -> bool {
        if self.outcome.is_some() {
            return true;
        }
        let answer = match timeout {
            None => self.answers.recv().ok(),
            Some(Duration::ZERO) => match self.answers.try_recv() {
                Ok(answer) => Some(answer),
                Err(crate::sync::mpsc::TryRecvError::Empty) => return false,
                Err(crate::sync::mpsc::TryRecvError::Disconnected) => None,
            },
            Some(timeout) => match self.answers.recv_timeout(timeout) {
                Ok(answer) => Some(answer),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => None,
            },
        };
        let outcome = answer.and_then(|answer| answer.outcomes.into_iter().next());
        // The pool's green threads were ended with their runtime.
        self.outcome = Some(outcome.unwrap_or(Err(JobError::Cancelled)));
        true
    }

    fn take(&mut self) -> Outcome {
        self.outcome.take().unwrap_or(Err(JobError::Cancelled))
    }
}

fn lock(coming: &Mutex<Coming>) -> crate::sync::MutexGuard<'_, Coming> {
    // Nothing is half done in there when a wait is cancelled.
    coming
        .lock()
        .unwrap_or_else(crate::sync::PoisonError::into_inner)
}

/// A result, of its bytes.
pub(super) fn result<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, JobError> {
    call::decode(bytes).map_err(JobError::Unserialisable)
}

impl<R> fmt::Debug for Job<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}
