//! The deadlock report: when nothing is left that could wake a green thread of a runtime.
//!
//! Nothing wakes to look for it. The hub that falls asleep last looks at what all wait for, which the
//! others have published before they fell asleep; only if nothing of that comes from outside of the
//! runtime does it sleep for a second instead of for ever. `README.md`, section "Reports", has the protocol.

use std::mem;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::thread;
use std::time::Duration;

use super::clock::Instant;
use super::current;
use super::holder;
use super::hub::Hub;
use super::report;
use super::shared::Shared;
use super::stuck::{self, Stuck};
use super::task::Run;
use crate::sys::sync::Mutex;

/// For how long nothing must have happened.
const QUIET: Duration = Duration::from_secs(1);

/// What a runtime does about a deadlock; see
/// [`Builder::on_deadlock`](super::Builder::on_deadlock).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum OnDeadlock {
    /// It reports it through `log`, or to standard error where no logger is set.
    #[default]
    Report,
    /// It reports it, and the main green thread panics where it waits; or who would close a circle of those who wait for
    /// locks of each other does, instead of waiting. [`run`](super::Runtime::run) then ends with
    /// that panic, and its message is the first line of the report. A guard that was given to another green thread of its
    /// hub, in an `Rc` say, counts as whose took the lock: a circle that only seems to be one may then be reported.
    ///
    /// Where panics abort, the process ends there. While the main green thread unwinds or is inside of [`mask`](crate::task::mask) it is left alone, as it
    /// is while another one on its hub waits in the midst of a panic.
    Panic,
    /// It does not look for it: for a runtime that is fed by plain OS threads or other runtimes, and often
    /// waits for them and nothing else.
    Ignore,
}

/// What a runtime reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reports {
    pub(super) on_deadlock: OnDeadlock,
    /// How long a task may run without suspending; none: as long as it likes.
    pub(super) watchdog: Option<Duration>,
}

impl Default for Reports {
    fn default() -> Reports {
        Reports {
            on_deadlock: OnDeadlock::default(),
            watchdog: cfg!(debug_assertions).then_some(Duration::from_secs(1)),
        }
    }
}

/// What a runtime knows of its deadlock.
pub(super) struct Deadlock {
    /// How many offloaded jobs are under way.
    jobs: AtomicUsize,
    /// Nothing else could wake a task.
    only_jobs: AtomicBool,
    /// The number of the last inquiry among the hubs.
    inquiry: AtomicU64,
    episode: Mutex<Episode>,
}

/// A time in which nothing runs.
struct Episode {
    /// How many times tasks had been resumed when it began.
    runs: u64,
    since: Instant,
    /// The hubs were asked.
    asked: bool,
    /// How many of them have not answered.
    unanswered: usize,
    stuck: Vec<Stuck>,
    /// The main task can be thrown to.
    main_can_panic: bool,
    /// What it is to panic with.
    message: Option<String>,
}

impl Deadlock {
    pub(super) fn new() -> Deadlock {
        Deadlock {
            jobs: AtomicUsize::new(0),
            only_jobs: AtomicBool::new(false),
            inquiry: AtomicU64::new(0),
            episode: Mutex::new(Episode::new(u64::MAX)),
        }
    }

    /// Does an offloaded job keep the runtime from being quiet? If so, the end of the last one is told.
    fn awaits_jobs(&self) -> bool {
        if self.jobs.load(SeqCst) == 0 {
            return false;
        }
        self.only_jobs.store(true, SeqCst);
        self.jobs.load(SeqCst) > 0
    }
}

impl Episode {
    fn new(runs: u64) -> Episode {
        Episode {
            runs,
            since: Instant::now(),
            asked: false,
            unanswered: 0,
            stuck: Vec::new(),
            main_can_panic: false,
            message: None,
        }
    }
}

impl Shared {
    /// A job that may wake a task of this runtime is offloaded.
    pub(super) fn job_begins(&self) {
        self.deadlock.jobs.fetch_add(1, Relaxed);
    }

    /// It has run, or never will.
    pub(super) fn job_has_ended(&self) {
        let last = self.deadlock.jobs.fetch_sub(1, SeqCst) == 1;
        if last && self.deadlock.only_jobs.swap(false, SeqCst) {
            self.rouse_first();
        }
    }

    /// Is nothing left that could wake a task? All hubs sleep.
    fn is_quiet(&self) -> bool {
        !self.is_closing() && !self.awaits_something() && !self.deadlock.awaits_jobs()
    }
}

/// A hub counts as asleep, as one of so many. Returns when it must look again, if nothing wakes it.
pub(super) fn look(hub: &Hub, sleepers: usize) -> Instant {
    let shared = hub.runtime();
    if shared.reports.on_deadlock == OnDeadlock::Ignore {
        return Instant::NEVER;
    }
    answer(hub);
    if sleepers < shared.hub_count() || !shared.is_quiet() {
        return Instant::NEVER;
    }
    let runs = shared.runs();
    let mut episode = shared.deadlock.episode.lock();
    if episode.runs != runs {
        *episode = Episode::new(runs);
    }
    if episode.asked {
        return Instant::NEVER;
    }
    let due = episode.since + QUIET;
    if Instant::now() < due {
        return due;
    }
    episode.asked = true;
    episode.unanswered = shared.hub_count();
    shared.deadlock.inquiry.fetch_add(1, Release);
    drop(episode);
    shared.rouse_others(hub.index());
    answer(hub);
    Instant::NEVER
}

/// Answers the last inquiry, if it has not been. The last hub to answer speaks for all.
fn answer(hub: &Hub) {
    let shared = hub.runtime();
    let number = shared.deadlock.inquiry.load(Acquire);
    if !hub.is_new_inquiry(number) {
        return;
    }
    let mut stuck = stuck_on(hub);
    let main_can_panic = hub.index() == 0 && main_can_panic(shared);
    let mut episode = shared.deadlock.episode.lock();
    let current = shared.deadlock.inquiry.load(Relaxed) == number;
    if !current || !episode.asked || episode.runs != shared.runs() {
        return;
    }
    episode.stuck.append(&mut stuck);
    episode.main_can_panic |= main_can_panic;
    episode.unanswered -= 1;
    if episode.unanswered > 0 {
        return;
    }
    let stuck = mem::take(&mut episode.stuck);
    let panics = episode.main_can_panic && shared.reports.on_deadlock == OnDeadlock::Panic;
    let runs = episode.runs;
    drop(episode);
    speak(shared, stuck, panics.then_some(runs));
}

/// What the tasks of this hub wait for. All are parked.
fn stuck_on(hub: &Hub) -> Vec<Stuck> {
    let tasks = hub.runtime().tasks_at(hub.mailbox()).into_iter();
    tasks
        .map(|task| Stuck {
            held_by: holder::held_by(&task),
            task,
        })
        .collect()
}

/// Can the main task be thrown to? Asked on its own OS thread.
fn main_can_panic(shared: &Shared) -> bool {
    let main = shared.main.lock().clone();
    // If nobody on this OS thread unwinds, then neither does it.
    main.is_some_and(|main| {
        main.seat.run.get() == Run::Parked && main.scopes.are_unmasked() && !thread::panicking()
    })
}

/// `panics_at`: the main task is to panic, if its episode, which this number of runs names, still lasts.
fn speak(shared: &Shared, stuck: Vec<Stuck>, panics_at: Option<u64>) {
    let main = shared.main.lock().clone();
    let Some(main) = main else {
        return;
    };
    let headline = format!(
        "suspected deadlock: nothing has run for {} s, and nothing is left that could wake a green thread of \
         the runtime that was run at {} ({} in all)",
        QUIET.as_secs(),
        main.identity.spawned_at,
        stuck.len(),
    );
    report::error(format_args!("{headline}{}", stuck::Lines::new(stuck)));
    if let Some(runs) = panics_at {
        let mut episode = shared.deadlock.episode.lock();
        if episode.runs != runs {
            return;
        }
        episode.message = Some(headline);
        drop(episode);
        main.scopes.tell_of_deadlock();
        main.interrupt();
    }
}

/// The running task was told of a deadlock, and is about to suspend. If nothing but itself has run since, it
/// panics.
pub(super) fn panic_if_it_lasts() {
    let Some(hub) = current::hub_of_task() else {
        return;
    };
    let shared = hub.runtime();
    let mut episode = shared.deadlock.episode.lock();
    let message = episode.message.take();
    let lasts = episode.runs.wrapping_add(1) == shared.runs();
    drop(episode);
    if let Some(message) = message.filter(|_| lasts) {
        panic!("{message}");
    }
}
