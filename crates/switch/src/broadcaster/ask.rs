//! Questions: who is there, what was missed, how deliveries go.

use bytes::Bytes;
use hookswitch_hub::{OfflineError, PresenceError, UserKey, UserPresence};
use hookswitch_protocol::{EventId, EventType, Payload, TenantId, UserId, WebhookId};
use hookswitch_webhooks::{TestReport, WebhookError};

use super::Broadcaster;
use crate::error::AcceptError;

impl Broadcaster {
    /// The users of a tenant with a connection to any node, in no particular order.
    pub async fn online_users(&self, tenant: &TenantId) -> Result<Vec<UserId>, PresenceError> {
        self.switch.hub().online_users(tenant).await
    }

    /// Whether a user is online, away or offline, over all nodes.
    pub async fn presence(&self, user: &UserKey) -> Result<UserPresence, PresenceError> {
        self.switch.hub().presence(user).await
    }

    /// Whether a user has a connection to any node.
    pub async fn is_online(&self, user: &UserKey) -> Result<bool, PresenceError> {
        self.switch.hub().is_online(user).await
    }

    /// How many connections a user has, over all nodes.
    pub async fn user_connections(&self, user: &UserKey) -> Result<u32, PresenceError> {
        Ok(self.presence(user).await?.n_connections)
    }

    /// Keeps a message for a user until the user connects; one who is connected gets it at once. No
    /// webhook hears of it.
    pub async fn save_offline_message(
        &self,
        user: &UserKey,
        event_type: EventType,
        payload: Payload,
    ) -> Result<EventId, AcceptError> {
        self.switch.save_offline(user, event_type, payload).await
    }

    /// Takes up to `limit` of the messages kept for a user, oldest first, as envelopes. What is taken
    /// is gone from the store, so a dropped future may lose it; a connected user gets messages
    /// without being asked.
    pub async fn fetch_offline_messages(&self, user: &UserKey, limit: usize) -> Result<Vec<Bytes>, OfflineError> {
        self.switch.hub().take_offline(user, limit).await
    }

    /// Whether `signature`, from `X-Webhook-Signature`, is right for this exact body and secret.
    pub fn verify_signature(body: &[u8], signature: &str, secret: &str) -> bool {
        hookswitch_webhooks::verify_signature(body, signature, secret)
    }

    /// Sends `webhook.test` to a webhook at once and waits for the answer.
    pub async fn test_webhook(&self, tenant: &TenantId, webhook: WebhookId) -> Result<TestReport, WebhookError> {
        self.switch.webhooks().test(tenant, webhook).await
    }

    /// Deliveries this node is sending right now.
    pub fn concurrent_deliveries(&self) -> u64 {
        self.switch.webhooks().in_flight()
    }
}
