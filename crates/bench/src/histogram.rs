//! Latencies in buckets that grow with the value, so that percentiles cost no memory and are good to 3 %.

use std::time::Duration;

/// Buckets per doubling; the width of a bucket is 1/32 of its value.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of latencies.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// An empty one, for values up to centuries.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; (64 * STEPS) as usize], total: 0 }
    }

    /// Counts one latency in nanoseconds.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// The value below which `share` (0 to 1) of all latencies lie; zero when there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Duration::from_nanos(highest(index as u64));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let doublings = nanos.ilog2() - STEP_BITS;
    let step = (nanos >> doublings) - STEPS;
    (u64::from(doublings + 1) * STEPS + step) as usize
}

/// The greatest value that falls into a bucket.
fn highest(index: u64) -> u64 {
    if index < STEPS {
        return index;
    }
    let (doublings, step) = (index / STEPS - 1, index % STEPS);
    ((STEPS + step + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_at_most_a_thirtieth_wide() {
        for nanos in [0, 1, 31, 32, 33, 1_000, 123_456, 5_000_000_000, 1 << 50] {
            let top = highest(bucket(nanos) as u64);
            assert!(top >= nanos && top - nanos <= nanos / 31 + 1, "{nanos} -> {top}");
        }
    }

    #[test]
    fn quantiles_are_where_they_should_be() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        (1..=1_000).for_each(|micros| histogram.record(micros * 1_000));
        let p50 = histogram.quantile(0.5).as_nanos();
        let p99 = histogram.quantile(0.99).as_nanos();
        assert!((500_000..=516_000).contains(&p50), "{p50}");
        assert!((990_000..=1_024_000).contains(&p99), "{p99}");
    }
}
