//! Circuit breakers that are not closed: kept for those who ask, logged and counted when they change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hookswitch_protocol::{Chain, TenantId, Timestamp, WebhookId};
use tokio::time::Instant;

use super::Shared;
use super::breaker::{BreakerState, BreakerTransition};
use crate::log::{SkipReason, SkipRow};

/// The state of every breaker that is not closed, for those who ask. Written on changes only, so the
/// path of a delivery never meets its lock.
#[derive(Debug, Default)]
pub(crate) struct BreakerStates(Mutex<HashMap<WebhookId, Timestamp>>);

impl BreakerStates {
    /// What this webhook's breaker is doing now.
    pub(crate) fn state(&self, webhook: WebhookId, now: Timestamp) -> BreakerState {
        match self.lock().get(&webhook) {
            None => BreakerState::Closed,
            Some(until) if *until > now => BreakerState::Open { until: *until },
            Some(_) => BreakerState::HalfOpen,
        }
    }

    fn set(&self, webhook: WebhookId, until: Option<Timestamp>) -> usize {
        let mut open = self.lock();
        match until {
            Some(until) => open.insert(webhook, until),
            None => open.remove(&webhook),
        };
        open.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WebhookId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps, logs and counts a breaker's transition.
pub(super) fn record(shared: &Arc<Shared>, tenant: &TenantId, webhook: WebhookId, transition: BreakerTransition) {
    let now = shared.clock.now();
    let at = |until: Instant| now.after(until.saturating_duration_since(Instant::now()));
    let until = match transition {
        BreakerTransition::Opened { until } => {
            tracing::warn!(%tenant, %webhook, until = %at(until), "a webhook's receiver only fails, its breaker opened");
            shared.counters.breaker_opened.add(1);
            log_opening(shared, webhook, now);
            Some(at(until))
        }
        BreakerTransition::StaysOpen { until } => {
            tracing::info!(%tenant, %webhook, until = %at(until), "a webhook's receiver still fails, its breaker stays open");
            Some(at(until))
        }
        BreakerTransition::Closed => {
            tracing::info!(%tenant, %webhook, "a webhook's receiver is back, its breaker closed");
            None
        }
        BreakerTransition::Forgotten => None,
    };
    shared.counters.breakers_open.set(shared.breakers.set(webhook, until) as u64);
}

/// Writes the one skip row of an opening, in a task: the scheduler waits for no database.
fn log_opening(shared: &Arc<Shared>, webhook: WebhookId, at: Timestamp) {
    let row = SkipRow { webhook, delivery: None, event_type: None, reason: SkipReason::BreakerOpen, at };
    let log = Arc::clone(&shared.log);
    shared.scope.spawn_contained("webhook breaker row", async move {
        if let Err(error) = log.append_skip(row).await {
            tracing::warn!(%webhook, error = %Chain(&error), "the opening of a breaker is not in the log");
        }
    });
}
