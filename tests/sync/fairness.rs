//! How long one waits for a lock, counted: others may barge in, but a waiter loses at most once.

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Mutex, RwLock};
use sylvan::thread;

use crate::crew::scaled;

/// Dice that fall alike in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Lets others run, so that the order in which all come is another one for each seed.
    fn dawdle(&mut self) {
        (0..self.below(6)).for_each(|_| thread::yield_now());
    }
}

const MEMBERS: u64 = 6;
const ROUNDS: usize = 60;

/// Runs a crowd on one hub, where all order is that of the dice.
fn crowd(seed: u64, f: impl Fn(u64, &mut Dice) + Send + Sync + 'static) {
    let f = Arc::new(f);
    sylvan::run(|| {
        let members = (0..MEMBERS).map(|member| {
            let f = f.clone();
            thread::spawn(move || {
                let mixed = (seed * MEMBERS + member + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                f(member, &mut Dice(mixed | 1));
            })
        });
        let members: Vec<_> = members.collect();
        members
            .into_iter()
            .for_each(|member| member.join().unwrap());
    });
}

/// Each holds the lock while others run. So whoever takes it ahead of a waiter is seen by that one: by a loss.
///
/// Who comes when so many wait is preceded by each of them once, and each of them, and it itself, loses at
/// most once.
#[test]
fn a_waiter_loses_a_mutex_at_most_once() {
    let barged = Arc::new(AtomicUsize::new(0));
    for seed in 0..scaled(100) as u64 {
        let shared = Arc::new((Mutex::new(()), AtomicUsize::new(0), AtomicUsize::new(0)));
        let barged = barged.clone();
        crowd(seed, move |_, dice| {
            let (lock, waiting, taken) = &*shared;
            for _ in 0..ROUNDS {
                let ahead = waiting.fetch_add(1, SeqCst);
                let before = taken.load(SeqCst);
                let guard = lock.lock().unwrap();
                let passed = taken.fetch_add(1, SeqCst) - before;
                waiting.fetch_sub(1, SeqCst);
                assert!(
                    passed <= 2 * ahead + 1,
                    "{passed} before one that came when {ahead} waited"
                );
                barged.fetch_add(usize::from(passed > ahead), SeqCst);
                thread::yield_now();
                (0..dice.below(3)).for_each(|_| thread::yield_now());
                drop(guard);
                // Some come again at once.
                if dice.below(2) == 0 {
                    dice.dawdle();
                }
            }
        });
    }
    assert!(
        barged.load(SeqCst) > 0,
        "nobody barged in: the test shows nothing"
    );
}

/// Writers are served in their order, and a reader waits for one writer that came before it, at most.
#[test]
fn neither_readers_nor_writers_starve() {
    for seed in 0..scaled(100) as u64 {
        let counts = [const { AtomicUsize::new(0) }; 3];
        let shared = Arc::new((RwLock::new(()), counts));
        crowd(seed, move |member, dice| {
            let (lock, [waiting, written, read]) = &*shared;
            for _ in 0..ROUNDS {
                let (writes, reads) = (written.load(SeqCst), read.load(SeqCst));
                if dice.below(3) == 0 || member == 0 {
                    let ahead = waiting.fetch_add(1, SeqCst);
                    let guard = lock.write().unwrap();
                    waiting.fetch_sub(1, SeqCst);
                    let passed = written.fetch_add(1, SeqCst) - writes;
                    assert!(
                        passed <= ahead,
                        "{passed} writers before one behind {ahead}"
                    );
                    // Before each writer all readers that wait have their turn, once.
                    let readers = read.load(SeqCst) - reads;
                    assert!(readers <= (ahead + 2) * MEMBERS as usize, "{readers}");
                    thread::yield_now();
                    drop(guard);
                } else {
                    let guard = lock.read().unwrap();
                    read.fetch_add(1, SeqCst);
                    let passed = written.load(SeqCst) - writes;
                    assert!(passed <= 1, "{passed} writers before a reader");
                    dice.dawdle();
                    drop(guard);
                }
                if dice.below(2) == 0 {
                    dice.dawdle();
                }
            }
        });
    }
}
