//! [`Builder`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{self, Call};
use super::core::Core;
use super::pool::Pool;
use super::{seat, worker};
use crate::rt::{self, Instant};
use crate::sync::mpsc;
use crate::thread;

/// The most bytes of a job's arguments, or of its result, unless the pool was told otherwise.
const MOST_BYTES: usize = 256 << 20;

/// How a pool is to be.
#[derive(Clone)]
pub(super) struct Settings {
    pub processes: usize,
    pub concurrency: usize,
    pub max_jobs_per_process: Option<u64>,
    pub initializer: Option<(Call, Vec<u8>)>,
    pub job_timeout: Option<Duration>,
    pub retries: u32,
    pub start_timeout: Duration,
    pub grace: Duration,
    pub max_message_size: usize,
    /// There is one job and one process: when that dies no other takes its place.
    pub single: bool,
    /// Its one job is the process's whole business: a panic ends it.
    pub alone: bool,
}

/// Makes a [`Pool`]; begun by [`Pool::builder`].
///
/// ```standalone_crate
/// use std::time::Duration;
/// use sylvan::process_pool::{self, Pool};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     process_pool::init();
///     let pool = Pool::builder()
///         .processes(2)
///         .concurrency(32)
///         .job_timeout(Duration::from_secs(10))
///         .build()?;
///     let word = pool.apply(|word: String| word.to_uppercase(), "plain".to_owned())?;
///     assert_eq!(word, "PLAIN");
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Builder {
    settings: Settings,
    /// What was asked for and cannot be had.
    fault: Option<String>,
}

impl Builder {
    /// For one job, which is all that its process is for.
    pub(super) fn single(alone: bool) -> Builder {
        let mut builder = Builder::new().processes(1).concurrency(1);
        (builder.settings.single, builder.settings.alone) = (true, alone);
        builder
    }

    pub(super) fn new() -> Builder {
        let processes = std::thread::available_parallelism().map_or(1, usize::from);
        Builder {
            settings: Settings {
                processes,
                concurrency: 16,
                max_jobs_per_process: None,
                initializer: None,
                job_timeout: None,
                retries: 2,
                start_timeout: Duration::from_secs(30),
                grace: Duration::from_secs(1),
                max_message_size: MOST_BYTES,
                single: false,
                alone: false,
            },
            fault: None,
        }
    }

    /// How many processes there are; by default one for each CPU.
    #[must_use]
    pub fn processes(mut self, processes: usize) -> Builder {
        self.settings.processes = processes;
        self
    }

    /// How many jobs a process has at once, each in a green thread; 16 by default. A process that is busy computing
    /// takes none, whatever this says.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Builder {
        self.settings.concurrency = concurrency;
        self
    }

    /// A process that has had so many jobs is replaced by a new one, when they are done. By default none is. (A
    /// chunk of a map is not divided for it: there may be some more.)
    #[must_use]
    pub fn max_jobs_per_process(mut self, jobs: u64) -> Builder {
        self.settings.max_jobs_per_process = Some(jobs);
        self
    }

    /// What each process calls before its first job. If it panics the process is not used; if the first ones do
    /// [`build`](Self::build) fails.
    #[must_use]
    pub fn initializer<A>(mut self, function: fn(A), argument: A) -> Builder
    where
        A: Serialize + DeserializeOwned,
    {
        let call = Call::one(function).map_err(|error| error.to_string());
        let input = call::encode(&argument);
        match call.and_then(|call| Ok((call, input?))) {
            Ok(initializer) => self.settings.initializer = Some(initializer),
            Err(fault) => self.fault = Some(format!("the initializer: {fault}")),
        }
        self
    }

    /// How long a job may take, from when a process has it. Then it ends with
    /// [`TimedOut`](super::JobError::TimedOut), and its green thread is cancelled; a process that does not answer to
    /// that within a [grace](Self::grace), because it computes, is killed and replaced. By default there is no limit.
    #[must_use]
    pub fn job_timeout(mut self, timeout: Duration) -> Builder {
        self.settings.job_timeout = Some(timeout);
        self
    }

    /// See [`job_timeout`](Self::job_timeout); a second by default.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.settings.grace = grace;
        self
    }

    /// How often a job that is [`repeatable`](super::Jobs::repeatable) is begun again when its process has died; twice by
    /// default.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Builder {
        self.settings.retries = retries;
        self
    }

    /// How long a process may take to be ready, initializer included; 30 seconds by default.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Builder {
        self.settings.start_timeout = timeout;
        self
    }

    /// The most bytes of the arguments, or of the results, of a job or a chunk; 256 MiB by default, and less than
    /// 4 GiB. What is larger is [`Unserialisable`](super::JobError::Unserialisable).
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Builder {
        self.settings.max_message_size = bytes;
        self
    }

    /// Starts the processes, and returns the pool when all of them are ready. Suspends.
    ///
    /// The pool lives in the runtime of its caller, which has a few green threads for it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) in a program with more rights than whoever started it (set-user-ID, or
    /// capabilities of its file): its processes could not believe what they are told;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for zero processes, jobs or bytes; what the operating system says if
    /// it has no more processes or descriptors; what is known of a process that does not become ready, as one whose
    /// `main` does not call [`init`](super::init).
    pub fn build(self) -> io::Result<Pool> {
        worker::refuse_if_forgotten();
        if rt::is_privileged() {
            let why =
                "a program with more rights than whoever started it cannot have a process pool";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        self.check()?;
        let core = Arc::new(Core::new(self.settings));
        // From here on it ends what was begun.
        let pool = Pool::of(core.clone());
        let (sender, started) = mpsc::channel();
        let seats = core.settings.processes;
        for number in 0..seats {
            let (theirs, sender) = (core.clone(), sender.clone());
            let name = format!("pool process {number}");
            let spawned = thread::Builder::new()
                .name(name)
                .spawn(move || seat::attend(&theirs, number, sender));
            if let Err(error) = spawned {
                // Nobody sees to this one and those behind it.
                (number..seats).for_each(|_| core.leave());
                return Err(error);
            }
        }
        drop(sender);
        let clock = core.clone();
        thread::Builder::new()
            .name("pool clock".to_owned())
            .spawn(move || keep_time(&clock))?;
        for result in started {
            result?;
        }
        Ok(pool)
    }

    fn initializer_bytes(&self) -> usize {
        let initializer = self.settings.initializer.as_ref();
        initializer.map_or(0, |(_, input)| input.len())
    }

    fn check(&self) -> io::Result<()> {
        let settings = &self.settings;
        let fault = match &self.fault {
            Some(fault) => fault.as_str(),
            None if settings.processes == 0 => "a pool without processes does nothing",
            None if settings.concurrency == 0 => "a process without jobs does nothing",
            None if settings.max_jobs_per_process == Some(0) => {
                "a process without jobs does nothing"
            }
            None if settings.start_timeout.is_zero() => "no process is ready at once",
            None if self.initializer_bytes() > settings.max_message_size => {
                "the initializer's argument has more bytes than a message may have"
            }
            None if !(1024..1 << 32).contains(&settings.max_message_size) => {
                "the most bytes of a message: 1 KiB to 4 GiB"
            }
            None => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, fault))
    }
}

/// Looks at the clock when a deadline comes, or a new one is there.
fn keep_time(core: &Core) {
    loop {
        core.alarm.clear();
        if core.ended.is_set() {
            return;
        }
        match core.look_at_the_clock() {
            Instant::NEVER => core.alarm.wait(),
            next => {
                core.alarm
                    .wait_timeout(next.saturating_duration_since(Instant::now()));
            }
        }
    }
}
