//! What `JoinHandle` has beyond std: states, callbacks, joins that do not wait; and what waits for many.

mod support;

use std::cell::Cell;
use std::panic;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use support::{HOUR, Numbers, must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::task::{self, Cancelled, Reason, State, WaitFor};
use sylvan::thread::{self, JoinHandle};
use sylvan::time;

/// A list that callbacks write to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn write(&self, word: &'static str) {
        self.0.lock().unwrap().push(word);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn sleeper() -> JoinHandle<()> {
    thread::spawn(|| thread::sleep(HOUR))
}

fn panicker() -> JoinHandle<()> {
    thread::spawn(|| panic::resume_unwind(Box::new("on purpose")))
}

// ---- states

#[test]
fn states_from_pending_to_each_end() {
    sylvan::run(|| {
        let seen = Arc::new(Mutex::new(None));
        let its = seen.clone();
        let task = thread::spawn(move || {
            *its.lock().unwrap() = task::current().map(|me| me.state());
            thread::park();
            thread::sleep(Duration::from_millis(1));
            7
        });
        assert_eq!(task.state(), State::Pending);
        thread::yield_now();
        assert_eq!(*seen.lock().unwrap(), Some(State::Running));
        assert_eq!(task.state(), State::Waiting(Reason::Park));
        task.thread().unpark();
        thread::yield_now();
        assert_eq!(task.state(), State::Waiting(Reason::Sleep));
        while !task.is_finished() {
            thread::yield_now();
        }
        assert_eq!(task.state(), State::Returned);
        assert_eq!(task.join().unwrap(), 7);

        let (cancelled, panicked) = (sleeper(), panicker());
        cancelled.cancel();
        let never_started = sleeper();
        never_started.cancel();
        let all = [cancelled, panicked, never_started];
        let (done, _) = task::wait(all, WaitFor::All, None);
        let states: Vec<_> = done.iter().map(JoinHandle::state).collect();
        assert_eq!(
            states,
            [State::Cancelled, State::Panicked, State::Cancelled]
        );
        assert!(states.iter().all(|state| state.is_finished()));
    });
}

#[test]
fn the_current_one_is_a_green_thread_or_none() {
    assert!(task::current().is_none(), "a plain OS thread");
    for workers in [1, 3] {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        runtime.run(|| {
            let main = task::current().unwrap();
            assert_eq!(main.id(), thread::current().id());
            let task = thread::spawn(|| {
                let me = task::current().unwrap();
                // Asked by itself, and so in the middle of its run.
                assert_eq!(me.state(), State::Running);
                assert_eq!(me.waits_for(), None);
                // What it asks of itself comes at its next suspension.
                me.cancel();
                assert!(task::cancel_requested());
                thread::yield_now();
            });
            assert!(task.join().unwrap_err().is::<Cancelled>());
            assert!(sylvan::offload(task::current).is_none());
        });
    }
}

#[test]
fn states_are_seen_from_another_os_thread_and_of_other_hubs() {
    must_end(|| {
        // The default runtime: all its hubs are other OS threads.
        let (release, wait) = sylvan::sync::mpsc::channel::<()>();
        let task = thread::spawn(move || wait.recv().is_err());
        while task.state() != State::Waiting(Reason::Receive) {
            std::thread::yield_now();
        }
        drop(release);
        assert!(task.join().unwrap());
    });
}

#[test]
fn all_lists_the_caller_s_runtime_and_no_other() {
    let other = Runtime::new().unwrap();
    let _elsewhere = other.spawn(thread::park);
    sylvan::run(|| {
        let here = thread::Builder::new().name("here".into());
        let task = here.spawn(thread::park).unwrap();
        thread::yield_now();
        let all = task::all();
        assert_eq!(all.len(), 2); // and the main one
        let found = all.iter().find(|it| it.name() == Some("here")).unwrap();
        assert_eq!(found.id(), task.id());
        assert!(found.spawned_at().file().ends_with("handles.rs"));
        assert!(found.waits_for().is_some());
        // As asyncio programs do it at their end.
        all.iter()
            .filter(|it| it.id() != thread::current().id())
            .for_each(task::Task::cancel);
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!(found.state(), State::Cancelled);
        assert_eq!(found.waits_for(), None);
    });
    assert_eq!(other.handle().tasks().len(), 1);
}

// ---- callbacks

#[test]
fn callbacks_run_in_order_before_joiners_get_the_value() {
    sylvan::run(|| {
        let log = Log::default();
        let task = thread::spawn(|| 4 + 3);
        for word in ["first", "second"] {
            let log = log.clone();
            task.on_done(move |result| {
                // It may suspend.
                thread::yield_now();
                thread::sleep(Duration::from_millis(1));
                assert_eq!(*result.as_ref().unwrap(), 7);
                log.write(word);
            });
        }
        assert_eq!(task.join().unwrap(), 7);
        log.write("joined");
        assert_eq!(log.take(), ["first", "second", "joined"]);
    });
}

#[test]
fn a_callback_runs_on_the_task_s_own_stack_and_after_the_end_on_the_caller_s() {
    sylvan::run(|| {
        let (sender, ids) = mpsc::channel();
        let task = thread::spawn(|| ());
        let then = sender.clone();
        task.on_done(move |_| then.send(thread::current().id()).unwrap());
        let id = task.id();
        while !task.is_finished() {
            thread::yield_now();
        }
        assert_eq!(ids.try_recv(), Ok(id));
        task.on_done(move |_| sender.send(thread::current().id()).unwrap());
        assert_eq!(ids.try_recv(), Ok(thread::current().id()));
    });
}

#[test]
fn callbacks_see_every_kind_of_end() {
    sylvan::run(|| {
        let log = Log::default();
        let write = |word: &'static str| {
            let log = log.clone();
            move |result: &std::thread::Result<()>| {
                log.write(match result {
                    Ok(()) => "ok",
                    Err(payload) if payload.is::<Cancelled>() => "cancelled",
                    Err(payload) => payload.downcast_ref::<&str>().unwrap(),
                });
                log.write(word);
            }
        };
        let tasks = [thread::spawn(|| ()), sleeper(), sleeper(), panicker()];
        for task in &tasks {
            task.on_done(write(";"));
        }
        tasks[1].cancel(); // before it starts
        thread::yield_now();
        tasks[2].cancel(); // while it sleeps
        task::wait(tasks, WaitFor::All, None);
        assert_eq!(log.take().concat(), "ok;cancelled;on purpose;cancelled;");
    });
}

#[test]
fn callbacks_of_a_detached_task_are_run() {
    sylvan::run(|| {
        let log = Log::default();
        let task = thread::spawn(|| String::from("result"));
        let write = log.clone();
        task.on_done(move |result| {
            assert_eq!(result.as_ref().unwrap(), "result");
            write.write("called");
        });
        drop(task);
        thread::yield_now();
        assert_eq!(log.take(), ["called"]);
    });
}

#[test]
fn a_callback_may_add_another_to_its_own_task() {
    sylvan::run(|| {
        let log = Log::default();
        let task = Arc::new(thread::spawn(|| ()));
        let (again, write) = (Arc::downgrade(&task), log.clone());
        task.on_done(move |_| {
            let then = write.clone();
            again
                .upgrade()
                .unwrap()
                .on_done(move |_| then.write("inner"));
            write.write("outer");
        });
        while !task.is_finished() {
            thread::yield_now();
        }
        assert_eq!(log.take(), ["outer", "inner"]);
    });
}

#[test]
fn a_panic_in_a_callback_harms_no_other() {
    log::set_max_level(log::LevelFilter::Error); // its report goes nowhere
    sylvan::run(|| {
        let log = Log::default();
        let task = thread::spawn(|| 1);
        task.on_done(|_| panic::resume_unwind(Box::new("on purpose")));
        let write = log.clone();
        task.on_done(move |_| write.write("second"));
        assert_eq!(task.join().unwrap(), 1);
        assert_eq!(log.take(), ["second"]);

        let task = thread::spawn(|| 1);
        thread::yield_now();
        task.on_done(|_| panic::resume_unwind(Box::new("on purpose")));
        assert_eq!(task.join().unwrap(), 1);
    });
}

#[test]
fn a_cancel_does_not_cut_a_callback_short() {
    sylvan::run(|| {
        let log = Log::default();
        let task = thread::spawn(|| ());
        let write = log.clone();
        task.on_done(move |_| {
            thread::sleep(Duration::from_millis(1));
            write.write("to the end");
        });
        thread::yield_now();
        assert_eq!(task.state(), State::Waiting(Reason::Sleep));
        task.cancel();
        task.join().unwrap();
        // The same for one that runs on the caller's stack.
        let task = thread::spawn(|| ());
        thread::yield_now();
        let write = log.clone();
        let outcome = time::timeout(Duration::ZERO, || {
            task.on_done(move |_| {
                thread::sleep(Duration::from_millis(1));
                write.write("to the end");
            });
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(log.take().len(), 2);
    });
}

#[test]
fn a_local_handle_s_callback_need_not_be_send() {
    sylvan::run(|| {
        let seen = Rc::new(Cell::new(0));
        let task = thread::spawn_local(|| Rc::new(5));
        let its = seen.clone();
        task.on_done(move |result| its.set(**result.as_ref().unwrap()));
        assert_eq!(*task.join().unwrap(), 5);
        assert_eq!(seen.get(), 5);
    });
}

/// Callbacks from several OS threads against the end of the task: each runs once, and never two at a time, for
/// results need not be `Sync`.
#[test]
fn callbacks_that_race_with_the_end_run_once_each() {
    must_end(|| {
        let mut numbers = Numbers::new(3);
        for _ in 0..scaled(3000) {
            let delay = numbers.below(3000);
            let task = Arc::new(thread::spawn(move || {
                spin(delay);
                Cell::new(0_u64)
            }));
            let adders: Vec<_> = delays_of(&mut numbers)
                .into_iter()
                .map(|delay| {
                    let task = task.clone();
                    std::thread::spawn(move || {
                        spin(delay);
                        for _ in 0..2 {
                            task.on_done(|result| {
                                let cell = result.as_ref().unwrap();
                                let before = cell.get();
                                spin(20);
                                cell.set(before + 1);
                            });
                        }
                    })
                })
                .collect();
            for adder in adders {
                adder.join().unwrap();
            }
            let task = Arc::into_inner(task).unwrap();
            assert_eq!(task.join().unwrap().get(), 4);
        }
    });
}

fn delays_of(numbers: &mut Numbers) -> [u64; 2] {
    [numbers.below(3000), numbers.below(3000)]
}

fn spin(turns: u64) {
    for _ in 0..turns {
        std::hint::spin_loop();
    }
}

// ---- joins

#[test]
fn try_join_and_join_timeout_give_the_handle_back() {
    sylvan::run(|| {
        let task = sleeper();
        let task = task.try_join().unwrap_err();
        let task = task.join_timeout(Duration::from_millis(1)).unwrap_err();
        let task = task.join_timeout(Duration::ZERO).unwrap_err();
        task.cancel();
        assert!(
            task.join_timeout(HOUR)
                .unwrap()
                .unwrap_err()
                .is::<Cancelled>()
        );

        let values = [1];
        thread::scope(|scope| {
            let scoped = scope.spawn(|| values[0]);
            let scoped = scoped.try_join().unwrap_err();
            assert_eq!(scoped.join_timeout(HOUR).unwrap().unwrap(), 1);
        });
        let local = thread::spawn_local(|| Rc::new(1)).try_join().unwrap_err();
        assert_eq!(*local.join_timeout(Duration::MAX).unwrap().unwrap(), 1);
    });
}

#[test]
fn a_detached_failure_is_reported_once_and_a_received_one_never() {
    let reports = |case: &str| {
        let output = support::in_child("failures_for_the_child", &[("SYLVAN_CASE", case)]);
        support::assert_success(&output);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.matches("nobody has taken its result").count()
    };
    assert_eq!(reports("detached"), 1);
    assert_eq!(reports("detached with a callback"), 1);
    assert_eq!(reports("joined"), 0);
    assert_eq!(reports("cancelled"), 0);
}

/// The other half of the test above.
#[test]
fn failures_for_the_child() {
    if !support::is_child() {
        return;
    }
    sylvan::run(|| {
        match std::env::var("SYLVAN_CASE").unwrap().as_str() {
            "detached" => drop(panicker()),
            "detached with a callback" => panicker().on_done(|result| assert!(result.is_err())),
            "joined" => assert!(panicker().join().is_err()),
            "cancelled" => sleeper().cancel(),
            case => unreachable!("{case}"),
        }
        thread::yield_now();
    });
}

// ---- many at once

#[test]
fn gather_gives_results_in_the_order_of_the_handles() {
    sylvan::run(|| {
        let tasks = [3, 1, 2].map(|n| {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(n));
                n
            })
        });
        assert_eq!(task::gather(tasks).unwrap(), [3, 1, 2]);
        assert!(
            task::gather(Vec::<JoinHandle<()>>::new())
                .unwrap()
                .is_empty()
        );
        assert!(task::gather_all(Vec::<JoinHandle<()>>::new()).is_empty());
    });
}

#[test]
fn gather_gives_the_first_failure_at_once_and_the_rest_go_on() {
    sylvan::run(|| {
        let (sender, ends) = mpsc::channel();
        let long = thread::spawn(move || {
            thread::park();
            sender.send(()).unwrap();
        });
        let other = long.thread().clone();
        let payload = task::gather([long, panicker()]).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
        assert!(ends.try_recv().is_err());
        other.unpark();
        thread::yield_now();
        assert_eq!(ends.try_recv(), Ok(()), "it was not detached but cancelled");
    });
}

#[test]
fn gather_that_is_cut_short_cancels_what_it_waits_for() {
    sylvan::run(|| {
        let (one, two) = (sleeper(), sleeper());
        let views = task::all();
        let outcome = time::timeout(Duration::from_millis(1), || task::gather([one, two]));
        assert!(outcome.is_err());
        thread::yield_now();
        let ended = views
            .iter()
            .filter(|it| it.state() == State::Cancelled)
            .count();
        assert_eq!(ended, 2);

        let outcome = time::timeout(Duration::from_millis(1), || task::gather_all([sleeper()]));
        assert!(outcome.is_err());
    });
}

#[test]
fn gather_all_gives_a_result_for_each() {
    sylvan::run(|| {
        let fine = thread::spawn(|| ());
        let cancelled = sleeper();
        cancelled.cancel();
        let results = task::gather_all([panicker(), fine, cancelled]);
        let kinds: Vec<_> = results.iter().map(Result::is_ok).collect();
        assert_eq!(kinds, [false, true, false]);
        assert!(results[2].as_ref().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn wait_returns_as_soon_as_it_may_and_cancels_nothing() {
    sylvan::run(|| {
        let tasks = || [sleeper(), thread::spawn(|| ()), sleeper()];
        let counts = |(done, pending): (Vec<JoinHandle<()>>, Vec<JoinHandle<()>>)| {
            assert!(pending.iter().all(|it| !it.is_finished()));
            let counts = (done.len(), pending.len());
            pending.iter().for_each(JoinHandle::cancel);
            counts
        };
        let soon = Some(Duration::from_millis(1));
        assert_eq!(
            counts(task::wait(tasks(), WaitFor::FirstCompleted, None)),
            (1, 2)
        );
        assert_eq!(counts(task::wait(tasks(), WaitFor::All, soon)), (1, 2));
        assert_eq!(
            counts(task::wait(tasks(), WaitFor::FirstFailure, soon)),
            (1, 2)
        );
        assert_eq!(counts(task::wait([], WaitFor::All, None)), (0, 0));

        let with_failure = [sleeper(), thread::spawn(|| ()), panicker(), sleeper()];
        let (done, pending) = task::wait(with_failure, WaitFor::FirstFailure, None);
        assert_eq!((done.len(), pending.len()), (2, 2));
        pending[0].cancel();
        let (done, _) = task::wait(pending, WaitFor::FirstFailure, None);
        assert_eq!(done.len(), 1, "a cancellation is a failure");
        drop(done);
    });
}

#[test]
fn waits_that_ended_are_forgotten_by_who_lives_on() {
    sylvan::run(|| {
        let mut tasks = vec![sleeper()];
        for _ in 0..1000 {
            let (done, pending) = task::wait(tasks, WaitFor::All, Some(Duration::ZERO));
            assert!(done.is_empty());
            tasks = pending;
        }
        // Each of those would be told of the end, and could be woken by it, if it were not forgotten.
        tasks[0].cancel();
        assert_eq!(task::as_completed(tasks).count(), 1);
    });
}

#[test]
fn as_completed_goes_on_after_a_timeout() {
    sylvan::run(|| {
        let (quick, slow) = (thread::spawn(|| 1), thread::spawn(thread::park));
        let unpark = slow.thread().clone();
        let slow = thread::spawn(move || {
            slow.join().unwrap();
            2
        });
        let mut ends = task::as_completed([slow, quick]);
        assert_eq!(ends.len(), 2);
        assert_eq!(ends.next().unwrap().join().unwrap(), 1);
        for _ in 0..3 {
            assert!(time::timeout(Duration::from_millis(1), || ends.next()).is_err());
        }
        unpark.unpark();
        assert_eq!(ends.next().unwrap().join().unwrap(), 2);
        assert!(ends.next().is_none());
        assert!(ends.next().is_none());
    });
}

#[test]
fn race_cancels_the_losers_and_waits_for_them() {
    sylvan::run(|| {
        let ended = Arc::new(AtomicUsize::new(0));
        let loser = || {
            struct Slow(Arc<AtomicUsize>);
            impl Drop for Slow {
                fn drop(&mut self) {
                    thread::sleep(Duration::from_millis(2));
                    self.0.fetch_add(1, SeqCst);
                }
            }
            let slow = Slow(ended.clone());
            thread::spawn(move || {
                let _slow = slow;
                thread::sleep(HOUR);
                "loser"
            })
        };
        let winner = thread::spawn(|| {
            thread::yield_now();
            "winner"
        });
        assert_eq!(task::race([loser(), winner, loser()]).unwrap(), "winner");
        assert_eq!(ended.load(SeqCst), 2);

        // A failure wins as well.
        assert!(task::race([sleeper(), panicker()]).is_err());

        let cut = time::timeout(Duration::from_millis(5), || task::race([loser(), loser()]));
        assert!(cut.is_err());
        assert_eq!(ended.load(SeqCst), 4);
    });
}

#[test]
#[should_panic(expected = "a race of nobody has no end")]
fn a_race_of_nobody_is_a_clear_panic() {
    let _ = task::race(Vec::<JoinHandle<()>>::new());
}

#[test]
fn scoped_and_local_handles_can_be_waited_for() {
    sylvan::run(|| {
        let numbers = [1, 2, 3];
        thread::scope(|scope| {
            let tasks: Vec<_> = numbers.iter().map(|n| scope.spawn(move || n * 2)).collect();
            assert_eq!(task::gather(tasks).unwrap(), [2, 4, 6]);
        });
        let local = task::gather([thread::spawn_local(|| Rc::new(1))]).unwrap();
        assert_eq!(*local[0], 1);
    });
}

#[test]
fn a_plain_os_thread_waits_for_many() {
    must_end(|| {
        let tasks = (0..100).map(|n| thread::spawn(move || n));
        assert_eq!(task::gather(tasks).unwrap(), (0..100).collect::<Vec<_>>());
        let sum: i32 = task::as_completed((0..100).map(|n| thread::spawn(move || n)))
            .map(|task| task.join().unwrap())
            .sum();
        assert_eq!(sum, 4950);
    });
}

#[test]
fn spawn_later_can_be_cancelled_before() {
    sylvan::run(|| {
        let called = Arc::new(AtomicUsize::new(0));
        let its = called.clone();
        let later = task::spawn_later(HOUR, move || its.fetch_add(1, SeqCst));
        thread::yield_now();
        assert_eq!(later.state(), State::Waiting(Reason::Sleep));
        later.cancel();
        assert!(later.join().unwrap_err().is::<Cancelled>());
        assert_eq!(called.load(SeqCst), 0);
    });
}

/// Ends on several hubs against the waits of one: none is lost, none is told twice.
#[test]
fn ends_that_race_with_waits_are_all_told() {
    must_end(|| {
        let runtime = Runtime::builder().workers(3).build().unwrap();
        runtime.run(|| {
            let mut numbers = Numbers::new(11);
            for _ in 0..scaled(300) {
                let tasks: Vec<_> = (0..20)
                    .map(|n| {
                        let delay = numbers.below(2000);
                        thread::spawn(move || {
                            spin(delay);
                            n
                        })
                    })
                    .collect();
                let mut seen: Vec<_> = task::as_completed(tasks)
                    .map(|task| task.try_join().unwrap().unwrap())
                    .collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..20).collect::<Vec<_>>());
            }
        });
    });
}

// ---- failures in words

#[test]
fn a_failure_is_described_whatever_its_payload_is() {
    let words = |failure: &(dyn std::any::Any + Send)| task::describe(failure).to_string();
    sylvan::run(|| {
        let failure = panicker().join().unwrap_err();
        assert_eq!(words(&failure), "on purpose", "the box");
        assert_eq!(words(&*failure), "on purpose", "what is in it");
        let again = thread::spawn(|| panic::resume_unwind(Box::new(failure)));
        assert_eq!(words(&again.join().unwrap_err()), "on purpose");

        let text = String::from("a text of its own");
        let task = thread::spawn(|| panic::resume_unwind(Box::new(text)));
        assert_eq!(
            words(&task::gather([task]).unwrap_err()),
            "a text of its own"
        );
        let number = thread::spawn(|| panic::resume_unwind(Box::new(5)));
        assert_eq!(
            words(&number.join().unwrap_err()),
            "(a payload that is not a string)"
        );

        let cancelled = sleeper();
        cancelled.cancel();
        assert_eq!(
            words(&cancelled.join().unwrap_err()),
            "the green thread was cancelled"
        );
        let refused = thread::Builder::new().stack_size(usize::MAX);
        let refused = refused.spawn(|| ()).unwrap().join().unwrap_err();
        assert!(words(&refused).contains("vm.max_map_count"));
    });
}
