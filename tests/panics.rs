//! Panics beside each other: whose panic it is while a green thread is parked in the middle of its unwinding,
//! and what a panic in one does to the others, which is nothing.
//!
//! std counts panics per OS thread. `src/rt/README.md`, section "Cancellation", has the rules by which it is
//! known whose they are; [`CASES`] is a row for each thing that is known.

mod support;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex as StdMutex, Once as StdOnce};
use std::time::Duration;

use support::{HOUR, Numbers, must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::sync::{Condvar, Mutex, Once, RwLock};
use sylvan::task::{Cancelled, Reason, State};
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

/// Until it sleeps or is parked, or is through.
fn until_it_waits<T>(task: &JoinHandle<T>) {
    let is_on_its_way = || match task.state() {
        State::Waiting(reason) => !matches!(reason, Reason::Sleep | Reason::Park),
        state => matches!(state, State::Pending | State::Running),
    };
    while is_on_its_way() {
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
    /// As `Uses`, inside of a `catch_unwind`.
    UsesInCatch,
    /// As `Panics`, in a destructor of a panic that catches it.
    PanicsInPanic,
    /// As `Panics`, in a destructor of a cancel that catches it: taken for a part of the cancel.
    PanicsInCancel,
}

/// Does the one that acts panic?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Knows {
    Panics,
    PanicsNot,
}

use Act::{
    HasCaught, HasSwallowed, HeldBefore, IsCancelled, IsTimedOut, Panics, PanicsInCancel,
    PanicsInPanic, Uses, UsesInCancel, UsesInCatch, UsesInPanic,
};
use Neighbour::{Cancelled as IsCancelledToo, Elsewhere, Nobody, Panicked, Parked, Through};

#[rustfmt::skip]
const CASES: &[(Neighbour, Act, Knows)] = &[
    // Nobody else unwinds.
    (Nobody, Uses, Knows::PanicsNot),
    (Nobody, HeldBefore, Knows::PanicsNot),
    (Nobody, Panics, Knows::Panics),
    (Nobody, IsCancelled, Knows::PanicsNot),
    (Nobody, IsTimedOut, Knows::PanicsNot),
    (Nobody, UsesInPanic, Knows::Panics),
    (Nobody, UsesInCancel, Knows::PanicsNot),
    (Nobody, HasCaught, Knows::PanicsNot),
    (Nobody, HasSwallowed, Knows::PanicsNot),
    (Nobody, UsesInCatch, Knows::PanicsNot),
    (Nobody, PanicsInPanic, Knows::Panics),
    (Nobody, PanicsInCancel, Knows::PanicsNot),
    (Parked, Uses, Knows::PanicsNot),
    (Parked, HeldBefore, Knows::PanicsNot),
    (Parked, Panics, Knows::Panics),
    (Parked, IsCancelled, Knows::PanicsNot),
    (Parked, IsTimedOut, Knows::PanicsNot),
    (Parked, UsesInPanic, Knows::Panics),
    (Parked, UsesInCancel, Knows::PanicsNot),
    (Parked, HasCaught, Knows::PanicsNot),
    (Parked, HasSwallowed, Knows::PanicsNot),
    (Parked, UsesInCatch, Knows::PanicsNot),
    (Parked, PanicsInPanic, Knows::Panics),
    (Parked, PanicsInCancel, Knows::PanicsNot),
    // On another OS thread.
    (Elsewhere, Uses, Knows::PanicsNot),
    (Elsewhere, HeldBefore, Knows::PanicsNot),
    (Elsewhere, Panics, Knows::Panics),
    (Elsewhere, IsCancelled, Knows::PanicsNot),
    (Elsewhere, IsTimedOut, Knows::PanicsNot),
    (Elsewhere, UsesInPanic, Knows::Panics),
    (Elsewhere, UsesInCancel, Knows::PanicsNot),
    (Elsewhere, HasCaught, Knows::PanicsNot),
    (Elsewhere, HasSwallowed, Knows::PanicsNot),
    (Elsewhere, UsesInCatch, Knows::PanicsNot),
    (Elsewhere, PanicsInPanic, Knows::Panics),
    (Elsewhere, PanicsInCancel, Knows::PanicsNot),
    (Through, Uses, Knows::PanicsNot),
    (Through, HeldBefore, Knows::PanicsNot),
    (Through, Panics, Knows::Panics),
    (Through, IsCancelled, Knows::PanicsNot),
    (Through, IsTimedOut, Knows::PanicsNot),
    (Through, UsesInPanic, Knows::Panics),
    (Through, UsesInCancel, Knows::PanicsNot),
    (Through, HasCaught, Knows::PanicsNot),
    (Through, HasSwallowed, Knows::PanicsNot),
    (Through, UsesInCatch, Knows::PanicsNot),
    (Through, PanicsInPanic, Knows::Panics),
    (Through, PanicsInCancel, Knows::PanicsNot),
    // On this one: std reports a panic all the while.
    (IsCancelledToo, Uses, Knows::PanicsNot),
    (IsCancelledToo, HeldBefore, Knows::PanicsNot),
    (IsCancelledToo, Panics, Knows::Panics),
    (IsCancelledToo, IsCancelled, Knows::PanicsNot),
    (IsCancelledToo, IsTimedOut, Knows::PanicsNot),
    (IsCancelledToo, UsesInPanic, Knows::Panics),
    (IsCancelledToo, UsesInCancel, Knows::PanicsNot),
    (IsCancelledToo, HasCaught, Knows::PanicsNot),
    (IsCancelledToo, HasSwallowed, Knows::PanicsNot),
    (IsCancelledToo, UsesInCatch, Knows::PanicsNot),
    (IsCancelledToo, PanicsInPanic, Knows::Panics),
    (IsCancelledToo, PanicsInCancel, Knows::PanicsNot),
    (Panicked, Uses, Knows::PanicsNot),
    (Panicked, HeldBefore, Knows::PanicsNot),
    (Panicked, Panics, Knows::Panics),
    (Panicked, IsCancelled, Knows::PanicsNot),
    (Panicked, IsTimedOut, Knows::PanicsNot),
    (Panicked, UsesInPanic, Knows::Panics),
    (Panicked, UsesInCancel, Knows::PanicsNot),
    (Panicked, HasCaught, Knows::PanicsNot),
    (Panicked, HasSwallowed, Knows::PanicsNot),
    (Panicked, UsesInCatch, Knows::PanicsNot),
    (Panicked, PanicsInPanic, Knows::Panics),
    (Panicked, PanicsInCancel, Knows::PanicsNot),
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
        // It waits, if only for a moment: masked, for it is not what is cancelled.
        let wait = || self.1.wait_timeout(guard, Duration::ZERO).unwrap();
        let (_guard, _) = sylvan::task::mask(wait);
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
        let cancelled = matches!(
            act,
            IsCancelled | UsesInCancel | HasSwallowed | PanicsInCancel
        );
        let early = (act == HeldBefore).then(|| actor(lock, act, &saw));
        early.iter().for_each(until_it_waits);
        let unwinds = bring(neighbour);
        let actor = early.unwrap_or_else(|| actor(lock, act, &saw));
        until_it_waits(&actor);
        if cancelled {
            actor.cancel();
        } else {
            actor.thread().unpark();
        }
        let failed = actor.join().is_err();
        assert_eq!(
            failed,
            !matches!(
                act,
                Uses | UsesInCatch | HeldBefore | IsTimedOut | HasCaught | HasSwallowed
            ),
            "{case}"
        );
        unwinds.release();
    });
    let saw = saw
        .lock()
        .unwrap()
        .unwrap_or_else(|| panic!("{case}: it has not looked"));
    assert_eq!(
        saw,
        knows != Knows::PanicsNot,
        "{case}: thread::panicking()"
    );
    // A guard that was taken in the midst of a panic does not poison: as std's.
    let poisons = act == Panics;
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
            UsesInCatch => {
                thread::park();
                panic::catch_unwind(AssertUnwindSafe(|| holds_and_looks_at_its_end(&mut || ())))
                    .unwrap();
            }
            PanicsInPanic | PanicsInCancel => {
                let _panics = AtDrop(|| {
                    let again = || holds_and_looks_at_its_end(&mut || fail(11));
                    assert!(panic::catch_unwind(AssertUnwindSafe(again)).is_err());
                });
                thread::park();
                fail(12);
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

#[test]
fn of_two_that_panic_at_once_both_bound_their_clean_up() {
    must_end(|| {
        sylvan::run(|| {
            let first = bring(Panicked);
            let second = thread::spawn(|| {
                let _bounds = AtDrop(|| assert!(timeout(SHORT, thread::park).is_err()));
                fail(7);
            });
            let payload = second.join().unwrap_err();
            assert_eq!(payload.downcast::<Expected>().unwrap().0, 7);
            first.release();
        });
    });
}

/// Whether they were parked before the neighbour began to unwind or since, in a destructor or not.
#[test]
fn beside_one_that_unwinds_throws_are_exact() {
    must_end(|| {
        for neighbour in [IsCancelledToo, Panicked] {
            for since in [false, true] {
                sylvan::run(|| throws_are_exact(neighbour, since));
            }
        }
    });
}

fn throws_are_exact(neighbour: Neighbour, since: bool) {
    let cleaned = Arc::new(AtomicBool::new(false));
    let theirs = cleaned.clone();
    let spawn = || {
        let waits = thread::spawn(|| thread::sleep(HOUR));
        let bounded = thread::spawn(|| timeout(5 * SHORT, || thread::sleep(HOUR)));
        let catches = thread::spawn(|| {
            // What catches everything is called as what does not unwind.
            let caught = panic::catch_unwind(|| thread::sleep(HOUR));
            assert!(caught.is_err());
            thread::sleep(HOUR);
        });
        let cleans = thread::spawn(move || {
            let _bounds = AtDrop(|| {
                assert!(timeout(SHORT, || thread::sleep(HOUR)).is_err());
                theirs.store(true, SeqCst);
            });
            thread::sleep(HOUR);
        });
        for task in [&waits, &catches, &cleans] {
            until_it_waits(task);
        }
        (waits, bounded, catches, cleans)
    };
    let (brought, (waits, bounded, catches, cleans)) = if since {
        (bring(neighbour), spawn())
    } else {
        let spawned = spawn();
        (bring(neighbour), spawned)
    };
    for task in [waits, catches, cleans] {
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
    }
    assert!(cleaned.load(SeqCst), "{neighbour:?}");
    assert!(bounded.join().unwrap().is_err());
    brought.release();
}

/// What is due outside of a destructor waits for its end, also where the destructor catches what unwinds.
#[test]
fn a_destructor_of_an_unwinding_is_not_disturbed() {
    must_end(|| {
        for neighbour in [Nobody, IsCancelledToo, Panicked] {
            for panics in [true, false] {
                for catches in [false, true] {
                    sylvan::run(|| {
                        let brought = bring(neighbour);
                        let task = thread::spawn(move || cleans(panics, catches));
                        until_it_waits(&task);
                        task.cancel();
                        let payload = task.join().unwrap_err();
                        assert_eq!(payload.is::<Expected>(), panics);
                        brought.release();
                    });
                }
            }
        }
    });
}

fn cleans(panics: bool, catches: bool) {
    let mut rounds = 0;
    let outer = timeout(SHORT, || {
        let _cleans = AtDrop(|| {
            let mut clean = || {
                assert_eq!(sylvan::time::deadline(), None);
                thread::sleep(3 * SHORT);
                assert!(!sylvan::task::cancel_requested());
                rounds += 1;
            };
            if catches {
                let _ = panic::catch_unwind(AssertUnwindSafe(clean));
            } else {
                clean();
            }
        });
        if panics {
            fail(13);
        }
        thread::sleep(HOUR);
    });
    assert!(outer.is_err());
    assert_eq!(rounds, 1);
    thread::sleep(HOUR);
}

/// Time-outs, panics and cancels in destructors of each other, at random, in many neighbours at once: nothing aborts,
/// and all comes to its end.
#[test]
fn a_tangle_of_unwindings_ends() {
    must_end(|| {
        for workers in [1, 4] {
            for round in 0..scaled(20) {
                let runtime = Runtime::builder().workers(workers).build().unwrap();
                runtime.run(|| {
                    let tasks: Vec<_> = (0..16)
                        .map(|n| {
                            let mut numbers = Numbers::new((round * 16 + n) as u64 + 1);
                            thread::spawn(move || tangle(6, &mut numbers))
                        })
                        .collect();
                    for (n, task) in tasks.into_iter().enumerate() {
                        if n % 2 == 0 {
                            thread::sleep(SHORT / 3);
                            task.cancel();
                        }
                        if let Err(payload) = task.join() {
                            assert!(payload.is::<Cancelled>() && n % 2 == 0);
                        }
                    }
                });
                runtime.close();
            }
        }
    });
}

fn tangle(depth: usize, numbers: &mut Numbers) {
    let pause = Duration::from_micros(100 * numbers.below(10));
    if depth == 0 {
        return thread::sleep(pause);
    }
    let depth = depth - 1;
    match numbers.below(8) {
        0 => drop(timeout(pause, || tangle(depth, numbers))),
        1 => {
            let _ = timeout(pause, || {
                let _then = AtDrop(|| tangle(depth, numbers));
                thread::sleep(HOUR);
            });
        }
        2 => {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| {
                let _then = AtDrop(|| tangle(depth, numbers));
                fail(14);
            }));
        }
        3 => {
            let _then = AtDrop(|| tangle(depth, numbers));
            thread::sleep(pause);
        }
        4 => sylvan::task::mask(|| tangle(depth, numbers)),
        5 => thread::scope(|scope| {
            let seed = numbers.below(1 << 40);
            scope.spawn(move || tangle(depth, &mut Numbers::new(seed)));
            tangle(depth, numbers);
        }),
        6 => {
            let lock = Mutex::new(());
            let _ = timeout(pause, || {
                let _guard = lock.lock();
                tangle(depth, numbers);
            });
            assert!(!lock.is_poisoned());
        }
        _ => {
            tangle(depth, numbers);
            tangle(depth, numbers);
        }
    }
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
