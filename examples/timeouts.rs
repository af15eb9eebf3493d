//! Time-outs, around anything that waits. The first column is the time.
//!
//! Run it: `cargo run --example timeouts`

#![forbid(unsafe_code)]

#[path = "support/clock.rs"]
mod clock;

use clap::Parser;
use clock::Clock;
use sylvan::time::{self, Instant};
use sylvan::{task, thread};

/// Puts time-outs around everything that can wait.
#[derive(Parser)]
#[command(name = "timeouts", version)]
struct Options {
    /// How long a unit of time is
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    unit_ms: u32,
}

fn main() {
    let clock = Clock::start(Options::parse().unit_ms);
    sylvan::run(|| {
        println!("a time-out ends what waits, and its destructors run");
        one(clock.again());
        println!("each time-out ends its own part");
        nested(clock.again());
        println!("a longer one inside does not outlive a shorter one outside");
        longer_inside(clock.again());
        println!("around a scope: its threads have the same deadline, and end first");
        around_a_scope(clock.again());
        println!("around a nursery");
        around_a_nursery(clock.again());
        println!("around a gather: it cancels, and does not wait");
        around_a_gather(clock.again());
        println!("what is spawned goes on");
        spawned(clock.again());
        println!("mask: what must not be cut short is not");
        masked(clock.again());
        println!("several steps with one deadline");
        shared(clock.again());
        println!("work that never waits is not interrupted");
        work(clock.again());
    });
}

fn one(clock: Clock) {
    let outcome = time::timeout(clock.units(1.0), || {
        let _end = TellsOfItsEnd("the sleeper", clock);
        clock.sleep(100.0);
    });
    clock.say(format!("{outcome:?}"));
    let outcome = time::timeout(clock.units(1.0), || "in time");
    clock.say(format!("{outcome:?}"));
}

fn nested(clock: Clock) {
    let outcome = time::timeout(clock.units(2.0), || {
        let inner = time::timeout(clock.units(1.0), || clock.sleep(100.0));
        clock.say(format!("inner: {inner:?}"));
        clock.sleep(100.0);
    });
    clock.say(format!("outer: {outcome:?}"));
}

fn longer_inside(clock: Clock) {
    let outcome = time::timeout(clock.units(1.0), || {
        let inner = time::timeout(clock.units(50.0), || {
            let left = time::deadline().map(|deadline| deadline - Instant::now());
            assert!(left <= Some(clock.units(1.0)), "the soonest counts");
            clock.sleep(100.0);
        });
        unreachable!("the outer one has unwound this: {inner:?}")
    });
    clock.say(format!("outer: {outcome:?}"));
}

fn around_a_scope(clock: Clock) {
    let outcome = time::timeout(clock.units(1.0), || {
        thread::scope(|scope| {
            for name in ["first", "second"] {
                scope.spawn(move || {
                    assert!(time::deadline().is_some(), "it is inherited");
                    let _end = TellsOfItsEnd(name, clock);
                    clock.sleep(100.0);
                });
            }
        });
    });
    clock.say(format!("{outcome:?}"));
}

fn around_a_nursery(clock: Clock) {
    let outcome = time::timeout(clock.units(1.0), || {
        task::nursery(|nursery| {
            nursery.spawn(|| {
                let _end = TellsOfItsEnd("its thread", clock);
                clock.sleep(100.0);
            });
        })
    });
    // Two questions: was there time, and if so, has one of them failed?
    match outcome {
        Err(elapsed) => clock.say(elapsed),
        Ok(Err(failures)) => clock.say(failures),
        Ok(Ok(())) => clock.say("all is well"),
    }
}

fn around_a_gather(clock: Clock) {
    let tasks = ["first", "second"].map(|name| {
        thread::spawn(move || {
            let _end = TellsOfItsEnd(name, clock);
            clock.sleep(100.0);
        })
    });
    let outcome = time::timeout(clock.units(1.0), || task::gather(tasks).is_ok());
    clock.say(format!("{outcome:?}"));
    thread::yield_now(); // they unwind when they run next
}

fn spawned(clock: Clock) {
    let task = time::timeout(clock.units(1.0), || {
        thread::spawn(move || {
            assert!(time::deadline().is_none(), "it is not inherited");
            clock.sleep(2.0);
            "the one that was spawned"
        })
    });
    let name = task.expect("a spawn waits for nothing").join();
    clock.say(format!("{} has returned", name.expect("it does not panic")));
}

fn masked(clock: Clock) {
    let outcome = time::timeout(clock.units(1.0), || {
        task::mask(|| {
            clock.sleep(2.0);
            clock.say("to the end");
        });
        clock.sleep(100.0);
    });
    clock.say(format!("{outcome:?}"));
}

fn shared(clock: Clock) {
    let deadline = Instant::now() + clock.units(2.0);
    for step in 1..=3 {
        let outcome = time::timeout_at(deadline, || clock.sleep(0.7));
        clock.say(format!("step {step}: {outcome:?}"));
    }
}

fn work(clock: Clock) {
    let compute = |units| {
        let end = Instant::now() + clock.units(units);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    };
    let outcome = time::timeout(clock.units(1.0), || {
        compute(1.5);
        "it has not waited, and its value counts"
    });
    clock.say(format!("{outcome:?}"));
    let outcome = time::timeout(clock.units(1.0), || {
        loop {
            compute(0.1);
            task::checkpoint(); // waits for nothing, and unwinds if the time is over
        }
    });
    clock.say(format!("{:?}", outcome.map(|()| "never")));
}

struct TellsOfItsEnd(&'static str, Clock);

impl Drop for TellsOfItsEnd {
    fn drop(&mut self) {
        self.1.say(format!("    {} ends", self.0));
    }
}
