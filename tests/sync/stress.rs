//! Each kind of wait in a crowd, on four hubs and two plain threads, with counts that must come out exact.
//!
//! `.ci/run` runs these optimised and some ten times as long.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::mpsc::{channel, sync_channel};
use sylvan::sync::{Arc, Barrier, Condvar, Event, Mutex, Once, RwLock, Semaphore, promise};
use sylvan::thread;

use crate::crew::{Crew, Member, four_hubs_and_two_plain, scaled};

/// Of these the third and the sixth are plain threads.
const MEMBERS: usize = 6;

/// What each of them does, with its number; returns what they return.
fn all<T: Send + 'static>(crew: &Crew, f: impl Fn(usize) -> T + Send + Sync + 'static) -> Vec<T> {
    let f = Arc::new(f);
    let members: Vec<_> = (0..MEMBERS)
        .map(|number| {
            let f = f.clone();
            crew.spawn(move || f(number))
        })
        .collect();
    members.into_iter().map(Member::join).collect()
}

#[test]
fn condvar() {
    four_hubs_and_two_plain(|crew| {
        let rounds = scaled(1_500);
        // A buffer of three places, half of the members at each end.
        let buffer = (Mutex::new(VecDeque::new()), Condvar::new(), Condvar::new());
        let sums = all(crew, move |member| {
            let (queue, filled, emptied) = &buffer;
            let mut sum = 0;
            for round in 0..rounds {
                if member.is_multiple_of(2) {
                    let queue = queue.lock().unwrap();
                    let mut queue = emptied.wait_while(queue, |queue| queue.len() == 3).unwrap();
                    queue.push_back(member * rounds + round);
                    filled.notify_one();
                } else {
                    let queue = queue.lock().unwrap();
                    let mut queue = filled.wait_while(queue, |queue| queue.is_empty()).unwrap();
                    sum += queue.pop_front().unwrap();
                    emptied.notify_one();
                }
            }
            sum
        });
        let sent = [0, 2, 4].map(|member| {
            (0..rounds)
                .map(|round| member * rounds + round)
                .sum::<usize>()
        });
        assert_eq!(sums.iter().sum::<usize>(), sent.iter().sum::<usize>());
    });
}

/// All that is sent is received once, and in its sender's order.
#[test]
fn channels_of_each_kind() {
    for places in [None, Some(2), Some(0)] {
        four_hubs_and_two_plain(|crew| {
            let rounds = scaled(1_500);
            let (unbounded, receiver) = channel();
            let (bounded, bounded_receiver) = sync_channel(places.unwrap_or(0));
            let receiver = if places.is_some() {
                bounded_receiver
            } else {
                receiver
            };
            let members: Vec<_> = (0..MEMBERS)
                .map(|member| {
                    let (unbounded, bounded) = (unbounded.clone(), bounded.clone());
                    crew.spawn(move || {
                        for round in 0..rounds {
                            match places {
                                None => unbounded.send((member, round)).unwrap(),
                                Some(_) => bounded.send((member, round)).unwrap(),
                            }
                        }
                    })
                })
                .collect();
            drop((unbounded, bounded));
            let mut next = [0; MEMBERS];
            for (member, round) in receiver {
                assert_eq!(round, next[member]);
                next[member] += 1;
            }
            assert_eq!(next, [rounds; MEMBERS]);
            members.into_iter().for_each(Member::join);
        });
    }
}

#[test]
fn read_and_write() {
    four_hubs_and_two_plain(|crew| {
        let rounds = scaled(2_000);
        let shared = Arc::new(RwLock::new([0_usize; 2]));
        let theirs = shared.clone();
        let written = all(crew, move |member| {
            let mut written = 0;
            for round in 0..rounds {
                if (round + member).is_multiple_of(3) {
                    let mut pair = theirs.write().unwrap();
                    pair[0] += 1;
                    if round.is_multiple_of(5) {
                        thread::yield_now();
                    }
                    pair[1] += 1;
                    written += 1;
                } else {
                    let pair = theirs.read().unwrap();
                    assert_eq!(pair[0], pair[1]);
                }
            }
            written
        });
        assert_eq!(*shared.read().unwrap(), [written.iter().sum::<usize>(); 2]);
    });
}

#[test]
fn barrier() {
    four_hubs_and_two_plain(|crew| {
        let rounds = scaled(1_000);
        let (barrier, arrived) = (Barrier::new(MEMBERS), AtomicUsize::new(0));
        let led = all(crew, move |_| {
            let mut led = 0;
            for round in 1..=rounds {
                arrived.fetch_add(1, SeqCst);
                led += usize::from(barrier.wait().is_leader());
                let arrived = arrived.load(SeqCst);
                assert!((MEMBERS * round..MEMBERS * (round + 1)).contains(&arrived));
                barrier.wait();
            }
            led
        });
        assert_eq!(led.iter().sum::<usize>(), rounds);
    });
}

/// The first two initialisers of each panic, whoever they are.
#[test]
fn once_with_initialisers_that_panic() {
    four_hubs_and_two_plain(|crew| {
        let onces: Vec<_> = (0..scaled(500))
            .map(|_| (Once::new(), AtomicUsize::new(0)))
            .collect();
        let count = onces.len();
        let panics = all(crew, move |member| {
            let mut panics = 0;
            for (once, runs) in &onces {
                while !once.is_completed() {
                    let run = || {
                        once.call_once_force(|state| {
                            let run = runs.fetch_add(1, SeqCst);
                            assert_eq!(state.is_poisoned(), run > 0);
                            if member.is_multiple_of(2) {
                                thread::yield_now();
                            }
                            if run < 2 {
                                resume_unwind(Box::new(()));
                            }
                        });
                    };
                    panics += usize::from(catch_unwind(AssertUnwindSafe(run)).is_err());
                }
                once.wait();
                assert_eq!(runs.load(SeqCst), 3);
            }
            panics
        });
        assert_eq!(panics.iter().sum::<usize>(), 2 * count);
    });
}

#[test]
fn semaphore() {
    four_hubs_and_two_plain(|crew| {
        const PERMITS: usize = 4;
        let rounds = scaled(1_500);
        let semaphore = Arc::new(Semaphore::bounded(PERMITS));
        let (theirs, held) = (semaphore.clone(), AtomicUsize::new(0));
        let taken = all(crew, move |member| {
            let mut taken = 0;
            for round in 0..rounds {
                let wanted = 1 + (round * 7 + member) % PERMITS;
                let moment = Duration::from_micros(20);
                let permits = match round % 3 {
                    0 => theirs.acquire_many_timeout(wanted, moment),
                    _ => Some(theirs.acquire_many(wanted)),
                };
                let Some(permits) = permits else { continue };
                assert!(held.fetch_add(wanted, SeqCst) + wanted <= PERMITS);
                taken += wanted;
                if round.is_multiple_of(4) {
                    thread::yield_now();
                }
                held.fetch_sub(wanted, SeqCst);
                drop(permits);
            }
            taken
        });
        assert!(taken.iter().all(|taken| *taken > 0));
        assert_eq!(semaphore.available(), PERMITS);
    });
}

/// In each round one sets, and all pass; it is cleared when all have come through.
#[test]
fn event() {
    four_hubs_and_two_plain(|crew| {
        let rounds = scaled(800);
        let (event, meeting) = (Event::new(), Barrier::new(MEMBERS));
        let passed = Arc::new(AtomicUsize::new(0));
        let theirs = passed.clone();
        all(crew, move |member| {
            for round in 0..rounds {
                if round % MEMBERS == member {
                    event.set();
                } else {
                    event.wait();
                }
                theirs.fetch_add(1, SeqCst);
                if meeting.wait().is_leader() {
                    assert_eq!(theirs.load(SeqCst), (round + 1) * MEMBERS);
                    event.clear();
                }
                meeting.wait();
            }
        });
        assert_eq!(passed.load(SeqCst), rounds * MEMBERS);
    });
}

/// Each third is broken.
#[test]
fn promises() {
    four_hubs_and_two_plain(|crew| {
        let count = scaled(1_000);
        let (resolvers, promises): (Vec<_>, Vec<_>) =
            (0..count).map(|_| promise::<usize>()).unzip();
        let resolvers: Vec<_> = resolvers
            .into_iter()
            .map(|one| Mutex::new(Some(one)))
            .collect();
        let sums = all(crew, move |member| {
            let (mut sum, mut broken) = (0, 0);
            for (number, promise) in promises.iter().enumerate() {
                if number % MEMBERS == member {
                    let resolver = resolvers[number].lock().unwrap().take().unwrap();
                    if number.is_multiple_of(3) {
                        drop(resolver);
                    } else {
                        resolver.set(number);
                    }
                }
                match promise.get() {
                    Ok(value) => sum += value,
                    Err(error) => broken += usize::from(error.is_broken()),
                }
            }
            (sum, broken)
        });
        let kept = (0..count).filter(|number| !number.is_multiple_of(3));
        let expected = (kept.sum(), count.div_ceil(3));
        assert_eq!(sums, [expected; MEMBERS]);
    });
}
