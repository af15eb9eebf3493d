//! Processes with many green threads each: what jobs give, how they end, and what is left behind.
//!
//! The processes of these tests are this test binary, and begin in [`worker_entry`].

#[path = "support/interrupt.rs"]
mod interrupt;
mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use serde::{Deserialize, Serialize, Serializer};
use support::{Numbers, children, scaled};
use sylvan::process_pool::{self, Builder, Job, JobError, Pool, Process, Worker};
use sylvan::time::timeout;
use sylvan::{task, thread};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn worker_entry() {
    process_pool::init();
}

fn builder(processes: usize) -> Builder {
    process_pool::use_test_entry("worker_entry");
    Pool::builder().processes(processes)
}

fn pool(processes: usize) -> Pool {
    builder(processes).build().unwrap()
}

// ---- jobs

fn square(number: u64) -> u64 {
    number * number
}

fn own_id((): ()) -> u32 {
    process::id()
}

fn nap(milliseconds: u64) -> u64 {
    thread::sleep(Duration::from_millis(milliseconds));
    milliseconds
}

/// Keeps its hub for so long.
fn compute(milliseconds: u64) -> u64 {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(milliseconds) {
        std::hint::spin_loop();
    }
    milliseconds
}

fn compute_for_ever((): ()) {
    loop {
        std::hint::spin_loop();
    }
}

/// What cannot be written.
#[derive(Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it does not want to"))
    }
}

fn signal(pid: u32, number: i32) {
    // SAFETY: it takes two numbers.
    unsafe { libc::kill(pid.cast_signed(), number) };
}

/// The letter that the kernel has for what a process does, if there is one.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // It stands behind the name, which may have anything in it.
    stat.rsplit(')').next()?.trim_start().chars().next()
}

fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

fn must_end_soon(pids: &[u32]) {
    let start = Instant::now();
    while pids.iter().any(|pid| is_alive(*pid)) {
        assert!(start.elapsed() < LONG, "these go on: {pids:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

// ---- what jobs give

#[test]
fn a_pool_calls_functions_in_other_processes() {
    let pool = pool(2);
    assert_eq!(pool.apply(square, 12), Ok(144));
    assert_ne!(pool.apply(own_id, ()), Ok(process::id()));
    let squares: Vec<u64> = (0..1000).map(square).collect();
    assert_eq!(pool.map(square, 0..1000), Ok(squares));
    let sums = pool.starmap(|a: u8, b: u8| a + b, [(1, 2), (3, 4)]);
    assert_eq!(sums, Ok(vec![3, 7]));
    assert_eq!(pool.map(square, []), Ok(vec![]));
    assert!(format!("{pool:?}").contains("succeeded"));
}

#[test]
fn it_works_from_green_threads_and_from_os_threads() {
    let pool = pool(2);
    let apply_some = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            assert_eq!(pool.apply(square, number), Ok(square(number)));
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || apply_some(thread * 100..thread * 100 + 50));
            scope.spawn(move || sylvan::run(|| apply_some(0..50)));
        }
    });
}

#[test]
fn imap_gives_results_in_order_and_pulls_no_more_than_it_has_room_for() {
    sylvan::run(|| {
        let pool = builder(2).concurrency(2).build().unwrap();
        let pulled = AtomicU64::new(0);
        let items = (0..).inspect(|_| {
            pulled.fetch_add(1, Ordering::Relaxed);
        });
        let jobs = pool.jobs().chunk_size(1);
        let mut results = jobs.imap(|n: u64| nap(if n == 0 { 50 } else { 0 }) + n, items);
        assert_eq!(pulled.load(Ordering::Relaxed), 0, "it is lazy");
        assert_eq!(results.next(), Some(Ok(50)));
        // Two processes with two places each, one more for each, and twice that for those that wait for their turn.
        let ahead = pulled.load(Ordering::Relaxed);
        assert!((1..=12).contains(&ahead), "{ahead} were pulled");
        for number in 1..100 {
            assert_eq!(results.next(), Some(Ok(number)));
        }
        assert!(pulled.load(Ordering::Relaxed) <= 112);
    });
}

#[test]
fn imap_unordered_gives_results_as_they_come() {
    sylvan::run(|| {
        let pool = pool(1);
        let naps = pool.jobs().chunk_size(1).imap_unordered(nap, [2_000, 1]);
        let first = naps.into_iter().next();
        assert_eq!(first, Some(Ok(1)));
    });
}

#[test]
fn a_failure_is_one_result_of_an_imap_and_the_end_of_a_map() {
    let pool = pool(2);
    let divide = |number: u64| 100 / number;
    let results: Vec<_> = pool.imap(divide, 0..3).collect();
    assert!(matches!(results[0], Err(JobError::Panicked { .. })));
    assert_eq!(results[1..], [Ok(100), Ok(50)]);
    let error = pool.map(divide, 0..1000).unwrap_err();
    assert!(matches!(error, JobError::Panicked { .. }), "{error}");
    assert_eq!(pool.apply(square, 3), Ok(9));
}

#[test]
fn an_automatic_chunk_comes_back_when_a_job_in_it_is_slow() {
    sylvan::run(|| {
        let pool = pool(2);
        // They are small until they are not: by then many travel together.
        let job = |number: u64| if number >= 20_000 { nap(50) } else { number };
        let start = Instant::now();
        let results = pool.map(job, (0..20_000).chain(20_000..20_040)).unwrap();
        assert_eq!(results.len(), 20_040);
        assert_eq!(results[..20_000], (0..20_000).collect::<Vec<_>>());
        assert!(results[20_000..].iter().all(|result| *result == 50));
        // One after the other they would take two seconds.
        assert!(
            start.elapsed() < Duration::from_millis(1_500),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn chunks_of_a_given_size_are_done_whole() {
    let pool = pool(2);
    for size in [1, 3, 1_000, usize::MAX] {
        let squares = pool.jobs().chunk_size(size).map(square, 0..100);
        assert_eq!(squares, Ok((0..100).map(square).collect()));
    }
}

#[test]
fn a_small_job_overtakes_a_large_one() {
    sylvan::run(|| {
        let pool = pool(1);
        let large = pool.spawn(|bytes: Vec<u8>| bytes, vec![7; 32 << 20]);
        assert_eq!(pool.apply(square, 5), Ok(25));
        assert!(!large.is_finished(), "32 MiB were faster than a number");
        let back = large.join().unwrap();
        assert!(back.len() == 32 << 20 && back.iter().all(|byte| *byte == 7));
    });
}

#[test]
fn what_is_too_large_is_told_on_both_sides() {
    let pool = builder(1).max_message_size(100_000).build().unwrap();
    let error = pool.apply(|bytes: Vec<u8>| bytes.len(), vec![0; 200_000]);
    assert!(
        matches!(error, Err(JobError::Unserialisable(_))),
        "{error:?}"
    );
    let error = pool.apply(|size: usize| vec![0_u8; size], 200_000);
    assert!(
        matches!(error, Err(JobError::Unserialisable(_))),
        "{error:?}"
    );
    let sizes = pool.map(|size: usize| vec![0_u8; size].len(), [99_000, 200_000]);
    assert_eq!(sizes, Ok(vec![99_000, 200_000]));
    // What fits alone goes alone.
    let items = [10, 45_000, 90_000, 10, 99_000, 99_000].map(|size| vec![7_u8; size]);
    let lengths = items.iter().map(Vec::len).collect::<Vec<_>>();
    for chunk in [1, 10] {
        let jobs = pool.jobs().chunk_size(chunk);
        let mapped = jobs.map(|bytes: Vec<u8>| bytes.len(), items.clone());
        assert_eq!(mapped.as_ref(), Ok(&lengths));
    }
    assert_eq!(pool.stats().died, 0);
}

#[test]
fn failures_have_bounds_as_results_have() {
    let pool = builder(1).max_message_size(1024).build().unwrap();
    let shouts = |length: usize| -> Vec<u8> { panic!("{}", "x".repeat(length)) };
    match pool.apply(shouts, 3_000) {
        Err(JobError::Panicked { message, .. }) => {
            assert!(message.len() > 500 && message.len() < 1024, "{message}");
        }
        other => panic!("{other:?}"),
    }
    // Each result fits, not all of them; and each failure, but not all of them.
    let jobs = pool.jobs().chunk_size(100);
    let mapped = jobs.map(|size: usize| vec![7_u8; size], vec![20; 100]);
    assert_eq!(mapped, Ok(vec![vec![7_u8; 20]; 100]));
    let jobs = pool.jobs().chunk_size(100);
    let outcomes: Vec<_> = jobs.imap(shouts, vec![300; 100]).collect();
    let panicked = |outcome: &Result<_, _>| matches!(outcome, Err(JobError::Panicked { message, .. }) if message.len() == 300);
    assert!(outcomes.len() == 100 && outcomes.iter().all(panicked));
    assert_eq!(pool.stats().died, 0);
}

#[test]
fn imap_gives_what_is_there_before_it_asks_for_more() {
    sylvan::run(|| {
        let pool = pool(1);
        let pulled = AtomicU64::new(0);
        let items = (0..100).inspect(|_| {
            pulled.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20)); // they are slow in coming
        });
        let mut results = pool.imap_unordered(square, items);
        assert_eq!(results.next(), Some(Ok(0)));
        let pulled = pulled.load(Ordering::Relaxed);
        assert!(pulled < 50, "after {pulled} items");
        assert_eq!(results.count(), 99);
    });
}

// ---- how work is spread

#[test]
fn jobs_that_compute_are_spread_evenly_and_take_half_as_long_on_two_processes() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return println!("one CPU only: nothing to be seen");
    }
    sylvan::run(|| {
        let pool = pool(2);
        let job = |milliseconds: u64| {
            compute(milliseconds);
            process::id()
        };
        let ids = pool.jobs().chunk_size(1).map(job, [50; 16]).unwrap();
        let first = ids.iter().filter(|id| **id == ids[0]).count();
        // By time: if one gets less of the machine it gets fewer jobs.
        assert!((3..=13).contains(&first), "{first} of 16 on one process");
        let at_once = pool
            .stats()
            .processes
            .iter()
            .map(|it| it.answered)
            .collect::<Vec<_>>();
        assert_eq!(at_once.iter().sum::<u64>(), 16);
    });
}

#[test]
fn a_slow_job_holds_up_nobody_while_a_process_is_idle() {
    sylvan::run(|| {
        let pool = pool(2);
        let slow = pool.spawn(compute, 1_000);
        let quick: Vec<_> = (0..20).map(|_| pool.spawn(compute, 5)).collect();
        for job in quick {
            assert_eq!(job.join(), Ok(5));
        }
        assert!(!slow.is_finished());
        assert_eq!(slow.join(), Ok(1_000));
    });
}

#[test]
fn jobs_that_wait_wait_together() {
    sylvan::run(|| {
        let pool = builder(2).concurrency(32).build().unwrap();
        let start = Instant::now();
        let naps = pool.map(nap, [200; 64]).unwrap();
        assert_eq!(naps.len(), 64);
        // All at once, and far from one after the other.
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    });
}

// ---- how jobs fail

#[test]
fn a_panic_comes_back_with_its_message_and_harms_nothing() {
    let pool = pool(1);
    let id = pool.apply(own_id, ()).unwrap();
    let panicked = pool.apply(
        |word: String| -> u8 { panic!("no {word} left") },
        "tea".into(),
    );
    match panicked {
        Err(JobError::Panicked { message, .. }) => assert_eq!(message, "no tea left"),
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.apply(own_id, ()), Ok(id), "the same process");
}

#[test]
fn a_process_that_dies_fails_the_jobs_it_has_and_is_replaced() {
    let pool = pool(1);
    let died = |error: Result<(), JobError>| match error {
        Err(JobError::WorkerDied { signal, status, .. }) => (signal, status),
        other => panic!("{other:?}"),
    };
    let id = pool.apply(own_id, ()).unwrap();
    assert_eq!(died(pool.apply(|()| process::exit(7), ())), (None, Some(7)));
    assert_eq!(
        died(pool.apply(|()| process::abort(), ())),
        (Some(libc::SIGABRT), None)
    );
    let kill = |()| signal(process::id(), libc::SIGKILL);
    assert_eq!(died(pool.apply(kill, ())), (Some(libc::SIGKILL), None));
    assert_ne!(pool.apply(own_id, ()), Ok(id));
    assert_eq!(pool.stats().died, 3);
}

#[test]
fn a_process_that_has_died_gets_no_more_jobs() {
    sylvan::run(|| {
        let pool = pool(2);
        for _ in 0..5 {
            // A process of its own keeps its standard error open for a while, which is waited for.
            let pid = pool.apply(
                |()| {
                    let mut sleep = Command::new("sleep");
                    drop(
                        sleep
                            .arg("0.3")
                            .stdin(Stdio::null())
                            .stdout(Stdio::null())
                            .spawn(),
                    );
                    process::id()
                },
                (),
            );
            let pid = pid.unwrap();
            signal(pid, libc::SIGKILL);
            must_end_soon(&[pid]);
            thread::sleep(Duration::from_millis(20));
            // The other one is idle.
            assert_eq!(pool.apply(square, 3), Ok(9));
            while pool.stats().processes.len() < 2 {
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

#[test]
fn a_process_ends_when_it_ends_whatever_it_has_forked() {
    sylvan::run(|| {
        let pool = pool(1);
        let start = Instant::now();
        let outcome = pool.apply(
            |()| -> u8 {
                // SAFETY: the child only sleeps. It has all descriptors of this process, the link as well.
                unsafe {
                    if libc::fork() == 0 {
                        libc::sleep(20);
                        libc::_exit(0);
                    }
                }
                process::abort();
            },
            (),
        );
        assert!(
            matches!(outcome, Err(JobError::WorkerDied { .. })),
            "{outcome:?}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(pool.apply(square, 3), Ok(9));
    });
}

#[test]
fn the_last_words_of_a_process_are_in_the_error() {
    let pool = pool(1);
    let error = pool.apply(
        |()| {
            eprintln!("the cheese is gone");
            process::exit(1)
        },
        (),
    );
    let error: JobError = Result::<(), _>::unwrap_err(error);
    assert!(error.to_string().contains("the cheese is gone"), "{error}");
}

#[test]
fn what_cannot_travel_is_told() {
    let pool = pool(1);
    let result = pool.apply(|()| Stubborn, ()).err();
    assert!(matches!(&result, Some(JobError::Unserialisable(why)) if why.contains("Stubborn")));
    let argument = pool.apply(|_: Stubborn| (), Stubborn).err();
    assert!(matches!(argument, Some(JobError::Unserialisable(_))));
    // Bytes that are no value of the type: postcard cannot read what does not say what it is.
    let any = pool
        .apply(|value: serde_json::Value| value, serde_json::json!(1))
        .err();
    assert!(matches!(any, Some(JobError::Unserialisable(_))));
    let results: Vec<_> = pool
        .imap(|n: u8| if n == 1 { Err(Stubborn) } else { Ok(n) }, 0..3)
        .collect();
    assert!(results[0].is_ok() && results[1].is_err() && results[2].is_ok());
    assert_eq!(pool.stats().died, 0);
}

#[test]
fn a_job_is_cancelled_where_it_waits_in_its_process() {
    sylvan::run(|| {
        let pool = builder(1).concurrency(1).build().unwrap();
        let id = pool.apply(own_id, ()).unwrap();
        let running = pool.spawn(nap, 3_600_000);
        while pool.stats().running == 0 {
            thread::yield_now();
        }
        let waiting = pool.spawn(nap, 0);
        let doomed = pool.spawn(nap, 0);
        doomed.cancel();
        assert_eq!(doomed.join(), Err(JobError::Cancelled));
        running.cancel();
        running.cancel();
        assert_eq!(running.join(), Err(JobError::Cancelled));
        assert_eq!(waiting.join(), Ok(0), "there is room again");
        let ended = pool.spawn(square, 3);
        let ended = ended.join_timeout(LONG).unwrap();
        assert_eq!(ended, Ok(9));
        assert_eq!(pool.apply(own_id, ()), Ok(id));
    });
}

#[test]
fn a_job_that_is_still_on_its_way_is_cancelled() {
    sylvan::run(|| {
        let pool = builder(1).concurrency(2).build().unwrap();
        let name = |word: &str| {
            let name = format!("sylvan-pool-{word}-{}", process::id());
            env::temp_dir().join(name).to_str().unwrap().to_owned()
        };
        let (begun, enough) = (name("begun"), name("enough"));
        // Asks for another job while it waits, and then keeps the process from reading it.
        let busy = pool.spawn(
            |(begun, enough): (String, String)| {
                thread::sleep(Duration::from_millis(20));
                fs::write(&begun, "").unwrap();
                while !Path::new(&enough).exists() {
                    std::hint::spin_loop();
                }
            },
            (begun.clone(), enough.clone()),
        );
        while !Path::new(&begun).exists() {
            thread::sleep(Duration::from_millis(1));
        }
        let large = pool.spawn(|bytes: Vec<u8>| bytes.len(), vec![7; 4 << 20]);
        thread::sleep(Duration::from_millis(50)); // it fills the socket
        large.cancel();
        fs::write(&enough, "").unwrap();
        assert_eq!(large.join(), Err(JobError::Cancelled));
        assert_eq!(busy.join(), Ok(()));
        assert_eq!(pool.stats().died, 0);
        // What comes after it has its own fate.
        let length = pool.apply(|bytes: Vec<u8>| bytes.len(), vec![7; 1 << 20]);
        assert_eq!(length, Ok(1 << 20));
        fs::remove_file(begun).unwrap();
        fs::remove_file(enough).unwrap();
    });
}

#[test]
fn many_jobs_are_cancelled_quickly() {
    sylvan::run(|| {
        let pool = builder(1).concurrency(1).build().unwrap();
        let mut jobs: Vec<_> = (0..scaled(20_000))
            .map(|_| pool.spawn(nap, 3_600_000))
            .collect();
        let start = Instant::now();
        jobs.reverse();
        jobs.iter().for_each(Job::cancel);
        for job in jobs {
            assert_eq!(job.join(), Err(JobError::Cancelled));
        }
        assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    });
}

#[test]
fn whoever_waits_for_a_job_may_be_cancelled_and_so_is_the_job() {
    sylvan::run(|| {
        let pool = builder(1).concurrency(1).build().unwrap();
        for _ in 0..3 {
            let waited = timeout(Duration::from_millis(20), || pool.apply(nap, 3_600_000));
            assert!(waited.is_err());
            let mapped = timeout(Duration::from_millis(20), || pool.map(nap, [3_600_000; 5]));
            assert!(mapped.is_err());
        }
        drop(pool.imap(nap, [3_600_000; 5]).next_within_moments());
        assert_eq!(pool.apply(square, 2), Ok(4), "nothing of it is left");
    });
}

/// Begins an iterator and leaves it.
trait NextWithinMoments: Iterator + Sized {
    fn next_within_moments(mut self) -> Option<Self::Item> {
        timeout(Duration::from_millis(20), || self.next())
            .ok()
            .flatten()
    }
}

impl<I: Iterator> NextWithinMoments for I {}

#[test]
fn a_job_has_its_time_and_its_process_lives_on_if_it_answers() {
    sylvan::run(|| {
        let pool = builder(1)
            .job_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        let id = pool.apply(own_id, ()).unwrap();
        assert_eq!(pool.apply(nap, 3_600_000), Err(JobError::TimedOut));
        assert_eq!(pool.apply(own_id, ()), Ok(id));
        assert_eq!(pool.jobs().timeout(LONG).apply(nap, 100), Ok(100));
        let stats = pool.stats();
        assert_eq!((stats.timed_out, stats.died), (1, 0));
    });
}

#[test]
fn a_process_that_does_not_answer_after_a_time_out_is_replaced() {
    sylvan::run(|| {
        let pool = builder(1)
            .job_timeout(Duration::from_millis(50))
            .grace(Duration::from_millis(50))
            .build()
            .unwrap();
        let id = pool.apply(own_id, ()).unwrap();
        assert_eq!(pool.apply(compute_for_ever, ()), Err(JobError::TimedOut));
        assert_ne!(pool.jobs().timeout(LONG).apply(own_id, ()).unwrap(), id);
        assert!(!is_alive(id));

        // One that is stopped does not answer either.
        let id = pool.jobs().timeout(LONG).apply(own_id, ()).unwrap();
        signal(id, libc::SIGSTOP);
        while state(id) != Some('T') {
            thread::yield_now();
        }
        assert_eq!(pool.apply(square, 1), Err(JobError::TimedOut));
        assert_eq!(pool.jobs().timeout(LONG).apply(square, 2), Ok(4));
    });
}

#[test]
fn repeatable_jobs_are_done_again() {
    let folder = env::temp_dir().join(format!("sylvan-repeatable-{}", process::id()));
    fs::create_dir_all(&folder).unwrap();
    // Dies the first time.
    let job = |mark: String| {
        if !Path::new(&mark).exists() {
            fs::write(&mark, "").unwrap();
            process::abort();
        }
        mark.len()
    };
    let pool = pool(2);
    let mark = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    assert!(matches!(
        pool.apply(job, mark("a")),
        Err(JobError::WorkerDied { .. })
    ));
    assert!(pool.jobs().repeatable().apply(job, mark("b")).is_ok());
    // Not for ever.
    let hopeless = pool.jobs().repeatable().apply(|()| process::abort(), ());
    assert!(matches!(
        hopeless,
        Err::<(), _>(JobError::WorkerDied { .. })
    ));
    assert_eq!(pool.stats().retried, 3);
    fs::remove_dir_all(folder).unwrap();
}

// ---- the life of processes

#[test]
fn a_process_is_replaced_after_its_jobs() {
    let pool = builder(1).max_jobs_per_process(2).build().unwrap();
    let ids: Vec<_> = (0..6).map(|_| pool.apply(own_id, ()).unwrap()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3, "{ids:?}");
    assert_eq!(pool.stats().died, 0);
}

#[test]
fn each_process_is_initialised() {
    static GREETING: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let initialise = |word: String| GREETING.set(word).unwrap();
    let pool = builder(2)
        .initializer(initialise, "hello".to_owned())
        .build()
        .unwrap();
    for _ in 0..4 {
        let greeting = pool.apply(|()| GREETING.get().cloned(), ());
        assert_eq!(greeting, Ok(Some("hello".to_owned())));
    }
    assert_eq!(GREETING.get(), None, "not here");
}

#[test]
fn an_initializer_may_have_a_large_argument() {
    static LENGTH: AtomicU64 = AtomicU64::new(0);
    let initialise = |bytes: Vec<u8>| LENGTH.store(bytes.len() as u64, Ordering::Relaxed);
    let large = || builder(1).initializer(initialise, vec![7; 3 << 20]);
    let pool = large().build().unwrap();
    assert_eq!(
        pool.apply(|()| LENGTH.load(Ordering::Relaxed), ()),
        Ok(3 << 20)
    );
    let error = large().max_message_size(1 << 20).build().unwrap_err();
    assert!(
        error.to_string().contains("the initializer's argument"),
        "{error}"
    );
}

#[test]
fn a_process_that_is_starting_ends_with_its_pool() {
    sylvan::run(|| {
        let name = format!("sylvan-pool-hangs-{}", process::id());
        let path = env::temp_dir().join(name).to_str().unwrap().to_owned();
        let initialise = |path: String| {
            while Path::new(&path).exists() {
                thread::sleep(Duration::from_secs(3600));
            }
        };
        let pool = builder(1).initializer(initialise, path.clone()).build();
        let pool = pool.unwrap();
        fs::write(&path, "").unwrap();
        let pid = pool.stats().processes[0].pid;
        signal(pid, libc::SIGKILL);
        // The next one begins, and never is ready.
        let start = Instant::now();
        let is_another = |child: &u32| *child != pid;
        while !children().iter().any(is_another) || !pool.stats().processes.is_empty() {
            thread::sleep(Duration::from_millis(5));
            assert!(start.elapsed() < LONG);
        }
        pool.terminate();
        pool.join();
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn an_initializer_that_fails_is_told_by_build() {
    let built = builder(2)
        .initializer(|()| panic!("there is no bread"), ())
        .build();
    let error = built.unwrap_err().to_string();
    assert!(error.contains("there is no bread"), "{error}");
}

#[test]
fn senseless_pools_are_refused() {
    for builder in [
        builder(0),
        builder(1).concurrency(0),
        builder(1).max_jobs_per_process(0),
        builder(1).max_message_size(1),
        builder(1).max_message_size(usize::MAX),
        builder(1).start_timeout(Duration::ZERO),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_closed_pool_does_what_it_has_and_no_more() {
    sylvan::run(|| {
        let pool = pool(2);
        let jobs: Vec<Job<u64>> = (0..50).map(|_| pool.spawn(nap, 10)).collect();
        pool.close();
        assert_eq!(pool.apply(square, 1), Err(JobError::Closed));
        assert_eq!(pool.spawn(square, 1).join(), Err(JobError::Closed));
        assert_eq!(pool.map(square, 0..3), Err(JobError::Closed));
        let pids: Vec<u32> = pool.stats().processes.iter().map(|it| it.pid).collect();
        pool.join();
        assert!(pids.iter().all(|pid| !is_alive(*pid)));
        for job in jobs {
            assert!(job.is_finished());
            assert_eq!(job.join(), Ok(10));
        }
        assert_eq!(pool.stats().succeeded, 50);
        pool.join();
    });
}

#[test]
fn a_terminated_pool_cancels_all_and_leaves_no_process() {
    sylvan::run(|| {
        let pool = builder(2).concurrency(2).build().unwrap();
        let jobs: Vec<_> = (0..10).map(|_| pool.spawn(nap, 3_600_000)).collect();
        while pool.stats().running < 4 {
            thread::yield_now();
        }
        let pids: Vec<u32> = pool.stats().processes.iter().map(|it| it.pid).collect();
        pool.terminate();
        for job in jobs {
            assert_eq!(job.join(), Err(JobError::Cancelled));
        }
        pool.join();
        assert!(pids.iter().all(|pid| !is_alive(*pid)));
        assert_eq!(pool.stats().cancelled, 10);
        assert_eq!(pool.apply(square, 1), Err(JobError::Closed));
    });
}

#[test]
fn a_process_that_does_not_stop_when_it_is_told_to_is_ended() {
    sylvan::run(|| {
        let pool = pool(1);
        let pid = pool.apply(own_id, ()).unwrap();
        // What it leaves behind keeps the hub, so that the process hears nothing any more.
        let leave = |()| {
            thread::spawn(|| {
                nap(50);
                compute_for_ever(());
            });
        };
        assert_eq!(pool.apply(leave, ()), Ok(()));
        nap(100);
        pool.join();
        assert!(!is_alive(pid));
    });
}

#[test]
fn a_pool_that_is_dropped_leaves_no_process() {
    let pids = sylvan::run(|| {
        let pool = pool(2);
        let _job = pool.spawn(compute_for_ever, ());
        pool.stats()
            .processes
            .iter()
            .map(|it| it.pid)
            .collect::<Vec<_>>()
    });
    assert_eq!(pids.len(), 2);
    must_end_soon(&pids);
    // Waited for as well: nothing of them is left to this process.
    let start = Instant::now();
    while pids.iter().any(|pid| children().contains(pid)) {
        assert!(start.elapsed() < LONG, "a zombie is left");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_runtime_may_end_before_its_pool() {
    let pool = sylvan::run(|| {
        let pool = pool(1);
        assert_eq!(pool.apply(square, 2), Ok(4));
        pool
    });
    assert!(pool.apply(square, 2).is_err());
    assert!(pool.spawn(square, 2).join().is_err());
    pool.join();
}

#[test]
fn jobs_may_have_pools_of_their_own() {
    let pool = pool(1);
    let nested = pool.apply(
        |()| {
            process_pool::use_test_entry("worker_entry");
            let pool = Pool::builder().processes(1).build().unwrap();
            (process::id(), pool.apply(own_id, ()).unwrap())
        },
        (),
    );
    let (child, grandchild) = nested.unwrap();
    assert!(child != grandchild && grandchild != process::id());
}

// ---- Process and Worker

#[test]
fn a_worker_gives_the_result_of_its_function() {
    sylvan::run(|| {
        process_pool::use_test_entry("worker_entry");
        let worker = Worker::spawn(square, 9).unwrap();
        let pid = worker.pid();
        assert_ne!(pid, process::id());
        assert_eq!(worker.join(), Ok(81));
        assert!(!is_alive(pid));

        let worker = Worker::spawn(nap, 3_600_000).unwrap();
        assert!(!worker.is_finished() && worker.exit_status().is_none());
        worker.cancel();
        assert_eq!(worker.join(), Err(JobError::Cancelled));

        let worker = Worker::spawn(compute_for_ever, ()).unwrap();
        worker.kill();
        let killed = worker.join();
        assert!(
            matches!(
                killed,
                Err(JobError::WorkerDied {
                    signal: Some(9),
                    ..
                })
            ),
            "{killed:?}"
        );
    });
}

#[test]
fn a_process_has_the_exit_status_of_its_function() {
    process_pool::use_test_entry("worker_entry");
    let process = Process::spawn(|(): ()| (), ()).unwrap();
    assert!(process.join().unwrap().success());
    let process = Process::spawn(|status: i32| process::exit(status), 3).unwrap();
    assert_eq!(process.join().unwrap().code(), Some(3));
    let process = Process::spawn(|(): ()| panic!("on purpose"), ()).unwrap();
    assert_eq!(process.join().unwrap().code(), Some(101));
    let process = Process::spawn(compute_for_ever, ()).unwrap();
    assert!(process.exit_status().is_none() && is_alive(process.pid()));
    process.kill();
    assert_eq!(process.join().unwrap().signal(), Some(libc::SIGKILL));
    let process = Process::spawn(compute_for_ever, ()).unwrap();
    let pid = process.pid();
    drop(process);
    must_end_soon(&[pid]);
}

// ---- programs that are not as they should be, each in a process of its own

/// Runs a test of this file, with this variable set, in a process of its own.
fn run_alone(test: &str, variable: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    interrupt::can_be_interrupted(&mut command)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(variable, "1");
    command
}

/// Tells whoever has started this process the numbers of the pool's.
fn tell_pids(pool: &Pool) {
    let processes = pool.stats().processes;
    let pids: Vec<_> = processes.iter().map(|it| it.pid.to_string()).collect();
    println!("\npids: {}", pids.join(" "));
    std::io::stdout().flush().unwrap();
}

/// What such a process tells.
fn told_pids(lines: &mut impl Iterator<Item = String>) -> Vec<u32> {
    let pids = lines.find_map(|line| line.strip_prefix("pids: ").map(str::to_owned));
    let pids = pids.unwrap();
    pids.split(' ').map(|pid| pid.parse().unwrap()).collect()
}

fn lines_of(process: &mut process::Child) -> impl Iterator<Item = String> + use<> {
    let stdout = process.stdout.take().unwrap();
    BufReader::new(stdout).lines().map(Result::unwrap)
}

#[test]
fn a_forgotten_init_is_told_at_once() {
    if env::var_os("SYLVAN_TEST_FORGETS").is_some() {
        // Its processes run this test, and do the same.
        process_pool::use_test_entry("a_forgotten_init_is_told_at_once");
        let error = Pool::builder().processes(2).build().unwrap_err();
        println!("told: {error}");
        return;
    }
    if env::var_os("SYLVAN_TEST_ENDS").is_some() {
        // Its processes run no test, and end.
        process_pool::use_test_entry("there_is_no_such_test");
        let error = Pool::builder().processes(2).build().unwrap_err();
        println!("told: {error}");
        return;
    }
    if env::var_os("SYLVAN_TEST_DETACHES").is_some() {
        // Its processes run this test, and have another standard input before they could take the link.
        let null = fs::File::open("/dev/null").unwrap();
        // SAFETY: both are open.
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), 0) };
        process_pool::init();
        process_pool::use_test_entry("a_forgotten_init_is_told_at_once");
        let error = Pool::builder().processes(2).build().unwrap_err();
        println!("told: {error}");
        return;
    }
    for variable in [
        "SYLVAN_TEST_FORGETS",
        "SYLVAN_TEST_ENDS",
        "SYLVAN_TEST_DETACHES",
    ] {
        let start = Instant::now();
        let output = run_alone("a_forgotten_init_is_told_at_once", variable)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let told = text
            .lines()
            .find(|line| line.contains("told: "))
            .unwrap_or_else(|| panic!("{text}"));
        assert!(told.contains("init() called at the top of main"), "{told}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn processes_end_with_a_parent_that_is_killed() {
    if env::var_os("SYLVAN_TEST_PARENT").is_some() {
        let pool = pool(3);
        let _computing = pool.spawn(compute_for_ever, ());
        let _waiting = pool.spawn(nap, 3_600_000);
        while pool.stats().running < 2 {
            std::thread::yield_now();
        }
        tell_pids(&pool);
        loop {
            std::thread::park();
        }
    }
    let test = "processes_end_with_a_parent_that_is_killed";
    let mut parent = run_alone(test, "SYLVAN_TEST_PARENT")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pids = told_pids(&mut lines_of(&mut parent));
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    parent.kill().unwrap();
    let start = Instant::now();
    parent.wait().unwrap();
    must_end_soon(&pids);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn after_a_ctrl_c_processes_end_quietly() {
    if env::var_os("SYLVAN_TEST_CTRL_C").is_some() {
        let runtime = sylvan::runtime::Runtime::builder();
        let runtime = runtime.cancel_on_ctrl_c(true).build().unwrap();
        let outcome = runtime.try_run(|| {
            let pool = pool(2);
            tell_pids(&pool);
            pool.map(nap, [3_600_000; 8])
        });
        runtime.close();
        assert!(outcome.unwrap_err().is::<task::Cancelled>());
        println!("cancelled");
        return;
    }
    use std::os::unix::process::CommandExt;
    let test = "after_a_ctrl_c_processes_end_quietly";
    let mut parent = run_alone(test, "SYLVAN_TEST_CTRL_C")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = lines_of(&mut parent);
    let pids = told_pids(&mut lines);
    // As the terminal does: to all of the group.
    // SAFETY: it takes two numbers.
    unsafe { libc::kill(-parent.id().cast_signed(), libc::SIGINT) };
    assert!(lines.any(|line| line == "cancelled"));
    let mut errors = String::new();
    parent
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert!(parent.wait().unwrap().success());
    assert_eq!(errors, "", "nothing is said");
    must_end_soon(&pids);
}

#[test]
fn a_program_with_more_rights_than_who_started_it_is_nobody_s_process() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    // SAFETY: it only returns a number.
    if unsafe { libc::geteuid() } != 0 {
        return println!("not root: no program of another user's can be made");
    }
    let belongs_to_nobody = |program: &Path, mode: u32| {
        chown(program, Some(65534), Some(65534)).unwrap();
        fs::set_permissions(program, PermissionsExt::from_mode(mode)).unwrap();
    };
    let own = env::current_exe().unwrap();
    let copy = own.with_file_name(format!("set-user-id-{}", process::id()));
    // A filesystem mounted without it, and a process that may gain no rights, know no such program.
    fs::copy("/usr/bin/id", &copy).unwrap();
    belongs_to_nobody(&copy, 0o4755);
    let who = Command::new(&copy).arg("-u").output().unwrap().stdout;
    if who != b"65534\n" {
        fs::remove_file(&copy).unwrap();
        return println!("no program runs as its owner here");
    }
    fs::copy(&own, &copy).unwrap();
    // Is it taken for a process of a pool, whoever says so?
    let serves = |mode: u32| {
        belongs_to_nobody(&copy, mode);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs = fs::File::from(OwnedFd::from(theirs));
        let name = theirs.metadata().unwrap();
        let program = Command::new(&copy)
            .args(["worker_entry", "--exact", "--nocapture"])
            .env(
                "SYLVAN_WORKER",
                format!("{}:{}:{}", name.dev(), name.ino(), process::id()),
            )
            .stdin(theirs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(ours);
        // How it exits tells nothing: a sanitizer that may not trace its own process fails at the end.
        let output = program.wait_with_output().unwrap();
        let (said, errors) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(!String::from_utf8_lossy(said).contains("test worker_entry ... ok"));
        // One that serves misses its parent.
        !errors.contains("a program with more rights than whoever started it")
    };
    let (usual, set_user_id) = (serves(0o755), serves(0o4755));
    fs::remove_file(&copy).unwrap();
    assert!(usual, "it serves whoever starts it");
    assert!(!set_user_id);
}

// ---- hostile processes

/// Writes to the link of this process, behind its back.
fn write_to_link(bytes: &[u8]) {
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let fd: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        // The standard streams are the parent's, whatever they are.
        if fd > 2
            && target
                .to_str()
                .is_some_and(|target| target.starts_with("socket:"))
        {
            // SAFETY: the bytes are there; a closed end is an error, for Rust ignores SIGPIPE.
            unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
            return;
        }
    }
}

fn frame(kind: u8, more: u8, id: u64, body: &[u8], length: u32) -> Vec<u8> {
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend([kind, more, 0, 0]);
    frame.extend(id.to_le_bytes());
    frame.extend(body);
    frame
}

/// What a hostile process may write, of the kind that `seed` says.
fn hostile(seed: u64) -> u64 {
    let mut numbers = Numbers::new(seed + 1);
    let mut random =
        |count: usize| -> Vec<u8> { (0..count).map(|_| numbers.below(256) as u8).collect() };
    let body = random(50);
    let bytes = match seed % 10 {
        0 => random(1_000),
        1 => frame(18, 0, 1, &body, 50), // a result that is replayed
        2 => frame(18, 0, u64::MAX - seed, &body, 50), // one of no job
        3 => frame(18, 0, 0, &[], u32::MAX), // longer than any frame
        4 => frame(18, 1, 5, &body, 50)[..30].to_vec(), // cut off by its end
        5 => frame(99, 0, 0, &body, 50),
        6 => frame(16, 0, 0, &body, 50), // ready, again
        7 => (0..200)
            .flat_map(|id| frame(18, 1, id, &body, 50))
            .collect(), // never whole
        8 => frame(2, 0, 0, &body, 50),  // what only a pool sends
        _ => frame(18, 7, 0, &body, 50),
    };
    write_to_link(&bytes);
    if seed % 10 == 4 {
        process::exit(0);
    }
    nap(3_600_000)
}

#[test]
fn a_hostile_process_harms_its_own_jobs_only() {
    sylvan::run(|| {
        // Jobs of honest processes, which live as long as the pool.
        let honest = pool(1);
        let id = honest.apply(own_id, ()).unwrap();
        let pool = builder(1).concurrency(2).build().unwrap();
        for seed in 0..scaled(40) as u64 {
            let result = pool.apply(hostile, seed);
            let Err(JobError::WorkerDied { stderr_tail, .. }) = &result else {
                panic!("{seed}: {result:?}");
            };
            if ![0, 4].contains(&(seed % 10)) {
                assert!(
                    stderr_tail.contains("broke the protocol"),
                    "{seed}: {stderr_tail}"
                );
            }
            assert_eq!(pool.apply(square, seed), Ok(seed * seed), "after {seed}");
            assert_eq!(honest.apply(own_id, ()), Ok(id));
        }
    });
}

// ---- all of it at once

/// What a job of the great mixture does.
fn mixture(number: u64) -> Result<u64, Stubborn> {
    match number % 200 {
        0 => panic!("job {number}"),
        1 => process::abort(),
        2 => process::exit(5),
        3 => Err(Stubborn),
        4 => Ok(nap(3_600_000)),
        5..50 => Ok(nap(1) + number - 1),
        _ => Ok(number),
    }
}

#[test]
fn every_job_ends_once_whatever_happens_to_its_process() {
    let jobs = scaled(10_000) as u64;
    let runtime = sylvan::runtime::Runtime::builder()
        .workers(2)
        .build()
        .unwrap();
    runtime.run(|| {
        let pool = builder(4).concurrency(8).build().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            let (pool, done) = (&pool, &done);
            scope.spawn(move || {
                let mut numbers = Numbers::new(4711);
                while !done.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5 + numbers.below(20)));
                    let processes = pool.stats().processes;
                    if processes.is_empty() {
                        continue;
                    }
                    let pid = processes[numbers.below(processes.len() as u64) as usize].pid;
                    if numbers.below(2) == 0 {
                        signal(pid, libc::SIGKILL);
                    } else {
                        signal(pid, libc::SIGSTOP);
                        thread::sleep(Duration::from_millis(numbers.below(10)));
                        signal(pid, libc::SIGCONT);
                    }
                }
            });
            let (sender, ended) = sylvan::sync::mpsc::sync_channel(200);
            let submitter = scope.spawn(move || {
                for number in 0..jobs {
                    let job = if number % 3 == 0 {
                        pool.jobs().repeatable().spawn(mixture, number)
                    } else {
                        pool.spawn(mixture, number)
                    };
                    if number % 200 == 4 || number % 97 == 0 {
                        job.cancel();
                    }
                    sender.send((number, job)).unwrap();
                }
            });
            let mut results = 0;
            let mut failures = 0;
            for (number, job) in ended {
                match job.join() {
                    Ok(result) => {
                        assert_eq!(result.ok(), Some(number));
                        results += 1;
                    }
                    Err(JobError::NotStarted(why)) => panic!("{why}"),
                    Err(JobError::TimedOut | JobError::Closed) => panic!("job {number}"),
                    Err(_) => failures += 1,
                }
            }
            submitter.join().unwrap();
            done.store(true, Ordering::Relaxed);
            assert_eq!(results + failures, jobs);
            let stats = pool.stats();
            assert_eq!(stats.submitted, jobs);
            assert_eq!(
                stats.succeeded + stats.failed + stats.cancelled,
                jobs,
                "{stats:?}"
            );
            assert_eq!((stats.queued, stats.running), (0, 0));
            assert!(results > jobs / 2, "{stats:?}");
        });
        pool.join();
    });
}
