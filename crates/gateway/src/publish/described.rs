//! What publishing takes and answers, for the catalogue.

use hookswitch_protocol::{ErrorCode, EventId, EventType, Payload, Topic, UserId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::Accepted;
use crate::catalogue::operation::{Operation, operation};
use crate::routes::Endpoint;

/// One event, or several under `events`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema")]
enum PublishBody {
    One(PublishedEvent),
    Many(PublishedEvents),
}

/// Several events: one bad entry, and nothing of them is accepted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields of a schema")]
struct PublishedEvents {
    #[schemars(length(min = 1, max = 1_000))]
    events: Vec<PublishedEvent>,
}

/// One event. `null` is the same as leaving a field out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "fields of a schema")]
struct PublishedEvent {
    /// One of the known types or your own. Those that the server alone says are refused.
    #[serde(rename = "type")]
    event_type: EventType,
    /// Passed on as it stands; `{}` by default.
    payload: Option<Payload>,
    /// Only this user's connections get it; kept while the user is away.
    user_id: Option<UserId>,
    /// Short for `payload.session_id`: an integer or text.
    session_id: Option<SessionId>,
    /// A topic of your own: only connections that named it get it.
    topic: Option<Topic>,
    /// Your own id: repeated within 24 h with the same content it has no second effect.
    id: Option<EventId>,
    /// Of an envelope that is published back: set anew.
    timestamp: Option<serde_json::Value>,
    /// Of an envelope that is published back: set anew.
    tenant_id: Option<serde_json::Value>,
    /// Of an envelope that is published back: set anew.
    position: Option<serde_json::Value>,
}

/// An integer, or text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
#[expect(dead_code, reason = "a schema")]
enum SessionId {
    Number(i64),
    Key(hookswitch_protocol::SessionKey),
}

pub(crate) fn operations() -> Vec<Operation> {
    let payload = json!({"unique_id": "42.1", "caller_id": "+15550100", "destination": "8001"});
    let known = [ErrorCode::InvalidJson, ErrorCode::InvalidField, ErrorCode::ReservedType, ErrorCode::TooLarge];
    let publish = operation(Endpoint::Publish, "Publish events")
        .details(
            "Accepted means: on its way to every connection that may see it, durably queued for every webhook that \
             matches, and kept for the user who is away. Where a type looks like a slip of a known one, `meta.warnings` \
             says so.",
        )
        .body::<PublishBody>(json!({"type": "call.incoming", "payload": payload}))
        .answers::<Accepted>(202, "The events are accepted.")
        .fails(&[&known[..], &[ErrorCode::Conflict, ErrorCode::Overloaded]].concat());
    vec![publish]
}
