//! Typing indicators from clients: to the others of their session, to nobody's webhook or mailbox.

use std::sync::Arc;

use hookswitch_protocol::{CommandError, ConnectionId, Event, EventId, EventType, Payload, SessionKey, TenantId};

use super::tcp::SocketContext;

/// Relays one indicator to everyone who may see its session, except its sender.
pub(super) async fn relay(
    context: Arc<SocketContext>,
    tenant: TenantId,
    session: SessionKey,
    payload: Payload,
    sender: ConnectionId,
) -> Result<(), CommandError> {
    let now = context.clock.now();
    context.hub.sessions().seen(&session);
    let event = Arc::new(Event {
        id: EventId::generate(now),
        event_type: EventType::CHAT_TYPING,
        tenant,
        user: None,
        session: Some(session),
        topic: None,
        payload,
        timestamp: now,
    });
    context.hub.relay(event, Some(sender)).await.map_err(|error| CommandError::new(error.code(), error.to_string()))
}
