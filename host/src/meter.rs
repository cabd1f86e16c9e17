//! Counts what passes into fixed buckets, for whoever looks: an observation is two additions, without a lock and without
//! an allocation. It knows no names and no format; `telemetry` writes what it counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bounds for times in microseconds: 10 microseconds to 5 seconds.
pub const TIMES_US: &[u64] = &[
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    5_000_000,
];

/// Bounds for times in milliseconds: a millisecond to a day.
pub const TIMES_MS: &[u64] =
    &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 60_000, 3_600_000, 86_400_000];

/// Bounds for how many things came together.
pub const COUNTS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024, 4_096, 16_384];

/// Bounds for bytes: 1 KiB to 64 MiB.
pub const BYTES: &[u64] =
    &[1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];

/// How often something of which size was observed.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for everything above the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram had counted when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Upper bounds, inclusive, in the unit of what was observed.
    pub bounds: &'static [u64],
    /// How many observations lie in each bucket; the last one has no upper bound.
    pub counts: Vec<u64>,
    /// The sum of all observations.
    pub sum: u64,
}

impl Histogram {
    /// An empty one; `bounds` must rise.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Adds an observation.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    /// What was observed so far. Observations meanwhile may be in one part and not yet in the other.
    pub fn look(&self) -> Counted {
        Counted {
            bounds: self.bounds,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

impl Counted {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, u64::from(u32::MAX)] {
            histogram.observe(value);
        }
        let counted = histogram.look();
        assert_eq!(counted.counts, [2, 2, 2]);
        assert_eq!((counted.count(), counted.sum), (6, 62 + u64::from(u32::MAX)));
    }
}
