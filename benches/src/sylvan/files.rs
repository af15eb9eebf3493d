//! Files that are in the kernel's caches.

use std::sync::Arc;

use sylvan::{fs, thread};
use sylvan_benches::arguments::Arguments;
use sylvan_benches::files::SmallFiles;
use sylvan_benches::outcome::{Meter, Outcome};

pub fn read(arguments: &Arguments) -> Outcome {
    let tasks: usize = arguments.number("tasks", 1);
    let count: usize = arguments.number("count", 10_000);
    let files = Arc::new(SmallFiles::new(count));
    super::run(arguments, || {
        let meter = Meter::start();
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let files = files.clone();
                thread::spawn(move || {
                    for number in files.share(task, tasks) {
                        let bytes = fs::read(files.path(number)).unwrap();
                        assert_eq!(bytes.len(), files.size(number));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        meter.stop(count as u64)
    })
}
