//! What a program has measured, and the line of JSON it prints.

use crate::machine::{self, Memory};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Named figures.
#[derive(Default)]
pub struct Outcome(Map<String, Value>);

impl Outcome {
    /// None yet.
    #[must_use]
    pub fn new() -> Outcome {
        Outcome::default()
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: &str, figure: f64) -> Outcome {
        self.0.insert(name.to_owned(), figure.into());
        self
    }

    /// One more that is a word.
    #[must_use]
    pub fn with_word(mut self, name: &str, word: &str) -> Outcome {
        self.0.insert(name.to_owned(), word.into());
        self
    }

    /// Prints all of them on one line.
    pub fn print(self) {
        println!("{}", Value::Object(self.0));
    }
}

/// Measures time and CPU time from its start.
pub struct Meter {
    begun: Instant,
    cpu: Duration,
}

impl Meter {
    /// Begins now.
    #[must_use]
    pub fn start() -> Meter {
        Meter {
            cpu: machine::cpu_time(),
            begun: Instant::now(),
        }
    }

    /// How long it has been.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// `ns` and `cpu_ns` for each of `count` operations, and the memory there is now.
    #[must_use]
    pub fn stop(self, count: u64) -> Outcome {
        let wall = self.begun.elapsed();
        let cpu = machine::cpu_time() - self.cpu;
        let count = count as f64;
        Outcome::new()
            .with("ns", wall.as_secs_f64() * 1e9 / count)
            .with("cpu_ns", cpu.as_secs_f64() * 1e9 / count)
            .with("seconds", wall.as_secs_f64())
            .with("peak_kib", Memory::now().peak as f64 / 1024.0)
    }

    /// `rate` for `count` operations a second; `cpu_us` for each; and the memory there is now.
    #[must_use]
    pub fn stop_rate(self, count: u64) -> Outcome {
        let wall = self.begun.elapsed().as_secs_f64();
        let cpu = (machine::cpu_time() - self.cpu).as_secs_f64();
        Outcome::new()
            .with("rate", count as f64 / wall)
            .with("cpu_us", cpu * 1e6 / count as f64)
            .with("peak_kib", Memory::now().peak as f64 / 1024.0)
    }
}

/// `p50_ms`, `p99_ms`, `max_ms` of how much later than asked each of many sleeps ended, in
/// microseconds; and how much later than the longest, `longest`, all of them had.
#[must_use]
pub fn overshoots(mut late: Vec<u64>, meter: &Meter, longest: Duration) -> Outcome {
    let wall = meter.elapsed();
    let cpu = machine::cpu_time() - meter.cpu;
    late.sort_unstable();
    let at = |part: f64| late[((late.len() - 1) as f64 * part) as usize] as f64 / 1e3;
    Outcome::new()
        .with("p50_ms", at(0.5))
        .with("p99_ms", at(0.99))
        .with("max_ms", at(1.0))
        .with(
            "total_ms",
            (wall.as_secs_f64() - longest.as_secs_f64()) * 1e3,
        )
        .with("cpu_s", cpu.as_secs_f64())
        .with("peak_kib", Memory::now().peak as f64 / 1024.0)
}

/// `bytes` for each of `count` parked tasks, with `before` as there was without them: resident memory
/// and page tables together.
#[must_use]
pub fn bytes_each(before: &Memory, count: u64, meter: &Meter) -> Outcome {
    let seconds = meter.elapsed().as_secs_f64();
    let after = Memory::now();
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / count as f64;
    let resident = each(after.resident, before.resident);
    let tables = each(after.tables, before.tables);
    Outcome::new()
        .with("bytes", resident + tables)
        .with("resident", resident)
        .with("tables", tables)
        .with("seconds", seconds)
}
