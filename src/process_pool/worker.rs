//! What a process of a pool does: it makes the calls that come, each in a green thread of its own.
//!
//! It runs on one hub. The *reader*, its main green thread, takes messages and spawns jobs. After each it lets all
//! others have a turn before it asks for the next job: so a process that is busy computing asks for none, and those
//! that are idle get them.
//!
//! An OS thread waits for the end of the link, which is the end of the parent or the parent's wish, and ends the process
//! at once, whatever it is doing.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem, thread as os_thread};

use super::call::{self, Callee};
use super::child;
use super::error::JobError;
use super::link::{Link, invalid};
use super::wire::{
    Assembly, FAILURE, Failure, Hello, JobHead, Kind, Message, Outgoing, Ready, ResultHead, VALUE,
    VERSION, put_item, take_item,
};
use crate::rt::{self, Image, Instant};
use crate::runtime::Runtime;
use crate::signal::{Signal, Signals};
use crate::sync::mpsc::{self, Sender};
use crate::thread::{self, LocalJoinHandle};

/// The statuses with which a process exits that could not work.
pub(super) const NO_INIT: i32 = 70;
const FAILED: i32 = 71;
const ORPHAN: i32 = 72;
/// As that of a Rust program whose main panics.
const PANICKED: i32 = 101;

/// What a result has beside its items, at most; and a failure beside its words.
const SURPLUS: usize = 64;
/// Room for a failure, of whose words as many are kept as fit.
const FAILURE_BYTES: usize = 512;

/// The most bytes of results that an automatic chunk has before the rest of it is given back.
const ENOUGH_BYTES: usize = 1 << 20;

/// Makes this program able to be a process of a pool: to be called at the top of `main`, before all else.
///
/// In a process that a [`Pool`](super::Pool), a [`Worker`](super::Worker) or a [`Process`](super::Process) has started
/// it never returns. Everywhere else it returns at once and does nothing.
///
/// ```no_run
/// fn main() -> std::io::Result<()> {
///     sylvan::process_pool::init();
///     // What the program does.
/// #   Ok(())
/// }
/// ```
///
/// In a test binary libtest has the `main`. There a test stands for it, and
/// [`use_test_entry`](super::use_test_entry) names it.
pub fn init() {
    match child::take_link() {
        Ok(None) if child::is_lost() && rt::is_privileged() => fail(
            "a program with more rights than whoever started it does not do what it is told to",
        ),
        Ok(None) => {}
        Ok(Some(link)) => serve(Link::from(link)),
        Err(error) => fail(&format!("the link to the parent cannot be used: {error}")),
    }
}

/// Ends the process if it is one of a pool's and has not called [`init`]: it would start processes that do the same.
pub(super) fn refuse_if_forgotten() {
    if child::is_lost() {
        eprintln!(
            "sylvan: this process was started for a process pool, but did not call \
             sylvan::process_pool::init() at the top of its main, before all else"
        );
        process::exit(NO_INIT);
    }
}

fn fail(why: &str) -> ! {
    eprintln!("sylvan: a process of a pool ends: {why}");
    process::exit(FAILED);
}

/// The life of a process of a pool.
fn serve(link: Link) -> ! {
    let link = Arc::new(link);
    let watched = link.clone();
    let watch = move || {
        // An error as well: who cannot see the end must not outlive it.
        let _ended = rt::wait_for_hangup(std::os::fd::AsFd::as_fd(&*watched));
        rt::exit_at_once(ORPHAN);
    };
    let thread = os_thread::Builder::new().name("sylvan-parent".to_owned());
    if let Err(error) = thread.spawn(watch) {
        fail(&format!("no thread can be started: {error}"));
    }
    keep_panics_of_jobs();
    // Jobs may well compute for long.
    let runtime = Runtime::builder().no_watchdog().build();
    let done = runtime.and_then(|runtime| runtime.run(move || work(&link)));
    match done {
        Ok(()) => process::exit(0),
        Err(error) => fail(&error.to_string()),
    }
}

/// Reads and does what is read until the pool says that nothing more will come.
fn work(link: &Arc<Link>) -> io::Result<()> {
    // ^C goes to all of the foreground: what becomes of the jobs is the parent's to say.
    let _ignored = Signals::new([Signal::INTERRUPT])?;
    // The first message has the initializer's argument: the parent knows how large that may be.
    let mut assembly = Assembly::new(1, u32::MAX as usize);
    let hello = greet(link, &mut assembly)?;
    let (concurrency, most_bytes) = (hello.concurrency as usize, hello.most_bytes as usize);
    assembly.set_bounds(concurrency + 1, most_bytes);

    let (outbox, messages) = mpsc::channel();
    let link_to_write = link.clone();
    let writer = thread::Builder::new()
        .name("pool writer".to_owned())
        .spawn(move || {
            match link_to_write.write_messages(&messages) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => rt::exit_at_once(ORPHAN),
                // What is not heard is not done: the pool is to see an end, and not to wait.
                Err(error) => fail(&format!("the pool cannot be told: {error}")),
            }
        })?;
    let desk = Rc::new(Desk {
        outbox,
        running: RefCell::new(HashMap::new()),
        early_cancels: RefCell::new(HashSet::new()),
        concurrency,
        most_bytes,
        alone: hello.alone,
        has_asked: Cell::new(false),
    });
    desk.ask();
    loop {
        let message = link.next_message(&mut assembly)?;
        let Some(message) = message else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match message.kind {
            Kind::Job => {
                desk.begin(message)?;
                thread::yield_now();
                desk.ask();
            }
            Kind::Cancel => {
                let is_coming = assembly.has_part(Kind::Job, message.id);
                desk.cancel(message.id, is_coming);
            }
            Kind::Stop => break,
            _ => return Err(invalid("a message that only a process sends")),
        }
    }
    // No job is left, or the pool would not have said so. What is on its way out goes.
    drop(desk);
    match writer.join() {
        Ok(()) => Ok(()),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// The first messages of both sides.
fn greet(link: &Link, assembly: &mut Assembly) -> io::Result<Hello> {
    let message = link.next_message(assembly)?;
    let message = message.filter(|message| message.kind == Kind::Hello);
    let hello: Option<Hello> = message.and_then(|message| call::decode(&message.body).ok());
    let hello = hello.ok_or(invalid("no greeting"))?;
    let build = Image::own().map_or(0, Image::identity);
    if hello.version != VERSION {
        return Err(invalid("the pool is of another version"));
    }
    let failure = match &hello.initializer {
        Some((call, input)) if hello.build == build => match call.find() {
            Some(callee) => attempt(callee, input, &mut Vec::new(), true).err(),
            None => Some(Failure::Unknown),
        },
        _ => None,
    };
    let failed = failure.is_some();
    let ready = Ready { build, failure };
    let body = call::encode(&ready).map_err(io::Error::other)?;
    link.write_message(Outgoing::new(Kind::Ready, 0, body, Vec::new().into()))?;
    if failed {
        // The pool knows why, and will say so.
        process::exit(FAILED);
    }
    Ok(hello)
}

/// What is under way.
struct Desk {
    outbox: Sender<Outgoing>,
    running: RefCell<HashMap<u64, Running>>,
    /// Jobs that were cancelled when only a part of them had come.
    early_cancels: RefCell<HashSet<u64>>,
    concurrency: usize,
    most_bytes: usize,
    alone: bool,
    has_asked: Cell<bool>,
}

/// A job that is under way.
struct Running {
    thread: LocalJoinHandle<()>,
    is_cancelled: Rc<Cell<bool>>,
}

impl Desk {
    /// Asks for a job, if there is room for one and none is on its way.
    fn ask(&self) {
        if self.running.borrow().len() < self.concurrency && !self.has_asked.replace(true) {
            self.send(Outgoing::bare(Kind::Pull, 0));
        }
    }

    fn begin(self: &Rc<Self>, message: Message) -> io::Result<()> {
        self.has_asked.set(false);
        let id = message.id;
        let mut items = &message.body[..];
        let head: JobHead = call::decode_head(&mut items).ok_or(invalid("a job without a head"))?;
        let start = message.body.len() - items.len();
        let is_cancelled = Rc::new(Cell::new(false));
        let answer = Answer {
            desk: self.clone(),
            id,
            is_cancelled: is_cancelled.clone(),
            has_begun: false,
            items: head.items,
            started: Instant::now(),
            results: Vec::new(),
            done: 0,
        };
        if self.early_cancels.borrow_mut().remove(&id) {
            answer.is_cancelled.set(true);
            return Ok(()); // and the answer with it
        }
        let job = thread::Builder::new().name(format!("job {id}"));
        let handle = job.spawn_local(move || answer.work_out(&head, &message.body[start..]));
        match handle {
            // It runs from the next turn on.
            Ok(thread) => {
                let running = Running {
                    thread,
                    is_cancelled,
                };
                self.running.borrow_mut().insert(id, running);
            }
            // The answer was dropped, and has said so.
            Err(error) => rt::report(format_args!("a job cannot be started: {error}")),
        }
        Ok(())
    }

    /// One that is still coming is cancelled when it is there.
    fn cancel(&self, id: u64, is_coming: bool) {
        if is_coming {
            self.early_cancels.borrow_mut().insert(id);
        } else if let Some(running) = self.running.borrow().get(&id) {
            running.is_cancelled.set(true);
            running.thread.cancel();
        }
    }

    fn send(&self, message: Outgoing) {
        // When nobody writes any more the link is gone, and this process with it.
        let _gone = self.outbox.send(message);
    }
}

/// The one answer to a job, sent when this is dropped: however the green thread ends, and if it never begins.
struct Answer {
    desk: Rc<Desk>,
    id: u64,
    is_cancelled: Rc<Cell<bool>>,
    has_begun: bool,
    items: u32,
    started: Instant,
    results: Vec<u8>,
    done: u32,
}

impl Answer {
    /// Makes the calls, one after the other.
    fn work_out(mut self, head: &JobHead, mut items: &[u8]) {
        self.has_begun = true;
        let callee = head.call.find();
        let limit = Duration::from_nanos(head.give_back_after);
        while self.done < self.items && !self.is_cancelled.get() {
            let item = take_item(&mut items).map_err(|_| Failure::Unknown);
            let result = item
                .and_then(|item| Ok((callee.ok_or(Failure::Unknown)?, item)))
                .and_then(|(callee, item)| self.call(callee, item));
            if self.desk.alone
                && let Err(failure) = &result
            {
                end_alone(failure);
            }
            let cancelled = result == Err(Failure::Cancelled);
            if let Err(failure) = result {
                self.put_failure(failure);
            }
            if cancelled {
                return;
            }
            let enough = self.started.elapsed() >= limit || self.results.len() >= ENOUGH_BYTES;
            // Without room for the next one's failure, that and those behind it are for another message.
            if (!limit.is_zero() && enough) || self.room() < FAILURE_BYTES {
                return;
            }
        }
    }

    /// Makes a call, and puts its value to the results.
    fn call(&mut self, callee: Callee, input: &[u8]) -> Result<(), Failure> {
        let start = self.results.len();
        let keeps_panics = !self.desk.alone;
        let called = put_item(&mut self.results, |results| {
            results.push(VALUE);
            attempt(callee, input, results, keeps_panics)
        });
        if called.is_ok() && self.results.len() > self.most() {
            self.results.truncate(start);
            let why = format!("results of more than {} bytes", self.desk.most_bytes);
            return Err(Failure::Unserialisable(why));
        }
        self.done += u32::from(called.is_ok());
        called
    }

    /// So long may the results become.
    fn most(&self) -> usize {
        self.desk.most_bytes.saturating_sub(SURPLUS)
    }

    fn room(&self) -> usize {
        self.most().saturating_sub(self.results.len())
    }

    /// Puts a failure to the results, or as much of its words as there is room for.
    fn put_failure(&mut self, failure: Failure) {
        // What stands around the words.
        let failure = failure.shortened(self.room().saturating_sub(SURPLUS));
        let put = put_item(&mut self.results, |results| {
            results.push(FAILURE);
            call::append(&failure, results)
        });
        // It is made of words and numbers, and those can be written.
        self.done += u32::from(put.is_ok());
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.done == 0 {
            let was_ended = self.has_begun || self.is_cancelled.get();
            self.put_failure(match was_ended {
                true => Failure::Cancelled,
                false => Failure::NoStack,
            });
        }
        // If these are not all the others are given back.
        let head = ResultHead {
            items: self.done,
            nanoseconds: self.started.elapsed().as_nanos() as u64,
        };
        let head = call::encode(&head).unwrap_or_default();
        let results = mem::take(&mut self.results);
        let desk = &self.desk;
        desk.send(Outgoing::new(Kind::Result, self.id, head, results.into()));
        desk.running.borrow_mut().remove(&self.id);
        desk.ask();
    }
}

/// The one job of this process has failed: as a main that panics.
fn end_alone(failure: &Failure) -> ! {
    match failure {
        // The hook has said so.
        Failure::Panicked(..) => {}
        failure => eprintln!("sylvan: {}", JobError::of(failure.clone())),
    }
    process::exit(PANICKED);
}

/// One call. Its panic is its own, and told here if it is not to be kept for others.
fn attempt(
    callee: Callee,
    input: &[u8],
    output: &mut Vec<u8>,
    keeps_panics: bool,
) -> Result<(), Failure> {
    let of_job = OF_JOB.replace(keeps_panics);
    let result = panic::catch_unwind(AssertUnwindSafe(|| callee.call(input, output)));
    OF_JOB.set(of_job);
    match result {
        Ok(result) => result.map_err(Failure::Unserialisable),
        Err(payload) if rt::is_cancellation(&*payload) => Err(Failure::Cancelled),
        Err(payload) => {
            let message = rt::Message(&*payload).to_string();
            let backtrace = BACKTRACE.take();
            // Its destructor is the user's.
            if let Err(again) = panic::catch_unwind(AssertUnwindSafe(move || drop(payload))) {
                mem::forget(again);
            }
            Err(Failure::Panicked(message, backtrace))
        }
    }
}

crate::thread_local! {
    /// Is this green thread making a call of a job?
    static OF_JOB: Cell<bool> = const { Cell::new(false) };
    /// Where its last panic was.
    static BACKTRACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// A panic of a job is not printed: it goes to whoever waits for the job, with its backtrace.
fn keep_panics_of_jobs() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !OF_JOB.get() {
            return usual(panic);
        }
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let place = panic.location().map(ToString::to_string);
            let place = place.unwrap_or_default();
            BACKTRACE.set(Some(format!("at {place}\n{backtrace}")));
        }
    }));
}
