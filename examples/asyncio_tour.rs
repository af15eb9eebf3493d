//! The programs that a beginner's tutorial of asyncio goes through, one after the other: states, a callback, sleepers
//! in sequence and at once, gather and wait, cancelling, and ^C. The first column is the time.
//!
//! Run it: `cargo run --example asyncio_tour`. At the end it interrupts itself; with `--wait` you do.

#![forbid(unsafe_code)]

#[path = "support/clock.rs"]
mod clock;

use std::io;
use std::process::{self, Command};

use clap::Parser;
use clock::Clock;
use sylvan::runtime::Runtime;
use sylvan::task::{self, State, WaitFor};
use sylvan::thread::{self, JoinHandle};

/// Goes through the programs of a tutorial of asyncio.
#[derive(Parser)]
#[command(name = "asyncio_tour", version)]
struct Options {
    /// How long a unit of time is
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    unit_ms: u32,

    /// Wait for your ^C at the end
    #[arg(long)]
    wait: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let clock = Clock::start(options.unit_ms);

    // `asyncio.run(main())`
    sylvan::run(|| {
        println!("1. a task and its states");
        states(clock.again());
        println!("2. a callback that reads the result");
        callback(clock.again());
        println!("3. three sleepers in sequence");
        in_sequence(clock.again());
        println!("   three sleepers at once");
        at_once(clock.again());
        println!("4. gather: the results");
        gather(clock.again());
        println!("   wait: who is done, and who is not");
        wait(clock.again());
        println!("5. one task is cancelled");
        cancel(clock.again());
    });
    println!("6. ^C cancels all tasks, and stops and closes the loop");
    interrupt(clock.again(), options.wait)
}

/// `loop.create_task(..)`, and its `repr`
fn states(clock: Clock) {
    let task = thread::spawn(move || clock.sleep(1.0));
    clock.say(format!("created: {}", task.state()));
    thread::yield_now();
    clock.say(format!("begun: {}", task.state()));
    let (done, _) = task::wait([task], WaitFor::All, None);
    clock.say(format!("done: {}", done[0].state()));
}

/// What the tutorial's coroutine returns.
fn work(n: i32) -> i32 {
    3 + n
}

/// `task.add_done_callback(..)`, `task.result()`
fn callback(clock: Clock) {
    let task = thread::spawn(move || {
        clock.sleep(1.0);
        work(4)
    });
    task.on_done(move |result| match result {
        Ok(value) => clock.say(format!("callback: work(4) is {value}")),
        Err(_) => clock.say("callback: it has failed"),
    });
    let value = task.join().expect("it does not panic");
    clock.say(format!("joined: {value}"));
}

fn sleeper(clock: Clock, units: u32) -> u32 {
    clock.sleep(units.into());
    clock.say(format!("slept for {units}"));
    units
}

fn in_sequence(clock: Clock) {
    for units in [1, 2, 3] {
        sleeper(clock, units); // `await`
    }
    clock.say("all have slept");
}

fn three_sleepers(clock: Clock) -> [JoinHandle<u32>; 3] {
    [3, 1, 2].map(|units| thread::spawn(move || sleeper(clock, units)))
}

fn at_once(clock: Clock) {
    for task in three_sleepers(clock) {
        task.join().expect("it does not panic");
    }
    clock.say("all have slept");
}

/// `await asyncio.gather(..)`
fn gather(clock: Clock) {
    let slept = task::gather(three_sleepers(clock)).expect("none panics");
    clock.say(format!("in the order of the tasks: {slept:?}"));
}

/// `await asyncio.wait(..)`
fn wait(clock: Clock) {
    let (done, pending) = task::wait(three_sleepers(clock), WaitFor::FirstCompleted, None);
    clock.say(format!("{} done, {} pending", done.len(), pending.len()));
    let (done, pending) = task::wait(pending, WaitFor::All, None);
    clock.say(format!("{} done, {} pending", done.len(), pending.len()));
}

/// `task.cancel()`, `except asyncio.CancelledError`, `finally`
fn cancel(clock: Clock) {
    let tasks = [1, 2].map(|units| {
        thread::spawn(move || {
            let _end = TellsOfItsEnd(units, clock);
            sleeper(clock, units)
        })
    });
    thread::yield_now();
    tasks[1].cancel();
    for result in task::gather_all(tasks) {
        match result {
            Ok(units) => clock.say(format!("returned {units}")),
            Err(payload) if payload.is::<task::Cancelled>() => clock.say("was cancelled"),
            Err(_) => clock.say("has panicked"),
        }
    }
}

/// `except KeyboardInterrupt`, `Task.all_tasks()`, `loop.stop()`, `loop.close()`
fn interrupt(clock: Clock, wait: bool) -> io::Result<()> {
    let runtime = Runtime::builder().cancel_on_ctrl_c(true).build()?;
    let tasks = [1, 2, 3].map(|number| {
        runtime.spawn(move || {
            let _end = TellsOfItsEnd(number, clock);
            loop {
                clock.sleep(1.0);
            }
        })
    });
    if wait {
        clock.say("press ^C");
    } else {
        runtime.spawn(move || {
            clock.sleep(1.0);
            clock.say("this program presses ^C by itself");
            interrupt_oneself();
        });
    }
    runtime.run_forever();
    let waiting = |task: &&JoinHandle<_>| matches!(task.state(), State::Waiting(_));
    clock.say(format!(
        "stopped: {} tasks wait",
        tasks.iter().filter(waiting).count()
    ));
    // Closing cancels all that are left. One by one it would be `task.cancel()` for each of `task::all()`.
    runtime.close();
    let cancelled = |task: &&JoinHandle<_>| task.state() == State::Cancelled;
    clock.say(format!(
        "closed: {} tasks were cancelled",
        tasks.iter().filter(cancelled).count()
    ));
    Ok(())
}

fn interrupt_oneself() {
    let kill = || {
        Command::new("kill")
            .args(["-s", "INT", &process::id().to_string()])
            .status()
    };
    sylvan::offload(kill).expect("kill is installed");
}

struct TellsOfItsEnd(u32, Clock);

impl Drop for TellsOfItsEnd {
    fn drop(&mut self) {
        self.1.say(format!("    task {} ends", self.0));
    }
}
