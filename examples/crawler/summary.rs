//! The numbers at the end.

use crate::outcome::{Outcome, Visit};
use indicatif::{HumanBytes, HumanCount};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The counts of a crawl. Displayed it is the summary the crawler prints.
#[derive(Default)]
pub struct Summary {
    pub pages: u64,
    pub redirects: u64,
    pub bytes: u64,
    pub elapsed: Duration,
    /// URLs that were found, but not tried before the crawl ended.
    pub not_tried: u64,
    /// The most green threads that were alive at once, the server's own included.
    pub peak_green_threads: usize,
    skipped: BTreeMap<&'static str, u64>,
    failures: BTreeMap<String, u64>,
    latencies: Vec<Duration>,
}

impl Summary {
    /// Counts one visit.
    pub fn add(&mut self, visit: &Visit) {
        self.bytes += visit.bytes;
        // A request that was never answered says nothing about how fast answers are.
        if visit.status.is_some() {
            self.latencies.extend(visit.elapsed);
        }
        match &visit.outcome {
            Outcome::Page(_) => self.pages += 1,
            Outcome::Redirect(_) => self.redirects += 1,
            Outcome::Skipped(skip) => *self.skipped.entry(skip.kind()).or_default() += 1,
            Outcome::Failed(failure) => *self.failures.entry(failure.kind()).or_default() += 1,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.pages as f64 / seconds.max(f64::MIN_POSITIVE);
        writeln!(
            f,
            "pages           {} in {seconds:.2} s, {rate:.0} a second",
            HumanCount(self.pages)
        )?;
        writeln!(
            f,
            "bytes           {} ({})",
            HumanCount(self.bytes),
            HumanBytes(self.bytes)
        )?;
        writeln!(f, "redirects       {}", HumanCount(self.redirects))?;
        write_kinds(
            f,
            "skipped",
            self.skipped.iter().map(|(kind, count)| (*kind, *count)),
        )?;
        write_kinds(
            f,
            "failures",
            self.failures.iter().map(|(kind, count)| (&**kind, *count)),
        )?;
        if self.not_tried > 0 {
            writeln!(f, "not tried       {}", HumanCount(self.not_tried))?;
        }
        let [median, most, nearly_all] =
            percentiles(&self.latencies, [50, 95, 99]).map(Milliseconds);
        writeln!(
            f,
            "latency         p50 {median}, p95 {most}, p99 {nearly_all}"
        )?;
        let green_threads = HumanCount(self.peak_green_threads as u64);
        writeln!(f, "green threads   {green_threads} at most")?;
        if let Some(peak) = peak_memory() {
            writeln!(f, "memory          {} at most", HumanBytes(peak))?;
        }
        Ok(())
    }
}

fn write_kinds<'a>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    kinds: impl Iterator<Item = (&'a str, u64)> + Clone,
) -> fmt::Result {
    let total = kinds.clone().map(|(_, count)| count).sum();
    writeln!(f, "{title:<15} {}", HumanCount(total))?;
    kinds
        .into_iter()
        .try_for_each(|(kind, count)| writeln!(f, "  {kind:<25} {}", HumanCount(count)))
}

/// For each percentage the smallest value that so many per cent of all do not exceed.
fn percentiles<const N: usize>(values: &[Duration], percentages: [usize; N]) -> [Duration; N] {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    percentages.map(|percentage| {
        let rank = (sorted.len() * percentage).div_ceil(100);
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    })
}

struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}

/// The most memory this process ever had resident, as Linux tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(
            percentiles(&values, [50, 95, 99, 100]),
            [50, 95, 99, 100].map(Duration::from_millis)
        );
        assert_eq!(
            percentiles(&values[..1], [50, 99]),
            [100, 100].map(Duration::from_millis)
        );
        assert_eq!(percentiles(&[], [50]), [Duration::ZERO]);
    }

    #[test]
    fn memory_is_known_here() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 100_000));
    }
}
