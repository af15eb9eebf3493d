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
//! `core/state.rs` has what the lock protects and what is done under it, `core/result.rs` reads what a worker answers.

mod result;
mod state;

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Settings;
use super::child::Child;
use super::error::JobError;
use super::stats::{ProcessStats, Stats};
use super::wire::{Kind, Message, Outgoing, Violation};
use crate::rt::{self, Instant};
use crate::sync::Event;
use crate::sync::mpsc::Sender;
use state::{Phase, Place, State};
pub(super) use state::{Submission, TO_STOP, Worker};

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

impl Core {
    pub(super) fn new(settings: Settings) -> Core {
        Core {
            state: rt::Mutex::new(State::new(settings.processes)),
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
        let alarm = state.dispatch(&self.settings);
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
            told.say(&submission, &JobError::Cancelled);
            alarm = state.stop_if_done(&self.settings);
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
        let alarm = state.stop_if_done(&self.settings);
        drop(state);
        self.ring(alarm);
    }

    /// Ends all processes; what was not done is cancelled.
    pub(super) fn terminate(&self) {
        let mut told = Told::default();
        let mut state = self.state.lock();
        state.phase = Phase::Terminated;
        state.counts.cancelled += state.answer_queued(&JobError::Cancelled, &mut told);
        let mut cancelled = 0;
        for worker in state.seats.iter_mut().flatten() {
            for (_, flight) in worker.flights.drain() {
                if !flight.abandoned {
                    cancelled += u64::from(flight.submission.items);
                    told.say(&flight.submission, &JobError::Cancelled);
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
        let alarm = state.stop_if_done(&self.settings);
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
            Kind::Result => state.settle(seat, message, &mut told),
            _ => Err(Violation("a message that only a pool sends")),
        };
        if heard.is_err() {
            state.lose(seat);
        }
        let alarm = state.dispatch(&self.settings) | state.stop_if_done(&self.settings);
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
                told.say(&submission, &JobError::Cancelled);
            } else if submission.retries > 0 && state.phase != Phase::Terminated {
                submission.retries -= 1;
                state.counts.retried += items;
                state.queue.insert(Place::Back(id), submission);
            } else {
                state.counts.failed += items;
                told.say(&submission, &JobError::died(status, words.to_owned()));
            }
        }
        if self.settings.single {
            let died = JobError::died(status, words.to_owned());
            state.counts.failed += state.answer_queued(&died, &mut told);
        }
        let alarm = state.dispatch(&self.settings) | state.stop_if_done(&self.settings);
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
            let not_started = JobError::NotStarted(why.to_owned());
            state.counts.failed += state.answer_queued(&not_started, &mut told);
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
            state.counts.cancelled += state.answer_queued(&JobError::Cancelled, &mut told);
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
                told.say(&flight.submission, &JobError::TimedOut);
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
}

/// Answers, to be told when the lock is free.
#[derive(Default)]
struct Told(Vec<(Sender<Answer>, Answer)>);

impl Told {
    /// None of it will be done, or be waited for.
    fn say(&mut self, submission: &Submission, error: &JobError) {
        let answer = Answer {
            tag: submission.tag,
            first: submission.first,
            outcomes: vec![Err(error.clone()); submission.items as usize],
            took: Duration::ZERO,
        };
        self.0.push((submission.reply.clone(), answer));
    }

    fn tell(self) {
        for (reply, answer) in self.0 {
            // Whoever asked may have left.
            let _left = reply.send(answer);
        }
    }
}
