//! What became of one event.

use hookswitch_hub::{ConnectionReport, EventTrace, Hub, Outcome};
use hookswitch_protocol::{Chain, DeliveryId, EventId, EventType, Position, TenantId, Timestamp, UserId, WebhookId};
use hookswitch_switch::Switchboard;
use hookswitch_webhooks::{DeliveryHistory, LogEntry, Webhooks};
use http::{Response, StatusCode};
use serde::Serialize;
use std::net::IpAddr;

use crate::auth::Principal;
use crate::http::{Answer, Body, Problem, Query, decode_segment};

/// What is known of an event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "EventTrace"))]
pub(super) struct Trace {
    /// `null` where nobody remembers more than what follows.
    event: Option<TracedEvent>,
    /// For which users it was kept, because they were away.
    kept: Vec<Kept>,
    /// What webhooks are owed of it, and what was tried; left out where the database did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Vec<Delivery>>,
    /// With `user_id` only: what became of it for that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<OfUser>,
    /// Whether somebody who may know more did not answer.
    partial: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TracedEvent {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    accepted_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Kept {
    user_id: UserId,
    at: Timestamp,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TracedDelivery"))]
struct Delivery {
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
    #[cfg_attr(
        test,
        schemars(extend("enum" = ["due", "leased", "delivered", "failed", "expired", "cancelled", "missed"]))
    )]
    state: &'static str,
    /// Of one that waits: when its next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    /// The newest first.
    attempts: Vec<Attempt>,
}

/// An attempt, or why there was none.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TracedAttempt"))]
struct Attempt {
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u32>,
    /// Set where nothing was sent: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TracedUser"))]
struct OfUser {
    user_id: UserId,
    /// Open ones, then those that closed within the time that history reaches back; none where the user was not
    /// connected.
    connections: Vec<Connection>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TracedConnection"))]
struct Connection {
    connection: String,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// As the node sees it: maybe a proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    transport: String,
    #[cfg_attr(test, schemars(with = "Option<String>", extend("enum" = [
        "written", "waiting", "caught_up", "dropped", "unsent", "not_subscribed", "not_addressed", "kept",
        "not_connected", "unknown"
    ])))]
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// `GET /api/v1/events/{id}/trace?user_id=`: within the caller's tenant.
pub(crate) async fn trace(
    switch: &Switchboard,
    principal: &Principal,
    segment: Option<&str>,
    query: Query<'_>,
    answer: &Answer,
) -> Result<Response<Body>, Problem> {
    let tenant = &principal.tenant;
    let id = segment.and_then(decode_segment).and_then(|id| EventId::parse(&id).ok());
    let id = id.ok_or_else(nothing_known)?;
    let user = match query.get("user_id").filter(|user| !user.is_empty()) {
        Some(user) => Some(UserId::parse(&user).map_err(|invalid| Problem::field("user_id", &invalid.problem))?),
        None => None,
    };
    let found = find(switch.hub(), switch.webhooks(), tenant, &id, user).await;
    let is_nothing = found.event.is_none() && found.kept.is_empty();
    // Whoever did not answer may know it.
    if is_nothing && !found.partial {
        return Err(nothing_known());
    }
    Ok(answer.success(StatusCode::OK, found, None))
}

async fn find(hub: &Hub, webhooks: &Webhooks, tenant: &TenantId, id: &EventId, user: Option<UserId>) -> Trace {
    let EventTrace { event, kept, connections } = hub.trace(tenant, id, user.as_ref()).await;
    let accepted_at = event.as_ref().map(|event| event.accepted_at);
    let told = webhooks.deliveries_of(tenant, id, accepted_at).await;
    let deliveries = told
        .inspect_err(|error| tracing::warn!(%tenant, event = %id, error = %Chain(error), "deliveries of an event cannot be read"))
        .ok();
    let of_delivery = deliveries.iter().flatten().next().map(|history| TracedEvent {
        id: id.clone(),
        event_type: history.delivery.event_type.clone(),
        user_id: None,
        accepted_at: history.delivery.accepted_at,
        position: None,
    });
    let event = event.map(|event| TracedEvent {
        id: id.clone(),
        event_type: event.event_type,
        user_id: event.user,
        accepted_at: event.accepted_at,
        position: event.position,
    });
    Trace {
        event: event.or(of_delivery),
        kept: kept.into_iter().map(|kept| Kept { user_id: kept.user, at: kept.at }).collect(),
        partial: deliveries.is_none() || !hub.is_alone(),
        webhooks: deliveries.map(|histories| histories.into_iter().map(Delivery::from).collect()),
        user: user
            .map(|user_id| OfUser { user_id, connections: connections.into_iter().map(Connection::from).collect() }),
    }
}

impl From<DeliveryHistory> for Delivery {
    fn from(DeliveryHistory { delivery, entries }: DeliveryHistory) -> Self {
        Self {
            webhook_id: delivery.webhook,
            delivery_id: delivery.delivery,
            state: delivery.state.label(),
            due_at: delivery.due_at,
            attempts: entries.into_iter().map(Attempt::from).collect(),
        }
    }
}

impl From<LogEntry> for Attempt {
    fn from(entry: LogEntry) -> Self {
        match entry {
            LogEntry::Attempt(logged) => Self {
                at: logged.row.at,
                attempt: Some(logged.row.attempt),
                response_code: logged.row.response_code,
                error: logged.row.error,
                duration_ms: Some(logged.row.duration_ms),
                skipped: None,
            },
            LogEntry::Skip(logged) => Self {
                at: logged.row.at,
                attempt: None,
                response_code: None,
                error: None,
                duration_ms: None,
                skipped: Some(logged.row.reason.label()),
            },
        }
    }
}

impl From<ConnectionReport> for Connection {
    fn from(report: ConnectionReport) -> Self {
        let ConnectionReport { id, since, until, address, transport, outcome } = report;
        Self { connection: id, since, until, address, transport, outcome }
    }
}

fn nothing_known() -> Problem {
    Problem::not_found("nothing is known of an event with this id")
}
