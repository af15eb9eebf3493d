//! Processes with many green threads each.

mod support;

use std::collections::HashSet;
use std::io::Write;
use std::process;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sylvan::process_pool::{self, JobError, Pool, Process, Worker};
use sylvan::thread;

/// Where the processes of this file's tests begin.
#[test]
fn worker_entry() {
    process_pool::init();
}

fn pool(processes: usize) -> Pool {
    builder(processes).build().unwrap()
}

fn builder(processes: usize) -> process_pool::Builder {
    process_pool::use_test_entry("worker_entry");
    Pool::builder().processes(processes)
}

fn square(number: u64) -> u64 {
    number * number
}

#[test]
fn a_pool_calls_functions_in_other_processes() {
    let pool = pool(2);
    assert_eq!(pool.apply(square, 12).unwrap(), 144);
    assert_ne!(pool.apply(|()| process::id(), ()).unwrap(), process::id());
    assert_eq!(pool.map(square, 0..1000).unwrap(), (0..1000).map(square).collect::<Vec<_>>());
    let sums = pool.starmap(|a: u8, b: u8| a + b, [(1, 2), (3, 4)]);
    assert_eq!(sums.unwrap(), [3, 7]);
}
