//! Child processes.

use sylvan::process::Command;
use sylvan::thread;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::outcome::{Meter, Outcome};

pub fn start_and_wait(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1);
    let each = arguments.number("count", 1000_u64).div_ceil(tasks);
    super::run(arguments, || {
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| thread::spawn(move || (0..each).for_each(|_| one())))
            .collect();
        let count = tasks.len() as u64 * each;
        for task in tasks {
            task.join().unwrap();
        }
        meter.stop(count)
    })
}

fn one() {
    assert!(Command::new("true").status().unwrap().success());
}
