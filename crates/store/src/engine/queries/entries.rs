//! A webhook's log with filters: attempts, and between them what was not sent.

use diesel::prelude::*;
use hookswitch_protocol::WebhookId;
use hookswitch_webhooks::{Listed, LogEntry, LogFilter, LogOutcome, Page};

use super::dialect::{CHUNK, Conn};
use super::logs::LogRow;
use super::skips::StoredSkip;
use crate::literals::is_success;
use crate::schema::{webhook_logs as logs, webhook_skips as skips};
use crate::time::{SqlBound, SqlTime};

/// No page reaches further: what is merged from two tables has to be counted off from the start.
const DEEPEST: u64 = 10_000;

type Backend = <Conn as Connection>::Backend;

/// An entry of the log by its place: newest first, attempts before skips.
type Key = (SqlTime, bool, i64);

pub(crate) fn entries(
    conn: &mut Conn,
    webhook: WebhookId,
    filter: &LogFilter,
    page: Page,
) -> QueryResult<Listed<LogEntry>> {
    let end = page.offset.saturating_add(u64::from(page.limit)).min(DEEPEST);
    let n_wanted = end.saturating_sub(page.offset);
    let total: i64 = attempts(webhook, filter).count().get_result(conn)?;
    if !filter.with_skips || filter.outcome.is_some() {
        let rows: Vec<LogRow> = attempts(webhook, filter)
            .order((logs::created_at.desc(), logs::id.desc()))
            .limit(n_wanted as i64)
            .offset(page.offset as i64)
            .select(LogRow::as_select())
            .load(conn)?;
        let rows = rows.into_iter().filter_map(LogRow::read).map(LogEntry::Attempt).collect();
        return Ok(Listed { rows, total: total as u64 });
    }
    let n_skips: i64 = not_sent(webhook, filter).count().get_result(conn)?;
    let mut keys = keys(conn, webhook, filter, end as i64)?;
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let keys: Vec<Key> = keys.into_iter().skip(page.offset as usize).take(n_wanted as usize).collect();
    Ok(Listed { rows: load(conn, &keys)?, total: (total + n_skips) as u64 })
}

fn attempts(webhook: WebhookId, filter: &LogFilter) -> logs::BoxedQuery<'_, Backend> {
    let mut query = logs::table.filter(logs::webhook_id.eq(webhook.0)).into_boxed();
    if let Some(event_type) = &filter.event_type {
        query = query.filter(logs::event.eq(event_type.as_str()));
    }
    if let Some(since) = filter.since {
        query = query.filter(logs::created_at.ge(SqlBound(since)));
    }
    if let Some(delivery) = &filter.delivery {
        query = query.filter(logs::delivery_id.eq(delivery.as_str()));
    }
    match filter.outcome {
        None => query,
        Some(LogOutcome::Success) => query.filter(is_success()),
        Some(LogOutcome::Failure) => query.filter(diesel::dsl::not(is_success())),
        Some(LogOutcome::Status(status)) => query.filter(logs::response_code.eq(i32::from(status))),
    }
}

fn not_sent(webhook: WebhookId, filter: &LogFilter) -> skips::BoxedQuery<'_, Backend> {
    let mut query = skips::table.filter(skips::webhook_id.eq(webhook.0)).into_boxed();
    if let Some(event_type) = &filter.event_type {
        query = query.filter(skips::event.eq(event_type.as_str()));
    }
    if let Some(since) = filter.since {
        query = query.filter(skips::created_at.ge(SqlBound(since)));
    }
    if let Some(delivery) = &filter.delivery {
        query = query.filter(skips::delivery_id.eq(delivery.as_str()));
    }
    query
}

/// The newest entries of both tables, enough of each for the page, without their contents.
fn keys(conn: &mut Conn, webhook: WebhookId, filter: &LogFilter, n_entries: i64) -> QueryResult<Vec<Key>> {
    let made: Vec<(SqlTime, i64)> = attempts(webhook, filter)
        .order((logs::created_at.desc(), logs::id.desc()))
        .limit(n_entries)
        .select((logs::created_at, logs::id))
        .load(conn)?;
    let skipped: Vec<(SqlTime, i64)> = not_sent(webhook, filter)
        .order((skips::created_at.desc(), skips::id.desc()))
        .limit(n_entries)
        .select((skips::created_at, skips::id))
        .load(conn)?;
    let made = made.into_iter().map(|(at, id)| (at, true, id));
    Ok(made.chain(skipped.into_iter().map(|(at, id)| (at, false, id))).collect())
}

fn load(conn: &mut Conn, keys: &[Key]) -> QueryResult<Vec<LogEntry>> {
    let ids = |is_attempt| keys.iter().filter(move |key| key.1 == is_attempt).map(|key| key.2).collect::<Vec<i64>>();
    let mut entries: Vec<LogEntry> = Vec::with_capacity(keys.len());
    for chunk in ids(true).chunks(CHUNK) {
        let rows: Vec<LogRow> = logs::table.filter(logs::id.eq_any(chunk)).select(LogRow::as_select()).load(conn)?;
        entries.extend(rows.into_iter().filter_map(LogRow::read).map(LogEntry::Attempt));
    }
    for chunk in ids(false).chunks(CHUNK) {
        let rows: Vec<StoredSkip> =
            skips::table.filter(skips::id.eq_any(chunk)).select(StoredSkip::as_select()).load(conn)?;
        entries.extend(rows.into_iter().filter_map(StoredSkip::read).map(LogEntry::Skip));
    }
    entries.sort_by_key(|entry| {
        std::cmp::Reverse(match entry {
            LogEntry::Attempt(logged) => (logged.row.at, true, logged.id),
            LogEntry::Skip(logged) => (logged.row.at, false, logged.id),
        })
    });
    Ok(entries)
}
