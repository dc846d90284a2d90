//! How the deliveries of one event stand.

use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventId, EventType, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{DeliveryState, EventDelivery};

use super::dialect::Conn;
use crate::schema::{event_ids, webhook_deliveries as deliveries, webhook_events as events};

/// The first `limit` of them, by their webhooks. There is no index by event ids, which every event would pay for: rows of
/// the moment of acceptance are looked through.
pub(crate) fn deliveries_of(
    conn: &mut Conn,
    tenant: &TenantId,
    event: &EventId,
    accepted_at: Option<Timestamp>,
    limit: u32,
) -> QueryResult<Vec<EventDelivery>> {
    let accepted_at = match accepted_at {
        Some(at) => Some(at.as_millis()),
        None => event_ids::table
            .filter(event_ids::tenant_id.eq(tenant.as_str()))
            .filter(event_ids::event_id.eq(event.as_str()))
            .select(event_ids::accepted_at)
            .first(conn)
            .optional()?,
    };
    let Some(accepted_at) = accepted_at else { return Ok(Vec::new()) };
    let rows: Vec<(i64, String, String, String, i64)> = deliveries::table
        .inner_join(events::table)
        .filter(events::accepted_at.eq(accepted_at))
        .filter(events::event_id.eq(event.as_str()))
        .filter(events::tenant_id.eq(tenant.as_str()))
        .order((deliveries::webhook_id.asc(), deliveries::id.asc()))
        .limit(i64::from(limit))
        .select((
            deliveries::webhook_id,
            deliveries::delivery_id,
            events::event_type,
            deliveries::state,
            deliveries::due_at,
        ))
        .load(conn)?;
    let read = |(webhook, delivery, event_type, state, due_at): (i64, String, String, String, i64)| {
        let state = DeliveryState::parse(&state)?;
        Some(EventDelivery {
            webhook: WebhookId(webhook),
            delivery: DeliveryId::parse(&delivery).ok()?,
            event_type: EventType::parse(&event_type).ok()?,
            accepted_at: Timestamp::from_millis(accepted_at),
            state,
            due_at: (state == DeliveryState::Due).then(|| Timestamp::from_millis(due_at)),
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
