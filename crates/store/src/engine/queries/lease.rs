//! Handing deliveries out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{LEASE_BYTES, Lease, LeaseRequest, LeasedDelivery, Webhook};

use super::deliveries::{self as ends, DELETED, MISSED};
use super::dialect::{CHUNK, Conn, skip_locked};
use super::webhooks;
use crate::codec::Codec;
use crate::literals::{is_due, is_next_in_order};
use crate::schema::{webhook_deliveries as deliveries, webhook_events as events};

/// A delivery to hand out.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct Row {
    id: i64,
    event_row: i64,
    fence: i64,
    delivery_id: String,
    attempt: i32,
    attempts_before: i32,
    due_at: i64,
    expires_at: Option<i64>,
}

impl Row {
    fn is_late(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at < now.as_millis())
    }
}

/// Events whose bodies are read in the first query, before anything is known of their size.
const FIRST_EVENTS: usize = 16;

/// Type and body, by the event's number.
type Events = HashMap<i64, (EventType, Bytes)>;

/// Hands out what is wished for, and ends what must not be sent any more.
pub(crate) fn lease(conn: &mut Conn, codec: &Codec, request: &LeaseRequest) -> QueryResult<Vec<LeasedDelivery>> {
    let ids: Vec<i64> = request.wishes.iter().map(|wish| wish.webhook.0).collect();
    let sendable: HashMap<WebhookId, Arc<Webhook>> =
        webhooks::sendable(conn, codec, &ids)?.into_iter().map(|webhook| (webhook.id, Arc::new(webhook))).collect();
    let mut picked: Vec<(Row, &Arc<Webhook>)> = Vec::new();
    for wish in &request.wishes {
        let Some(webhook) = sendable.get(&wish.webhook) else {
            end_waiting(conn, wish.webhook, request.now)?;
            continue;
        };
        for (is_retry, limit) in [(false, wish.fresh), (true, wish.retries)] {
            if limit > 0 {
                let rows = due(conn, webhook, is_retry, request.now, limit)?;
                picked.extend(rows.into_iter().map(|row| (row, webhook)));
            }
        }
    }
    let events = load_events(conn, &picked)?;
    let leased: Vec<_> = picked.into_iter().filter_map(|(row, webhook)| hand_out(&row, webhook, &events)).collect();
    mark(conn, request, &leased)?;
    Ok(leased)
}

fn end_waiting(conn: &mut Conn, webhook: WebhookId, now: Timestamp) -> QueryResult<()> {
    match webhooks::is_active(conn, webhook)? {
        None => ends::end_waiting(conn, webhook, i64::MAX, DELETED, now),
        // What is due later may find it switched on again.
        Some(false) => ends::end_waiting(conn, webhook, now.as_millis(), MISSED, now),
        // Its row cannot be read (a seal that no key opens): everything waits until it can.
        Some(true) => Ok(()),
    }
}

/// What is due and not too late. What is too late is ended when it comes up, and makes room for the next.
fn due(conn: &mut Conn, webhook: &Webhook, is_retry: bool, now: Timestamp, limit: u32) -> QueryResult<Vec<Row>> {
    let rows = first_due(conn, webhook, is_retry, now, limit)?;
    if !rows.iter().any(|row| row.is_late(now)) {
        return Ok(rows);
    }
    ends::expire(conn, webhook.id, is_retry, now)?;
    let mut rows = first_due(conn, webhook, is_retry, now, limit)?;
    rows.retain(|row| !row.is_late(now));
    Ok(rows)
}

/// Oldest due first, straight from the index; what other nodes lease at this moment is passed over.
fn first_due(conn: &mut Conn, webhook: &Webhook, is_retry: bool, now: Timestamp, limit: u32) -> QueryResult<Vec<Row>> {
    let due = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.id.0))
        .filter(deliveries::is_retry.eq(is_retry))
        .filter(deliveries::due_at.le(now.as_millis()))
        .order((deliveries::due_at.asc(), deliveries::id.asc()))
        .limit(i64::from(limit))
        .select(Row::as_select());
    if webhook.options.ordered_by.is_some() {
        skip_locked!(due.filter(is_next_in_order())).load(conn)
    } else {
        skip_locked!(due).load(conn)
    }
}

/// Each event once, however many webhooks hear of it, in the order of the picks, until their bodies come to
/// [`LEASE_BYTES`]. What is left over is not handed out.
fn load_events(conn: &mut Conn, picked: &[(Row, &Arc<Webhook>)]) -> QueryResult<Events> {
    let mut known = HashSet::with_capacity(picked.len());
    let numbers: Vec<i64> = picked.iter().map(|(row, _)| row.event_row).filter(|row| known.insert(*row)).collect();
    let mut loaded = Events::with_capacity(numbers.len());
    let (mut n_read, mut n_bytes, mut step) = (0, 0, FIRST_EVENTS);
    while n_read < numbers.len() && n_bytes < LEASE_BYTES {
        let chunk = &numbers[n_read..(n_read + step).min(numbers.len())];
        let rows: Vec<(i64, String, Vec<u8>)> = events::table
            .filter(events::id.eq_any(chunk))
            .select((events::id, events::event_type, events::body))
            .load(conn)?;
        n_read += chunk.len();
        n_bytes += rows.iter().map(|(_, _, body)| body.len()).sum::<usize>();
        let read = rows
            .into_iter()
            .filter_map(|(id, event_type, body)| Some((id, (EventType::parse(&event_type).ok()?, Bytes::from(body)))));
        loaded.extend(read);
        // As many as there is room for, if they are as large as those so far.
        step = (LEASE_BYTES.saturating_sub(n_bytes) / (n_bytes / n_read).max(1)).clamp(1, CHUNK);
    }
    Ok(loaded)
}

fn hand_out(row: &Row, webhook: &Arc<Webhook>, events: &Events) -> Option<LeasedDelivery> {
    let (event_type, body) = events.get(&row.event_row)?;
    Some(LeasedDelivery {
        lease: Lease { number: row.id, fence: row.fence + 1 },
        delivery: DeliveryId::parse(&row.delivery_id).ok()?,
        webhook: Arc::clone(webhook),
        event_type: event_type.clone(),
        body: body.clone(),
        attempt: row.attempt.max(1) as u32,
        attempts_before: row.attempts_before.max(0) as u32,
        due_at: Timestamp::from_millis(row.due_at),
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
