//! Pools of processes.

use std::fs;
use std::process;
use std::time::{Duration, Instant};
use sylvan::process_pool::Pool;
use sylvan_benches::arguments::Arguments;
use sylvan_benches::outcome::Outcome;

fn pool(arguments: &Arguments) -> Pool {
    Pool::builder()
        .processes(arguments.number("processes", 2))
        .concurrency(arguments.number("concurrency", 16))
        .build()
        .expect("processes can be started")
}

/// The latency of one empty job at a time, while the pool is idle otherwise.
pub fn apply(arguments: &Arguments) -> Outcome {
    let count: usize = arguments.number("count", 2_000);
    super::run(arguments, || {
        let pool = pool(arguments);
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let begun = Instant::now();
            pool.apply(|()| (), ()).unwrap();
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        took.sort_unstable_by(f64::total_cmp);
        Outcome::new()
            .with("p50_us", took[count / 2])
            .with("p99_us", took[count * 99 / 100])
    })
}

/// Trivial jobs a second, by one map.
pub fn map(arguments: &Arguments) -> Outcome {
    let count: u64 = arguments.number("count", 200_000);
    let chunk: usize = arguments.number("chunk", 0);
    super::run(arguments, || {
        let pool = pool(arguments);
        pool.map(|number: u64| number, 0..100).unwrap();
        let jobs = if chunk > 0 {
            pool.jobs().chunk_size(chunk)
        } else {
            pool.jobs()
        };
        let begun = Instant::now();
        let results = jobs.map(|number: u64| number * number, 0..count).unwrap();
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        assert_eq!(results.len() as u64, count);
        Outcome::new().with("rate", rate)
    })
}

/// How often the parent and its processes were switched to in so many milliseconds in which nothing was to be done.
pub fn idle(arguments: &Arguments) -> Outcome {
    let milliseconds = arguments.number("milliseconds", 5_000);
    super::run(arguments, || {
        let pool = pool(arguments);
        pool.map(|number: u64| number, 0..100).unwrap();
        let mut pids: Vec<u32> = pool.stats().processes.iter().map(|it| it.pid).collect();
        pids.push(process::id());
        sylvan::thread::sleep(Duration::from_millis(100));
        let before: u64 = pids.iter().copied().map(switches).sum();
        sylvan::thread::sleep(Duration::from_millis(milliseconds));
        let after: u64 = pids.iter().copied().map(switches).sum();
        Outcome::new().with("switches", (after - before) as f64)
    })
}

/// The context switches of all threads of a process.
fn switches(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it is alive");
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status"));
    threads
        .filter_map(|thread| status(thread.ok()?).ok())
        .flat_map(|status| {
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            let counts = lines.filter_map(|line| line.split_whitespace().last()?.parse().ok());
            counts.collect::<Vec<u64>>()
        })
        .sum()
}

/// Jobs that compute for so long, all at once.
pub fn compute(arguments: &Arguments) -> Outcome {
    let (jobs, milliseconds) = work(arguments);
    together(arguments, compute_for, vec![milliseconds; jobs])
}

/// Jobs that wait for so long, all at once.
pub fn wait(arguments: &Arguments) -> Outcome {
    let (jobs, milliseconds) = work(arguments);
    let nap = |milliseconds| sylvan::thread::sleep(Duration::from_millis(milliseconds));
    together(arguments, nap, vec![milliseconds; jobs])
}

fn work(arguments: &Arguments) -> (usize, u64) {
    (
        arguments.number("jobs", 16),
        arguments.number("milliseconds", 100),
    )
}

/// CPU time, so that it takes longer where others take the CPU.
fn compute_for(milliseconds: u64) {
    let begun = sylvan_benches::machine::cpu_time();
    let limit = Duration::from_millis(milliseconds);
    while sylvan_benches::machine::cpu_time() - begun < limit {
        for _ in 0..1000 {
            std::hint::spin_loop();
        }
    }
}

fn together(arguments: &Arguments, job: fn(u64), items: Vec<u64>) -> Outcome {
    super::run(arguments, || {
        let pool = pool(arguments);
        let begun = Instant::now();
        pool.jobs().chunk_size(1).map(job, items).unwrap();
        Outcome::new().with("seconds", begun.elapsed().as_secs_f64())
    })
}
