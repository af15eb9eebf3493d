//! Pools of OS threads for what blocks: their limits and their statistics.

mod support;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use support::must_end;
use sylvan::runtime::{OffloadPool, Runtime};
use sylvan::{thread, time};

/// A job that is done when the other end is dropped.
fn gate() -> (std::sync::mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (open, opened): (_, Receiver<()>) = channel();
    (open, move || assert!(opened.recv().is_err()))
}

fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn no_more_threads_than_its_limit() {
    let pool = OffloadPool::new("no_more", 3);
    must_end(|| {
        sylvan::run(|| {
            thread::scope(|scope| {
                let (gates, jobs): (Vec<_>, Vec<_>) = (0..10).map(|_| gate()).unzip();
                for job in jobs {
                    scope.spawn(|| pool.offload(job));
                }
                until(|| {
                    thread::yield_now();
                    pool.stats().queued == 7
                });
                let stats = pool.stats();
                assert_eq!((stats.threads, stats.busy, stats.finished), (3, 3, 0));
                drop(gates);
            });
        });
    });
    until(|| pool.stats().busy == 0);
    let stats = pool.stats();
    assert_eq!(
        (stats.peak_threads, stats.queued, stats.finished),
        (3, 0, 10)
    );
    assert_eq!(
        format!("{pool:?}"),
        format!("OffloadPool {{ name: \"no_more\", limit: 3, stats: {stats:?} }}")
    );
}

#[test]
fn a_limit_that_rises_starts_those_in_line_and_one_that_falls_ends_threads() {
    let pool = Arc::new(OffloadPool::new("rises", 1));
    must_end(|| {
        sylvan::run(|| {
            // They wait for each other: one thread could never do them.
            let barrier = Arc::new(Barrier::new(4));
            let jobs: Vec<_> = (0..4)
                .map(|_| {
                    let (pool, barrier) = (pool.clone(), barrier.clone());
                    thread::spawn(move || pool.offload(move || barrier.wait().is_leader()))
                })
                .collect();
            until(|| {
                thread::yield_now();
                pool.stats().queued == 3
            });
            pool.set_limit(4);
            let leaders = jobs.into_iter().map(|job| job.join().unwrap());
            assert_eq!(leaders.filter(|is_leader| *is_leader).count(), 1);
        });
        assert_eq!(pool.stats().peak_threads, 4);
        pool.set_limit(2);
        until(|| pool.stats().threads == 2);
        assert_eq!(pool.limit(), 2);
    });
}

#[test]
fn a_pool_that_is_full_keeps_nobody_else() {
    must_end(|| {
        sylvan::run(|| {
            let pool = Arc::new(OffloadPool::new("full", 1));
            let (open, job) = gate();
            let theirs = pool.clone();
            let full = thread::spawn(move || theirs.offload(job));
            thread::yield_now();
            assert_eq!(sylvan::offload(|| 7), 7);
            let late = time::timeout(Duration::from_millis(5), || pool.offload(|| ()));
            assert!(late.is_err());
            drop(open);
            full.join().unwrap();
            // Who has left is not waited for; what it left is done.
            pool.offload(|| ());
            until(|| pool.stats().finished == 3);
        });
    });
}

#[test]
fn one_that_is_dropped_does_what_is_in_line_and_ends() {
    let done = Arc::new(Mutex::new(0));
    let threads = || {
        let names = std::fs::read_dir("/proc/self/task").unwrap().map(|task| {
            // It may end meanwhile.
            std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
        });
        names.filter(|name| name.trim() == "dropped").count()
    };
    must_end(|| {
        let pool = OffloadPool::new("dropped", 1);
        sylvan::run(|| {
            for _ in 0..5 {
                let (open, job) = gate();
                let done = done.clone();
                let left = time::timeout(Duration::from_millis(1), || {
                    pool.offload(move || {
                        job();
                        *done.lock().unwrap() += 1;
                    });
                });
                assert!(left.is_err());
                // The first is under way; the others are in line when it is dropped.
                drop(open);
            }
        });
        assert_eq!(threads(), 1);
        drop(pool);
        until(|| threads() == 0);
        assert_eq!(*done.lock().unwrap(), 5);
    });
}

#[test]
fn panics_and_threads_are_as_with_offload() {
    let pool = OffloadPool::new("a pool with a long name", 1);
    let failed = sylvan::run(|| {
        let job = || pool.offload(|| panic!("in the pool"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).unwrap_err()
    });
    assert_eq!(*failed.downcast_ref::<&str>().unwrap(), "in the pool");
    let name = || std::thread::current().name().unwrap().to_owned();
    let there = sylvan::run(|| pool.offload(name));
    assert_eq!(there, "a pool with a long name");
    // From a plain OS thread it runs in place.
    assert_eq!(pool.offload(name), name());

    // Of two hubs as of one.
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let sum: u64 = runtime.run(|| {
        thread::scope(|scope| {
            let pool = &pool;
            let parts: Vec<_> = (0..100_u64)
                .map(|n| scope.spawn(move || pool.offload(move || n)))
                .collect();
            parts.into_iter().map(|part| part.join().unwrap()).sum()
        })
    });
    assert_eq!(sum, 4950);
    assert_eq!(pool.stats().peak_threads, 1);
}

#[test]
#[should_panic(expected = "a pool without threads")]
fn a_pool_of_no_threads_is_refused() {
    let _ = OffloadPool::new("none", 0);
}
