//! Waits until the machine has nothing else to do.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait in all, over a whole run: a machine that is never idle must not stop it.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long to look.
const GLANCE: Duration = Duration::from_millis(250);

/// This part of all cores may be busy.
const QUIET: f64 = 0.06;

/// What is left of the patience.
pub struct Idle {
    left: Duration,
}

impl Idle {
    pub fn new() -> Idle {
        Idle { left: PATIENCE }
    }

    /// Waits. Returns how busy the machine still is if it has given up.
    pub fn wait(&mut self) -> Result<(), f64> {
        let begun = Instant::now();
        loop {
            let busy = busy_part();
            let waited = begun.elapsed().saturating_sub(GLANCE);
            if busy <= QUIET || waited >= self.left {
                self.left = self.left.saturating_sub(waited);
                return if busy <= QUIET { Ok(()) } else { Err(busy) };
            }
        }
    }
}

/// The part of all cores' time that went to something, just now.
fn busy_part() -> f64 {
    let (busy_before, all_before) = ticks();
    thread::sleep(GLANCE);
    let (busy, all) = ticks();
    (busy - busy_before) / (all - all_before).max(1.0)
}

/// Busy and all ticks of all cores since the machine was started.
fn ticks() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|word| word.parse().ok())
        .collect();
    let all: f64 = ticks.iter().sum();
    // The fourth and fifth: idle, and idle while a disk works.
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (all - idle, all)
}
