//! What became of one event: its deliveries, and what was tried for each.

use hookswitch_protocol::{EventId, TenantId, Timestamp};

use crate::error::WebhookError;
use crate::seams::attempt_log::{LogEntry, LogFilter};
use crate::seams::directory::Page;
use crate::seams::event_delivery::EventDelivery;
use crate::webhooks::Webhooks;

/// Deliveries of one event that are told.
const MOST_DELIVERIES: u32 = 50;

/// Log entries of one delivery that are told, the newest.
const MOST_ENTRIES: u32 = 25;

/// One delivery of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryHistory {
    /// How it stands.
    pub delivery: EventDelivery,
    /// What was tried, and what was not, newest first: at most 25.
    pub entries: Vec<LogEntry>,
}

impl Webhooks {
    /// The deliveries of an event of this tenant, at most 50, as long as they are retained. `accepted_at` is when it was
    /// accepted, to the millisecond; without it only events are found whose ids tell it, which ours do, or were chosen
    /// by their publisher within 24 h.
    ///
    /// # Errors
    /// [`WebhookError::Ledger`], [`WebhookError::Directory`].
    pub async fn deliveries_of(
        &self,
        tenant: &TenantId,
        event: &EventId,
        accepted_at: Option<Timestamp>,
    ) -> Result<Vec<DeliveryHistory>, WebhookError> {
        let seams = &self.0.seams;
        let accepted_at = accepted_at.or_else(|| event.generated_at());
        let found = seams.ledger.deliveries_of(tenant, event, accepted_at, MOST_DELIVERIES).await?;
        let mut histories = Vec::with_capacity(found.len());
        for delivery in found {
            let filter = LogFilter {
                since: Some(delivery.accepted_at),
                delivery: Some(delivery.delivery.clone()),
                with_skips: true,
                ..LogFilter::default()
            };
            let listed = seams.log.entries(tenant, delivery.webhook, &filter, Page::first(MOST_ENTRIES)).await?;
            histories.push(DeliveryHistory { delivery, entries: listed.rows });
        }
        Ok(histories)
    }
}
