//! Which webhooks have deliveries to be ended.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::WebhookId;
use tokio::sync::Notify;

/// Webhooks that have waiting deliveries which must not be sent: too late, or of a webhook that is deleted or
/// switched off. A lease that met some notes them here, and nobody waits for their end.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    webhooks: Mutex<BTreeSet<WebhookId>>,
    pub(super) arrived: Notify,
}

impl Endings {
    pub(crate) fn note(&self, webhooks: &[WebhookId]) {
        if webhooks.is_empty() {
            return;
        }
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner).extend(webhooks);
        self.arrived.notify_one();
    }

    pub(super) fn take(&self) -> Option<WebhookId> {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }
}
