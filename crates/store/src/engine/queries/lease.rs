//! Handing deliveries out.

use std::collections::HashMap;

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{Lease, LeaseRequest, LeasedDelivery, Webhook};

use super::dialect::{CHUNK, Conn, is_due, skip_locked};
use super::{deliveries as ends, webhooks};
use crate::schema::{webhook_deliveries as deliveries, webhook_events as events};

/// A delivery to hand out: its number, event, fence, id, attempt and due time.
type Row = (i64, i64, i64, String, i32, i64);

/// Type and body, by the event's number.
type Events = HashMap<i64, (EventType, Bytes)>;

/// Hands out what is wished for, and cancels what must not be sent any more.
pub(crate) fn lease(conn: &mut Conn, request: &LeaseRequest) -> QueryResult<Vec<LeasedDelivery>> {
    let sendable = sendable(conn, request)?;
    let mut picked: Vec<(Row, &Webhook)> = Vec::new();
    for wish in &request.wishes {
        let Some(webhook) = sendable.get(&wish.webhook) else {
            cancel(conn, wish.webhook, request.now)?;
            continue;
        };
        for (is_retry, limit) in [(false, wish.fresh), (true, wish.retries)] {
            if limit > 0 {
                let rows = due(conn, webhook.id, is_retry, request.now, limit)?;
                picked.extend(rows.into_iter().map(|row| (row, webhook)));
            }
        }
    }
    let events = load_events(conn, &picked)?;
    let leased: Vec<_> = picked.into_iter().filter_map(|(row, webhook)| hand_out(row, webhook, &events)).collect();
    mark(conn, request, &leased)?;
    Ok(leased)
}

fn sendable(conn: &mut Conn, request: &LeaseRequest) -> QueryResult<HashMap<WebhookId, Webhook>> {
    let ids: Vec<i64> = request.wishes.iter().map(|wish| wish.webhook.0).collect();
    let mut sendable = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        sendable.extend(webhooks::sendable(conn, chunk)?.into_iter().map(|webhook| (webhook.id, webhook)));
    }
    Ok(sendable)
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

/// Oldest due first, straight from the index; what other nodes lease at this moment is passed over.
fn due(conn: &mut Conn, webhook: WebhookId, is_retry: bool, now: Timestamp, limit: u32) -> QueryResult<Vec<Row>> {
    let due = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq(is_retry))
        .filter(deliveries::due_at.le(now.as_millis()))
        .order((deliveries::due_at.asc(), deliveries::id.asc()))
        .limit(i64::from(limit))
        .select((
            deliveries::id,
            deliveries::event_row,
            deliveries::fence,
            deliveries::delivery_id,
            deliveries::attempt,
            deliveries::due_at,
        ));
    skip_locked!(due).load(conn)
}

/// Each event once, however many webhooks hear of it.
fn load_events(conn: &mut Conn, picked: &[(Row, &Webhook)]) -> QueryResult<Events> {
    let mut numbers: Vec<i64> = picked.iter().map(|((_, event, ..), _)| *event).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut loaded = Events::with_capacity(numbers.len());
    for chunk in numbers.chunks(CHUNK) {
        let rows: Vec<(i64, String, Vec<u8>)> = events::table
            .filter(events::id.eq_any(chunk))
            .select((events::id, events::event_type, events::body))
            .load(conn)?;
        let read = rows
            .into_iter()
            .filter_map(|(id, event_type, body)| Some((id, (EventType::parse(&event_type).ok()?, Bytes::from(body)))));
        loaded.extend(read);
    }
    Ok(loaded)
}

fn hand_out(row: Row, webhook: &Webhook, events: &Events) -> Option<LeasedDelivery> {
    let (number, event, fence, delivery, attempt, due_at) = row;
    let (event_type, body) = events.get(&event)?;
    Some(LeasedDelivery {
        lease: Lease { number, fence: fence + 1 },
        delivery: DeliveryId::parse(&delivery).ok()?,
        webhook: webhook.clone(),
        event_type: event_type.clone(),
        body: body.clone(),
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
