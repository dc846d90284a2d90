//! Messages that are not taken in: each is counted, and told by channel and size, never by what is in it.

use std::time::Duration;

use tokio::time::Instant;

use super::wire::Refusal;
use crate::metrics::BrokerMetrics;

/// Refusals told in one minute; the others are only counted, and their number told with the next.
const TOLD_PER_MINUTE: u32 = 60;

/// A channel's name may be as long as a program likes.
const CHANNEL_CHARS: usize = 200;

/// Counts them, and keeps a program that sends many from filling the log.
#[derive(Debug)]
pub(super) struct Refusals {
    metrics: BrokerMetrics,
    since: Instant,
    n_told: u32,
    n_untold: u64,
}

impl Refusals {
    pub(super) fn new(metrics: BrokerMetrics) -> Self {
        Self { metrics, since: Instant::now(), n_told: 0, n_untold: 0 }
    }

    /// A message is larger than an event may be.
    pub(super) fn too_large(&mut self, channel: &str, n_bytes: usize) {
        self.metrics.too_large.inc();
        if let Some(n_untold) = self.tell_now() {
            let channel = shortened(channel);
            tracing::warn!(target: "hookswitch::security", channel, n_bytes, n_untold, "a message from Redis is too large, it was not taken in");
        }
    }

    /// A message is none of ours, or not what its channel is for.
    pub(super) fn refused(&mut self, channel: &str, n_bytes: usize, refusal: &Refusal) {
        if *refusal == Refusal::TooLarge {
            return self.too_large(channel, n_bytes);
        }
        self.metrics.refused.inc();
        if let Some(n_untold) = self.tell_now() {
            let channel = shortened(channel);
            tracing::warn!(target: "hookswitch::security", channel, n_bytes, reason = %refusal, n_untold, "a message from Redis was refused");
        }
    }

    /// When it is to be told: how many were not, since the last that was.
    fn tell_now(&mut self) -> Option<u64> {
        if self.since.elapsed() >= Duration::from_mins(1) {
            self.since = Instant::now();
            self.n_told = 0;
        }
        if self.n_told >= TOLD_PER_MINUTE {
            self.n_untold += 1;
            return None;
        }
        self.n_told += 1;
        Some(std::mem::take(&mut self.n_untold))
    }
}

fn shortened(channel: &str) -> String {
    channel.chars().take(CHANNEL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted_and_does_not_fill_the_log() {
        let mut refusals = Refusals::new(BrokerMetrics::default());
        let n_told = (0..1_000).filter(|_| refusals.tell_now().is_some()).count();
        assert_eq!(n_told, TOLD_PER_MINUTE as usize);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(refusals.tell_now(), Some(1_000 - u64::from(TOLD_PER_MINUTE)), "how many there were is told later");
        assert_eq!(shortened(&"x".repeat(10_000)).len(), CHANNEL_CHARS);
    }
}
