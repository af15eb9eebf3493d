//! Percentiles of very many durations, in little memory and without sorting.

/// Counts of nanoseconds in buckets that are less than 1 % wide.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

/// Each power of two is cut into this many buckets.
const STEPS: u64 = 128;

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new() -> Histogram {
        Histogram {
            counts: vec![0; 64 * STEPS as usize],
            total: 0,
        }
    }

    /// One more duration.
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that `part` of all do not exceed, in nanoseconds: the upper end of its bucket.
    #[must_use]
    pub fn percentile(&self, part: f64) -> u64 {
        let wanted = ((self.total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_end(index as u64);
            }
        }
        0
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

/// Small numbers have a bucket of their own; of others the highest bits choose.
fn bucket(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(STEPS.ilog2() + 1);
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The largest number in a bucket.
fn upper_end(index: u64) -> u64 {
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((index - shift * STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_it_says() {
        for value in (0..100_000).chain([1 << 40, (1 << 40) + 12_345]) {
            let end = upper_end(bucket(value) as u64);
            assert!(end >= value && end - value <= value / 100, "{value}: {end}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        let mut histogram = Histogram::new();
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        let p99 = histogram.percentile(0.99);
        assert!((990_000..=999_900).contains(&p99), "{p99}");
    }
}
