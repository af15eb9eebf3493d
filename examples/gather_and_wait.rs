//! The ways to wait for several green threads, on the same three: they sleep for one, two and three units of
//! time, and the second fails then. The first column is the time.
//!
//! Run it: `cargo run --example gather_and_wait`

#![forbid(unsafe_code)]

#[path = "support/clock.rs"]
mod clock;

use clap::Parser;
use clock::Clock;
use sylvan::task::{self, WaitFor};
use sylvan::thread::{self, JoinHandle};

/// Waits for three green threads in every way there is.
#[derive(Parser)]
#[command(name = "gather_and_wait", version)]
struct Options {
    /// How long a unit of time is
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    unit_ms: u32,
}

fn main() {
    let clock = Clock::start(Options::parse().unit_ms);
    // Who receives a panic tells of it. Nobody receives main's.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some("main") {
            tell(panic);
        }
    }));
    sylvan::run(|| {
        println!("gather: the first failure at once; the others go on");
        gather(clock.again());
        println!("gather_all: how each ended, in the order of the handles");
        gather_all(clock.again());
        println!("wait: it never fails, and cancels nothing");
        wait(clock.again());
        println!("as_completed: the handles in the order of their ends");
        as_completed(clock.again());
        println!("race: the first wins; the others are cancelled, and waited for");
        race(clock.again());
    });
}

type Task = JoinHandle<&'static str>;

fn three(clock: Clock) -> [Task; 3] {
    [("one", 1.0), ("two", 2.0), ("three", 3.0)].map(|(name, units)| {
        let builder = thread::Builder::new().name(name.to_owned());
        let task = builder.spawn(move || {
            let _end = TellsOfItsEnd(name, clock);
            clock.sleep(units);
            assert!(name != "two", "out of luck");
            name
        });
        task.expect("the runtime is there")
    })
}

fn gather(clock: Clock) {
    match task::gather(three(clock)) {
        Ok(names) => clock.say(names.join(", ")),
        Err(failure) => clock.say(in_words(&Err(failure))),
    }
    // The third one's handle is gone: it is detached, and still at it.
    clock.sleep(2.0);
}

fn gather_all(clock: Clock) {
    let results = task::gather_all(three(clock));
    clock.say(results.iter().map(in_words).collect::<Vec<_>>().join("; "));
}

fn wait(clock: Clock) {
    let say = |what: &str, done: &[Task], pending: &[Task]| {
        clock.say(format!(
            "{what}: done {}; pending {}",
            names(done),
            names(pending)
        ));
    };
    let (done, pending) = task::wait(three(clock), WaitFor::FirstCompleted, None);
    say("for the first", &done, &pending);
    let half_a_unit = Some(clock.units(0.5));
    let (done, pending) = task::wait(pending, WaitFor::All, half_a_unit);
    say("for half a unit", &done, &pending);
    let (done, pending) = task::wait(pending, WaitFor::FirstFailure, None);
    say("for a failure", &done, &pending);
    for task in done {
        clock.say(in_words(&task.join())); // which does not wait
    }
    let (done, pending) = task::wait(pending, WaitFor::All, None);
    say("for all", &done, &pending);
}

fn as_completed(clock: Clock) {
    for task in task::as_completed(three(clock)) {
        clock.say(in_words(&task.join()));
    }
}

fn race(clock: Clock) {
    clock.say(in_words(&task::race(three(clock))));
}

fn names(tasks: &[Task]) -> String {
    let names: Vec<_> = tasks.iter().filter_map(JoinHandle::name).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" and ")
    }
}

fn in_words(result: &thread::Result<&'static str>) -> String {
    match result {
        Ok(name) => format!("{name} has returned"),
        Err(payload) if payload.is::<task::Cancelled>() => "one was cancelled".to_owned(),
        Err(payload) => match payload.downcast_ref::<&str>() {
            Some(message) => format!("one has panicked: {message}"),
            None => "one has panicked".to_owned(),
        },
    }
}

struct TellsOfItsEnd(&'static str, Clock);

impl Drop for TellsOfItsEnd {
    fn drop(&mut self) {
        self.1.say(format!("    {} ends", self.0));
    }
}
