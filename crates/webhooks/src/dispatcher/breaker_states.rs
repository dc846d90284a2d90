//! Circuit breakers that are not closed, for those who ask.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::{Timestamp, WebhookId};

use super::breaker::BreakerState;

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

    /// Breakers that are open or half open.
    pub(crate) fn n_open(&self) -> usize {
        self.lock().len()
    }

    /// Until when it is open; `None` closes it.
    pub(super) fn set(&self, webhook: WebhookId, until: Option<Timestamp>) {
        let mut open = self.lock();
        match until {
            Some(until) => open.insert(webhook, until),
            None => open.remove(&webhook),
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WebhookId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
