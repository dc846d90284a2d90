//! A token bucket, without a clock of its own.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest wait for a token, so that a high rate costs few wake-ups; a batch comes instead.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// Lets through so many per second, and what one second brings at once after a rest.
///
/// Written out instead of taken from a package: tokens are taken many at a time and given back when
/// the ledger had less, and time comes from outside.
#[derive(Debug, Clone)]
pub(super) struct TokenBucket {
    per_second: f64,
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full bucket; a rate of 0 counts as 1.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, tokens: per_second, filled_at: now }
    }

    /// Goes on at this rate; what is in it stays, up to the new burst.
    pub(super) fn set_rate(&mut self, per_second: u32, now: Instant) {
        self.fill(now);
        self.per_second = f64::from(per_second.max(1));
        self.tokens = self.tokens.min(self.per_second);
    }

    /// Whole tokens in it now.
    pub(super) fn available(&mut self, now: Instant) -> usize {
        self.fill(now);
        self.tokens as usize
    }

    /// Takes tokens out; the caller has seen that they are there.
    pub(super) fn take(&mut self, n: usize) {
        self.tokens = (self.tokens - n as f64).max(0.0);
    }

    /// Puts back what was taken and not used.
    pub(super) fn put_back(&mut self, n: usize) {
        self.tokens = (self.tokens + n as f64).min(self.per_second);
    }

    /// When a token will be there; at least a little later than now.
    pub(super) fn next_token(&mut self, now: Instant) -> Instant {
        self.fill(now);
        let missing = (1.0 - self.tokens).max(0.0);
        now + Duration::from_secs_f64(missing / self.per_second).max(SHORTEST_WAIT)
    }

    /// Whether it is full, so that forgetting it changes nothing.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.per_second
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second);
        self.filled_at = self.filled_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_s_worth_at_once_then_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(4, start);
        assert_eq!(bucket.available(start), 4);
        bucket.take(4);
        assert_eq!(bucket.available(start), 0);
        assert_eq!(bucket.next_token(start), start + Duration::from_millis(250));
        assert_eq!(bucket.available(start + Duration::from_millis(760)), 3);
        assert!(!bucket.is_full(start + Duration::from_millis(760)));
        bucket.put_back(100);
        assert!(bucket.is_full(start + Duration::from_millis(760)));
        bucket.set_rate(1, start + Duration::from_secs(9));
        assert_eq!(bucket.available(start + Duration::from_secs(9)), 1);
    }

    proptest! {
        #[test]
        fn no_more_than_the_rate_and_one_burst(rate in 1..1_000_u32, waits in prop::collection::vec(0..500_u64, 1..100)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let start = runtime.block_on(async { Instant::now() });
            let (mut bucket, mut now, mut taken) = (TokenBucket::new(rate, start), start, 0);
            for wait in waits {
                now += Duration::from_millis(wait);
                let n = bucket.available(now);
                bucket.take(n);
                taken += n;
            }
            let most = f64::from(rate) * (1.0 + (now - start).as_secs_f64());
            prop_assert!(taken as f64 <= most + 1e-3, "{taken} of {most}");
        }
    }
}
