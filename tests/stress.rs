//! Everything at once on four hubs, by dice: spawn trees, wake-ups across hubs, joins, cancellation and
//! time-outs at any moment. What is asserted are exact counts, and that all of it ends.
//!
//! A failure prints its seed. `SYLVAN_STRESS_SEED=n` throws the same dice again (the OS threads still
//! interleave as they like); `SYLVAN_STRESS_SCALE` is the size in percent.
//!
//! Under ThreadSanitizer std is not instrumented, so what is shared here goes through atomics, joins,
//! sylvan's own types, and std's mpsc channel as long as nobody blocks in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{cell::Cell, env, process};
use sylvan::runtime::{Handle, Runtime};
use sylvan::task::Cancelled;
use sylvan::thread::{self, JoinHandle, Thread};
use sylvan::time;

const HUBS: usize = 4;
/// A test that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn trees_of_tasks_count_their_leaves() {
    stress(|random, _| {
        for _ in 0..scaled(100) {
            let depth = 3 + random.below(3) as u32;
            let seed = random.next();
            let root = thread::spawn(move || tree(depth, Random(seed)));
            assert_eq!(root.join().unwrap(), 4_usize.pow(depth));
        }
    });
}

/// Returns the number of leaves: each inner node has four children.
fn tree(depth: u32, mut random: Random) -> usize {
    random.dawdle();
    if depth == 0 {
        return 1;
    }
    let children = (0..4).map(|_| {
        let seed = random.next();
        thread::spawn(move || tree(depth - 1, Random(seed)))
    });
    let mut children: Vec<_> = children.collect();
    let mut leaves = 0;
    while !children.is_empty() {
        let child = children.swap_remove(random.below(children.len()));
        leaves += child.join().unwrap();
    }
    leaves
}

#[test]
fn rings_pass_their_token_across_hubs() {
    stress(|random, _| {
        let laps = scaled(5_000);
        let rings: Vec<_> = (0..10)
            .flat_map(|_| ring(2 + random.below(6), laps))
            .collect();
        for member in rings {
            assert_eq!(member.join().unwrap(), laps);
        }
    });
}

/// Tasks that unpark each other in turn; each returns how often it had the token.
fn ring(length: usize, laps: usize) -> Vec<JoinHandle<usize>> {
    let turn = Arc::new(AtomicUsize::new(0));
    let (members, senders): (Vec<_>, Vec<_>) = (0..length)
        .map(|place| {
            let (sender, receiver) = mpsc::channel::<Thread>();
            let turn = turn.clone();
            let member = thread::spawn(move || {
                let next = receive(&receiver).expect("a neighbour");
                for lap in 0..laps {
                    while turn.load(SeqCst) != lap * length + place {
                        thread::park();
                    }
                    turn.fetch_add(1, SeqCst);
                    next.unpark();
                }
                laps
            });
            (member, sender)
        })
        .unzip();
    for (place, sender) in senders.iter().enumerate() {
        let next = members[(place + 1) % length].thread().clone();
        sender.send(next).unwrap();
    }
    members
}

/// Receives without blocking the hub; nothing if the sender has gone.
fn receive<T>(receiver: &mpsc::Receiver<T>) -> Option<T> {
    loop {
        match receiver.try_recv() {
            Ok(value) => return Some(value),
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

#[test]
fn joins_come_from_other_hubs_and_from_plain_threads() {
    stress(|random, _| {
        for _ in 0..scaled(250) {
            let mut expected = 0;
            let mut joiners = Vec::new();
            let mut plain_joiners = Vec::new();
            for value in 1..=40_usize {
                let mut own = random.fork();
                let task = thread::spawn(move || {
                    own.dawdle();
                    value
                });
                expected += value;
                let mut own = random.fork();
                match random.below(8) {
                    0 => plain_joiners.push(std::thread::spawn(move || task.join().unwrap())),
                    _ => joiners.push(thread::spawn(move || {
                        own.dawdle();
                        task.join().unwrap()
                    })),
                }
            }
            let mut sum: usize = joiners.into_iter().map(|task| task.join().unwrap()).sum();
            sum += sylvan::offload(move || {
                let values = plain_joiners
                    .into_iter()
                    .map(|joiner| joiner.join().unwrap());
                values.sum::<usize>()
            });
            assert_eq!(sum, expected);
        }
    });
}

#[test]
fn whoever_is_cancelled_at_any_moment_ends_and_drops_all_it_had() {
    stress(|random, _| {
        let guards = Counts::default();
        let (mut returned, mut cancelled) = (0, 0);
        let rounds = scaled(250);
        for _ in 0..rounds {
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let (mut own, guards) = (random.fork(), guards.clone());
                    let captured = guards.guard();
                    thread::spawn(move || {
                        let _captured = captured;
                        wander(&mut own, &guards, 3);
                    })
                })
                .collect();
            for task in tasks {
                match random.below(4) {
                    0 => {}
                    1 => task.cancel(),
                    2 => {
                        random.dawdle();
                        task.cancel();
                    }
                    _ => {
                        let plain = || task.cancel();
                        std::thread::scope(|scope| scope.spawn(plain).join().unwrap());
                    }
                }
                match task.join() {
                    Ok(()) => returned += 1,
                    Err(payload) => {
                        assert!(payload.is::<Cancelled>());
                        cancelled += 1;
                    }
                }
            }
        }
        assert_eq!(returned + cancelled, rounds * 100);
        guards.assert_balanced();
    });
}

/// Waits in one way after the other, each with something on the stack that must be dropped.
fn wander(random: &mut Random, guards: &Counts, depth: usize) {
    for _ in 0..1 + random.below(3) {
        let _guard = guards.guard();
        match random.below(if depth == 0 { 4 } else { 9 }) {
            0 => thread::yield_now(),
            1 => thread::sleep(random.moment()),
            2 => thread::park_timeout(random.moment()),
            3 => {
                let moment = random.moment();
                let waits = guards.guard();
                sylvan::offload(move || {
                    let _waits = waits;
                    std::thread::sleep(moment);
                });
            }
            4 => {
                // Either may be first.
                let _ = time::timeout(random.moment(), || wander(random, guards, depth - 1));
            }
            5 => {
                let (mut own, theirs) = (random.fork(), guards.clone());
                let child = thread::spawn(move || wander(&mut own, &theirs, depth - 1));
                if random.below(2) == 0 {
                    child.cancel();
                }
                let _ = child.join();
            }
            6 => {
                let mut one = random.fork();
                thread::scope(|scope| {
                    scope.spawn(|| wander(&mut one, guards, depth - 1));
                    wander(random, guards, depth - 1);
                });
            }
            7 => sylvan::task::mask(|| wander(random, guards, depth - 1)),
            _ => {
                // A destructor that waits, also while a cancellation unwinds.
                struct Waits(Duration);
                impl Drop for Waits {
                    fn drop(&mut self) {
                        thread::sleep(self.0);
                    }
                }
                let _waits = Waits(random.moment());
                wander(random, guards, depth - 1);
            }
        }
    }
}

#[test]
fn time_outs_race_with_what_they_bound() {
    stress(|random, _| {
        let (mut in_time, mut late) = (0, 0);
        let rounds = scaled(10_000);
        let tasks: Vec<_> = (0..rounds)
            .map(|_| {
                let (limit, wakes_after) = (random.moment(), random.moment());
                thread::spawn(move || {
                    let me = thread::current();
                    let waker = thread::spawn(move || {
                        thread::sleep(wakes_after);
                        me.unpark();
                    });
                    let outcome = time::timeout(limit, || {
                        // The same deadline within: the outer one is the one that ends.
                        time::timeout(limit, thread::park)
                    });
                    waker.join().unwrap();
                    if !matches!(outcome, Ok(Ok(()))) {
                        // The permit that came too late is not lost.
                        thread::park();
                    }
                    matches!(outcome, Ok(Ok(())))
                })
            })
            .collect();
        for task in tasks {
            match task.join().unwrap() {
                true => in_time += 1,
                false => late += 1,
            }
        }
        assert_eq!(in_time + late, rounds);
    });
}

#[test]
fn scopes_wait_for_all_they_lent_to() {
    stress(|random, _| {
        for _ in 0..scaled(1_000) {
            let mut cells = [0_usize; 32];
            let mut own = random.fork();
            let outcome = time::timeout(random.moment(), || {
                thread::scope(|scope| {
                    let tasks = cells.iter_mut().map(|cell| {
                        let mut own = own.fork();
                        scope.spawn(move || {
                            *cell += 1;
                            own.dawdle();
                            *cell += 1;
                        })
                    });
                    let tasks: Vec<_> = tasks.collect();
                    if own.below(2) == 0 {
                        // Who is unwound by the time-out is not joined: it unwinds the joiner, too.
                        tasks.into_iter().for_each(|task| task.join().unwrap());
                    }
                });
            });
            // Nobody writes any more, so these are plain reads.
            let finished = cells.iter().filter(|cell| **cell == 2).count();
            assert!(cells.iter().all(|cell| *cell <= 2));
            assert!(outcome.is_err() || finished == cells.len());
        }
    });
}

sylvan::thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
    static AT_THE_END: Cell<Option<Guard>> = const { Cell::new(None) };
}

#[test]
fn thread_locals_belong_to_their_task() {
    stress(|random, _| {
        let guards = Counts::default();
        let tasks: Vec<_> = (0..scaled(10_000))
            .map(|_| {
                let (mut own, guard) = (random.fork(), guards.guard());
                thread::spawn(move || {
                    AT_THE_END.set(Some(guard));
                    for step in 0..10 {
                        assert_eq!(STEPS.get(), step);
                        STEPS.set(step + 1);
                        own.dawdle();
                    }
                    STEPS.get()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.join().unwrap(), 10);
        }
        guards.assert_balanced();
    });
}

#[test]
fn wake_ups_that_come_after_the_end_hurt_nobody() {
    stress(|random, _| {
        // Runtimes that come and go use each other's mailboxes.
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let mut own = random.fork();
                std::thread::spawn(move || {
                    for _ in 0..scaled(500) {
                        wake_late(&mut own);
                    }
                })
            })
            .collect();
        sylvan::offload(|| threads.into_iter().for_each(|it| it.join().unwrap()));
    });
}

fn wake_late(random: &mut Random) {
    let (sender, receiver) = mpsc::channel::<Thread>();
    let woken = Arc::new(AtomicUsize::new(0));
    let waker = {
        let (mut own, woken) = (random.fork(), woken.clone());
        std::thread::spawn(move || {
            while let Some(thread) = receive(&receiver) {
                for _ in 0..own.below(5) {
                    woken.fetch_add(1, SeqCst);
                    thread.unpark();
                }
            }
        })
    };
    sylvan::run(|| {
        for _ in 0..20 {
            let moment = random.moment();
            let task = thread::spawn(move || thread::park_timeout(moment));
            sender.send(task.thread().clone()).unwrap();
            if random.below(2) == 0 {
                task.join().unwrap();
            }
        }
    });
    drop(sender);
    waker.join().unwrap();
}

/// Counts guards made and guards dropped.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicUsize; 2]>);

struct Guard(Counts);

impl Counts {
    fn guard(&self) -> Guard {
        self.0[0].fetch_add(1, SeqCst);
        Guard(self.clone())
    }

    /// Waits for the guards of those whom nobody has joined.
    fn assert_balanced(&self) {
        while self.0[1].load(SeqCst) < self.0[0].load(SeqCst) {
            thread::yield_now();
        }
        assert_eq!(self.0[0].load(SeqCst), self.0[1].load(SeqCst));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0[1].fetch_add(1, SeqCst);
    }
}

/// Runs `f` as the main task of a runtime with several hubs, and asserts that nothing is left of it.
fn stress(f: impl FnOnce(&mut Random, &Handle)) {
    let seed = match env::var("SYLVAN_STRESS_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64,
    };
    println!("SYLVAN_STRESS_SEED={seed}"); // Shown if the test fails.
    let _watchdog = Watchdog::start(seed);
    let builder = Runtime::builder().workers(HUBS).stack_size(256 << 10);
    let runtime = builder.build().unwrap();
    let handle = runtime.handle();
    runtime.run(|| f(&mut Random(seed), &handle));
    runtime.close();
    let left = handle.metrics();
    let left = (left.tasks, left.stacks, left.timers, left.sources);
    assert_eq!(left, (0, 0, 0, 0));
}

/// Ends the process, and says where, if a test hangs.
struct Watchdog {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watchdog {
    fn start(seed: u64) -> Watchdog {
        let done = Arc::new(AtomicBool::new(false));
        let name = std::thread::current().name().map(str::to_owned);
        let (start, is_done) = (Instant::now(), done.clone());
        let watch = move || {
            while !is_done.load(SeqCst) {
                std::thread::park_timeout(PATIENCE);
                if start.elapsed() >= PATIENCE {
                    eprintln!("{name:?} hangs, with SYLVAN_STRESS_SEED={seed}");
                    process::abort();
                }
            }
        };
        let thread = Some(std::thread::spawn(watch));
        Watchdog { done, thread }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Dice: the splitmix64 generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn fork(&mut self) -> Random {
        Random(self.next())
    }

    /// Up to 300 microseconds, and sometimes nothing.
    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(400).saturating_sub(100) as u64)
    }

    /// Goes on at once, after others, or later.
    fn dawdle(&mut self) {
        match self.below(4) {
            0 => thread::yield_now(),
            1 => thread::sleep(self.moment()),
            _ => {}
        }
    }
}

/// Heavy numbers, in percent of their full size.
fn scaled(count: usize) -> usize {
    let percent = env::var("SYLVAN_STRESS_SCALE").map_or(100, |text| text.parse().unwrap());
    (count * percent / 100).max(1)
}
