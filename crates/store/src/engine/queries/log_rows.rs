//! Rows of the log by their keys: what they weigh, and what stands in them.

use std::collections::HashMap;

use diesel::prelude::*;
use hookswitch_webhooks::{Cursor, LogEntry, LoggedAttempt};

use super::dialect::{CHUNK, Conn};
use super::logs::LogRow;
use super::skips::StoredSkip;
use super::windows::ROW_BYTES;
use crate::literals::attempt_bytes;
use crate::schema::{webhook_logs as logs, webhook_skips as skips};
use crate::time::SqlTime;

/// An entry of the log by its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) at: SqlTime,
    is_attempt: bool,
    id: i64,
}

impl Key {
    pub(crate) fn attempt((at, id): (SqlTime, i64)) -> Self {
        Self { at, is_attempt: true, id }
    }

    pub(crate) fn skip((at, id): (SqlTime, i64)) -> Self {
        Self { at, is_attempt: false, id }
    }
}

/// The place right behind an entry.
pub(crate) fn cursor_at(key: &Key) -> Cursor {
    let (at, id) = (key.at.0, key.id);
    if key.is_attempt { Cursor::Attempt { at, id } } else { Cursor::Skip { at, id } }
}

fn ids(keys: &[Key], is_attempt: bool) -> Vec<i64> {
    keys.iter().filter(|key| key.is_attempt == is_attempt).map(|key| key.id).collect()
}

/// What the entries weigh, without reading them.
pub(crate) fn weigh(conn: &mut Conn, keys: &[Key]) -> QueryResult<Vec<usize>> {
    let mut weights: HashMap<i64, i64> = HashMap::new();
    for chunk in ids(keys, true).chunks(CHUNK) {
        let rows: Vec<(i64, i64)> =
            logs::table.filter(logs::id.eq_any(chunk)).select((logs::id, attempt_bytes())).load(conn)?;
        weights.extend(rows);
    }
    let weight =
        |key: &Key| weights.get(&key.id).filter(|_| key.is_attempt).map_or(0, |bytes| (*bytes).max(0) as usize);
    Ok(keys.iter().map(|key| weight(key) + ROW_BYTES).collect())
}

/// The entries, in the order of their keys, without those made by hand that cannot be.
pub(crate) fn load(conn: &mut Conn, keys: &[Key]) -> QueryResult<Vec<LogEntry>> {
    let mut made = by_id(load_attempts_of(conn, &ids(keys, true))?);
    let mut skipped = HashMap::new();
    for chunk in ids(keys, false).chunks(CHUNK) {
        let rows: Vec<StoredSkip> =
            skips::table.filter(skips::id.eq_any(chunk)).select(StoredSkip::as_select()).load(conn)?;
        skipped.extend(rows.into_iter().filter_map(StoredSkip::read).map(|skip| (skip.id, skip)));
    }
    let entry = |key: &Key| {
        if key.is_attempt {
            made.remove(&key.id).map(LogEntry::Attempt)
        } else {
            skipped.remove(&key.id).map(LogEntry::Skip)
        }
    };
    Ok(keys.iter().filter_map(entry).collect())
}

/// The same where all are attempts.
pub(crate) fn load_attempts(conn: &mut Conn, keys: &[Key]) -> QueryResult<Vec<LoggedAttempt>> {
    let mut made = by_id(load_attempts_of(conn, &ids(keys, true))?);
    Ok(keys.iter().filter_map(|key| made.remove(&key.id)).collect())
}

fn load_attempts_of(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<LoggedAttempt>> {
    let mut attempts = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<LogRow> = logs::table.filter(logs::id.eq_any(chunk)).select(LogRow::as_select()).load(conn)?;
        attempts.extend(rows.into_iter().filter_map(LogRow::read));
    }
    Ok(attempts)
}

fn by_id(attempts: Vec<LoggedAttempt>) -> HashMap<i64, LoggedAttempt> {
    attempts.into_iter().map(|attempt| (attempt.id, attempt)).collect()
}
