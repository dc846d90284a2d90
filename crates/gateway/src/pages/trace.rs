//! What became of one event.

use hookswitch_hub::{ClusterAnswer, ConnectionReport, EventTrace, Outcome};
use hookswitch_protocol::{
    Chain, DeliveryId, ErrorCode, EventId, EventType, NodeId, Position, TenantId, Timestamp, UserId, WebhookId,
};
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
    /// Whether somebody who may know more did not answer: the database, or a node.
    partial: bool,
    /// The nodes that did not answer in time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    silent: Vec<NodeId>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct TracedEvent {
    id: EventId,
    /// The node that accepted it, as far as that is remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<NodeId>,
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
    node: NodeId,
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
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UserConnection"))]
pub(super) struct Connection {
    connection: String,
    node: NodeId,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// As the node sees it: maybe a proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    transport: String,
    /// In traces only: what became of the event.
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
    let user = query.get("user_id").filter(|user| !user.is_empty()).map(|user| somebody(&user)).transpose()?;
    let told = switch.hub().inspect().trace(tenant, &id, user.as_ref()).await.map_err(|_| too_many_ask())?;
    let found = put_together(switch.webhooks(), tenant, &id, user, told).await;
    let is_nothing = found.event.is_none() && found.kept.is_empty();
    // Whoever did not answer may know it.
    if is_nothing && !found.partial {
        return Err(nothing_known());
    }
    Ok(answer.success(StatusCode::OK, found, None))
}

async fn put_together(
    webhooks: &Webhooks,
    tenant: &TenantId,
    id: &EventId,
    user: Option<UserId>,
    answer: ClusterAnswer<EventTrace>,
) -> Trace {
    let is_partial = answer.is_partial();
    let (mut event, mut kept, mut connections): (Option<TracedEvent>, Vec<Kept>, Vec<Connection>) = Default::default();
    for (node, told) in answer.told {
        kept.extend(told.kept.into_iter().map(|one| Kept { node: node.clone(), user_id: one.user, at: one.at }));
        connections.extend(told.connections.into_iter().map(|report| Connection::new(&node, report)));
        if let Some(found) = told.event {
            TracedEvent::take(&mut event, id, node, found);
        }
    }
    let accepted_at = event.as_ref().map(|event| event.accepted_at);
    let deliveries = webhooks.deliveries_of(tenant, id, accepted_at).await.inspect_err(|error| {
        tracing::warn!(%tenant, event = %id, error = %Chain(error), "deliveries of an event cannot be read");
    });
    let deliveries = deliveries.ok();
    let of_delivery = deliveries.iter().flatten().next().map(|history| TracedEvent {
        id: id.clone(),
        node: None,
        event_type: history.delivery.event_type.clone(),
        user_id: None,
        accepted_at: history.delivery.accepted_at,
        position: None,
    });
    Trace {
        event: event.or(of_delivery),
        kept,
        partial: deliveries.is_none() || is_partial,
        webhooks: deliveries.map(|histories| histories.into_iter().map(Delivery::from).collect()),
        user: user.map(|user_id| OfUser { user_id, connections }),
        silent: answer.silent,
    }
}

impl TracedEvent {
    /// What another node remembers of it: all say the same, but one is where it was accepted.
    fn take(known: &mut Option<Self>, id: &EventId, node: NodeId, found: hookswitch_hub::TracedEvent) {
        let is_own = found.is_own;
        let known = known.get_or_insert_with(|| Self {
            id: id.clone(),
            node: None,
            event_type: found.event_type,
            user_id: found.user,
            accepted_at: found.accepted_at,
            position: found.position,
        });
        known.position = known.position.or(found.position);
        if is_own {
            known.node = Some(node);
        }
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

impl Connection {
    pub(super) fn new(node: &NodeId, report: ConnectionReport) -> Self {
        let ConnectionReport { id, since, until, address, transport, outcome } = report;
        Self { connection: id, node: node.clone(), since, until, address, transport, outcome }
    }
}

/// A user who may be somebody.
pub(super) fn somebody(text: &str) -> Result<UserId, Problem> {
    let user = UserId::parse(text).map_err(|invalid| Problem::field("user_id", &invalid.problem))?;
    if user.is_zero() {
        return Err(Problem::field("user_id", "must not be 0: nobody is"));
    }
    Ok(user)
}

pub(super) fn too_many_ask() -> Problem {
    Problem::new(ErrorCode::Overloaded, "too many ask such things; try again")
}

fn nothing_known() -> Problem {
    Problem::not_found("nothing is known of an event with this id")
}
