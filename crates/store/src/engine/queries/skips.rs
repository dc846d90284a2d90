//! What was not sent, and why.

#![expect(clippy::ref_option_ref, reason = "diesel's derive makes such references of optional texts")]

use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{LoggedSkip, SkipReason, SkipRow};

use super::dialect::{CHUNK, Conn};
use crate::schema::{webhook_deliveries as deliveries, webhook_events as events, webhook_skips as skips};
use crate::time::SqlTime;

#[derive(Insertable)]
#[diesel(table_name = skips, treat_none_as_default_value = false)]
pub(crate) struct NewSkip<'a> {
    pub(crate) webhook_id: i64,
    pub(crate) delivery_id: Option<&'a str>,
    pub(crate) event: Option<&'a str>,
    pub(crate) reason: &'static str,
    pub(crate) created_at: SqlTime,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = skips)]
pub(crate) struct StoredSkip {
    id: i64,
    webhook_id: i64,
    delivery_id: Option<String>,
    event: Option<String>,
    reason: String,
    created_at: SqlTime,
}

impl StoredSkip {
    /// `None` for a row made by hand with a reason that cannot be.
    pub(crate) fn read(self) -> Option<LoggedSkip> {
        let row = SkipRow {
            webhook: WebhookId(self.webhook_id),
            delivery: self.delivery_id.and_then(|id| DeliveryId::parse(&id).ok()),
            event_type: self.event.and_then(|name| EventType::parse(&name).ok()),
            reason: SkipReason::parse(&self.reason)?,
            at: self.created_at.0,
        };
        Some(LoggedSkip { id: self.id, row })
    }
}

pub(crate) fn append(conn: &mut Conn, rows: &[NewSkip<'_>]) -> QueryResult<()> {
    for chunk in rows.chunks(CHUNK) {
        diesel::insert_into(skips::table).values(chunk).execute(conn)?;
    }
    Ok(())
}

pub(crate) fn append_one(conn: &mut Conn, row: &SkipRow) -> QueryResult<()> {
    let new = NewSkip {
        webhook_id: row.webhook.0,
        delivery_id: row.delivery.as_ref().map(DeliveryId::as_str),
        event: row.event_type.as_ref().map(EventType::as_str),
        reason: row.reason.label(),
        created_at: SqlTime(row.at),
    };
    append(conn, &[new])
}

/// One row for each of these deliveries, in one statement.
pub(crate) fn of_deliveries(conn: &mut Conn, ids: &[i64], reason: SkipReason, at: Timestamp) -> QueryResult<()> {
    let rows = deliveries::table
        .inner_join(events::table)
        .filter(deliveries::id.eq_any(ids))
        .order(deliveries::id.asc())
        .select((
            deliveries::webhook_id,
            deliveries::delivery_id.nullable(),
            events::event_type.nullable(),
            reason.label().into_sql::<diesel::sql_types::Text>(),
            SqlTime(at).into_sql::<diesel::sql_types::Timestamp>(),
        ));
    diesel::insert_into(skips::table)
        .values(rows)
        .into_columns((skips::webhook_id, skips::delivery_id, skips::event, skips::reason, skips::created_at))
        .execute(conn)?;
    Ok(())
}
