//! What all parts of a pool share: jobs that wait, processes that have room, and who has what.
//!
//! A *submission* is one message's worth of calls: one, or a chunk of a map. It is in one place at a time: in the
//! queue, or as a *flight* with the worker that has it; and whoever answers it takes it out of there under the lock. So
//! each is answered exactly once, however a result, a death, a cancel and a time-out cross:
//!
//! * a result for what is no flight of that worker breaks the protocol: that worker is ended, and nobody else hears;
//! * the end of a worker takes its flights out, and each is answered, or queued again if it may be repeated; from the
//!   moment on when its end is seen it gets no more;
//! * a result of fewer items than a chunk has takes those out; the others are queued again, before all that is new;
//! * a cancel takes a submission out of the queue; of a flight it only tells the worker, whose answer comes or whose
//!   death does;
//! * a time-out answers and leaves the flight behind, `abandoned`, to hold the place until the worker has answered. One
//!   that does not is ended: it computes, or is stopped. So is one that does not end when it was told to.
//!
//! A worker gets a job only in answer to a pull; of those who have asked, the one with the fewest flights does. (A job
//! of several frames takes long to arrive, and only then does its worker ask again. So that a small one may overtake it,
//! one more job is sent for the same pull.) What is to be told to others is collected under the lock and told after it.
//!
//! The file is longer than others because all of this is one lock's worth: who reads the rules above finds them kept here.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Settings;
use super::call::{self, Call};
use super::child::Child;
use super::error::JobError;
use super::stats::{ProcessStats, Stats};
use super::wire::{
    FAILURE, FRAGMENT, Failure, JobHead, Kind, Message, Outgoing, ResultHead, VALUE, Violation,
    skip_items, take_item,
};
use crate::rt::{self, Instant};
use crate::sync::Event;
use crate::sync::mpsc::Sender;

/// How long one that was told to stop may take.
pub(super) const TO_STOP: Duration = Duration::from_secs(5);

/// What a call gave: its result as bytes, or why there is none.
pub(super) type Outcome = Result<Vec<u8>, JobError>;

/// What is said of some calls of a submission.
pub(super) struct Answer {
    /// That of the submission.
    pub tag: u64,
    /// The number of the first, as the submission counts them.
    pub first: u64,
    pub outcomes: Vec<Outcome>,
    /// How long they took; zero if that is not known.
    pub took: Duration,
}

/// See the module's text.
pub(super) struct Submission {
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
struct Flight {
    submission: Submission,
    deadline: Instant,
    cancelled: bool,
    /// It was answered: its time is over.
    abandoned: bool,
}

/// A process at work.
pub(super) struct Worker {
    pub child: Arc<Child>,
    pub outbox: Sender<Outgoing>,
    flights: HashMap<u64, Flight>,
    /// It has asked for a job.
    wants: bool,
    /// It has asked for the one that is large and takes long to arrive: another may overtake that.
    wants_more: bool,
    /// It was told that no more jobs come, and has until then to end.
    stopping: bool,
    stop_by: Instant,
    /// It has ended, or broken the protocol, as far as is known.
    is_lost: bool,
    /// How many jobs it was sent, and how many it has answered.
    sent: u64,
    answered: u64,
}

impl Worker {
    pub(super) fn new(child: Arc<Child>, outbox: Sender<Outgoing>) -> Worker {
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

    fn say(&self, message: Outgoing) {
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
enum Place {
    Back(u64),
    New(u64),
}

struct State {
    phase: Phase,
    queue: BTreeMap<Place, Submission>,
    /// One for each process there should be.
    seats: Vec<Option<Worker>>,
    /// Processes that are not ready yet, by their seats.
    starting: Vec<Option<Arc<Child>>>,
    next_id: u64,
    /// How many seats have somebody who sees to them.
    attended: usize,
    /// How the last process ended that has.
    last_status: Option<ExitStatus>,
    counts: Stats,
}

/// See the module's text.
pub(super) struct Core {
    pub settings: Settings,
    state: rt::Mutex<State>,
    /// Nobody is at any seat any more, and nobody will be.
    pub ended: Event,
    /// The pool was terminated: who waits before trying again need not.
    pub terminated: Event,
    /// There is a deadline that is earlier than those that were there.
    pub alarm: Event,
}

/// Answers, to be told when the lock is free.
#[derive(Default)]
struct Told(Vec<(Sender<Answer>, Answer)>);

impl Told {
    fn say(&mut self, submission: Submission, outcome: &Outcome) {
        let answer = Answer {
            tag: submission.tag,
            first: submission.first,
            outcomes: vec![outcome.clone(); submission.items as usize],
            took: Duration::ZERO,
        };
        self.0.push((submission.reply, answer));
    }

    fn tell(self) {
        for (reply, answer) in self.0 {
            // Whoever asked may have left.
            let _left = reply.send(answer);
        }
    }
}

impl Core {
    pub(super) fn new(settings: Settings) -> Core {
        let seats = (0..settings.processes).map(|_| None).collect();
        Core {
            state: rt::Mutex::new(State {
                phase: Phase::Open,
                queue: BTreeMap::new(),
                starting: (0..settings.processes).map(|_| None).collect(),
                seats,
                next_id: 1,
                attended: settings.processes,
                last_status: None,
                counts: Stats::default(),
            }),
            settings,
            ended: Event::new(),
            terminated: Event::new(),
            alarm: Event::new(),
        }
    }

    // ---- for those who have jobs

    /// Takes a submission in. Its number is for [`cancel`](Self::cancel).
    pub(super) fn submit(&self, submission: Submission) -> Result<u64, JobError> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(JobError::Closed);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.counts.submitted += u64::from(submission.items);
        state.queue.insert(Place::New(id), submission);
        let alarm = self.dispatch(&mut state);
        drop(state);
        self.ring(alarm);
        Ok(id)
    }

    /// See the module's text.
    pub(super) fn cancel(&self, id: u64) {
        let mut told = Told::default();
        let mut alarm = false;
        let mut state = self.state.lock();
        let new = state.queue.remove(&Place::New(id));
        if let Some(submission) = new.or_else(|| state.queue.remove(&Place::Back(id))) {
            state.counts.cancelled += u64::from(submission.items);
            told.say(submission, &Err(JobError::Cancelled));
            alarm = self.stop_if_done(&mut state);
        }
        for worker in state.seats.iter_mut().flatten() {
            if let Some(flight) = worker.flights.get_mut(&id)
                && !flight.cancelled
            {
                flight.cancelled = true;
                worker.say(Outgoing::bare(Kind::Cancel, id));
            }
        }
        drop(state);
        self.ring(alarm);
        told.tell();
    }

    /// Takes no more jobs; those that were taken are done.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.phase = state.phase.max(Phase::Closed);
        let alarm = self.stop_if_done(&mut state);
        drop(state);
        self.ring(alarm);
    }

    /// Ends all processes; what was not done is cancelled.
    pub(super) fn terminate(&self) {
        let mut told = Told::default();
        let mut state = self.state.lock();
        state.phase = Phase::Terminated;
        for submission in std::mem::take(&mut state.queue).into_values() {
            state.counts.cancelled += u64::from(submission.items);
            told.say(submission, &Err(JobError::Cancelled));
        }
        let mut cancelled = 0;
        for worker in state.seats.iter_mut().flatten() {
            for (_, flight) in worker.flights.drain() {
                if !flight.abandoned {
                    cancelled += u64::from(flight.submission.items);
                    told.say(flight.submission, &Err(JobError::Cancelled));
                }
            }
            worker.stopping = true;
            worker.child.kill();
        }
        state
            .starting
            .iter()
            .flatten()
            .for_each(|child| child.kill());
        state.counts.cancelled += cancelled;
        drop(state);
        self.terminated.set();
        self.alarm.set();
        told.tell();
    }

    /// Ends the processes that there are, and leaves it at that.
    pub(super) fn kill(&self) {
        for worker in self.state.lock().seats.iter().flatten() {
            worker.child.kill();
        }
    }

    /// How the last process ended that has.
    pub(super) fn last_status(&self) -> Option<ExitStatus> {
        self.state.lock().last_status
    }

    /// The number of some process that is alive.
    pub(super) fn any_pid(&self) -> Option<u32> {
        let state = self.state.lock();
        state
            .seats
            .iter()
            .flatten()
            .map(|worker| worker.child.id())
            .next()
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.state.lock();
        let mut stats = state.counts.clone();
        stats.queued = state.queue.values().map(|it| u64::from(it.items)).sum();
        for worker in state.seats.iter().flatten() {
            let flights = worker.flights.values();
            let running = flights
                .map(|flight| u64::from(flight.submission.items))
                .sum();
            stats.running += running;
            stats.processes.push(ProcessStats {
                pid: worker.child.id(),
                running,
                answered: worker.answered,
            });
        }
        stats
    }

    // ---- for those who see to a seat

    /// A process was started for this seat, and is not ready yet. `false`: it is not to be.
    pub(super) fn starts(&self, seat: usize, child: Arc<Child>) -> bool {
        let mut state = self.state.lock();
        state.starting[seat] = Some(child);
        state.phase != Phase::Terminated
    }

    /// It is ready, or will never be.
    pub(super) fn has_started(&self, seat: usize) {
        self.state.lock().starting[seat] = None;
    }

    /// Somebody works at this seat now. `false`: nobody is to.
    pub(super) fn sit_down(&self, seat: usize, worker: Worker) -> bool {
        let mut state = self.state.lock();
        state.counts.started += 1;
        if state.phase == Phase::Terminated {
            return false;
        }
        state.seats[seat] = Some(worker);
        let alarm = self.stop_if_done(&mut state);
        drop(state);
        self.ring(alarm);
        true
    }

    /// What the worker of this seat has sent.
    pub(super) fn hear(&self, seat: usize, message: Message) -> Result<(), Violation> {
        let mut told = Told::default();
        let mut state = self.state.lock();
        let heard = match message.kind {
            Kind::Pull => {
                state.pull(seat);
                Ok(())
            }
            Kind::Result => self.settle(&mut state, seat, message, &mut told),
            _ => Err(Violation("a message that only a pool sends")),
        };
        if heard.is_err() {
            state.lose(seat);
        }
        let alarm = self.dispatch(&mut state) | self.stop_if_done(&mut state);
        drop(state);
        self.ring(alarm);
        told.tell();
        heard
    }

    /// Nothing more will be heard from the worker of this seat: it is to get no more jobs.
    pub(super) fn lose(&self, seat: usize) {
        self.state.lock().lose(seat);
    }

    /// Whoever worked at this seat has ended, so, and after these last words. Returns whether it had done anything.
    pub(super) fn stand_up(&self, seat: usize, status: Option<ExitStatus>, words: &str) -> bool {
        let mut told = Told::default();
        let mut state = self.state.lock();
        let Some(worker) = state.seats[seat].take() else {
            return false;
        };
        state.last_status = status;
        if !worker.stopping {
            state.counts.died += 1;
        }
        for (id, flight) in worker.flights {
            let mut submission = flight.submission;
            let items = u64::from(submission.items);
            if flight.abandoned {
                continue;
            }
            if flight.cancelled {
                state.counts.cancelled += items;
                told.say(submission, &Err(JobError::Cancelled));
            } else if submission.retries > 0 && state.phase != Phase::Terminated {
                submission.retries -= 1;
                state.counts.retried += items;
                state.queue.insert(Place::Back(id), submission);
            } else {
                state.counts.failed += items;
                told.say(submission, &Err(JobError::died(status, words.to_owned())));
            }
        }
        if self.settings.single {
            for submission in std::mem::take(&mut state.queue).into_values() {
                state.counts.failed += u64::from(submission.items);
                told.say(submission, &Err(JobError::died(status, words.to_owned())));
            }
        }
        let alarm = self.dispatch(&mut state) | self.stop_if_done(&mut state);
        drop(state);
        self.ring(alarm);
        told.tell();
        worker.answered > 0
    }

    /// No process can be started for this seat, and that not for the first time. If there is nobody at another, jobs
    /// need not wait.
    pub(super) fn give_up(&self, why: &str) {
        let mut told = Told::default();
        let mut state = self.state.lock();
        if state.seats.iter().flatten().next().is_none() {
            for submission in std::mem::take(&mut state.queue).into_values() {
                state.counts.failed += u64::from(submission.items);
                told.say(submission, &Err(JobError::NotStarted(why.to_owned())));
            }
        }
        drop(state);
        told.tell();
    }

    /// Was the worker of this seat told that no more jobs come?
    pub(super) fn is_stopping(&self, seat: usize) -> bool {
        let state = self.state.lock();
        state.seats[seat]
            .as_ref()
            .is_none_or(|worker| worker.stopping)
    }

    /// Is another to work at a seat that is empty now?
    pub(super) fn is_needed(&self) -> bool {
        let state = self.state.lock();
        if self.settings.single && state.counts.started > 0 {
            return false;
        }
        match state.phase {
            Phase::Open => true,
            Phase::Closed => !state.queue.is_empty(),
            Phase::Terminated => false,
        }
    }

    /// Whoever saw to a seat does so no more.
    pub(super) fn leave(&self) {
        let mut told = Told::default();
        let mut state = self.state.lock();
        state.attended -= 1;
        let last = state.attended == 0;
        if last {
            // Only if they were cancelled is anything left.
            state.phase = Phase::Terminated;
            for submission in std::mem::take(&mut state.queue).into_values() {
                state.counts.cancelled += u64::from(submission.items);
                told.say(submission, &Err(JobError::Cancelled));
            }
        }
        drop(state);
        told.tell();
        if last {
            self.ended.set();
            self.terminated.set();
            self.alarm.set();
        }
    }

    // ---- for the clock

    /// Answers what has run out of time, and ends workers that say nothing of it. Returns when to look again.
    pub(super) fn look_at_the_clock(&self) -> Instant {
        let now = Instant::now();
        let mut next = Instant::NEVER;
        let mut told = Told::default();
        let mut timed_out = 0;
        let mut state = self.state.lock();
        for worker in state.seats.iter_mut().flatten() {
            if worker.stop_by <= now {
                worker.child.kill();
                worker.stop_by = Instant::NEVER;
            }
            next = next.min(worker.stop_by);
            for (id, flight) in &mut worker.flights {
                if flight.deadline > now {
                    next = next.min(flight.deadline);
                    continue;
                }
                if flight.abandoned {
                    // It computes, or is stopped, or does not end when it is told to.
                    worker.child.kill();
                    flight.deadline = Instant::NEVER;
                    continue;
                }
                // If nobody writes any more its end is near.
                let _gone = worker.outbox.send(Outgoing::bare(Kind::Cancel, *id));
                flight.abandoned = true;
                flight.deadline = Instant::after(self.settings.grace);
                next = next.min(flight.deadline);
                timed_out += u64::from(flight.submission.items);
                let submission = &flight.submission;
                let answer = Answer {
                    tag: submission.tag,
                    first: submission.first,
                    outcomes: vec![Err(JobError::TimedOut); submission.items as usize],
                    took: Duration::ZERO,
                };
                told.0.push((submission.reply.clone(), answer));
            }
        }
        state.counts.timed_out += timed_out;
        drop(state);
        told.tell();
        next
    }

    fn ring(&self, alarm: bool) {
        if alarm {
            self.alarm.set();
        }
    }

    // ---- under the lock

    /// Gives jobs to those who have asked. Returns whether the clock has something new to look at.
    fn dispatch(&self, state: &mut State) -> bool {
        let mut alarm = false;
        while !state.queue.is_empty() {
            let asking = state.seats.iter_mut().flatten();
            let asking = asking.filter(|worker| worker.may_have_more(&self.settings));
            let Some(worker) = asking.min_by_key(|worker| worker.flights.len()) else {
                break;
            };
            let Some((Place::Back(id) | Place::New(id), submission)) = state.queue.pop_first()
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
            let deadline = submission.timeout.map_or(Instant::NEVER, Instant::after);
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
    fn settle(
        &self,
        state: &mut State,
        seat: usize,
        message: Message,
        told: &mut Told,
    ) -> Result<(), Violation> {
        let Some(worker) = &mut state.seats[seat] else {
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
        let submission = &flight.submission;
        let mut items = &message.body[..];
        let head: ResultHead =
            call::decode_head(&mut items).ok_or(Violation("a result without a head"))?;
        let may_be_fewer = head.items > 0;
        if head.items > submission.items || (head.items < submission.items && !may_be_fewer) {
            return Err(Violation("a result of a wrong number of items"));
        }
        let mut outcomes = Vec::with_capacity(head.items as usize);
        for _ in 0..head.items {
            outcomes.push(match take_item(&mut items)?.split_first() {
                Some((&VALUE, value)) => Ok(value.to_vec()),
                Some((&FAILURE, failure)) => {
                    let failure: Failure =
                        call::decode(failure).map_err(|_| Violation("a failure that is none"))?;
                    Err(JobError::of(failure))
                }
                _ => return Err(Violation("an item that is none")),
            });
        }
        if !items.is_empty() {
            return Err(Violation("a result with more than its items"));
        }

        let Some(flight) = worker.flights.remove(&message.id) else {
            return Ok(());
        };
        worker.answered += u64::from(head.items);
        let mut submission = flight.submission;
        if !flight.abandoned {
            for outcome in &outcomes {
                match outcome {
                    Ok(_) => state.counts.succeeded += 1,
                    Err(JobError::Cancelled) => state.counts.cancelled += 1,
                    Err(_) => state.counts.failed += 1,
                }
            }
            let answer = Answer {
                tag: submission.tag,
                first: submission.first,
                outcomes,
                took: Duration::from_nanos(head.nanoseconds),
            };
            told.0.push((submission.reply.clone(), answer));
            if head.items < submission.items {
                let done = skip_items(
                    &submission.arguments[submission.start..],
                    head.items as usize,
                );
                submission.start += done;
                submission.first += u64::from(head.items);
                submission.items -= head.items;
                if flight.cancelled {
                    state.counts.cancelled += u64::from(submission.items);
                    told.say(submission, &Err(JobError::Cancelled));
                } else {
                    state.queue.insert(Place::Back(message.id), submission);
                }
            }
        }
        Ok(())
    }

    /// Tells those who have nothing to do, and will have nothing, that they may go. Returns whether the clock has something
    /// new to look at.
    fn stop_if_done(&self, state: &mut State) -> bool {
        let mut alarm = false;
        let nothing_comes = state.phase == Phase::Closed && state.queue.is_empty();
        for worker in state.seats.iter_mut().flatten() {
            let done = nothing_comes || worker.has_had_enough(&self.settings);
            if done && worker.flights.is_empty() && !worker.stopping {
                worker.stopping = true;
                worker.stop_by = Instant::after(TO_STOP);
                alarm = true;
                worker.say(Outgoing::bare(Kind::Stop, 0));
            }
        }
        alarm
    }
}

impl State {
    fn lose(&mut self, seat: usize) {
        if let Some(worker) = &mut self.seats[seat] {
            worker.is_lost = true;
        }
    }

    fn pull(&mut self, seat: usize) {
        if let Some(worker) = &mut self.seats[seat] {
            (worker.wants, worker.wants_more) = (true, false);
        }
    }
}
