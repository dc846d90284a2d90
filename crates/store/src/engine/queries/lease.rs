//! Handing deliveries out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{LEASE_BYTES, Lease, LeaseRequest, LeasedDelivery, Webhook};

use super::deliveries::{self as ends, END_BESIDE};
use super::dialect::{CHUNK, Conn, skip_locked};
use super::webhooks;
use crate::literals::{is_due, is_next_in_order};
use crate::schema::{webhook_deliveries as deliveries, webhook_events as events};
use crate::webhook_columns::WebhookColumns;

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

/// Most events whose bodies are read in the first query, before anything is known of their size.
const FIRST_EVENTS: usize = 16;

/// As how large they are taken.
const EVENT_BYTES: usize = LEASE_BYTES / FIRST_EVENTS;

/// Type and body, by the event's number.
type Events = HashMap<i64, (EventType, Bytes)>;

/// What a lease handed out, and what it met that is still to be ended.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    pub(crate) leased: Vec<LeasedDelivery>,
    /// Webhooks that have waiting deliveries which must not be sent.
    pub(crate) to_end: Vec<WebhookId>,
}

/// Hands out what is wished for, and ends some of what must not be sent any more.
pub(crate) fn lease(conn: &mut Conn, columns: &WebhookColumns, request: &LeaseRequest) -> QueryResult<Granted> {
    let ids: Vec<i64> = request.wishes.iter().map(|wish| wish.webhook.0).collect();
    let sendable: HashMap<WebhookId, Arc<Webhook>> =
        webhooks::sendable(conn, columns, &ids)?.into_iter().map(|webhook| (webhook.id, Arc::new(webhook))).collect();
    let mut picked: Vec<(Row, &Arc<Webhook>)> = Vec::new();
    let mut to_end = Vec::new();
    for wish in &request.wishes {
        let Some(webhook) = sendable.get(&wish.webhook) else {
            ends::end_unsendable(conn, wish.webhook, request.now, END_BESIDE)?;
            to_end.push(wish.webhook);
            continue;
        };
        for (is_retry, limit) in [(false, wish.fresh), (true, wish.retries)] {
            if limit > 0 {
                let due = due(conn, webhook, is_retry, request.now, limit)?;
                to_end.extend(due.has_late.then_some(wish.webhook));
                picked.extend(due.rows.into_iter().map(|row| (row, webhook)));
            }
        }
    }
    let events = load_events(conn, &picked, request.n_bytes.min(LEASE_BYTES))?;
    let leased: Vec<_> = picked.into_iter().filter_map(|(row, webhook)| hand_out(&row, webhook, &events)).collect();
    mark(conn, request, &leased)?;
    Ok(Granted { leased, to_end })
}

/// What is due and not too late.
struct Due {
    rows: Vec<Row>,
    /// Whether some that come first are too late.
    has_late: bool,
}

/// What is due, passing over what is too late: ending a hundred thousand of those is not for whoever waits
/// for a new one. The first few end here.
fn due(conn: &mut Conn, webhook: &Webhook, is_retry: bool, now: Timestamp, limit: u32) -> QueryResult<Due> {
    let rows = first_due(conn, webhook, is_retry, now, limit)?;
    let late: Vec<i64> = rows.iter().filter(|row| row.is_late(now)).map(|row| row.id).collect();
    if late.is_empty() {
        return Ok(Due { rows, has_late: false });
    }
    ends::end_late(conn, &late[..late.len().min(END_BESIDE as usize)], now)?;
    Ok(Due { rows: first_in_time(conn, webhook, is_retry, now, limit)?, has_late: true })
}

/// The deliveries of a webhook that are due, oldest first, straight from the index.
macro_rules! waiting {
    ($webhook:expr, $is_retry:expr, $now:expr, $limit:expr) => {
        deliveries::table
            .filter(is_due())
            .filter(deliveries::webhook_id.eq($webhook.id.0))
            .filter(deliveries::is_retry.eq($is_retry))
            .filter(deliveries::due_at.le($now.as_millis()))
            .order((deliveries::due_at.asc(), deliveries::id.asc()))
            .limit(i64::from($limit))
    };
}

/// What other nodes lease at this moment is passed over.
fn first_due(conn: &mut Conn, webhook: &Webhook, is_retry: bool, now: Timestamp, limit: u32) -> QueryResult<Vec<Row>> {
    let due = waiting!(webhook, is_retry, now, limit).select(Row::as_select());
    if webhook.options.ordered_by.is_some() {
        skip_locked!(due.filter(is_next_in_order(now.as_millis()))).load(conn)
    } else {
        skip_locked!(due).load(conn)
    }
}

/// The first that are not too late. Found without locking what is passed over, and then locked by their ids.
fn first_in_time(
    conn: &mut Conn,
    webhook: &Webhook,
    is_retry: bool,
    now: Timestamp,
    limit: u32,
) -> QueryResult<Vec<Row>> {
    let in_time = || deliveries::expires_at.is_null().or(deliveries::expires_at.ge(now.as_millis()));
    let found = waiting!(webhook, is_retry, now, limit).filter(in_time()).select(deliveries::id);
    let ids: Vec<i64> = if webhook.options.ordered_by.is_some() {
        found.filter(is_next_in_order(now.as_millis())).load(conn)?
    } else {
        found.load(conn)?
    };
    let rows = deliveries::table
        .filter(deliveries::id.eq_any(ids))
        .filter(is_due())
        .order((deliveries::due_at.asc(), deliveries::id.asc()))
        .select(Row::as_select());
    skip_locked!(rows).load(conn)
}

/// Each event once, however many webhooks hear of it, in the order of the picks, until their bodies come to
/// so many bytes. What is left over is not handed out.
fn load_events(conn: &mut Conn, picked: &[(Row, &Arc<Webhook>)], most: usize) -> QueryResult<Events> {
    let mut known = HashSet::with_capacity(picked.len());
    let numbers: Vec<i64> = picked.iter().map(|(row, _)| row.event_row).filter(|row| known.insert(*row)).collect();
    let mut loaded = Events::with_capacity(numbers.len());
    let (mut n_read, mut n_bytes, mut step) = (0, 0, (most / EVENT_BYTES).clamp(1, FIRST_EVENTS));
    while n_read < numbers.len() && n_bytes < most.max(1) {
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
        step = (most.saturating_sub(n_bytes) / (n_bytes / n_read).max(1)).clamp(1, CHUNK);
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
