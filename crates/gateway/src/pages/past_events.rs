//! What happened, for programs that compare it with what they know.

use hookswitch_hub::{Hub, NotRecovered, PastEvents};
use hookswitch_protocol::{ErrorCode, Position};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::auth::Principal;
use crate::http::{Answer, Body, Problem, Query};

/// Most events of one page, and how many without `limit`.
const MOST_EVENTS: u64 = 1_000;
const SOME_EVENTS: u64 = 100;

/// Bytes of the events of one page; a single one may be larger.
const PAGE_BYTES: usize = 1024 * 1024;

/// Events behind a position.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PastEvents"))]
pub(super) struct Page {
    /// In their order, as connections are sent them.
    #[cfg_attr(test, schemars(with = "Vec<hookswitch_protocol::catalogue::Envelope>"))]
    events: Vec<Box<RawValue>>,
    /// Where to go on.
    position: Position,
    /// Whether there are more behind it already.
    has_more: bool,
}

/// `GET /api/v1/events?after=<position>&limit=`: the tenant's events behind a position, as far as they are kept. Without a
/// position none, and where to begin.
pub(crate) fn past_events(
    hub: &Hub,
    principal: &Principal,
    query: Query<'_>,
    answer: &Answer,
) -> Result<Response<Body>, Problem> {
    let limit = query.number("limit", SOME_EVENTS, 1..=MOST_EVENTS)? as usize;
    let tenant = &principal.tenant;
    let past = match query.get("after").filter(|after| !after.is_empty()) {
        Some(after) => hub.events_after(tenant, after.parse().ok(), limit, PAGE_BYTES),
        None => match hub.newest_position(tenant) {
            Some(position) => Ok(PastEvents { events: Vec::new(), position, has_more: false }),
            None => Err(NotRecovered { reason: "degraded", newest: None }),
        },
    };
    let PastEvents { events, position, has_more } = past.map_err(gone)?;
    let events = events.into_iter().filter_map(|event| RawValue::from_string(event).ok()).collect();
    Ok(answer.success(StatusCode::OK, Page { events, position, has_more }, None))
}

fn gone(NotRecovered { reason, newest }: NotRecovered) -> Problem {
    let told = match reason {
        "degraded" => "this node gives no positions now; keep the one you have",
        "epoch" => "after is of another epoch or tenant, beyond the newest event, or no position",
        _ => "the first event behind after is not kept any more",
    };
    let details = match newest {
        Some(position) => serde_json::json!({ "reason": reason, "position": position }),
        None => serde_json::json!({ "reason": reason }),
    };
    Problem::new(ErrorCode::NotRecovered, told).with_details(details)
}
