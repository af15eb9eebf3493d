//! [`Jobs`].

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{self, Call};
use super::core::{Core, Submission};
use super::error::JobError;
use super::job::{Job, result};
use super::map::{Feed, Imap, ImapUnordered};
use super::pool::Pool;
use super::wire::put_item;
use crate::sync::mpsc;

/// Jobs with options; made by [`Pool::jobs`]. What a [`Pool`] does, this does too.
#[derive(Clone, Copy, Debug)]
#[must_use = "it only says how jobs are to be submitted"]
pub struct Jobs<'pool> {
    pool: &'pool Pool,
    pub(super) options: Options,
}

/// How jobs are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    repeatable: bool,
    timeout: Option<Duration>,
    /// `None`: as it turns out.
    pub chunk_size: Option<usize>,
}

impl<'pool> Jobs<'pool> {
    pub(super) fn new(pool: &'pool Pool) -> Jobs<'pool> {
        Jobs {
            pool,
            options: Options {
                repeatable: false,
                timeout: pool.core().settings.job_timeout,
                chunk_size: None,
            },
        }
    }

    /// These jobs may be done more than once: when their process dies they are begun again in another, as often as
    /// the pool's [`retries`](super::Builder::retries) say.
    pub fn repeatable(mut self) -> Jobs<'pool> {
        self.options.repeatable = true;
        self
    }

    /// How long each job, or each chunk, may take; see [`job_timeout`](super::Builder::job_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Jobs<'pool> {
        self.options.timeout = Some(timeout);
        self
    }

    /// How many jobs of a map travel together, and are done one after the other by one green thread.
    ///
    /// By default that is measured: one as long as they take a millisecond or more, more when they are so small that
    /// travelling would cost more than they do. If one then takes longer, those behind it in its chunk come back when it has
    /// ended, and go to whoever has time; who has jobs that now and then wait for long takes 1. When a process dies, all jobs of the chunks that it has fail.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn chunk_size(mut self, jobs: usize) -> Jobs<'pool> {
        assert!(jobs > 0, "a chunk of no jobs");
        self.options.chunk_size = Some(jobs);
        self
    }

    /// As [`Pool::apply`].
    ///
    /// # Errors
    ///
    /// See [`JobError`].
    pub fn apply<A, R>(self, function: fn(A) -> R, argument: A) -> Result<R, JobError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        /// Whoever is cancelled while it waits cancels the job.
        struct Caller<'a>(&'a Core, u64);
        impl Drop for Caller<'_> {
            fn drop(&mut self) {
                self.0.cancel(self.1);
            }
        }

        let core = self.pool.core();
        let (submission, answers) = self.options.single(core, Call::one(function)?, &argument)?;
        let caller = Caller(core, core.submit(submission)?);
        let answer = answers.recv();
        std::mem::forget(caller);
        let outcome = answer
            .ok()
            .and_then(|answer| answer.outcomes.into_iter().next());
        result(&outcome.unwrap_or(Err(JobError::Cancelled))?)
    }

    /// As [`Pool::spawn`].
    pub fn spawn<A, R>(self, function: fn(A) -> R, argument: A) -> Job<R>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let core = self.pool.core();
        let job = Call::one(function)
            .and_then(|call| self.options.single(core, call, &argument))
            .and_then(|(submission, answers)| Ok((core.submit(submission)?, answers)));
        match job {
            Ok((id, answers)) => Job::submitted(id, core.clone(), answers),
            Err(error) => Job::refused(error),
        }
    }

    /// As [`Pool::map`].
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    pub fn map<A, R>(
        self,
        function: fn(A) -> R,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, JobError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.feed(Call::one(function), items).collect()
    }

    /// As [`Pool::starmap`].
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    pub fn starmap<A, B, R>(
        self,
        function: fn(A, B) -> R,
        items: impl IntoIterator<Item = (A, B)>,
    ) -> Result<Vec<R>, JobError>
    where
        A: Serialize + DeserializeOwned,
        B: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.feed(Call::two(function), items).collect()
    }

    /// As [`Pool::imap`].
    pub fn imap<A, R, I>(self, function: fn(A) -> R, items: I) -> Imap<I::IntoIter, R>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Imap::new(self.feed(Call::one(function), items))
    }

    /// As [`Pool::imap_unordered`].
    pub fn imap_unordered<A, R, I>(
        self,
        function: fn(A) -> R,
        items: I,
    ) -> ImapUnordered<I::IntoIter, R>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        ImapUnordered::new(self.feed(Call::one(function), items))
    }

    fn feed<I: IntoIterator>(self, call: Result<Call, JobError>, items: I) -> Feed<I::IntoIter> {
        Feed::new(
            self.pool.core().clone(),
            self.options,
            call,
            items.into_iter(),
        )
    }
}

impl Options {
    /// One call, and where its answer will come.
    fn single<A: Serialize>(
        &self,
        core: &Core,
        call: Call,
        argument: &A,
    ) -> Result<(Submission, mpsc::Receiver<super::core::Answer>), JobError> {
        let mut arguments = Vec::new();
        put_argument(&mut arguments, argument, core.settings.max_message_size)?;
        let (reply, answers) = mpsc::channel();
        let submission = self.submission(core, call, arguments.into(), 1, reply);
        Ok((submission, answers))
    }

    pub(super) fn submission(
        &self,
        core: &Core,
        call: Call,
        arguments: Arc<[u8]>,
        items: u32,
        reply: mpsc::Sender<super::core::Answer>,
    ) -> Submission {
        Submission {
            call,
            arguments,
            start: 0,
            items,
            tag: 0,
            first: 0,
            reply,
            retries: if self.repeatable {
                core.settings.retries
            } else {
                0
            },
            timeout: self.timeout,
            give_back_after: Duration::ZERO,
        }
    }
}

/// What a job has beside its arguments, at most.
pub(super) const SURPLUS: usize = 64;

/// Appends an argument to those of a chunk. An error: it cannot travel, not even alone.
pub(super) fn put_argument<A: Serialize>(
    arguments: &mut Vec<u8>,
    argument: &A,
    most: usize,
) -> Result<(), JobError> {
    let start = arguments.len();
    put_item(arguments, |arguments| call::append(argument, arguments))
        .map_err(JobError::Unserialisable)?;
    if arguments.len() - start + SURPLUS > most {
        arguments.truncate(start);
        let why = format!("an argument that is larger than {most} bytes");
        return Err(JobError::Unserialisable(why));
    }
    Ok(())
}
