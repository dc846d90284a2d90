//! Retention: ended things go, in bounded steps.

use diesel::prelude::*;
use hookswitch_webhooks::Retention;

use super::dialect::{self, CHUNK, Conn, skip_locked};
use super::event_ids::ID_RETENTION;
use super::webhooks as registrations;
use crate::literals::is_due;
use crate::schema::{
    webhook_deliveries as deliveries, webhook_events as events, webhook_logs as logs, webhook_skips as skips, webhooks,
};
use crate::time::SqlBound;

/// Deletes the chosen rows, but those that another node has locked; how many.
macro_rules! delete_rows {
    ($conn:ident, $table:ident, $old:expr) => {{
        let ids: Vec<i64> = skip_locked!($old.select($table::id)).load($conn)?;
        for chunk in ids.chunks(CHUNK) {
            diesel::delete($table::table.filter($table::id.eq_any(chunk))).execute($conn)?;
        }
        Ok(ids.len() as i64)
    }};
}

/// Removes at most `retention.limit` rows; how many went.
pub(crate) fn purge(conn: &mut Conn, retention: Retention) -> QueryResult<u64> {
    let limit = i64::from(retention.limit);
    let mut gone = 0;
    for step in [purge_ids, purge_deliveries, purge_events, purge_logs, purge_skips, forget_secrets, purge_webhooks] {
        if gone < limit {
            gone += step(conn, retention, limit - gone)?;
        }
    }
    Ok(gone as u64)
}

fn purge_ids(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = retention.now.before(ID_RETENTION).as_millis();
    Ok(dialect::purge_ids(conn, oldest, limit)? as i64)
}

fn purge_deliveries(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = retention.now.before(retention.ended).as_millis();
    let old = deliveries::table.filter(deliveries::ended_at.lt(oldest)).limit(limit);
    delete_rows!(conn, deliveries, old)
}

/// Events that no delivery refers to any more.
fn purge_events(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = retention.now.before(retention.ended).as_millis();
    let its_deliveries = deliveries::table.filter(deliveries::event_row.eq(events::id)).select(deliveries::id);
    let old = events::table
        .filter(events::accepted_at.lt(oldest))
        .filter(diesel::dsl::not(diesel::dsl::exists(its_deliveries)))
        .limit(limit);
    delete_rows!(conn, events, old)
}

fn purge_logs(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = SqlBound(retention.now.before(retention.ended));
    let old = logs::table.filter(logs::created_at.lt(oldest)).limit(limit);
    delete_rows!(conn, logs, old)
}

/// Secrets of webhooks that were deleted by hand, or by a version that kept them.
fn forget_secrets(conn: &mut Conn, _retention: Retention, limit: i64) -> QueryResult<i64> {
    Ok(registrations::forget_secrets(conn, limit)? as i64)
}

/// The rows of deleted webhooks go when retention has taken their last log row.
fn purge_webhooks(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = SqlBound(retention.now.before(retention.ended));
    let mut old: Vec<i64> = webhooks::table
        .filter(webhooks::deleted_at.lt(oldest))
        .order(webhooks::deleted_at.asc())
        .limit(limit)
        .select(webhooks::id)
        .load(conn)?;
    let mut kept = Vec::new();
    for id in &old {
        // One look into an index each: asked for all at once, a server reads the whole log.
        let log: Option<i64> = logs::table.filter(logs::webhook_id.eq(*id)).select(logs::id).first(conn).optional()?;
        let due = deliveries::table.filter(is_due()).filter(deliveries::webhook_id.eq(*id)).select(deliveries::id);
        let due: Option<i64> = due.first(conn).optional()?;
        kept.extend(log.or(due).map(|_| *id));
    }
    old.retain(|id| !kept.contains(id));
    Ok(registrations::remove(conn, old)? as i64)
}

fn purge_skips(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = SqlBound(retention.now.before(retention.ended));
    let old = skips::table.filter(skips::created_at.lt(oldest)).limit(limit);
    delete_rows!(conn, skips, old)
}
