//! What the lock of a pool protects, and what is done under it.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Told, result};
use crate::process_pool::builder::Settings;
use crate::process_pool::call::{self, Call};
use crate::process_pool::child::Child;
use crate::process_pool::error::JobError;
use crate::process_pool::stats::Stats;
use crate::process_pool::wire::{
    FRAGMENT, JobHead, Kind, Message, Outgoing, Violation, skip_items,
};
use crate::rt::Instant;
use crate::sync::mpsc::Sender;

/// How long one that was told to stop may take.
pub(in crate::process_pool) const TO_STOP: Duration = Duration::from_secs(5);

/// One message's worth of calls.
pub(in crate::process_pool) struct Submission {
    pub call: Call,
    /// The arguments, as the wire has them; those before `start` are done.
    pub arguments: Arc<[u8]>,
    pub start: usize,
    pub items: u32,
    /// For whoever submits several: what it is called, and the number of the first of its items.
    pub tag: u64,
    pub first: u64,
    pub reply: Sender<Answer>,
    /// How often it may be done again after its worker has died.
    pub retries: u32,
    pub timeout: Option<Duration>,
    /// After how long what was not begun is to come back. Zero: never.
    pub give_back_after: Duration,
}

/// A submission that a worker has.
pub(super) struct Flight {
    pub(super) submission: Submission,
    pub(super) deadline: Instant,
    pub(super) cancelled: bool,
    /// It was answered: its time is over.
    pub(super) abandoned: bool,
}

/// A process at work.
pub(in crate::process_pool) struct Worker {
    pub child: Arc<Child>,
    pub outbox: Sender<Outgoing>,
    pub(super) flights: HashMap<u64, Flight>,
    /// It has asked for a job.
    wants: bool,
    /// It has asked for the one that is large and takes long to arrive: another may overtake that.
    wants_more: bool,
    /// It was told that no more jobs come, and has until then to end.
    pub(super) stopping: bool,
    pub(super) stop_by: Instant,
    /// It has ended, or broken the protocol, as far as is known.
    pub(super) is_lost: bool,
    /// How many jobs it was sent, and how many it has answered.
    sent: u64,
    pub(super) answered: u64,
}

impl Worker {
    pub(in crate::process_pool) fn new(child: Arc<Child>, outbox: Sender<Outgoing>) -> Worker {
        Worker {
            child,
            outbox,
            flights: HashMap::new(),
            wants: false,
            wants_more: false,
            stopping: false,
            stop_by: Instant::NEVER,
            is_lost: false,
            sent: 0,
            answered: 0,
        }
    }

    /// Has it asked, and is it to have more?
    fn may_have_more(&self, settings: &Settings) -> bool {
        let has_room = self.flights.len() < settings.concurrency;
        // One that has not answered to a time-out may be about to be ended.
        let is_sound = !self.is_lost && !self.flights.values().any(|flight| flight.abandoned);
        self.wants && has_room && is_sound && !self.stopping && !self.has_had_enough(settings)
    }

    fn has_had_enough(&self, settings: &Settings) -> bool {
        let most = settings.max_jobs_per_process;
        most.is_some_and(|most| self.sent >= most)
    }

    pub(super) fn say(&self, message: Outgoing) {
        // If nobody writes any more the worker's end is near, and its flights are answered then.
        let _gone = self.outbox.send(message);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    Open,
    /// No new jobs.
    Closed,
    /// No jobs at all.
    Terminated,
}

/// Where a submission stands in the queue: what comes back goes before what is new, and all by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    Back(u64),
    New(u64),
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) queue: BTreeMap<Place, Submission>,
    /// One for each process there should be.
    pub(super) seats: Vec<Option<Worker>>,
    /// Processes that are not ready yet, by their seats.
    pub(super) starting: Vec<Option<Arc<Child>>>,
    pub(super) next_id: u64,
    /// How many seats have somebody who sees to them.
    pub(super) attended: usize,
    /// How the last process ended that has.
    pub(super) last_status: Option<ExitStatus>,
    pub(super) counts: Stats,
}

impl State {
    pub(super) fn new(processes: usize) -> State {
        State {
            phase: Phase::Open,
            queue: BTreeMap::new(),
            seats: (0..processes).map(|_| None).collect(),
            starting: (0..processes).map(|_| None).collect(),
            next_id: 1,
            attended: processes,
            last_status: None,
            counts: Stats::default(),
        }
    }

    /// Nothing that waits will be done. Returns how many calls that are.
    pub(super) fn answer_queued(&mut self, error: &JobError, told: &mut Told) -> u64 {
        let mut items = 0;
        for submission in std::mem::take(&mut self.queue).into_values() {
            items += u64::from(submission.items);
            told.say(&submission, error);
        }
        items
    }

    /// Gives jobs to those who have asked. Returns whether the clock has something new to look at.
    pub(super) fn dispatch(&mut self, settings: &Settings) -> bool {
        let mut alarm = false;
        while !self.queue.is_empty() {
            let asking = self.seats.iter_mut().flatten();
            let asking = asking.filter(|worker| worker.may_have_more(settings));
            let Some(worker) = asking.min_by_key(|worker| worker.flights.len()) else {
                break;
            };
            let Some((Place::Back(id) | Place::New(id), submission)) = self.queue.pop_first()
            else {
                break;
            };
            let is_large = submission.arguments.len() - submission.start > FRAGMENT;
            worker.wants_more = is_large && !worker.wants_more;
            worker.wants = worker.wants_more;
            worker.sent += u64::from(submission.items);
            let head = JobHead {
                call: submission.call,
                items: submission.items,
                give_back_after: submission.give_back_after.as_nanos() as u64,
            };
            // It is made of numbers, and numbers can be written.
            let head = call::encode(&head).unwrap_or_default();
            let message = Outgoing::new(Kind::Job, id, head, submission.arguments.clone());
            worker.say(message.skip(submission.start));
            let deadline = submission.timeout.map_or(Instant::NEVER, Instant::limit);
            alarm |= deadline != Instant::NEVER;
            let flight = Flight {
                submission,
                deadline,
                cancelled: false,
                abandoned: false,
            };
            worker.flights.insert(id, flight);
        }
        alarm
    }

    /// A result has come.
    pub(super) fn settle(
        &mut self,
        seat: usize,
        message: Message,
        told: &mut Told,
    ) -> Result<(), Violation> {
        let Some(worker) = &mut self.seats[seat] else {
            // Terminated meanwhile.
            return Ok(());
        };
        let Some(flight) = worker.flights.get(&message.id) else {
            // What was terminated has no flights, and its late words do no harm.
            return match worker.stopping {
                true => Ok(()),
                false => Err(Violation("a result of no job that it has")),
            };
        };
        let answered = result::read(&message.body, flight.submission.items)?;
        let Some(flight) = worker.flights.remove(&message.id) else {
            return Ok(());
        };
        let done = answered.outcomes.len();
        worker.answered += done as u64;
        let mut submission = flight.submission;
        if !flight.abandoned {
            for outcome in &answered.outcomes {
                match outcome {
                    Ok(_) => self.counts.succeeded += 1,
                    Err(JobError::Cancelled) => self.counts.cancelled += 1,
                    Err(_) => self.counts.failed += 1,
                }
            }
            let answer = Answer {
                tag: submission.tag,
                first: submission.first,
                outcomes: answered.outcomes,
                took: answered.took,
            };
            told.0.push((submission.reply.clone(), answer));
            if done < submission.items as usize {
                submission.start += skip_items(&submission.arguments[submission.start..], done);
                submission.first += done as u64;
                submission.items -= done as u32;
                if flight.cancelled {
                    self.counts.cancelled += u64::from(submission.items);
                    told.say(&submission, &JobError::Cancelled);
                } else {
                    self.queue.insert(Place::Back(message.id), submission);
                }
            }
        }
        Ok(())
    }

    /// Tells those who have nothing to do, and will have nothing, that they may go. Returns whether the clock has something
    /// new to look at.
    pub(super) fn stop_if_done(&mut self, settings: &Settings) -> bool {
        let mut alarm = false;
        let nothing_comes = self.phase == Phase::Closed && self.queue.is_empty();
        for worker in self.seats.iter_mut().flatten() {
            let done = nothing_comes || worker.has_had_enough(settings);
            if done && worker.flights.is_empty() && !worker.stopping {
                worker.stopping = true;
                worker.stop_by = Instant::after(TO_STOP);
                alarm = true;
                worker.say(Outgoing::bare(Kind::Stop, 0));
            }
        }
        alarm
    }

    pub(super) fn lose(&mut self, seat: usize) {
        if let Some(worker) = &mut self.seats[seat] {
            worker.is_lost = true;
        }
    }

    pub(super) fn pull(&mut self, seat: usize) {
        if let Some(worker) = &mut self.seats[seat] {
            (worker.wants, worker.wants_more) = (true, false);
        }
    }
}
