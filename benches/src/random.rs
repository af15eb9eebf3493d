//! The same sequence of numbers in every program and every language: who sleeps how long must not
//! differ between peers.

/// A linear congruential generator (Knuth's constants), of which the high half is used.
pub struct Random(u64);

impl Random {
    /// The sequence that all peers use.
    #[must_use]
    pub fn new() -> Random {
        Random(42)
    }

    /// The next number under `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }
}

impl Default for Random {
    fn default() -> Random {
        Random::new()
    }
}

/// How long each of `count` tasks sleeps, in microseconds: less than a second.
#[must_use]
pub fn sleeps(count: u64) -> Vec<u64> {
    let mut random = Random::new();
    (0..count).map(|_| random.below(1_000_000)).collect()
}

/// Computes for a while: the leaf of the spawn tree. About a nanosecond a step, and the same
/// instructions in every program.
#[inline(never)]
#[must_use]
pub fn compute(steps: u64) -> u64 {
    let mut random = Random::new();
    (0..steps).fold(0, |sum, _| sum ^ random.next())
}
