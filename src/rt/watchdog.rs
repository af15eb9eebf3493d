//! The watchdog: tells of a task that keeps its hub, so that no other of that hub can run.
//!
//! One OS thread for the whole process looks at the pulses of all hubs that are driven and watched. While
//! all of them sleep, so does it. `README.md`, section "Reports", has the protocol.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, fence};
use std::thread;
use std::time::Duration;

use super::clock::Instant;
use super::hub::Hub;
use super::mailbox::Mailbox;
use super::pulse::Beat;
use super::report;
use super::shared::Shared;
use super::task::TaskRef;
use crate::sys::activity::Activity;
use crate::sys::fork;
use crate::sys::process;
use crate::sys::sync::{Condvar, Mutex};

/// How often it looks within the shortest limit.
const LOOKS: u32 = 4;
/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);
/// A report that is repeated waits for the time to grow by this factor.
const GROWTH: u32 = 10;
/// How many neighbours are named that may hold a lock.
const NAMES: usize = 10;

/// See the module's text.
struct Monitor {
    list: Mutex<List>,
    changed: Condvar,
    /// It sleeps until it is roused.
    sleeps: AtomicBool,
}

struct List {
    hubs: Vec<Arc<Watched>>,
    /// How long the monitor waits between the looks, unless it sleeps.
    waits: Duration,
    /// The fork generation of the monitor's OS thread.
    started: Option<u32>,
}

/// A hub that is driven.
struct Watched {
    index: usize,
    mailbox: &'static Mailbox,
    runtime: Arc<Shared>,
    thread: i32,
    limit: Duration,
    seen: Mutex<Seen>,
}

/// What the monitor saw when it looked last.
struct Seen {
    runs: u64,
    /// In which run the hub has been at each look, and for how long.
    run: u64,
    lasts: Duration,
    /// When that is reported.
    report_at: Duration,
}

static MONITOR: Monitor = Monitor {
    list: Mutex::new(List {
        hubs: Vec::new(),
        waits: Duration::ZERO,
        started: None,
    }),
    changed: Condvar::new(),
    sleeps: AtomicBool::new(false),
};

/// Watches a hub, which the calling OS thread drives, until the result is dropped.
pub(super) fn watch(hub: &Hub) -> Option<Watch> {
    let limit = hub.runtime().reports.watchdog?;
    let watched = Arc::new(Watched {
        index: hub.index(),
        mailbox: hub.mailbox(),
        runtime: hub.runtime().clone(),
        thread: process::thread_id(),
        limit,
        seen: Mutex::new(Seen::new(limit)),
    });
    MONITOR.add(watched.clone());
    Some(Watch(watched))
}

/// A hub of a watched runtime has ended its sleep.
#[inline]
pub(super) fn hub_wakes() {
    // Pairs with the fence of `rest`: either we see it asleep, or it sees us awake.
    fence(SeqCst);
    if MONITOR.sleeps.load(Relaxed) {
        MONITOR.rouse();
    }
}

/// Keeps a hub watched.
pub(super) struct Watch(Arc<Watched>);

impl Drop for Watch {
    fn drop(&mut self) {
        let mut list = MONITOR.list.lock();
        list.hubs.retain(|hub| !Arc::ptr_eq(hub, &self.0));
    }
}

impl Monitor {
    fn add(&'static self, watched: Arc<Watched>) {
        let mut list = self.list.lock();
        let generation = Some(fork::generation());
        let mut failure = None;
        if list.started != generation {
            // Those that are listed are a parent's.
            list.hubs.clear();
            list.started = generation;
            let monitor = thread::Builder::new().name("sylvan-watchdog".into());
            failure = monitor.spawn(|| self.run()).err();
        }
        list.hubs.push(watched);
        let too_late = list.period() < list.waits;
        drop(list);
        // A logger is user code: not under the lock.
        if let Some(error) = failure {
            log::debug!("the watchdog has no OS thread: {error}");
        }
        if too_late || self.sleeps.load(Relaxed) {
            self.rouse();
        }
    }

    /// Ends the monitor's sleep, whichever it is in.
    #[cold]
    fn rouse(&self) {
        let _list = self.list.lock();
        self.sleeps.store(false, Relaxed);
        self.changed.notify_one();
    }

    /// The monitor's OS thread.
    fn run(&self) {
        let mut quiet = false;
        let mut looked_at = Instant::now();
        loop {
            let (hubs, period) = self.wait(quiet);
            let now = Instant::now();
            // If the whole process was stopped, by a debugger for example, no hub is to blame for that.
            let passed = now.duration_since(looked_at).min(2 * period);
            looked_at = now;
            quiet = true;
            for hub in &hubs {
                quiet &= !hub.has_run();
                hub.look(passed);
            }
        }
    }

    /// Waits for the time of the next look, or, if all is `quiet`, until a hub wakes. Returns the hubs to look
    /// at, and the time between two looks.
    fn wait(&self, quiet: bool) -> (Vec<Arc<Watched>>, Duration) {
        let mut list = self.list.lock();
        if quiet && self.may_rest(&list) {
            while self.sleeps.load(Relaxed) {
                list = self.changed.wait(list);
            }
        } else {
            list.waits = list.period();
            let waits = list.waits;
            list = self.changed.wait_timeout(list, waits).0;
        }
        (list.hubs.clone(), list.period())
    }

    /// Says that the monitor sleeps, if all hubs do.
    fn may_rest(&self, list: &List) -> bool {
        self.sleeps.store(true, Relaxed);
        fence(SeqCst);
        let rests = list.hubs.iter().all(|hub| hub.mailbox.pulse.is_asleep());
        if !rests {
            self.sleeps.store(false, Relaxed);
        }
        rests
    }
}

impl List {
    /// The time between two looks.
    fn period(&self) -> Duration {
        let limits = self.hubs.iter().map(|hub| hub.limit);
        (limits.min().unwrap_or(Duration::MAX) / LOOKS).max(SHORTEST)
    }
}

impl Seen {
    fn new(limit: Duration) -> Seen {
        Seen {
            runs: 0,
            run: 0,
            lasts: Duration::ZERO,
            report_at: limit,
        }
    }
}

impl Watched {
    /// Has a task been resumed since this was asked last?
    fn has_run(&self) -> bool {
        let mut seen = self.seen.lock();
        let runs = self.mailbox.pulse.runs();
        std::mem::replace(&mut seen.runs, runs) != runs
    }

    /// Looks whether the same task still runs, and reports it if that lasts too long.
    fn look(&self, passed: Duration) {
        let beat = self.mailbox.pulse.beat();
        let mut seen = self.seen.lock();
        let Some(beat) = beat.filter(|beat| beat.run == seen.run) else {
            *seen = Seen {
                runs: seen.runs,
                run: beat.map_or(0, |beat| beat.run),
                ..Seen::new(self.limit)
            };
            return;
        };
        seen.lasts += passed;
        let lasts = seen.lasts;
        if lasts < seen.report_at {
            return;
        }
        while seen.report_at <= lasts {
            seen.report_at = seen.report_at.saturating_mul(GROWTH).max(SHORTEST);
        }
        drop(seen);
        self.report(beat, lasts);
    }

    fn report(&self, beat: Beat, lasts: Duration) {
        let Some(task) = self.runtime.find(beat.task) else {
            return;
        };
        let activity = Activity::of_thread(self.thread);
        let candidates = if activity.is_futex() {
            self.neighbours(&task)
        } else {
            Vec::new()
        };
        // It may have suspended by now, and another may have its address.
        if self.mailbox.pulse.beat() != Some(beat) {
            return;
        }
        report::error(format_args!(
            "green thread '{}' (spawned at {}) has kept its hub for {:.1} s without suspending: \
             hub {}, OS thread {}, which {activity}{}",
            task.display_name(),
            task.identity.spawned_at,
            lasts.as_secs_f64(),
            self.index,
            self.thread,
            Candidates(&candidates),
        ));
    }

    /// The other tasks of the hub, which are suspended as long as this one runs.
    fn neighbours(&self, running: &TaskRef) -> Vec<TaskRef> {
        let mut tasks = self.runtime.tasks_at(self.mailbox);
        tasks.retain(|task| task.id() != running.id() && !task.is_complete());
        tasks.sort_by_key(|task| task.id());
        tasks
    }
}

/// Who may hold the lock that a hub's OS thread waits for.
struct Candidates<'tasks>(&'tasks [TaskRef]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str("; if a suspended green thread of that hub holds it, it is one of these:")?;
        for task in self.0.iter().take(NAMES) {
            let place = task.identity.spawned_at;
            write!(f, "\n  '{}' (spawned at {place})", task.display_name())?;
        }
        match self.0.len().saturating_sub(NAMES) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
