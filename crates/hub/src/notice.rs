//! What a client is told when it misses something, or is to come back elsewhere.

use std::time::Duration;

use hookswitch_protocol::{ErrorCode, EventType, TenantId, Timestamp, control_message};
use serde::Serialize;

#[derive(Serialize)]
struct Missed<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

/// Tells a client how many events it will never see, where that is known, and why.
pub(crate) fn missed(message: &str, dropped: Option<u64>, now: Timestamp, tenant: &TenantId) -> Vec<u8> {
    let missed = Missed { code: ErrorCode::MessagesDropped.as_str(), message, dropped };
    control_message(&EventType::ERROR, missed, now, Some(tenant))
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
