//! Panics beside each other: whose panic it is while a green thread is parked in the middle of its unwinding,
//! and what a panic in one does to the others, which is nothing.
//!
//! std counts panics per OS thread. `src/rt/README.md`, section "Cancellation", has the rules by which it is
//! known, or not, whose they are; [`CASES`] is a row for each thing that can be known, and for the cautious
//! reading of what cannot.

mod support;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex as StdMutex, Once as StdOnce};
use std::time::Duration;

use support::{HOUR, must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::sync::{Condvar, Mutex, Once, RwLock};
use sylvan::task::Cancelled;
use sylvan::thread::{self, JoinHandle};
use sylvan::time::timeout;

const SHORT: Duration = Duration::from_millis(3);

/// A panic that is meant: its message is not shown.
struct Expected(usize);

fn fail(number: usize) -> ! {
    static ONCE: StdOnce = StdOnce::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Expected>() {
                before(info);
            }
        }));
    });
    panic::panic_any(Expected(number))
}

/// Runs its closure when dropped.
struct AtDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn settle() {
    for _ in 0..5 {
        thread::yield_now();
    }
}

// ── Whose panic it is

/// What a neighbour on the same hub does meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Neighbour {
    /// There is none.
    Nobody,
    /// Is parked, and does not unwind.
    Parked,
    /// Is parked in a destructor, because it was cancelled.
    Cancelled,
    /// Is parked in a destructor, because it panicked.
    Panicked,
    /// Was parked in a destructor because it panicked, and is through.
    Through,
    /// Is parked in a destructor because it panicked, on another hub.
    Elsewhere,
}

/// What is done with a lock of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    /// It is locked and unlocked.
    Uses,
    /// It was locked before the neighbour was there, by one that was parked since, and is unlocked now.
    HeldBefore,
    /// Its holder panics.
    Panics,
    /// Its holder is cancelled.
    IsCancelled,
    /// Its holder runs out of time.
    IsTimedOut,
    /// It is locked and unlocked by a destructor, because of a panic.
    UsesInPanic,
    /// It is locked and unlocked by a destructor, because of a cancel.
    UsesInCancel,
    /// Its holder has caught a panic, and then unlocks.
    HasCaught,
    /// Its holder has swallowed a cancel, and then unlocks.
    HasSwallowed,
}

/// Is it known whether the one that acts panics?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Knows {
    Panics,
    PanicsNot,
    /// std's count is not its own alone: `panicking` says that it does, and nothing is poisoned.
    Nothing,
}

use Act::{
    HasCaught, HasSwallowed, HeldBefore, IsCancelled, IsTimedOut, Panics, Uses, UsesInCancel,
    UsesInPanic,
};
use Neighbour::{Cancelled as IsCancelledToo, Elsewhere, Nobody, Panicked, Parked, Through};

#[rustfmt::skip]
const CASES: &[(Neighbour, Act, Knows)] = &[
    // Nobody else unwinds on this OS thread: all is exact.
    (Nobody, Uses, Knows::PanicsNot),
    (Nobody, HeldBefore, Knows::PanicsNot),
    (Nobody, Panics, Knows::Panics),
    (Nobody, IsCancelled, Knows::PanicsNot),
    (Nobody, IsTimedOut, Knows::PanicsNot),
    (Nobody, UsesInPanic, Knows::Panics),
    (Nobody, UsesInCancel, Knows::PanicsNot),
    (Nobody, HasCaught, Knows::PanicsNot),
    (Nobody, HasSwallowed, Knows::PanicsNot),
    (Parked, Uses, Knows::PanicsNot),
    (Parked, Panics, Knows::Panics),
    (Parked, IsCancelled, Knows::PanicsNot),
    (Parked, UsesInPanic, Knows::Panics),
    (Elsewhere, Uses, Knows::PanicsNot),
    (Elsewhere, HeldBefore, Knows::PanicsNot),
    (Elsewhere, Panics, Knows::Panics),
    (Elsewhere, IsCancelled, Knows::PanicsNot),
    (Elsewhere, UsesInPanic, Knows::Panics),
    (Elsewhere, HasCaught, Knows::PanicsNot),
    (Through, Uses, Knows::PanicsNot),
    (Through, Panics, Knows::Panics),
    (Through, IsCancelled, Knows::PanicsNot),
    (Through, UsesInPanic, Knows::Panics),
    (Through, HasCaught, Knows::PanicsNot),
    // A throw of ours is known to its frame, whoever else unwinds.
    (IsCancelledToo, IsCancelled, Knows::PanicsNot),
    (IsCancelledToo, IsTimedOut, Knows::PanicsNot),
    (IsCancelledToo, UsesInCancel, Knows::PanicsNot),
    (Panicked, IsCancelled, Knows::PanicsNot),
    (Panicked, IsTimedOut, Knows::PanicsNot),
    (Panicked, UsesInCancel, Knows::PanicsNot),
    // The rest is the neighbour's panic, or is not: the cautious reading.
    (IsCancelledToo, Uses, Knows::Nothing),
    (IsCancelledToo, HeldBefore, Knows::Nothing),
    (IsCancelledToo, Panics, Knows::Nothing),
    (IsCancelledToo, UsesInPanic, Knows::Nothing),
    (IsCancelledToo, HasCaught, Knows::Nothing),
    (IsCancelledToo, HasSwallowed, Knows::Nothing),
    (Panicked, Uses, Knows::Nothing),
    (Panicked, HeldBefore, Knows::Nothing),
    (Panicked, Panics, Knows::Nothing),
    (Panicked, UsesInPanic, Knows::Nothing),
    (Panicked, HasCaught, Knows::Nothing),
    (Panicked, HasSwallowed, Knows::Nothing),
];

/// A lock of ours, as the cases use it.
trait Lock: Send + Sync + 'static {
    /// Runs `f` with the lock held.
    fn hold(&self, f: &mut dyn FnMut());
    fn is_poisoned(&self) -> bool;
}

impl Lock for Mutex<()> {
    fn hold(&self, f: &mut dyn FnMut()) {
        let _guard = self.lock().unwrap();
        f();
    }

    fn is_poisoned(&self) -> bool {
        self.is_poisoned()
    }
}

impl Lock for RwLock<()> {
    fn hold(&self, f: &mut dyn FnMut()) {
        let _guard = self.write().unwrap();
        f();
    }

    fn is_poisoned(&self) -> bool {
        self.is_poisoned()
    }
}

/// A mutex whose guard came back from a condition variable.
struct Waited(Mutex<()>, Condvar);

impl Lock for Waited {
    fn hold(&self, f: &mut dyn FnMut()) {
        let guard = self.0.lock().unwrap();
        let (_guard, _) = self.1.wait_timeout(guard, Duration::ZERO).unwrap();
        f();
    }

    fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }
}

#[test]
fn a_lock_is_poisoned_by_its_holders_panic_and_by_no_neighbours() {
    let locks: [fn() -> Arc<dyn Lock>; 3] = [
        || Arc::new(Mutex::new(())),
        || Arc::new(RwLock::new(())),
        || Arc::new(Waited(Mutex::new(()), Condvar::new())),
    ];
    for new in locks {
        for &(neighbour, act, knows) in CASES {
            must_end(|| judge(&new(), neighbour, act, knows));
        }
    }
}

fn judge(lock: &Arc<dyn Lock>, neighbour: Neighbour, act: Act, knows: Knows) {
    let case = format!("{neighbour:?}, {act:?}");
    let saw = Arc::new(StdMutex::new(None));
    sylvan::run(|| {
        // A throw is exact for one that was parked when nobody unwound.
        let thrown = matches!(act, IsCancelled | IsTimedOut | UsesInCancel | HasSwallowed);
        let is_early = thrown || act == HeldBefore;
        let early = is_early.then(|| actor(lock, act, &saw));
        settle();
        let unwinds = bring(neighbour);
        let actor = early.unwrap_or_else(|| actor(lock, act, &saw));
        settle();
        if matches!(act, IsCancelled | UsesInCancel | HasSwallowed) {
            actor.cancel();
        }
        if !thrown {
            actor.thread().unpark();
        }
        let failed = actor.join().is_err();
        assert_eq!(
            failed,
            !matches!(
                act,
                Uses | HeldBefore | IsTimedOut | HasCaught | HasSwallowed
            ),
            "{case}"
        );
        unwinds.release();
    });
    let saw = saw.lock().unwrap().expect("it has looked");
    assert_eq!(
        saw,
        knows != Knows::PanicsNot,
        "{case}: thread::panicking()"
    );
    // A guard that was taken in the midst of a panic does not poison: as std's.
    let poisons = knows == Knows::Panics && act == Panics;
    assert_eq!(lock.is_poisoned(), poisons, "{case}: is_poisoned()");
    assert!(!thread::panicking() && !std::thread::panicking());
}

/// A green thread that does it, and notes in the act what `panicking` says. It waits to be unparked first,
/// but where it is cancelled, or runs out of time, in the act.
fn actor(lock: &Arc<dyn Lock>, act: Act, saw: &Arc<StdMutex<Option<bool>>>) -> JoinHandle<()> {
    let (lock, saw) = (lock.clone(), saw.clone());
    let look = move || *saw.lock().unwrap() = Some(thread::panicking());
    thread::spawn(move || {
        let holds_and_looks_at_its_end = |f: &mut dyn FnMut()| {
            lock.hold(&mut || {
                let _looks = AtDrop(&look);
                f();
            });
        };
        match act {
            Uses => {
                thread::park();
                holds_and_looks_at_its_end(&mut || ());
            }
            HeldBefore => holds_and_looks_at_its_end(&mut thread::park),
            Panics => {
                thread::park();
                holds_and_looks_at_its_end(&mut || fail(1));
            }
            IsCancelled => holds_and_looks_at_its_end(&mut || thread::sleep(HOUR)),
            IsTimedOut => {
                let hold = || holds_and_looks_at_its_end(&mut || thread::sleep(HOUR));
                assert!(timeout(5 * SHORT, hold).is_err());
            }
            UsesInPanic => {
                thread::park();
                let _uses = AtDrop(|| holds_and_looks_at_its_end(&mut || ()));
                fail(2);
            }
            UsesInCancel => {
                let _uses = AtDrop(|| holds_and_looks_at_its_end(&mut || ()));
                thread::sleep(HOUR);
            }
            HasCaught => {
                thread::park();
                holds_and_looks_at_its_end(&mut || {
                    assert!(panic::catch_unwind(|| fail(3)).is_err());
                });
            }
            HasSwallowed => {
                let sleep = || thread::sleep(HOUR);
                assert!(panic::catch_unwind(sleep).is_err());
                lock.hold(&mut || {
                    let _looks = AtDrop(&look);
                });
            }
        }
    })
}

/// A neighbour that is there, and what lets it go.
struct Brought {
    neighbour: Option<JoinHandle<()>>,
    elsewhere: Option<std::thread::JoinHandle<()>>,
}

fn bring(neighbour: Neighbour) -> Brought {
    let in_destructor = Arc::new(AtomicBool::new(false));
    let there = in_destructor.clone();
    let begin = move |panics: bool| {
        let _waits = AtDrop(|| {
            there.store(true, SeqCst);
            thread::park();
        });
        if panics {
            fail(4);
        }
        thread::sleep(HOUR);
    };
    let panics = neighbour != IsCancelledToo;
    let (task, elsewhere) = match neighbour {
        Nobody => (None, None),
        Parked => (Some(thread::spawn(thread::park)), None),
        IsCancelledToo | Panicked | Through => (Some(thread::spawn(move || begin(panics))), None),
        Elsewhere => {
            let (send, receive) = std::sync::mpsc::channel();
            let hub = std::thread::spawn(move || {
                sylvan::run(|| {
                    let task = thread::spawn(move || begin(true));
                    send.send(thread::current()).unwrap();
                    thread::park();
                    task.thread().unpark();
                    assert!(task.join().is_err());
                });
            });
            let main = receive.recv().unwrap();
            while !in_destructor.load(SeqCst) {
                std::thread::yield_now();
            }
            let let_go = thread::spawn(move || {
                thread::park();
                main.unpark();
            });
            (Some(let_go), Some(hub))
        }
    };
    settle();
    if neighbour == IsCancelledToo {
        task.iter().for_each(JoinHandle::cancel);
        settle();
    }
    let unwinds = matches!(neighbour, IsCancelledToo | Panicked | Through);
    assert!(in_destructor.load(SeqCst) == (unwinds || neighbour == Elsewhere));
    assert_eq!(std::thread::panicking(), unwinds, "{neighbour:?}");
    let brought = Brought {
        neighbour: task,
        elsewhere,
    };
    if neighbour == Through {
        brought.release();
        return bring(Nobody);
    }
    brought
}

impl Brought {
    fn release(self) {
        if let Some(neighbour) = self.neighbour {
            neighbour.thread().unpark();
            let _ = neighbour.join();
        }
        if let Some(elsewhere) = self.elsewhere {
            elsewhere.join().unwrap();
        }
    }
}

#[test]
fn a_once_is_poisoned_by_its_own_panic_whoever_else_unwinds() {
    must_end(|| {
        for neighbour in [Nobody, Parked, IsCancelledToo, Panicked, Elsewhere] {
            sylvan::run(|| {
                let brought = bring(neighbour);
                let (fails, works) = (Arc::new(Once::new()), Arc::new(Once::new()));
                let (first, second) = (fails.clone(), works.clone());
                let failed = thread::spawn(move || first.call_once(|| fail(5)));
                assert!(failed.join().is_err());
                thread::spawn(move || second.call_once(|| ()))
                    .join()
                    .unwrap();
                assert!(works.is_completed(), "{neighbour:?}");
                fails.call_once_force(|state| assert!(state.is_poisoned(), "{neighbour:?}"));
                brought.release();
            });
        }
    });
}

/// A cancel is a panic to std: what it documents of its guards holds for those on a green thread's stack.
#[test]
fn guards_of_std_are_poisoned_by_a_cancel_and_by_a_neighbour() {
    must_end(|| {
        sylvan::run(|| {
            let lock = Arc::new(StdMutex::new(()));
            let theirs = lock.clone();
            let cancelled = thread::spawn(move || {
                let _guard = theirs.lock();
                thread::sleep(HOUR);
            });
            settle();
            cancelled.cancel();
            assert!(cancelled.join().is_err());
            assert!(lock.is_poisoned());
            for (neighbour, poisoned) in [(Parked, false), (IsCancelledToo, true), (Panicked, true)]
            {
                let lock = StdMutex::new(());
                let guard = lock.lock().unwrap();
                let brought = bring(neighbour);
                drop(guard);
                assert_eq!(lock.is_poisoned(), poisoned, "{neighbour:?}");
                // One that was taken meanwhile is not.
                lock.clear_poison();
                drop(lock.lock().unwrap());
                assert!(!lock.is_poisoned());
                brought.release();
            }
        });
    });
}

/// Why the cautious reading is that: the lock is let go to the very one that unwinds, whose `unwrap` would
/// abort the process.
#[test]
fn a_destructor_of_a_panic_gets_the_lock_of_a_neighbour_unpoisoned() {
    must_end(|| {
        sylvan::run(|| {
            let lock = Arc::new(Mutex::new(0));
            let (holds, waits) = (lock.clone(), lock.clone());
            let holder = thread::spawn(move || {
                let mut guard = holds.lock().unwrap();
                thread::park();
                *guard += 1;
            });
            settle();
            let unwinds = thread::spawn(move || {
                let _uses = AtDrop(|| *waits.lock().unwrap() += 1);
                fail(6);
            });
            settle();
            assert!(std::thread::panicking());
            holder.thread().unpark();
            holder.join().unwrap();
            assert!(unwinds.join().is_err());
            assert_eq!(*lock.lock().unwrap(), 2);
        });
    });
}

/// Of two that panic and suspend in destructors the second cannot know whether it is in a panic when it enters a
/// time-out, so nor whether a panic that it knows of later began outside of it: the time-out is held back for good.
#[test]
fn the_second_of_two_panics_cannot_bound_its_clean_up() {
    must_end(|| {
        sylvan::run(|| {
            let first = bring(Panicked);
            let second = thread::spawn(|| {
                let _bounds = AtDrop(|| assert!(timeout(SHORT, thread::park).is_ok()));
                fail(7);
            });
            // Many times the time-out.
            thread::sleep(20 * SHORT);
            first.release();
            thread::sleep(10 * SHORT);
            assert!(!second.is_finished());
            second.thread().unpark();
            let payload = second.join().unwrap_err();
            assert_eq!(payload.downcast::<Expected>().unwrap().0, 7);
        });
    });
}

#[test]
fn beside_a_panic_throws_are_exact_for_those_who_were_parked_before() {
    must_end(|| {
        for neighbour in [IsCancelledToo, Panicked] {
            sylvan::run(|| {
                let waits = thread::spawn(|| thread::sleep(HOUR));
                let bounded = thread::spawn(|| timeout(5 * SHORT, || thread::sleep(HOUR)));
                let cleaned = Arc::new(AtomicBool::new(false));
                let theirs = cleaned.clone();
                let cleans = thread::spawn(move || {
                    let _bounds = AtDrop(|| {
                        let late = timeout(SHORT, || thread::sleep(HOUR));
                        theirs.store(late.is_err(), SeqCst);
                    });
                    thread::sleep(HOUR);
                });
                settle();
                let brought = bring(neighbour);
                waits.cancel();
                cleans.cancel();
                assert!(waits.join().unwrap_err().is::<Cancelled>());
                assert!(cleans.join().unwrap_err().is::<Cancelled>());
                assert!(cleaned.load(SeqCst), "{neighbour:?}");
                assert!(bounded.join().unwrap().is_err());
                brought.release();
            });
        }
    });
}

/// One that is parked since may be in the midst of a panic of its own, for all that is known.
#[test]
fn beside_a_panic_throws_wait_for_its_end_for_those_who_are_parked_since() {
    must_end(|| {
        for neighbour in [IsCancelledToo, Panicked] {
            sylvan::run(|| {
                let brought = bring(neighbour);
                let waits = thread::spawn(|| thread::sleep(HOUR));
                let bounded = thread::spawn(|| timeout(SHORT, || thread::sleep(HOUR)));
                settle();
                waits.cancel();
                // Many times the time-out: it may come at any time after this, but not before.
                thread::sleep(20 * SHORT);
                assert!(!waits.is_finished() && !bounded.is_finished());
                brought.release();
                assert!(waits.join().unwrap_err().is::<Cancelled>());
                assert!(bounded.join().unwrap().is_err());
            });
        }
    });
}

// ── What a panic does to others

#[test]
fn a_panic_stops_nobody_else() {
    must_end(|| {
        for workers in [1, 4] {
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let hubs = Arc::new(StdMutex::new(std::collections::HashSet::new()));
            runtime.run(|| {
                let (send, receive) = sylvan::sync::mpsc::channel::<usize>();
                let receive = Arc::new(Mutex::new(receive));
                let rounds = scaled(200);
                let tasks: Vec<_> = (0..8 * rounds)
                    .map(|n| {
                        let (receive, send, hubs) = (receive.clone(), send.clone(), hubs.clone());
                        thread::spawn(move || {
                            hubs.lock().unwrap().insert(std::thread::current().id());
                            match n % 8 {
                                // Before and after they were parked, and in the midst of others' waits.
                                0 => fail(n),
                                1 => {
                                    thread::yield_now();
                                    fail(n);
                                }
                                2 => {
                                    let _waits = AtDrop(|| thread::sleep(SHORT));
                                    fail(n);
                                }
                                // Those who run, are parked, wait for each other.
                                3 => (0..20).for_each(|_| thread::yield_now()),
                                4 => thread::sleep(SHORT),
                                5 => send.send(n).unwrap(),
                                6 => assert_eq!(receive.lock().unwrap().recv().unwrap() % 8, 5),
                                _ => {
                                    let child = thread::spawn(move || fail(n));
                                    let payload = child.join().unwrap_err();
                                    assert_eq!(payload.downcast::<Expected>().unwrap().0, n);
                                }
                            }
                            n
                        })
                    })
                    .collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    match task.join() {
                        Ok(value) => assert!(value == n && n % 8 > 2),
                        Err(payload) => {
                            assert_eq!(payload.downcast::<Expected>().unwrap().0, n);
                            assert!(n % 8 <= 2);
                        }
                    }
                }
            });
            // And it goes on.
            assert_eq!(runtime.run(|| thread::spawn(|| 1).join().unwrap()), 1);
            runtime.close();
            assert!(!hubs.lock().unwrap().is_empty());
        }
    });
}

/// Events in their order.
#[derive(Clone, Default)]
struct Order(Arc<StdMutex<Vec<&'static str>>>);

impl Order {
    fn note(&self, event: &'static str) {
        self.0.lock().unwrap().push(event);
    }
}

/// A green thread that has begun, and takes its time to unwind.
fn leftover(order: &Order, unwound: &'static str) {
    let order = order.clone();
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    drop(thread::spawn(move || {
        let _slow = AtDrop(|| {
            thread::sleep(SHORT);
            thread::yield_now();
            order.note(unwound);
        });
        begins.store(true, SeqCst);
        thread::sleep(HOUR);
    }));
    while !begun.load(SeqCst) {
        thread::yield_now();
    }
}

#[test]
fn a_panic_of_main_reaches_the_caller_after_all_the_rest_was_unwound() {
    must_end(|| {
        let order = Order::default();
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let _caller = AtDrop(|| order.note("the caller unwinds"));
            sylvan::run(|| {
                leftover(&order, "the leftover has unwound");
                thread::yield_now();
                let _main = AtDrop(|| order.note("main unwinds"));
                fail(8);
            });
        }));
        order.note("the caller has caught it");
        assert_eq!(result.unwrap_err().downcast::<Expected>().unwrap().0, 8);
        let expected = [
            "main unwinds",
            "the leftover has unwound",
            "the caller unwinds",
            "the caller has caught it",
        ];
        assert_eq!(*order.0.lock().unwrap(), expected);
    });
}

#[test]
fn a_panic_of_a_nested_run_reaches_its_caller_after_its_leftovers_were_unwound() {
    must_end(|| {
        let order = Order::default();
        sylvan::run(|| {
            leftover(&order, "the outer leftover has unwound");
            let result = panic::catch_unwind(AssertUnwindSafe(|| {
                sylvan::run(|| {
                    leftover(&order, "the inner leftover has unwound");
                    thread::yield_now();
                    fail(9);
                });
            }));
            assert_eq!(result.unwrap_err().downcast::<Expected>().unwrap().0, 9);
            order.note("caught");
        });
        let expected = [
            "the inner leftover has unwound",
            "caught",
            "the outer leftover has unwound",
        ];
        assert_eq!(*order.0.lock().unwrap(), expected);
    });
}

/// A runtime of one's own keeps those who are left for its next `run`; its end unwinds them.
#[test]
fn a_panic_of_main_leaves_the_others_of_a_runtime_to_its_next_run() {
    must_end(|| {
        for workers in [1, 4] {
            let order = Order::default();
            let runtime = Runtime::builder().workers(workers).build().unwrap();
            let result = runtime.try_run(|| -> () {
                leftover(&order, "unwound");
                fail(10)
            });
            assert_eq!(result.unwrap_err().downcast::<Expected>().unwrap().0, 10);
            order.note("returned");
            runtime.run(thread::yield_now);
            order.note("ran again");
            runtime.close();
            let expected = ["returned", "ran again", "unwound"];
            assert_eq!(*order.0.lock().unwrap(), expected);
        }
    });
}
