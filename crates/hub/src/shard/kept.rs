//! Which kept messages a connection that subscribed wants.

use hookswitch_protocol::{EventType, audience_of};

use crate::shard::connection::Connection;

/// Whether the connection's subscription wants what this envelope holds. What cannot be read is wanted, or
/// it would be left out for ever; and so is what a client is told of what it missed, which is no event.
pub(super) fn is_wanted(connection: &Connection, envelope: &[u8]) -> bool {
    audience_of(envelope).is_none_or(|(event_type, topic)| {
        event_type == EventType::ERROR || connection.wants_named(&event_type, topic.as_ref())
    })
}
