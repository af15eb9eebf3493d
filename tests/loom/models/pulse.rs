//! The pulse: whoever looks sees the task that runs in that run, or none.

use std::ptr;

use loom::sync::Arc;
use loom::thread;

use super::explore;
use crate::pulse::Pulse;
use crate::task::Task;

/// The task of a run. Only its address matters.
fn task(run: usize) -> *mut Task {
    ptr::without_provenance_mut(8 * run)
}

#[test]
fn no_task_is_seen_in_the_run_of_another() {
    explore(3, || {
        let pulse = Arc::new(Pulse::new());
        let theirs = pulse.clone();
        let monitor = thread::spawn(move || {
            if let Some(beat) = theirs.beat() {
                assert!(ptr::eq(beat.task, task(beat.run as usize)));
            }
        });
        for run in 1..=3 {
            pulse.begin(task(run));
            pulse.end();
        }
        monitor.join().unwrap();
    });
}
