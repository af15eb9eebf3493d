//! The program of the Python documentation's page on queues: three workers share the jobs of one queue. Each job is to
//! sleep for some part of a unit of time, so that three workers are three times as fast as one. The first column is the
//! time.
//!
//! Run it: `cargo run --example work_queue`

#![forbid(unsafe_code)]

#[path = "support/clock.rs"]
mod clock;

use std::sync::Arc;

use clap::Parser;
use clock::Clock;
use sylvan::sync::queue::Queue;
use sylvan::{task, thread};

/// Shares twenty jobs among three workers.
#[derive(Parser)]
#[command(name = "work_queue", version)]
struct Options {
    /// How long a unit of time is
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    unit_ms: u32,
}

const WORKERS: usize = 3;
const JOBS: u32 = 20;

fn main() {
    let clock = Clock::start(Options::parse().unit_ms);
    sylvan::run(|| {
        // Each of 1 to 20 twentieths once, in an order that is none.
        let jobs = Arc::new(Queue::unbounded());
        for number in 0..JOBS {
            jobs.put(f64::from(number * 7 % JOBS + 1) / f64::from(JOBS))
                .expect("the queue is open");
        }
        let total: f64 = (1..=JOBS).map(|job| f64::from(job) / f64::from(JOBS)).sum();

        let clock = clock.again();
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let jobs = jobs.clone();
                thread::spawn(move || work(number, &jobs, clock))
            })
            .collect();

        // Until all jobs are done with. Then nobody needs the workers, who wait for more.
        jobs.join();
        clock.say("all jobs are done");
        for worker in &workers {
            worker.cancel();
        }
        let ends = task::gather_all(workers);
        let cancelled = ends.iter().filter(|end| end.is_err()).count();
        println!("{cancelled} workers were cancelled");
        println!("one alone would have slept for {total:.1} units");
    });
}

fn work(number: usize, jobs: &Queue<f64>, clock: Clock) {
    for units in jobs {
        clock.sleep(units);
        clock.say(format_args!("worker {number} has slept for {units:.2}"));
        jobs.task_done();
    }
}
