//! A webhook's log with filters, attempts and between them what was not sent; and the failures of a tenant.

use diesel::prelude::*;
use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Cursor, Listed, LogEntry, LogFilter, LogOutcome, LoggedAttempt, Page};

use super::dialect::{self, Conn};
use super::log_order::{attempts_behind, skips_behind};
use super::log_rows::{Key, cursor_at, load, load_attempts, weigh};
use super::windows::{COUNTED, CountOf, fill, total};
use crate::literals::is_success;
use crate::schema::{webhook_logs as logs, webhook_skips as skips, webhooks};
use crate::time::{SqlBound, SqlTime};

type Backend = <Conn as Connection>::Backend;

pub(crate) fn entries(
    conn: &mut Conn,
    webhook: WebhookId,
    filter: &LogFilter,
    page: Page,
) -> QueryResult<Listed<LogEntry>> {
    let keys = keys(conn, webhook, filter, &page)?;
    let (wanted, is_all) = wanted(&keys, &page);
    let (rows, n_taken) = fill(conn, wanted, weigh, load)?;
    let next = (n_taken < keys.len()).then(|| wanted[..n_taken].last().map(cursor_at)).flatten();
    let total = if is_all { keys.len() as u64 } else { count(conn, webhook, filter)? };
    Ok(Listed { rows, total, next })
}

/// The tenant's attempts since then without a 2xx.
pub(crate) fn failed(
    conn: &mut Conn,
    tenant: &TenantId,
    since: Timestamp,
    page: Page,
) -> QueryResult<Listed<LoggedAttempt>> {
    let failures = |after: Option<Cursor>| {
        let webhooks = webhooks::table.filter(webhooks::tenant_id.eq(tenant.as_str())).select(webhooks::id);
        let failures = logs::table
            .filter(dialect::in_time())
            .filter(logs::webhook_id.eq_any(webhooks))
            .filter(logs::created_at.ge(SqlBound(since)))
            .filter(diesel::dsl::not(is_success()))
            .into_boxed::<Backend>();
        attempts_behind(failures, after)
    };
    // The ids first: the index by webhook covers them, so only rows of the window are touched.
    let found: Vec<(SqlTime, i64)> = failures(page.after)
        .order((logs::created_at.desc(), logs::id.desc()))
        .limit(n_looked_for(&page))
        .offset(page.offset as i64)
        .select((logs::created_at, logs::id))
        .load(conn)?;
    let keys: Vec<Key> = found.into_iter().map(Key::attempt).collect();
    let (wanted, is_all) = wanted(&keys, &page);
    let (rows, n_taken) = fill(conn, wanted, weigh, load_attempts)?;
    let next = (n_taken < keys.len()).then(|| wanted[..n_taken].last().map(cursor_at)).flatten();
    let total = if is_all {
        keys.len() as u64
    } else {
        total(CountOf(failures(None).select(logs::id).limit(COUNTED)).get_result(conn)?)
    };
    Ok(Listed { rows, total, next })
}

/// The keys that the window is for, and whether they are the whole list. There may be one more, which tells
/// that something follows.
fn wanted<'a>(keys: &'a [Key], page: &Page) -> (&'a [Key], bool) {
    let n_wanted = page.n_wanted() as usize;
    let is_all = page.after.is_none() && page.offset == 0 && keys.len() <= n_wanted;
    (&keys[..keys.len().min(n_wanted)], is_all)
}

/// One more than the window is for, none for a window beyond the bound.
fn n_looked_for(page: &Page) -> i64 {
    match page.n_wanted() as i64 {
        0 => 0,
        n_wanted => n_wanted + 1,
    }
}

fn count(conn: &mut Conn, webhook: WebhookId, filter: &LogFilter) -> QueryResult<u64> {
    let n_attempts: i64 = CountOf(attempts(webhook, filter, None).select(logs::id).limit(COUNTED)).get_result(conn)?;
    let n_skips: i64 = if has_skips(filter) {
        CountOf(not_sent(webhook, filter, None).select(skips::id).limit(COUNTED)).get_result(conn)?
    } else {
        0
    };
    Ok(total(n_attempts + n_skips))
}

/// A skip has no outcome.
fn has_skips(filter: &LogFilter) -> bool {
    filter.with_skips && filter.outcome.is_none()
}

fn attempts(webhook: WebhookId, filter: &LogFilter, after: Option<Cursor>) -> logs::BoxedQuery<'_, Backend> {
    // The condition that ends the query comes first: one that does not hold ends the look at a row.
    let mut query = logs::table.filter(dialect::in_time()).filter(logs::webhook_id.eq(webhook.0)).into_boxed();
    if let Some(event_type) = &filter.event_type {
        query = query.filter(logs::event.eq(event_type.as_str()));
    }
    if let Some(since) = filter.since {
        query = query.filter(logs::created_at.ge(SqlBound(since)));
    }
    if let Some(delivery) = &filter.delivery {
        query = query.filter(logs::delivery_id.eq(delivery.as_str()));
    }
    let query = attempts_behind(query, after);
    match filter.outcome {
        None => query,
        Some(LogOutcome::Success) => query.filter(is_success()),
        Some(LogOutcome::Failure) => query.filter(diesel::dsl::not(is_success())),
        Some(LogOutcome::Status(status)) => query.filter(logs::response_code.eq(i32::from(status))),
    }
}

fn not_sent(webhook: WebhookId, filter: &LogFilter, after: Option<Cursor>) -> skips::BoxedQuery<'_, Backend> {
    let mut query = skips::table.filter(dialect::in_time()).filter(skips::webhook_id.eq(webhook.0)).into_boxed();
    if let Some(event_type) = &filter.event_type {
        query = query.filter(skips::event.eq(event_type.as_str()));
    }
    if let Some(since) = filter.since {
        query = query.filter(skips::created_at.ge(SqlBound(since)));
    }
    if let Some(delivery) = &filter.delivery {
        query = query.filter(skips::delivery_id.eq(delivery.as_str()));
    }
    skips_behind(query, after)
}

/// The keys of the window, and one more.
fn keys(conn: &mut Conn, webhook: WebhookId, filter: &LogFilter, page: &Page) -> QueryResult<Vec<Key>> {
    let (n_keys, offset) = (n_looked_for(page), page.offset as i64);
    // Two lists are counted off together, from their beginning.
    let (n_each, n_passed) = if has_skips(filter) { (offset.saturating_add(n_keys), 0) } else { (n_keys, offset) };
    if n_keys == 0 {
        return Ok(Vec::new());
    }
    let made: Vec<(SqlTime, i64)> = attempts(webhook, filter, page.after)
        .order((logs::created_at.desc(), logs::id.desc()))
        .limit(n_each)
        .offset(n_passed)
        .select((logs::created_at, logs::id))
        .load(conn)?;
    let made = made.into_iter().map(Key::attempt);
    if !has_skips(filter) {
        return Ok(made.collect());
    }
    let skipped: Vec<(SqlTime, i64)> = not_sent(webhook, filter, page.after)
        .order((skips::created_at.desc(), skips::id.desc()))
        .limit(n_each)
        .select((skips::created_at, skips::id))
        .load(conn)?;
    let merged = merged(made, skipped.into_iter().map(Key::skip));
    Ok(merged.skip(offset as usize).take(n_keys as usize).collect())
}

/// Both in one order, each in its own as the database gave it: rows made by hand spell a moment otherwise, and stand
/// in another order there than their moments say.
fn merged(made: impl Iterator<Item = Key>, skipped: impl Iterator<Item = Key>) -> impl Iterator<Item = Key> {
    let (mut made, mut skipped) = (made.peekable(), skipped.peekable());
    std::iter::from_fn(move || match (made.peek(), skipped.peek()) {
        (Some(attempt), Some(skip)) if attempt.at < skip.at => skipped.next(),
        (Some(_), _) => made.next(),
        (None, _) => skipped.next(),
    })
}
