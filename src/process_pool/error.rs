//! [`JobError`].

use std::error::Error;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::wire::Failure;

/// Why there is no result of a job. Every job that was submitted ends with its result or with one of these, once.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JobError {
    /// The function panicked; its process goes on.
    Panicked {
        /// What it said.
        message: String,
        /// Where, if the process was told to find out (`RUST_BACKTRACE`).
        backtrace: Option<String>,
    },
    /// The process ended while it had the job: it was killed, exited, or was ended because it broke the protocol or
    /// did not answer. The job may have been done in part, or whole.
    WorkerDied {
        /// The signal by which it ended.
        signal: Option<i32>,
        /// The status with which it exited.
        status: Option<i32>,
        /// The last that it wrote to standard error, and what the pool has to say.
        stderr_tail: String,
    },
    /// The time for it was over. The green thread that ran it was cancelled.
    TimedOut,
    /// It was cancelled, or its pool was terminated.
    Cancelled,
    /// The argument or the result cannot travel: what of it, and why.
    Unserialisable(String),
    /// The pool takes no jobs any more.
    Closed,
    /// It could not be begun, for no process could be started to do it, again and again, or a process had no memory for
    /// its stack: why.
    NotStarted(String),
}

impl JobError {
    pub(super) fn of(failure: Failure) -> JobError {
        match failure {
            Failure::Panicked(message, backtrace) => JobError::Panicked { message, backtrace },
            Failure::Cancelled => JobError::Cancelled,
            Failure::Unserialisable(why) => JobError::Unserialisable(why),
            Failure::Unknown => JobError::Unserialisable(
                "the function is not in the program's own image".to_owned(),
            ),
            Failure::NoStack => JobError::NotStarted("there is no memory for its stack".to_owned()),
        }
    }

    pub(super) fn died(status: Option<ExitStatus>, stderr_tail: String) -> JobError {
        JobError::WorkerDied {
            signal: status.and_then(|status| status.signal()),
            status: status.and_then(|status| status.code()),
            stderr_tail,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Panicked { message, .. } => write!(f, "the job panicked: {message}"),
            JobError::WorkerDied {
                signal,
                status,
                stderr_tail,
            } => {
                f.write_str("the process that had the job ")?;
                match (signal, status) {
                    (Some(signal), _) => write!(f, "was ended by signal {signal}")?,
                    (None, Some(status)) => write!(f, "exited with status {status}")?,
                    (None, None) => f.write_str("ended")?,
                }
                if !stderr_tail.is_empty() {
                    write!(f, "; its last words: {}", stderr_tail.trim_end())?;
                }
                Ok(())
            }
            JobError::TimedOut => f.write_str("the time for the job was over"),
            JobError::Cancelled => f.write_str("the job was cancelled"),
            JobError::Unserialisable(why) => write!(f, "it cannot travel: {why}"),
            JobError::Closed => f.write_str("the pool is closed"),
            JobError::NotStarted(why) => write!(f, "the job could not be started: {why}"),
        }
    }
}

impl Error for JobError {}
