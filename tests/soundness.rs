//! What safe code may do with green threads: keep on the stack whatever it likes, on one OS thread.

#![forbid(unsafe_code)]

mod support;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use support::{must_end, scaled};
use sylvan::runtime::Runtime;
use sylvan::thread;

/// Runs `f` where other hubs may steal what it spawns.
fn on_hubs<T>(workers: usize, f: impl FnOnce() -> T) -> T {
    must_end(|| {
        let runtime = Runtime::builder().workers(workers).build().unwrap();
        let result = runtime.run(f);
        runtime.close();
        result
    })
}

/// Suspends in one way or another.
fn suspend(turn: usize) {
    match turn % 5 {
        0 => thread::sleep(Duration::from_micros(turn as u64 % 50)),
        1 => {
            let me = thread::current();
            thread::spawn(move || me.unpark());
            thread::park();
        }
        2 => assert_eq!(thread::spawn(move || turn).join().unwrap(), turn),
        _ => thread::yield_now(),
    }
}

#[test]
fn what_cannot_be_sent_lives_across_suspensions_while_hubs_steal() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let poisonable = Arc::new(Mutex::new(0));
    on_hubs(4, || {
        let tasks: Vec<_> = (0..scaled(2000))
            .map(|n| {
                let (threads, common) = (threads.clone(), poisonable.clone());
                thread::spawn(move || {
                    let counted = Rc::new(RefCell::new(vec![n]));
                    let other = counted.clone();
                    let own = Mutex::new(n);
                    let guard = own.lock().unwrap();
                    let mut borrow = counted.borrow_mut();
                    let here = std::thread::current().id();
                    for turn in 0..10 {
                        suspend(n + turn);
                        borrow.push(turn);
                        assert_eq!(std::thread::current().id(), here);
                        assert!(other.try_borrow().is_err() && own.try_lock().is_err());
                    }
                    drop(borrow);
                    drop(guard);
                    assert_eq!((other.borrow().len(), *own.lock().unwrap()), (11, n));
                    assert_eq!(Rc::strong_count(&counted), 2);
                    *common.lock().unwrap() += 1;
                    threads.lock().unwrap().insert(here);
                })
            })
            .collect();
        let count = tasks.len();
        for task in tasks {
            task.join().unwrap();
        }
        assert_eq!(*poisonable.lock().unwrap(), count);
        meet_on_four_hubs();
    });
    assert!(!threads.lock().unwrap().is_empty());
}

/// Four green threads on four hubs: std's barrier blocks each hub until all have taken one.
fn meet_on_four_hubs() {
    let all = Arc::new(Barrier::new(4));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let all = all.clone();
            thread::spawn(move || {
                all.wait();
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
}

#[test]
fn a_std_guard_that_others_wait_for_is_held_across_a_suspension() {
    // Only others' hubs are blocked by it: the holder's must go on.
    on_hubs(2, || {
        let lock = Arc::new(Mutex::new(0));
        for _ in 0..scaled(200) {
            let (theirs, ours) = (lock.clone(), lock.clone());
            let both = Arc::new(Barrier::new(2));
            let (first, second) = (both.clone(), both);
            let holder = thread::spawn(move || {
                first.wait();
                let mut guard = theirs.lock().unwrap();
                thread::sleep(Duration::from_micros(20));
                *guard += 1;
            });
            let waiter = thread::spawn(move || {
                second.wait();
                *ours.lock().unwrap() += 1;
            });
            holder.join().unwrap();
            waiter.join().unwrap();
        }
        assert_eq!(*lock.lock().unwrap(), 2 * scaled(200));
    });
}

sylvan::thread_local! {
    static OURS: RefCell<Vec<usize>> = RefCell::new(Vec::new());
    static CONSTANT: Cell<usize> = const { Cell::new(3) };
}

std::thread_local! {
    static THEIRS: RefCell<usize> = const { RefCell::new(0) };
}

#[test]
fn our_thread_locals_are_borrowed_across_suspensions() {
    on_hubs(4, || {
        let tasks: Vec<_> = (0..scaled(1000))
            .map(|n| {
                thread::spawn(move || {
                    OURS.with_borrow_mut(|mine| {
                        let place = std::ptr::from_ref(mine);
                        for turn in 0..6 {
                            suspend(n + turn);
                            // Others have their own; mine stays where it is and as it is.
                            mine.push(n);
                            assert_eq!(std::ptr::from_ref(mine), place);
                        }
                        // A new key meanwhile moves no value.
                        CONSTANT.with(|cell| {
                            suspend(n);
                            cell.set(cell.get() + n);
                        });
                        assert_eq!(mine.len(), 6);
                        assert!(mine.iter().all(|&one| one == n));
                    });
                    assert_eq!(CONSTANT.get(), 3 + n);
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
        assert!(OURS.with_borrow(Vec::is_empty));
    });
}

#[test]
fn std_thread_locals_are_borrowed_across_suspensions() {
    on_hubs(4, || {
        let tasks: Vec<_> = (0..scaled(1000))
            .map(|n| {
                thread::spawn(move || {
                    // It belongs to the OS thread, so neighbours borrow the same one: shared only.
                    THEIRS.with_borrow(|value| {
                        let place = std::ptr::from_ref(value);
                        for turn in 0..6 {
                            suspend(n + turn);
                            THEIRS
                                .with_borrow(|again| assert_eq!(std::ptr::from_ref(again), place));
                        }
                    });
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
}

#[test]
fn a_started_task_never_changes_its_os_thread() {
    // A ring of four on four hubs, each wake-up from another hub; and pairs wherever they are.
    let wakeups = Arc::new(AtomicUsize::new(0));
    let rounds = scaled(100_000) / 20 + 1;
    on_hubs(4, || {
        let all = Arc::new(Barrier::new(4));
        let members: Arc<Mutex<Vec<thread::Thread>>> = Arc::default();
        let ring: Vec<_> = (0..4)
            .map(|_| {
                let (all, members, wakeups) = (all.clone(), members.clone(), wakeups.clone());
                thread::spawn(move || {
                    let place = {
                        let mut members = members.lock().unwrap();
                        members.push(thread::current());
                        members.len() - 1
                    };
                    // Blocks the hub, so that each of the four has one of the four tasks.
                    all.wait();
                    let here = std::thread::current().id();
                    let next = members.lock().unwrap()[(place + 1) % 4].clone();
                    if place == 0 {
                        next.unpark();
                    }
                    for _ in 0..rounds {
                        thread::park();
                        wakeups.fetch_add(1, SeqCst);
                        assert_eq!(std::thread::current().id(), here);
                        next.unpark();
                    }
                    here
                })
            })
            .collect();
        let places: HashSet<_> = ring.into_iter().map(|task| task.join().unwrap()).collect();
        assert_eq!(places.len(), 4);

        let pairs: Vec<_> = (0..8)
            .map(|_| {
                let wakeups = wakeups.clone();
                thread::spawn(move || ping_pong(rounds, &wakeups))
            })
            .collect();
        for pair in pairs {
            pair.join().unwrap();
        }
    });
    assert_eq!(wakeups.load(SeqCst), rounds * (4 + 16));
}

fn ping_pong(rounds: usize, wakeups: &Arc<AtomicUsize>) {
    let half = move |other: thread::Thread, wakeups: Arc<AtomicUsize>| {
        let here = std::thread::current().id();
        for _ in 0..rounds {
            other.unpark();
            thread::park();
            wakeups.fetch_add(1, SeqCst);
            assert_eq!(std::thread::current().id(), here);
        }
        other.unpark();
    };
    let (me, theirs) = (thread::current(), wakeups.clone());
    let other = thread::spawn(move || half(me, theirs));
    half(other.thread().clone(), wakeups.clone());
    other.join().unwrap();
}

#[test]
fn scoped_threads_borrow() {
    on_hubs(4, || {
        for _ in 0..scaled(200) {
            let mut numbers: Vec<usize> = (0..64).collect();
            let total = AtomicUsize::new(0);
            let text = String::from("borrowed");
            let length = thread::scope(|scope| {
                for (turn, chunk) in numbers.chunks_mut(4).enumerate() {
                    let total = &total;
                    scope.spawn(move || {
                        suspend(turn);
                        for number in chunk {
                            *number *= 2;
                            total.fetch_add(*number, SeqCst);
                        }
                    });
                }
                let text = &text;
                // Threads of the scope spawn into it too, and give back what they borrowed.
                let inner = scope.spawn(move || {
                    let inner = scope.spawn(move || {
                        thread::yield_now();
                        text.as_str()
                    });
                    inner.join().unwrap()
                });
                inner.join().unwrap().len()
            });
            assert_eq!(length, 8);
            assert_eq!(total.load(SeqCst), numbers.iter().sum::<usize>());
            assert_eq!(numbers[63], 126);
        }
    });
}

#[test]
fn a_scoped_borrow_outlives_a_detached_and_a_failed_thread() {
    on_hubs(4, || {
        for turn in 0..scaled(200) {
            let mut place = 0_usize;
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                thread::scope(|scope| {
                    let place = &mut place;
                    drop(scope.spawn(move || {
                        suspend(turn);
                        *place = turn + 1;
                    }));
                    if turn % 2 == 0 {
                        std::panic::panic_any("the body");
                    }
                });
            }));
            assert_eq!(result.is_err(), turn % 2 == 0);
            assert_eq!(place, turn + 1, "the scope has waited");
        }
    });
}

// Types.

/// Which auto traits a type has. Inherent constants are found before the trait's, if their bounds hold.
macro_rules! traits {
    ($type:ty) => {{
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        // Of each two constants of a name only one is used.
        #[allow(dead_code)]
        trait Without {
            const SEND: bool = false;
            const SYNC: bool = false;
            const UNPIN: bool = false;
        }
        impl<T: ?Sized> Without for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + Send> Probe<T> {
            const SEND: bool = true;
        }
        #[allow(dead_code)]
        impl<T: ?Sized + Sync> Probe<T> {
            const SYNC: bool = true;
        }
        #[allow(dead_code)]
        impl<T: ?Sized + Unpin> Probe<T> {
            const UNPIN: bool = true;
        }
        (
            <Probe<$type>>::SEND,
            <Probe<$type>>::SYNC,
            <Probe<$type>>::UNPIN,
        )
    }};
}

#[test]
fn auto_traits_are_those_of_std() {
    type NotSend = Rc<()>;
    type NotSync = Cell<()>;
    assert_eq!(traits!(Rc<()>), (false, false, true), "the probe works");
    assert_eq!(traits!(Cell<()>), (true, false, true), "the probe works");
    macro_rules! same {
        ($($name:ident $(<$($argument:tt),*>)?;)*) => {$(
            assert_eq!(
                traits!(sylvan::thread::$name $(<$($argument),*>)?),
                traits!(std::thread::$name $(<$($argument),*>)?),
                stringify!($name $(<$($argument),*>)?)
            );
        )*};
    }
    same!(
        Thread;
        ThreadId;
        Builder;
        AccessError;
        JoinHandle<()>;
        JoinHandle<NotSend>;
        JoinHandle<NotSync>;
        ScopedJoinHandle<'static, ()>;
        ScopedJoinHandle<'static, NotSync>;
        Scope<'static, 'static>;
        LocalKey<()>;
        LocalKey<NotSend>;
    );
    assert_eq!(traits!(sylvan::time::Instant), traits!(std::time::Instant));
}

#[test]
fn what_belongs_to_one_os_thread_cannot_be_sent() {
    let stays = (false, false);
    let of = |(send, sync, _): (bool, bool, bool)| (send, sync);
    assert_eq!(of(traits!(Runtime)), stays);
    assert_eq!(of(traits!(thread::LocalJoinHandle<()>)), stays);
    assert_eq!(of(traits!(thread::LocalJoinHandle<Rc<()>>)), stays);
    assert_eq!(of(traits!(sylvan::runtime::Handle)), (true, true));
    assert_eq!(of(traits!(sylvan::task::Cancelled)), (true, true));
    assert_eq!(of(traits!(sylvan::task::NoStack)), (true, true));
    assert_eq!(of(traits!(sylvan::time::Elapsed)), (true, true));
}

// Names.

#[test]
fn no_public_function_is_unsafe_but_stds_own() {
    const STDS_OWN: [&str; 5] = [
        "from_raw_fd",
        "from_raw",
        "borrow_raw",
        "pre_exec",
        "spawn_unchecked",
    ];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    assert!(files.len() > 20);
    for file in files {
        // Private modules, whose `pub` reaches no user.
        if file.starts_with(source.join("sys")) {
            continue;
        }
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let line = line.trim_start();
            let rest = [
                "pub unsafe fn ",
                "pub const unsafe fn ",
                "pub unsafe extern ",
            ]
            .iter()
            .find_map(|start| line.strip_prefix(start));
            if let Some(rest) = rest {
                let name = rest.split(['(', '<']).next().unwrap();
                assert!(STDS_OWN.contains(&name), "{}: {line}", file.display());
            }
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}
