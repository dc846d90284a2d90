//! How many events a second, from counts that are looked at every few seconds.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookswitch_hub::Hub;
use serde::Serialize;
use tokio::time::Instant;

/// How often the counts are looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// Looks that are kept: a rate is the mean since the oldest.
const LOOKS: usize = 2;

/// What a hub has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) drops: u64,
}

/// Means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PerSecond {
    events: f64,
    deliveries: f64,
    drops: f64,
}

/// The last looks at the counts.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<VecDeque<(Instant, Totals)>>);

impl Rates {
    /// What is counted now.
    #[expect(clippy::unused_self, reason = "whoever has the rates has the totals")]
    pub(crate) fn totals(&self, hub: &Hub) -> Totals {
        let metrics = hub.metrics();
        Totals {
            events: metrics.events.get(),
            deliveries: metrics.messages_queued.get() + metrics.messages_replayed.get(),
            drops: metrics.messages_dropped.get(),
        }
    }

    /// Looks at the counts.
    pub(crate) fn look(&self, hub: &Hub) {
        self.note(self.totals(hub));
    }

    fn note(&self, totals: Totals) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.push_back((Instant::now(), totals));
        while looks.len() > LOOKS {
            looks.pop_front();
        }
    }

    /// The means since the oldest look; 0 before there is one.
    pub(crate) fn per_second(&self, hub: &Hub) -> PerSecond {
        self.since_oldest(self.totals(hub))
    }

    fn since_oldest(&self, now: Totals) -> PerSecond {
        let oldest = self.0.lock().unwrap_or_else(PoisonError::into_inner).front().copied();
        let (at, before) = oldest.unwrap_or_else(|| (Instant::now(), now));
        let seconds = at.elapsed().as_secs_f64();
        let rate = |now: u64, before: u64| {
            let rate = if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 };
            (rate * 100.0).round() / 100.0
        };
        PerSecond {
            events: rate(now.events, before.events),
            deliveries: rate(now.deliveries, before.deliveries),
            drops: rate(now.drops, before.drops),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_the_mean_of_the_last_looks() {
        let rates = Rates::default();
        let totals = |events: u64| Totals { events, deliveries: events * 10, drops: 0 };
        assert!(rates.since_oldest(totals(5)).events.abs() < f64::EPSILON, "nothing is known yet");
        for n in 0..4 {
            rates.note(totals(n * 50));
            tokio::time::advance(INTERVAL).await;
        }
        let told = serde_json::to_value(rates.since_oldest(totals(200))).expect("figures");
        assert_eq!(told, serde_json::json!({"events": 10.0, "deliveries": 100.0, "drops": 0.0}));
        assert_eq!(rates.0.lock().expect("no panic").len(), LOOKS);
    }
}
