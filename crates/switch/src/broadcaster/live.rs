//! The hub's level: connections only, no webhooks, no copies for absent users.

use hookswitch_hub::UserKey;
use hookswitch_protocol::{EventId, EventType, NewEvent, Payload, TenantId, Topic};

use super::Broadcaster;
use crate::error::AcceptError;
use crate::topics::Subscription;

impl Broadcaster {
    /// Delivers to every connection of the tenant that wants the type, and to nothing else.
    pub async fn broadcast_to_tenant(
        &self,
        tenant: &TenantId,
        event_type: EventType,
        payload: Payload,
    ) -> Result<EventId, AcceptError> {
        self.switch.broadcast(tenant, NewEvent::new(event_type, payload)).await
    }

    /// Delivers to the user's connections, and to nothing else; nothing is kept when there is none.
    pub async fn broadcast_to_user(
        &self,
        user: &UserKey,
        event_type: EventType,
        payload: Payload,
    ) -> Result<EventId, AcceptError> {
        let event = NewEvent::new(event_type, payload).to_user(user.user.clone());
        self.switch.broadcast(&user.tenant, event).await
    }

    /// Delivers to the tenant's connections that named the topic, and to nothing else.
    pub async fn broadcast_to_topic(
        &self,
        tenant: &TenantId,
        topic: Topic,
        event_type: EventType,
        payload: Payload,
    ) -> Result<EventId, AcceptError> {
        let event = NewEvent { topic: Some(topic), ..NewEvent::new(event_type, payload) };
        self.switch.broadcast(tenant, event).await
    }

    /// Publishes to a custom topic: to connections of the tenant that named it, and to webhooks that
    /// want the event's type.
    pub async fn publish_to_topic(
        &self,
        tenant: &TenantId,
        topic: Topic,
        event_type: EventType,
        payload: Payload,
    ) -> Result<EventId, AcceptError> {
        self.publish(tenant, NewEvent { topic: Some(topic), ..NewEvent::new(event_type, payload) }).await
    }

    /// Listens to a custom topic from within the process: to what this node publishes there for the
    /// whole tenant, from now on.
    pub fn subscribe_to_topic(&self, tenant: &TenantId, topic: &Topic) -> Subscription {
        self.switch.subscribe(tenant, topic)
    }

    /// Connections of this node, visitors included.
    pub fn n_connections(&self) -> usize {
        self.switch.hub().n_connections()
    }

    /// Connections of one tenant on this node, visitors included.
    pub fn n_tenant_connections(&self, tenant: &TenantId) -> usize {
        self.switch.hub().n_tenant_connections(tenant)
    }

    /// Connections of one user on this node.
    pub fn n_user_connections(&self, user: &UserKey) -> u32 {
        self.switch.hub().n_user_connections(user)
    }
}
