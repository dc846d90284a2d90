//! Handing deliveries out.

use std::collections::HashMap;

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{Lease, LeaseRequest, LeasedDelivery, Webhook};

use super::{deliveries as ends, webhooks};
use crate::dialect::{CHUNK, Conn, is_due};
use crate::schema::{webhook_deliveries as deliveries, webhook_events as events};

/// The columns of a delivery to hand out.
type Row = ((i64, i64, String, i32, i64), (String, Vec<u8>));

/// Hands out what is wished for, and cancels what must not be sent any more.
pub(crate) fn lease(conn: &mut Conn, request: &LeaseRequest) -> QueryResult<Vec<LeasedDelivery>> {
    let ids: Vec<i64> = request.wishes.iter().map(|wish| wish.webhook.0).collect();
    let mut sendable: HashMap<WebhookId, Webhook> = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        sendable.extend(webhooks::sendable(conn, chunk)?.into_iter().map(|webhook| (webhook.id, webhook)));
    }
    let mut leased = Vec::new();
    for wish in &request.wishes {
        let Some(webhook) = sendable.get(&wish.webhook) else {
            cancel(conn, wish.webhook, request.now)?;
            continue;
        };
        for (is_retry, limit) in [(false, wish.fresh), (true, wish.retries)] {
            if limit > 0 {
                let rows = due(conn, webhook.id, is_retry, request.now, limit)?;
                leased.extend(rows.into_iter().filter_map(|row| hand_out(row, webhook)));
            }
        }
    }
    mark(conn, request, &leased)?;
    Ok(leased)
}

fn cancel(conn: &mut Conn, webhook: WebhookId, now: Timestamp) -> QueryResult<()> {
    if webhooks::is_switched_off(conn, webhook)? {
        // What is due later may find it switched on again.
        ends::cancel(conn, webhook, now.as_millis(), now, ends::SWITCHED_OFF)?;
    } else {
        ends::cancel(conn, webhook, i64::MAX, now, ends::DELETED)?;
    }
    Ok(())
}

/// Oldest due first, straight from the index.
fn due(conn: &mut Conn, webhook: WebhookId, is_retry: bool, now: Timestamp, limit: u32) -> QueryResult<Vec<Row>> {
    deliveries::table
        .inner_join(events::table)
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq(is_retry))
        .filter(deliveries::due_at.le(now.as_millis()))
        .order((deliveries::due_at.asc(), deliveries::id.asc()))
        .limit(i64::from(limit))
        .select((
            (deliveries::id, deliveries::fence, deliveries::delivery_id, deliveries::attempt, deliveries::due_at),
            (events::event_type, events::body),
        ))
        .load(conn)
}

fn hand_out(row: Row, webhook: &Webhook) -> Option<LeasedDelivery> {
    let ((number, fence, delivery, attempt, due_at), (event_type, body)) = row;
    Some(LeasedDelivery {
        lease: Lease { number, fence: fence + 1 },
        delivery: DeliveryId::parse(&delivery).ok()?,
        webhook: webhook.clone(),
        event_type: EventType::parse(&event_type).ok()?,
        body: Bytes::from(body),
        attempt: attempt.max(1) as u32,
        due_at: Timestamp::from_millis(due_at),
    })
}

fn mark(conn: &mut Conn, request: &LeaseRequest, leased: &[LeasedDelivery]) -> QueryResult<()> {
    let numbers: Vec<i64> = leased.iter().map(|delivery| delivery.lease.number).collect();
    let until = request.now.after(request.hold).as_millis();
    for chunk in numbers.chunks(CHUNK) {
        diesel::update(deliveries::table.filter(deliveries::id.eq_any(chunk)))
            .set((
                deliveries::state.eq("leased"),
                deliveries::lease_owner.eq(request.by.as_str()),
                deliveries::lease_until.eq(until),
                deliveries::fence.eq(deliveries::fence + 1),
            ))
            .execute(conn)?;
    }
    Ok(())
}
