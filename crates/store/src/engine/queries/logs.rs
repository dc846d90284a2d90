//! The attempt log: one row per attempt.

#![expect(clippy::ref_option_ref, reason = "diesel's derive makes such references of optional texts")]

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{AttemptRow, DeliveryStats, LoggedAttempt, Timings};

use super::chunks::chunks;
use super::dialect::{self, CHUNK, Conn};
use super::webhooks as registrations;
use crate::literals::n_successes;
use crate::schema::webhook_logs as logs;
use crate::time::{SqlBound, SqlTime};

#[derive(Clone, Insertable)]
#[diesel(table_name = logs, treat_none_as_default_value = false)]
struct NewRow<'a> {
    webhook_id: i64,
    event: &'a str,
    payload: Cow<'a, str>,
    response_code: Option<i32>,
    response_body: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    duration_ms: i32,
    attempt: i32,
    created_at: SqlTime,
    delivery_id: Option<&'a str>,
    dns_ms: Option<i32>,
    connect_ms: Option<i32>,
    tls_ms: Option<i32>,
    first_byte_ms: Option<i32>,
    body_ms: Option<i32>,
}

impl NewRow<'_> {
    fn weight(&self) -> usize {
        self.payload.len() + self.response_body.as_ref().map_or(0, |body| body.len())
    }

    /// Without its body where that is more than the server takes: the row must be written somehow.
    fn that_fits(self, conn: &Conn) -> Self {
        if self.weight() <= dialect::row_bytes(conn) {
            return self;
        }
        tracing::warn!(webhook = self.webhook_id, n_bytes = self.weight(), "a body is too large for the log");
        let n_bytes = self.payload.len();
        let payload = format!("not logged: {n_bytes} bytes are more than the database takes (max_allowed_packet)");
        Self { payload: dialect::as_json_string(&payload).into(), response_body: None, ..self }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = logs)]
pub(crate) struct LogRow {
    id: i64,
    webhook_id: i64,
    event: String,
    payload: String,
    response_code: Option<i32>,
    response_body: Option<String>,
    error: Option<String>,
    duration_ms: Option<i32>,
    attempt: i32,
    created_at: SqlTime,
    delivery_id: Option<String>,
    dns_ms: Option<i32>,
    connect_ms: Option<i32>,
    tls_ms: Option<i32>,
    first_byte_ms: Option<i32>,
    body_ms: Option<i32>,
}

impl LogRow {
    /// `None` for a row made by hand with an event type that cannot be.
    pub(crate) fn read(self) -> Option<LoggedAttempt> {
        let millis = |ms: Option<i32>| ms.and_then(|ms| u32::try_from(ms).ok());
        let row = AttemptRow {
            delivery: self.delivery_id.and_then(|id| DeliveryId::parse(&id).ok()),
            timings: Timings {
                dns_ms: millis(self.dns_ms),
                connect_ms: millis(self.connect_ms),
                tls_ms: millis(self.tls_ms),
                first_byte_ms: millis(self.first_byte_ms),
                body_ms: millis(self.body_ms),
            },
            webhook: WebhookId(self.webhook_id),
            event_type: EventType::parse(&self.event).ok()?,
            body: Bytes::from(self.payload),
            response_code: self.response_code.and_then(|code| u16::try_from(code).ok()),
            response_body: self.response_body,
            error: self.error,
            duration_ms: self.duration_ms.unwrap_or(0).max(0) as u32,
            attempt: self.attempt.max(1) as u32,
            at: self.created_at.0,
        };
        Some(LoggedAttempt { id: self.id, row })
    }
}

/// Adds rows. Rows of webhooks that have no row themselves (deleted by hand) are left out with a
/// warning: the table refers to `webhooks`.
pub(crate) fn append(conn: &mut Conn, rows: &[&AttemptRow]) -> QueryResult<()> {
    let webhooks: HashSet<i64> = rows.iter().map(|row| row.webhook.0).collect();
    let webhooks: Vec<i64> = webhooks.into_iter().collect();
    let mut existing = HashSet::with_capacity(webhooks.len());
    for chunk in webhooks.chunks(CHUNK) {
        existing.extend(registrations::existing(conn, chunk)?);
    }
    for gone in webhooks.iter().filter(|webhook| !existing.contains(webhook)) {
        tracing::warn!(webhook = gone, "attempts not logged: the webhook's row is gone");
    }
    let rows: Vec<NewRow<'_>> =
        rows.iter().filter(|row| existing.contains(&row.webhook.0)).map(|row| new_row(row).that_fits(conn)).collect();
    for chunk in chunks(&rows, dialect::chunk_bytes(conn), NewRow::weight) {
        match diesel::insert_into(logs::table).values(chunk).execute(conn) {
            Ok(_) => {}
            Err(error) if dialect::may_refuse_payload(&error) => {
                chunk.iter().try_for_each(|row| append_alone(conn, row))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Adds one row; as a JSON string where the server's JSON does not take its payload. The row must be
/// written somehow: its attempt, and all that are settled with it, would be settled again for ever.
fn append_alone(conn: &mut Conn, row: &NewRow<'_>) -> QueryResult<()> {
    match diesel::insert_into(logs::table).values(row).execute(conn) {
        Err(error) if dialect::may_refuse_payload(&error) => {
            tracing::warn!(webhook = row.webhook_id, %error, "a body is logged as text");
            let row = NewRow { payload: dialect::as_json_string(&row.payload).into(), ..row.clone() };
            diesel::insert_into(logs::table).values(row).execute(conn).map(drop)
        }
        added => added.map(drop),
    }
}

fn new_row(row: &AttemptRow) -> NewRow<'_> {
    let millis = |ms: u32| i32::try_from(ms).unwrap_or(i32::MAX);
    NewRow {
        delivery_id: row.delivery.as_ref().map(DeliveryId::as_str),
        dns_ms: row.timings.dns_ms.map(millis),
        connect_ms: row.timings.connect_ms.map(millis),
        tls_ms: row.timings.tls_ms.map(millis),
        first_byte_ms: row.timings.first_byte_ms.map(millis),
        body_ms: row.timings.body_ms.map(millis),
        webhook_id: row.webhook.0,
        event: row.event_type.as_str(),
        payload: dialect::payload(&row.body),
        response_code: row.response_code.map(i32::from),
        response_body: row.response_body.as_deref().map(|text| dialect::logged_text(text).into()),
        error: row.error.as_deref().map(|text| dialect::logged_text(text).into()),
        duration_ms: millis(row.duration_ms),
        attempt: row.attempt as i32,
        created_at: SqlTime(row.at),
    }
}

pub(crate) fn stats(conn: &mut Conn, webhook: WebhookId, since: Timestamp) -> QueryResult<DeliveryStats> {
    let (total, successful, avg_latency_ms): (i64, i64, f64) = logs::table
        .filter(dialect::in_time())
        .filter(logs::webhook_id.eq(webhook.0))
        .filter(logs::created_at.ge(SqlBound(since)))
        .select((diesel::dsl::count_star(), n_successes(), dialect::mean_duration()))
        .first(conn)?;
    Ok(DeliveryStats { total: total as u64, successful: successful as u64, avg_latency_ms })
}
