//! What is published for a crowd: events of many types for the whole tenant.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::list::Published;
use crate::ApiClient;

/// Events that are published with one request.
const BATCH: usize = 10;

const TYPES: [&str; 7] = [
    "call.incoming",
    "queue.stats",
    "agent.state.changed",
    "call.answered",
    "notification",
    "alert",
    "queue.stats.updated",
];

/// How one publisher of a crowd's events goes on.
#[derive(Debug, Clone)]
pub struct CrowdLoad {
    /// Which publisher it is.
    pub publisher: usize,
    /// Events a second.
    pub rate: usize,
    /// How long.
    pub duration: Duration,
}

impl CrowdLoad {
    /// Publishes in batches at this node until the time is over; gives what was accepted, in order.
    ///
    /// # Panics
    /// When a batch is not accepted.
    pub async fn publish(self, api: ApiClient) -> Vec<Published> {
        let end = Instant::now() + self.duration;
        let mut ticks = interval(Duration::from_secs(1).mul_f64(BATCH as f64 / self.rate as f64));
        let mut published = Vec::new();
        while ticks.tick().await < end {
            let batch: Vec<Value> = (published.len()..published.len() + BATCH).map(|n| self.event(n)).collect();
            let ids = api.publish(json!({"events": batch})).await;
            let publisher = self.publisher;
            published.extend(ids.into_iter().map(|id| Published { id, user: None, publisher }));
        }
        published
    }

    fn event(&self, n: usize) -> Value {
        json!({"type": TYPES[n % TYPES.len()], "payload": {"publisher": self.publisher, "n": n}})
    }
}
