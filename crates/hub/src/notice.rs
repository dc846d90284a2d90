//! What a client is told when it misses something, or is to come back elsewhere.

use std::time::Duration;

use hookswitch_protocol::{ErrorCode, EventType, Position, TenantId, Timestamp, control_message};
use serde::Serialize;

#[derive(Serialize)]
struct Missed<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Position>,
}

/// What a client is told that said where it was.
#[derive(Debug, Serialize)]
pub(crate) struct Resumed {
    /// Whether it has everything that it may see.
    pub(crate) recovered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    /// How many of the events before this message it had missed.
    pub(crate) replayed: u64,
    /// Up to where it has what it may see; what follows, follows from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<Position>,
}

/// Tells a client how many events it will never see, where that is known, and why.
pub(crate) fn missed(message: &str, dropped: Option<u64>, now: Timestamp, tenant: &TenantId) -> Vec<u8> {
    let missed = Missed { code: ErrorCode::MessagesDropped.as_str(), message, dropped, after: None, until: None };
    control_message(&EventType::ERROR, missed, now, Some(tenant))
}

/// Tells a client that events behind the last one it was given are gone, up to another one.
pub(crate) fn lost((after, until): (Option<Position>, Option<Position>), now: Timestamp, tenant: &TenantId) -> Vec<u8> {
    let message = "events were not read in time and are not kept any more; fetch the present state again";
    let lost = Missed { code: ErrorCode::MessagesDropped.as_str(), message, dropped: None, after, until };
    control_message(&EventType::ERROR, lost, now, Some(tenant))
}

/// The answer to a client that said where it was.
pub(crate) fn resumed(resumed: &Resumed, now: Timestamp, tenant: &TenantId) -> Vec<u8> {
    control_message(&EventType::RESUMED, resumed, now, Some(tenant))
}

#[derive(Serialize)]
struct Reconnect {
    after_ms: u64,
}

/// Tells a client that it is about to be closed, and when after that to connect again.
pub(crate) fn reconnect(after: Duration, now: Timestamp, tenant: &TenantId) -> Vec<u8> {
    let reconnect = Reconnect { after_ms: after.as_millis() as u64 };
    control_message(&EventType::RECONNECT, reconnect, now, Some(tenant))
}
