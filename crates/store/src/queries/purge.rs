//! Retention: ended things go, in bounded steps.

use diesel::prelude::*;
use hookswitch_webhooks::Retention;

use super::event_ids::MEMORY;
use crate::dialect::{CHUNK, Conn};
use crate::schema::{event_ids, webhook_deliveries as deliveries, webhook_events as events, webhook_logs as logs};
use crate::time::SqlBound;

/// Removes at most `retention.limit` rows; how many went.
pub(crate) fn purge(conn: &mut Conn, retention: Retention) -> QueryResult<u64> {
    let limit = i64::from(retention.limit);
    let mut gone = 0;
    for step in [purge_ids, purge_deliveries, purge_events, purge_logs] {
        if gone < limit {
            gone += step(conn, retention, limit - gone)?;
        }
    }
    Ok(gone as u64)
}

fn purge_ids(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = retention.now.before(MEMORY).as_millis();
    let ids: Vec<(String, String)> = event_ids::table
        .filter(event_ids::accepted_at.lt(oldest))
        .limit(limit)
        .select((event_ids::tenant_id, event_ids::event_id))
        .load(conn)?;
    for (tenant, id) in &ids {
        diesel::delete(event_ids::table.find((tenant, id))).execute(conn)?;
    }
    Ok(ids.len() as i64)
}

fn purge_deliveries(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = retention.now.before(retention.ended).as_millis();
    let ids: Vec<i64> =
        deliveries::table.filter(deliveries::ended_at.lt(oldest)).limit(limit).select(deliveries::id).load(conn)?;
    for chunk in ids.chunks(CHUNK) {
        diesel::delete(deliveries::table.filter(deliveries::id.eq_any(chunk))).execute(conn)?;
    }
    Ok(ids.len() as i64)
}

/// Events that no delivery refers to any more.
fn purge_events(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = retention.now.before(retention.ended).as_millis();
    let its_deliveries = deliveries::table.filter(deliveries::event_row.eq(events::id)).select(deliveries::id);
    let ids: Vec<i64> = events::table
        .filter(events::accepted_at.lt(oldest))
        .filter(diesel::dsl::not(diesel::dsl::exists(its_deliveries)))
        .limit(limit)
        .select(events::id)
        .load(conn)?;
    for chunk in ids.chunks(CHUNK) {
        diesel::delete(events::table.filter(events::id.eq_any(chunk))).execute(conn)?;
    }
    Ok(ids.len() as i64)
}

fn purge_logs(conn: &mut Conn, retention: Retention, limit: i64) -> QueryResult<i64> {
    let oldest = SqlBound(retention.now.before(retention.ended));
    let ids: Vec<i64> = logs::table.filter(logs::created_at.lt(oldest)).limit(limit).select(logs::id).load(conn)?;
    for chunk in ids.chunks(CHUNK) {
        diesel::delete(logs::table.filter(logs::id.eq_any(chunk))).execute(conn)?;
    }
    Ok(ids.len() as i64)
}
