//! The life word: of two that race, the second sees what the first has written.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::explore;
use crate::life::{Ending, Life, Stage};

/// A task: its life word, and what the word publishes.
struct Task {
    life: Life,
    /// Written by its hub before the start.
    home: UnsafeCell<bool>,
    /// Written by the canceller before the interruption.
    cancelled: UnsafeCell<bool>,
    /// Written before the completion.
    result: UnsafeCell<Option<u32>>,
}

impl Task {
    fn new() -> Arc<Task> {
        Arc::new(Task {
            life: Life::with_handle(),
            home: UnsafeCell::new(false),
            cancelled: UnsafeCell::new(false),
            result: UnsafeCell::new(None),
        })
    }

    fn take_result(&self) -> Option<u32> {
        // SAFETY: if another one touches it, loom says so.
        self.result.with_mut(|result| unsafe { (*result).take() })
    }

    fn store_result(&self) {
        // SAFETY: as above.
        self.result.with_mut(|result| unsafe { *result = Some(1) });
    }
}

fn set(flag: &UnsafeCell<bool>) {
    // SAFETY: if another one touches it, loom says so.
    flag.with_mut(|flag| unsafe { *flag = true });
}

fn get(flag: &UnsafeCell<bool>) -> bool {
    // SAFETY: as above.
    flag.with(|flag| unsafe { *flag })
}

#[test]
fn an_interruption_is_seen_by_the_start_or_sees_it() {
    explore(3, || {
        let task = Task::new();
        let its = task.clone();
        let hub = thread::spawn(move || {
            set(&its.home);
            let interrupted = its.life.start();
            assert!(!interrupted || get(&its.cancelled), "which scope?");
            interrupted
        });
        set(&task.cancelled);
        let must_wake = task.life.interrupt();
        assert!(!must_wake || get(&task.home), "started where?");
        let seen = hub.join().unwrap();
        assert!(seen != must_wake, "nobody, or both, see the other");
        assert!(task.life.is_interrupted());
    });
}

#[test]
fn a_joiner_sees_the_end_or_is_told_of_it() {
    explore(3, || {
        let task = Task::new();
        let its = task.clone();
        let runner = thread::spawn(move || {
            its.store_result();
            its.life.complete(Ending::Returned).unwrap().joiners
        });
        let ended = task.life.add_joiner();
        if ended {
            assert_eq!(task.take_result(), Some(1));
        }
        let told = runner.join().unwrap();
        assert!(told != ended, "the joiner waits for ever, or twice");
    });
}

#[test]
fn a_result_that_is_complete_is_whole() {
    explore(3, || {
        let task = Task::new();
        let its = task.clone();
        let runner = thread::spawn(move || {
            its.store_result();
            its.life.complete(Ending::Returned).unwrap();
        });
        if task.life.is_complete() {
            assert_eq!(task.take_result(), Some(1));
        }
        runner.join().unwrap();
    });
}

#[test]
fn exactly_one_party_drops_the_result() {
    explore(3, || {
        let task = Task::new();
        let its = task.clone();
        let runner = thread::spawn(move || {
            its.store_result();
            let ours = !its.life.complete(Ending::Returned).unwrap().handle;
            if ours {
                assert_eq!(its.take_result(), Some(1));
            }
            ours
        });
        let ours = task.life.drop_handle();
        if ours {
            assert_eq!(task.take_result(), Some(1));
        }
        let theirs = runner.join().unwrap();
        assert!(ours != theirs, "the result is dropped by nobody, or twice");
    });
}

#[test]
fn three_that_meet_at_the_end_agree() {
    explore(3, || {
        let task = Task::new();
        let (its, interrupters) = (task.clone(), task.clone());
        let runner = thread::spawn(move || {
            its.life.start();
            its.store_result();
            its.life.complete(Ending::Returned).unwrap()
        });
        let interrupter = thread::spawn(move || interrupters.life.interrupt());
        let ended = task.life.add_joiner();
        let ours = task.life.drop_handle();
        let completion = runner.join().unwrap();
        interrupter.join().unwrap();
        assert!(completion.joiners != ended);
        assert!(completion.handle == ours);
        assert!(task.life.is_complete());
    });
}

#[test]
fn a_callback_runs_before_the_end_or_sees_it() {
    explore(3, || {
        let task = Task::new();
        let its = task.clone();
        let runner = thread::spawn(move || {
            its.store_result();
            let mut seen = 0;
            while its.life.complete(Ending::Failed).is_none() {
                // The list's lock would be held here, and it is empty afterwards.
                seen += 1;
                its.life.clear_callbacks();
            }
            seen
        });
        let accepted = task.life.add_callback();
        let seen = runner.join().unwrap();
        assert_eq!(
            seen,
            u32::from(accepted),
            "a callback is lost, or run twice"
        );
        assert_eq!(task.life.stage(), Stage::Ended(Ending::Failed));
    });
}

#[test]
fn to_calm_down_forgets_no_cancel() {
    explore(3, || {
        let task = Task::new();
        task.life.start();
        let theirs = task.clone();
        let cancelled = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let its_mark = cancelled.clone();
        let canceller = thread::spawn(move || {
            its_mark.store(true, loom::sync::atomic::Ordering::Release);
            theirs.life.interrupt();
        });
        // What `Task::calm` does.
        task.life.calm();
        if cancelled.load(loom::sync::atomic::Ordering::Acquire) {
            task.life.interrupt();
        }
        canceller.join().unwrap();
        assert!(task.life.is_interrupted());
    });
}
