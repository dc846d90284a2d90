//! Typing indicators from clients: to the others of their session, to nobody's webhook or mailbox.

use std::sync::Arc;

use hookswitch_protocol::{
    CommandError, ConnectionId, ErrorCode, Event, EventType, NewEvent, Payload, SessionKey, TenantId,
};

use super::tcp::SocketContext;

/// Relays one indicator to everyone who may see its session, except its sender. `name` is the
/// session's key or the tenant's own id of it; another node may have started it.
pub(super) async fn relay(
    context: Arc<SocketContext>,
    tenant: TenantId,
    name: SessionKey,
    payload: Payload,
    sender: ConnectionId,
) -> Result<(), CommandError> {
    let now = context.clock.now();
    let sessions = context.hub.sessions();
    let unknown = || CommandError::new(ErrorCode::UnknownSession, "payload.session_id is no live chat session");
    let session = sessions.resolve(&tenant, &name).await.ok_or_else(unknown)?;
    sessions.seen(&session);
    let said = NewEvent::new(EventType::CHAT_TYPING, payload).in_session(session);
    let event = Arc::new(Event::new(tenant, said, now));
    context.hub.relay(event, Some(sender)).await.map_err(|error| CommandError::new(error.code(), error.to_string()))
}
