//! Child processes.

use sylvan_benches::arguments::Arguments;
use sylvan_benches::outcome::{Meter, Outcome};
use tokio::process::Command;

pub fn start_and_wait(arguments: &Arguments) -> Outcome {
    let tasks: u64 = arguments.number("tasks", 1);
    let each = arguments.number("count", 1000_u64).div_ceil(tasks);
    super::run(arguments, async move {
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                tokio::spawn(async move {
                    for _ in 0..each {
                        one().await;
                    }
                })
            })
            .collect();
        let count = tasks.len() as u64 * each;
        for task in tasks {
            task.await.unwrap();
        }
        meter.stop(count)
    })
}

async fn one() {
    assert!(Command::new("true").status().await.unwrap().success());
}
