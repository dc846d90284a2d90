//! The broadcaster: one typed call reaches WebSocket clients and webhooks alike.

mod ask;
mod calls;
mod live;

use hookswitch_protocol::{EventId, EventType, NewEvent, Payload, TenantId, UserId};
use serde::Serialize;

use crate::error::AcceptError;
use crate::switchboard::Switchboard;

/// What a service in the same process says and asks. Clones are the same broadcaster.
///
/// Every publishing call keeps the promise of [`Switchboard::accept`], is cancel safe like it, and fails
/// with [`AcceptError`] when nothing was accepted.
#[derive(Debug, Clone)]
pub struct Broadcaster {
    switch: Switchboard,
}

impl Broadcaster {
    /// Speaks through this switchboard.
    pub fn new(switch: Switchboard) -> Self {
        Self { switch }
    }

    /// Publishes one event of any type, also a deployment's own, to a user, a session, a topic or
    /// the whole tenant.
    pub async fn publish(&self, tenant: &TenantId, event: NewEvent) -> Result<EventId, AcceptError> {
        let ids = self.switch.accept(tenant, vec![event]).await?;
        ids.into_iter().next().ok_or(AcceptError::Internal)
    }

    /// Publishes many events of one tenant, all or nothing; gives their ids in order. At most 1,000.
    pub async fn publish_all(&self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<Vec<EventId>, AcceptError> {
        self.switch.accept(tenant, events).await
    }

    /// Prints the payload and publishes it.
    async fn send(
        &self,
        tenant: &TenantId,
        event_type: EventType,
        user: Option<UserId>,
        payload: &(impl Serialize + Sync),
    ) -> Result<EventId, AcceptError> {
        let payload = Payload::from_serialize(payload)?;
        self.publish(tenant, NewEvent { user, ..NewEvent::new(event_type, payload) }).await
    }
}
