//! How the deliveries of one event stand, for whoever asks what became of it.

use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};

use crate::labels::labels;

/// One delivery of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDelivery {
    /// Whose URL it is for.
    pub webhook: WebhookId,
    /// The same on every attempt.
    pub delivery: DeliveryId,
    /// The event's type.
    pub event_type: EventType,
    /// When the event was accepted.
    pub accepted_at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// When the next attempt is due, or was, where it waits.
    pub due_at: Option<Timestamp>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It waits for its next attempt.
    Due,
    /// A node has it in hand.
    Leased,
    /// A receiver took it.
    Delivered,
    /// No receiver took it, and it is not tried again.
    Failed,
    /// It was no longer worth sending.
    Expired,
    /// Its webhook was deleted.
    Cancelled,
    /// Its webhook was switched off; it can be delivered later.
    Missed,
}

labels!(DeliveryState {
    Due => "due",
    Leased => "leased",
    Delivered => "delivered",
    Failed => "failed",
    Expired => "expired",
    Cancelled => "cancelled",
    Missed => "missed",
});
