//! What several test files need.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, missing_docs)]

use std::collections::HashSet;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

/// Longer than anything here takes, on whatever machine and under whatever sanitizer.
pub const AGES: Duration = Duration::from_secs(300);

/// What a test sleeps that must never come to the end of its sleep.
pub const HOUR: Duration = Duration::from_secs(3600);

/// A number of repetitions, scaled by the percentage in `SYLVAN_STRESS_SCALE`.
pub fn scaled(count: usize) -> usize {
    let percent = std::env::var("SYLVAN_STRESS_SCALE").ok();
    let percent = percent.and_then(|text| text.parse().ok()).unwrap_or(100);
    (count * percent / 100).max(1)
}

/// Runs `f`; a hang is a failure, and ends the process with a word instead of standing there.
pub fn must_end<T>(f: impl FnOnce() -> T) -> T {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let (ended, end) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if end.recv_timeout(AGES) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the test {test} hangs");
            std::process::abort();
        }
    });
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    drop(ended);
    watch.join().unwrap();
    result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Is this the child process that [`in_child`] started?
pub fn is_child() -> bool {
    std::env::var_os("SYLVAN_TEST_CHILD").is_some()
}

/// Runs the test of this name alone in a process of its own, where [`is_child`] holds.
pub fn in_child(test: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("SYLVAN_TEST_CHILD", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// The child processes of this one, those included that have ended and were not waited for.
pub fn children() -> HashSet<u32> {
    let mut found = HashSet::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children"));
        let children = children.unwrap_or_default();
        let numbers = children.split_whitespace();
        found.extend(numbers.map(|pid| pid.parse::<u32>().unwrap()));
    }
    found
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Fails with what the child wrote if it failed, or if there is no such test.
#[track_caller]
pub fn assert_success(output: &Output) {
    let written = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && written.contains("1 passed"),
        "{}\n{written}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Numbers that look random and are the same in every run (xorshift).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
