//! Who sees to one place of a pool: starts a process for it, reads what that says, and when it ends starts another.

use std::io::{self, ErrorKind};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::builder::Settings;
use super::call;
use super::child::{self, Child, Tail};
use super::core::{Core, TO_STOP, Worker};
use super::error::JobError;
use super::link::{Link, invalid};
use super::wire::{Assembly, Hello, Kind, Outgoing, Ready, VERSION};
use super::worker::NO_INIT;
use crate::process::ChildStderr;
use crate::rt::Image;
use crate::sync::Event;
use crate::sync::mpsc::{self, Sender};
use crate::thread::{self, JoinHandle};

/// How long a process may take from the end of its link, or of itself, to the end of what it writes.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long to wait before the second attempt to start a process, and at most before any.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After so many vain attempts jobs are told.
const ATTEMPTS: u32 = 3;

/// A process that is ready for jobs.
struct Started {
    child: Arc<Child>,
    link: Arc<Link>,
    assembly: Assembly,
    tail: Arc<Tail>,
    stderr: JoinHandle<io::Result<()>>,
}

/// Leaves the core when its thread ends, however it does.
struct Attendance<'a> {
    core: &'a Core,
    seat: usize,
}

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        self.core.stand_up(self.seat, None, "");
        self.core.leave();
    }
}

/// See the module's text. `first` is told once, how the first attempt went.
pub(super) fn attend(core: &Core, seat: usize, first: Sender<io::Result<()>>) {
    let attendance = Attendance { core, seat };
    let mut first = Some(first);
    let mut in_vain = 0;
    while core.is_needed() {
        match start(core, seat) {
            Ok(started) => {
                match attendance.serve(started, first.take()) {
                    Ok(true) => in_vain = 0,
                    Ok(false) => in_vain += 1,
                    // Only the own end of the link or the own memory can be at fault.
                    Err(error) => {
                        in_vain += 1;
                        core.give_up(&error.to_string());
                    }
                }
            }
            Err(error) => {
                if let Some(first) = first.take() {
                    // Whoever builds the pool says so.
                    let _left = first.send(Err(error));
                    return;
                }
                in_vain += 1;
                if in_vain >= ATTEMPTS {
                    core.give_up(&error.to_string());
                }
            }
        }
        if in_vain > 1 {
            let pause = FIRST_PAUSE.saturating_mul(1 << (in_vain - 2).min(16));
            core.terminated.wait_timeout(pause.min(LONGEST_PAUSE));
        }
    }
}

/// Starts a process and shakes hands with it.
fn start(core: &Core, seat: usize) -> io::Result<Started> {
    let (link, theirs) = Link::pair()?;
    let (child, stderr) = Child::start(theirs)?;
    let child = Arc::new(child);
    if !core.starts(seat, child.clone()) {
        child.kill();
    }
    let started = make_ready(&core.settings, link, child, stderr);
    core.has_started(seat);
    started
}

fn make_ready(
    settings: &Settings,
    link: Link,
    child: Arc<Child>,
    stderr: ChildStderr,
) -> io::Result<Started> {
    let tail = Arc::new(Tail::default());
    let stderr = read_stderr(stderr, tail.clone())?;
    let mut assembly = Assembly::new(1, 1 << 20);
    match greet(&link, &mut assembly, settings) {
        Ok(()) => {
            // A job may have a message of each kind under way.
            let parts = settings.concurrency.saturating_add(1);
            assembly.set_bounds(parts, settings.max_message_size);
            link.limit_waits(None)?;
            Ok(Started {
                child,
                link: Arc::new(link),
                assembly,
                tail,
                stderr,
            })
        }
        Err(error) => {
            let status = child.wait_or_kill(LAST_WORDS)?;
            let _read = stderr.join_timeout(LAST_WORDS);
            Err(explain(&error, status, &tail.text()))
        }
    }
}

fn read_stderr(stderr: ChildStderr, tail: Arc<Tail>) -> io::Result<JoinHandle<io::Result<()>>> {
    thread::Builder::new()
        .name("pool stderr".to_owned())
        .spawn(move || child::pass_on(stderr, &tail))
}

/// The first messages of both sides.
fn greet(link: &Link, assembly: &mut Assembly, settings: &Settings) -> io::Result<()> {
    link.limit_waits(Some(settings.start_timeout))?;
    let build = Image::own().map_or(0, Image::identity);
    let hello = Hello {
        version: VERSION,
        build,
        concurrency: u32::try_from(settings.concurrency).unwrap_or(u32::MAX),
        most_bytes: settings.max_message_size as u64,
        alone: settings.alone,
        initializer: settings.initializer.clone(),
    };
    let hello = call::encode(&hello).map_err(io::Error::other)?;
    link.write_message(Outgoing::new(Kind::Hello, 0, hello, Vec::new().into()))?;
    let message = link.next_message(assembly)?;
    let message = message.ok_or(ErrorKind::UnexpectedEof)?;
    if message.kind != Kind::Ready {
        return Err(invalid("it says something else than that it is ready"));
    }
    let ready: Ready = call::decode(&message.body).map_err(|_| invalid("no greeting"))?;
    if ready.build != build {
        return Err(invalid("it is of another build"));
    }
    match ready.failure {
        Some(failure) => Err(io::Error::other(format!(
            "the initializer failed: {}",
            JobError::of(failure)
        ))),
        None => Ok(()),
    }
}

/// Why a process could not be started, for people.
fn explain(error: &io::Error, status: ExitStatus, words: &str) -> io::Error {
    let forgotten = "is sylvan::process_pool::init() called at the top of main?";
    let why = match error.kind() {
        // It has closed its end of the link, as one does that ends.
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            format!("it ended ({status}) before it was ready; {forgotten}")
        }
        ErrorKind::WouldBlock => format!("it was not ready in time; {forgotten}"),
        _ => error.to_string(),
    };
    let words = match words.trim_end() {
        _ if status.code() == Some(NO_INIT) => "",
        words => words,
    };
    let colon = if words.is_empty() { "" } else { ": " };
    io::Error::other(format!("a process of the pool: {why}{colon}{words}"))
}

impl Attendance<'_> {
    /// Lets it work until it ends. Returns whether it has done anything, or was not to.
    fn serve(&self, started: Started, first: Option<Sender<io::Result<()>>>) -> io::Result<bool> {
        let Started {
            child,
            link,
            mut assembly,
            tail,
            stderr,
        } = started;
        let (outbox, messages) = mpsc::channel();
        let (theirs, its_child) = (link.clone(), child.clone());
        let writer = thread::Builder::new()
            .name("pool writer".to_owned())
            .spawn(move || {
                if theirs.write_messages(&messages).is_err() {
                    // What it is not told it does not do: its jobs are to see an end.
                    its_child.kill();
                }
            })?;
        let has_read_all = Arc::new(Event::new());
        let end = thread::Builder::new().name("pool end".to_owned()).spawn({
            let (child, link, has_read_all) = (child.clone(), link.clone(), has_read_all.clone());
            move || {
                // If its status cannot be had there is somebody else who has.
                let _status = child.wait();
                // Another process that it has forked may have the link, and keep it open.
                if !has_read_all.wait_timeout(LAST_WORDS) {
                    link.shut_down();
                }
            }
        })?;
        if !self
            .core
            .sit_down(self.seat, Worker::new(child.clone(), outbox))
        {
            return Ok(true);
        }
        if let Some(first) = first {
            let _left = first.send(Ok(()));
        }
        let read = loop {
            match link.next_message(&mut assembly) {
                Ok(Some(message)) => {
                    if let Err(why) = self.core.hear(self.seat, message) {
                        break Err(invalid(why.0));
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.core.lose(self.seat);
        has_read_all.set();
        let broken = read
            .as_ref()
            .err()
            .filter(|error| error.kind() == ErrorKind::InvalidData);
        let patience = match broken {
            Some(_) => Duration::ZERO,
            None if self.core.is_stopping(self.seat) => TO_STOP,
            None => LAST_WORDS,
        };
        let status = child.wait_or_kill(patience);
        let _read = stderr.join_timeout(LAST_WORDS);
        let mut words = tail.text();
        if let Some(why) = broken {
            words = format!("it was ended, for it broke the protocol: {why}\n{words}");
        }
        let has_worked = self
            .core
            .stand_up(self.seat, status.as_ref().ok().copied(), &words);
        // Nobody reads any more, and its channel has no sender.
        link.shut_down();
        let _written = writer.join();
        let _ended = end.join();
        status?;
        Ok(has_worked)
    }
}
