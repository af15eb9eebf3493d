//! Semaphores.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use sylvan::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use sylvan::sync::{Arc, Mutex, Semaphore, SemaphorePermit};
use sylvan::task::Cancelled;
use sylvan::{thread, time};

use crate::crew::{Crew, LONG, Member, everywhere, on_hubs, scaled, settle, until};

/// A semaphore, and how many hold a permit of it.
struct Counted {
    semaphore: Semaphore,
    permits: usize,
    holders: AtomicUsize,
}

impl Counted {
    fn new(permits: usize) -> Arc<Counted> {
        Arc::new(Counted {
            semaphore: Semaphore::new(permits),
            permits,
            holders: AtomicUsize::new(0),
        })
    }

    /// Holds a permit for a moment, with others running meanwhile.
    fn hold(&self, permit: SemaphorePermit<'_>) {
        let now = self.holders.fetch_add(1, SeqCst) + 1;
        assert!(now <= self.permits, "{now} hold a permit");
        // Also a holder that is thrown out is counted out before the permit is given back.
        let _permit = permit;
        let _counted = AtDrop(|| {
            self.holders.fetch_sub(1, SeqCst);
        });
        thread::yield_now();
    }
}

struct AtDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Small numbers that are the same in every run.
fn number(seed: usize, round: usize) -> usize {
    let mixed = (seed as u64 * 1_000_003 + round as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 40) as usize
}

#[test]
fn never_more_hold_a_permit_than_there_are() {
    everywhere(|crew| {
        for permits in [1, 3] {
            let counted = Counted::new(permits);
            let members: Vec<_> = (0..8)
                .map(|_| {
                    let counted = counted.clone();
                    crew.spawn(move || {
                        for _ in 0..scaled(200) {
                            counted.hold(counted.semaphore.acquire());
                        }
                    })
                })
                .collect();
            members.into_iter().for_each(Member::join);
            assert_eq!(counted.semaphore.available(), permits);
        }
    });
}

/// Ten that wait for a permit, lined up in their order, and the order in which they got one.
fn ten_in_line(semaphore: &Arc<Semaphore>) -> (Vec<thread::JoinHandle<()>>, Arc<Mutex<Vec<i32>>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks = (0..10)
        .map(|number| {
            let (semaphore, order) = (semaphore.clone(), order.clone());
            thread::spawn(move || {
                semaphore.acquire().forget();
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    settle();
    (tasks, order)
}

#[test]
fn waiters_are_served_in_their_order() {
    sylvan::run(|| {
        // One by one, several at a time, and more than they need.
        for gifts in [&[1; 10][..], &[3, 4, 3], &[12]] {
            let semaphore = Arc::new(Semaphore::new(0));
            let (tasks, order) = ten_in_line(&semaphore);
            let mut given = 0;
            for gift in gifts {
                semaphore.release(*gift);
                given += gift;
                assert_eq!(semaphore.available(), given.saturating_sub(10));
                settle();
                assert_eq!(order.lock().unwrap().len(), given.min(10));
            }
            tasks.into_iter().for_each(|task| task.join().unwrap());
            assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..10));
        }
    });
}

#[test]
fn nobody_overtakes_one_whose_permit_is_on_its_way() {
    sylvan::run(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire();
        let theirs = semaphore.clone();
        let waiter = thread::spawn(move || theirs.acquire().forget());
        settle();
        assert!(semaphore.try_acquire().is_none());
        drop(held);
        // The waiter has not run yet: the permit is its all the same.
        assert!(!waiter.is_finished());
        assert!(semaphore.try_acquire().is_none());
        assert!(semaphore.acquire_timeout(Duration::ZERO).is_none());
        waiter.join().unwrap();
        // Whoever takes one again at once, every time, keeps nobody waiting.
        semaphore.release(1);
        let held = semaphore.acquire();
        let theirs = semaphore.clone();
        let waiter = thread::spawn(move || drop(theirs.acquire()));
        settle();
        drop(held);
        drop(semaphore.acquire());
        assert!(waiter.is_finished());
    });
}

#[test]
fn permits_are_added_and_forgotten() {
    let semaphore = Semaphore::new(2);
    semaphore.acquire().forget();
    assert_eq!(semaphore.available(), 1);
    semaphore.release(0);
    semaphore.release(4);
    assert_eq!(semaphore.available(), 5);
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 5, .. }");
    let permit = semaphore.try_acquire();
    assert_eq!(
        format!("{permit:?}"),
        "Some(SemaphorePermit { semaphore: Semaphore { available: 4, .. }, permits: 1 })"
    );
    static FULL: Semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    for (semaphore, permits) in [(&FULL, 1), (&semaphore, usize::MAX)] {
        let before = semaphore.available();
        std::panic::catch_unwind(AssertUnwindSafe(|| semaphore.release(permits))).unwrap_err();
        assert_eq!(semaphore.available(), before);
    }
    std::panic::catch_unwind(|| Semaphore::new(Semaphore::MAX_PERMITS + 1)).unwrap_err();
}

#[test]
fn too_many_permits_are_not_given_to_those_who_wait_either() {
    sylvan::run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (tasks, order) = ten_in_line(&semaphore);
        let too_many = AssertUnwindSafe(|| semaphore.release(usize::MAX));
        std::panic::catch_unwind(too_many).unwrap_err();
        settle();
        assert_eq!(order.lock().unwrap().len(), 0);
        // It is of use still.
        semaphore.release(11);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_plain_thread_and_a_green_one_wait_for_each_other() {
    let semaphores = Arc::new([const { Semaphore::new(0) }; 2]);
    let theirs = semaphores.clone();
    let plain = std::thread::spawn(move || {
        for _ in 0..scaled(500) {
            theirs[0].acquire().forget();
            theirs[1].release(1);
        }
    });
    sylvan::run(|| {
        for _ in 0..scaled(500) {
            semaphores[0].release(1);
            semaphores[1].acquire().forget();
        }
    });
    plain.join().unwrap();
}

#[test]
fn a_wait_times_out() {
    everywhere(|crew| {
        let semaphore = Arc::new(Semaphore::new(0));
        let theirs = semaphore.clone();
        let waiter = crew.spawn(move || {
            let start = std::time::Instant::now();
            let short = Duration::from_millis(2);
            assert!(theirs.acquire_timeout(short).is_none());
            assert!(start.elapsed() >= short);
            assert!(time::timeout(short, || drop(theirs.acquire())).is_err());
            assert!(theirs.acquire_timeout(Duration::ZERO).is_none());
        });
        waiter.join();
        // None of them stands in line still.
        semaphore.release(1);
        assert_eq!(semaphore.available(), 1);
        drop(
            semaphore
                .acquire_timeout(Duration::ZERO)
                .expect("one is free"),
        );
        // One that comes in time.
        let held = semaphore.acquire();
        let theirs = semaphore.clone();
        let waiter = crew.spawn(move || theirs.acquire_timeout(LONG).is_some());
        drop(held);
        assert!(waiter.join());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_cancelled_waiter_leaves_the_line() {
    sylvan::run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (tasks, order) = ten_in_line(&semaphore);
        for number in [0, 4, 9] {
            tasks[number].cancel();
        }
        settle();
        semaphore.release(7);
        assert_eq!(semaphore.available(), 0);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().is_err(), [0, 4, 9].contains(&number));
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 5, 6, 7, 8]);
    });
}

/// What a wake-up has brought is looked at first, whoever unwinds on the same OS thread meanwhile.
#[test]
fn a_permit_on_its_way_to_a_cancelled_waiter_is_its_own() {
    sylvan::run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (tasks, order) = ten_in_line(&semaphore);
        // A neighbour that stays in its unwinding.
        let unwinds = thread::spawn(|| {
            let _at_drop = AtDrop(thread::park);
            panic!("the neighbour's own");
        });
        settle();
        semaphore.release(1);
        tasks[0].cancel();
        settle();
        tasks[1..].iter().for_each(thread::JoinHandle::cancel);
        settle();
        assert_eq!(*order.lock().unwrap(), [0]);
        assert_eq!(semaphore.available(), 0);
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().is_err(), number != 0);
        }
        unwinds.thread().unpark();
        unwinds.join().unwrap_err();
    });
}

/// What one of many does for a while: gets a permit in every way there is, or not in time.
fn get_and_give(counted: &Counted, seed: usize, rounds: usize) {
    let semaphore = &counted.semaphore;
    for round in 0..rounds {
        let number = number(seed, round);
        let moment = Duration::from_micros(number as u64 / 4 % 64);
        match number % 4 {
            0 => counted.hold(semaphore.acquire()),
            1 => {
                let _ = time::timeout(moment, || counted.hold(semaphore.acquire()));
            }
            2 => {
                let permit = semaphore.acquire_timeout(moment);
                permit.into_iter().for_each(|permit| counted.hold(permit));
            }
            _ => {
                let permit = semaphore.try_acquire();
                permit.into_iter().for_each(|permit| counted.hold(permit));
            }
        }
    }
}

#[test]
fn cancels_and_timeouts_that_race_lose_no_permit() {
    const ROUNDS: usize = 10;
    fn race(crew: &Crew) {
        for permits in [1, 2] {
            let counted = Counted::new(permits);
            let steady: Vec<_> = (0..4)
                .map(|seed| {
                    let counted = counted.clone();
                    crew.spawn(move || get_and_give(&counted, seed, ROUNDS * scaled(150)))
                })
                .collect();
            for wave in 0..scaled(150) {
                let tasks: Vec<_> = (0..4)
                    .map(|task| {
                        let counted = counted.clone();
                        let seed = 4 + wave * 4 + task;
                        thread::spawn(move || get_and_give(&counted, seed, ROUNDS))
                    })
                    .collect();
                for _ in 0..number(wave, 0) % 8 {
                    thread::yield_now();
                }
                tasks
                    .iter()
                    .skip(wave % 2)
                    .for_each(thread::JoinHandle::cancel);
                for task in tasks {
                    if let Err(payload) = task.join() {
                        assert!(payload.is::<Cancelled>());
                    }
                }
            }
            steady.into_iter().for_each(Member::join);
            assert_eq!(counted.semaphore.available(), permits);
            assert_eq!(counted.holders.load(SeqCst), 0);
        }
    }
    everywhere(race);
}

#[test]
fn many_semaphores_at_once_on_several_hubs() {
    on_hubs(4, || {
        // A ring of permits that go round.
        let ring = Arc::new([const { Semaphore::new(0) }; 5]);
        let laps = scaled(2_000);
        let tasks: Vec<_> = (0..5)
            .map(|place| {
                let ring = ring.clone();
                thread::spawn(move || {
                    for _ in 0..laps {
                        ring[place].acquire().forget();
                        ring[(place + 1) % 5].release(1);
                    }
                })
            })
            .collect();
        ring[0].release(2);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        until(|| ring.iter().map(Semaphore::available).sum::<usize>() == 2);
    });
}

#[test]
fn a_long_series_of_free_permits_lets_others_run() {
    sylvan::run(|| {
        let semaphore = Semaphore::new(1);
        let other = thread::spawn(|| ());
        for _ in 0..1000 {
            drop(semaphore.acquire());
        }
        assert!(other.is_finished());
        let other = thread::spawn(|| ());
        for _ in 0..1000 {
            drop(semaphore.try_acquire());
        }
        assert!(!other.is_finished(), "trying never suspends");
        other.join().unwrap();
    });
}

/// Takes several, once there are as many; says when.
fn several(
    semaphore: &Arc<Semaphore>,
    order: &Arc<Mutex<Vec<usize>>>,
    permits: usize,
) -> thread::JoinHandle<()> {
    let (semaphore, order) = (semaphore.clone(), order.clone());
    thread::spawn(move || {
        let taken = semaphore.acquire_many(permits);
        assert_eq!(taken.permits(), permits);
        taken.forget();
        order.lock().unwrap().push(permits);
    })
}

#[test]
fn who_wants_several_is_served_in_its_turn() {
    sylvan::run(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let taken = |count: usize| {
            settle();
            let order = order.lock().unwrap().clone();
            assert_eq!(order.len(), count, "{order:?}");
            order
        };
        // The first finds too few, the others line up behind it.
        let tasks: Vec<_> = [3, 1, 2, 4, 1, 1]
            .map(|permits| several(&semaphore, &order, permits))
            .into_iter()
            .collect();
        taken(0);
        assert!(
            semaphore.try_acquire().is_none(),
            "it is kept for the first"
        );
        assert_eq!(semaphore.available(), 0);
        semaphore.release(1);
        taken(0);
        semaphore.release(1);
        taken(1);
        semaphore.release(2);
        taken(2);
        semaphore.release(1);
        taken(3);
        // One permit too few for the fourth, and nobody overtakes it.
        semaphore.release(3);
        taken(3);
        semaphore.release(5);
        assert_eq!(taken(6), [3, 1, 2, 4, 1, 1]);
        assert_eq!(semaphore.available(), 2);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        drop(semaphore.acquire_many(2));
        drop(semaphore.acquire_many(0));
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn what_was_kept_for_one_that_leaves_goes_to_the_next() {
    sylvan::run(|| {
        for leaves in ["cancelled", "timed out", "cancelled when it has it all"] {
            let semaphore = Arc::new(Semaphore::new(2));
            let order = Arc::new(Mutex::new(Vec::new()));
            let leaver = match leaves {
                "timed out" => {
                    let semaphore = semaphore.clone();
                    thread::spawn(move || {
                        let moment = Duration::from_millis(2);
                        assert!(semaphore.acquire_many_timeout(4, moment).is_none());
                    })
                }
                _ => several(&semaphore, &order, 4),
            };
            settle();
            let next = [1, 2, 1].map(|permits| several(&semaphore, &order, permits));
            settle();
            semaphore.release(1);
            settle();
            match leaves {
                "cancelled" => leaver.cancel(),
                "timed out" => (),
                _ => {
                    // What a wake-up has brought is its own.
                    semaphore.release(1);
                    leaver.cancel();
                    semaphore.release(4);
                }
            }
            let left = leaver.join();
            let [first, second, third] = next;
            first.join().unwrap();
            second.join().unwrap();
            match leaves {
                "cancelled when it has it all" => left.unwrap(),
                _ => semaphore.release(1),
            }
            third.join().unwrap();
            assert_eq!(semaphore.available(), 0, "{leaves}");
        }
    });
}

#[test]
fn a_bounded_one_is_not_released_more_often_than_acquired() {
    static BOUNDED: Semaphore = Semaphore::bounded(2);
    let full = BOUNDED.try_release(1).unwrap_err();
    assert_eq!(
        full.to_string(),
        "a semaphore that can have 2 permits was given more"
    );
    let permits = BOUNDED.acquire_many(2);
    assert!(BOUNDED.try_release(3).is_err());
    assert_eq!(BOUNDED.available(), 0);
    // What was not its own: the permit that is given back later is too much, and vanishes.
    BOUNDED.release(1);
    drop(permits);
    assert_eq!(BOUNDED.available(), 2);
    let panics = std::panic::catch_unwind(|| BOUNDED.release(1)).unwrap_err();
    assert_eq!(panics.downcast_ref::<String>(), Some(&full.to_string()));
    let never = std::panic::catch_unwind(|| drop(BOUNDED.acquire_many(3))).unwrap_err();
    assert_eq!(
        panic_text(&*never),
        "3 permits are wanted of a semaphore that can have 2"
    );
    assert!(BOUNDED.try_acquire_many(3).is_none());
    assert_eq!(BOUNDED.available(), 2);
    sylvan::run(|| {
        let semaphore = Arc::new(Semaphore::bounded(2));
        let all = semaphore.acquire_many(2);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiters = [1, 2].map(|permits| several(&semaphore, &order, permits));
        settle();
        assert!(semaphore.try_release(4).is_err(), "also if others wait");
        assert_eq!(order.lock().unwrap().len(), 0);
        drop(all);
        settle();
        semaphore.release(1);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(semaphore.available(), 0);
    });
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload.downcast_ref::<String>().map_or("", |text| text)
}

#[test]
fn owned_permits_go_where_they_like() {
    everywhere(|crew| {
        let semaphore = Arc::new(Semaphore::new(3));
        let members: Vec<_> = (0..4)
            .map(|number| {
                let permit = match number % 2 {
                    0 => semaphore.clone().acquire_owned(),
                    _ => semaphore.clone().acquire_many_owned(2),
                };
                crew.spawn(move || {
                    thread::yield_now();
                    assert_eq!(permit.permits(), 1 + number % 2);
                    assert!(permit.semaphore().available() < 3);
                })
            })
            .collect();
        members.into_iter().for_each(Member::join);
        assert_eq!(semaphore.available(), 3);
        semaphore.clone().try_acquire_owned().unwrap().forget();
        assert!(semaphore.clone().try_acquire_many_owned(3).is_none());
        assert_eq!(semaphore.available(), 2);
        assert_eq!(Arc::strong_count(&semaphore), 1);
    });
}

#[test]
fn those_who_want_several_race_with_all_that_can_happen() {
    fn race(crew: &Crew) {
        const PERMITS: usize = 5;
        let semaphore = Arc::new(Semaphore::bounded(PERMITS));
        let held = Arc::new(AtomicUsize::new(0));
        let hold = |number: usize, permits: SemaphorePermit<'_>, held: &AtomicUsize| {
            let count = permits.permits();
            assert!(held.fetch_add(count, SeqCst) + count <= PERMITS);
            let _counted = AtDrop(|| {
                held.fetch_sub(count, SeqCst);
            });
            if number.is_multiple_of(3) {
                thread::yield_now();
            }
        };
        let work = |seed: usize, rounds: usize| {
            let (semaphore, held) = (semaphore.clone(), held.clone());
            move || {
                for round in 0..rounds {
                    let number = number(seed, round);
                    let wanted = 1 + number / 16 % PERMITS;
                    let moment = Duration::from_micros(number as u64 / 4 % 64);
                    match number % 4 {
                        0 => hold(number, semaphore.acquire_many(wanted), &held),
                        1 => hold(number, semaphore.acquire(), &held),
                        2 => {
                            let permits = semaphore.acquire_many_timeout(wanted, moment);
                            permits.into_iter().for_each(|all| hold(number, all, &held));
                        }
                        _ => {
                            let permits = semaphore.try_acquire_many(wanted);
                            permits.into_iter().for_each(|all| hold(number, all, &held));
                        }
                    }
                }
            }
        };
        let steady: Vec<_> = (0..4)
            .map(|seed| crew.spawn(work(seed, scaled(800))))
            .collect();
        for wave in 0..scaled(100) {
            let tasks = [0, 1, 2, 3].map(|task| thread::spawn(work(4 + wave * 4 + task, 10)));
            for _ in 0..number(wave, 0) % 8 {
                thread::yield_now();
            }
            tasks
                .iter()
                .skip(wave % 2)
                .for_each(thread::JoinHandle::cancel);
            for task in tasks {
                if let Err(payload) = task.join() {
                    assert!(payload.is::<Cancelled>());
                }
            }
        }
        steady.into_iter().for_each(Member::join);
        assert_eq!(semaphore.available(), PERMITS);
        assert_eq!(held.load(SeqCst), 0);
    }
    everywhere(race);
}
