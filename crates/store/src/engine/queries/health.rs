//! How receivers have been doing: noted with every settled attempt, and acted upon.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_webhooks::{Attempted, DisableReason, DisableRule, DisabledWebhook, Disposition, WebhookHealth};

use super::dialect::{self, CHUNK, Conn, IS_SHARED, TRIGGER_STEP, for_update};
use super::webhooks as registrations;
use crate::schema::webhooks;
use crate::time::SqlTime;
use crate::webhook_columns::WebhookColumns;

/// What is known of one receiver, before and after.
#[derive(Debug, Clone)]
struct Receiver {
    before: WebhookHealth,
    after: WebhookHealth,
    triggered_before: Option<Timestamp>,
    triggered: Option<Timestamp>,
    /// Whom attempts must have judged to count.
    url: String,
    version: u32,
}

type Receivers = BTreeMap<i64, Receiver>;

/// Notes every attempt of every batch, and switches off what has become hopeless; one list per batch.
pub(crate) fn note(
    conn: &mut Conn,
    columns: &WebhookColumns,
    batches: &[(Vec<&Attempted>, &DisableRule)],
) -> QueryResult<Vec<Vec<DisabledWebhook>>> {
    let ids: BTreeSet<i64> = batches.iter().flat_map(|(batch, _)| batch).map(|one| one.row.webhook.0).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let known = load(conn, &ids)?;
    let mut receivers = known.clone();
    count(&mut receivers, batches);
    let changed: Vec<i64> = receivers.iter().filter(|(_, one)| one.before != one.after).map(|(id, _)| *id).collect();
    let says_gone = |one: &&&Attempted| one.disposition == Disposition::Gone;
    let gone = batches.iter().flat_map(|(batch, _)| batch).filter(says_gone).map(|one| one.row.webhook.0);
    let changed: Vec<i64> = changed.into_iter().chain(gone).collect();
    if !changed.is_empty() && IS_SHARED {
        // Counted again from what nobody else changes any more. Receivers that are well, nearly all of
        // them, are not locked: every node would wait for the others at their rows.
        let mut locked = known;
        locked.extend(load_locked(conn, &changed)?);
        count(&mut locked, batches);
        receivers = locked;
    }
    for (id, one) in &receivers {
        store(conn, *id, one)?;
    }
    batches.iter().map(|(batch, rule)| disable(conn, columns, &receivers, batch, rule)).collect()
}

/// What stands in a receiver's row: its number, health and last attempt, whether it is on, and when it
/// was last switched off by us; then its URL and the version of its receiver.
type Row = (i64, Option<SqlTime>, i32, Option<SqlTime>, Option<bool>, Option<SqlTime>, String, i32);

/// In the order of their ids, so that nodes do not wait for each other crosswise.
macro_rules! rows_of {
    ($ids:expr) => {
        webhooks::table.filter(webhooks::id.eq_any($ids)).order(webhooks::id.asc()).select((
            webhooks::id,
            webhooks::failing_since,
            webhooks::n_failures,
            webhooks::last_triggered_at,
            webhooks::is_active,
            webhooks::disabled_at,
            webhooks::url,
            webhooks::receiver_version,
        ))
    };
}

fn load(conn: &mut Conn, ids: &[i64]) -> QueryResult<Receivers> {
    let mut receivers = Receivers::new();
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<Row> = rows_of!(chunk).load(conn)?;
        receivers.extend(rows.into_iter().map(read));
    }
    Ok(receivers)
}

fn load_locked(conn: &mut Conn, ids: &[i64]) -> QueryResult<Receivers> {
    let mut receivers = Receivers::new();
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<Row> = for_update!(rows_of!(chunk)).load(conn)?;
        receivers.extend(rows.into_iter().map(read));
    }
    Ok(receivers)
}

fn read((id, failing_since, n_failures, triggered, is_active, disabled_at, url, version): Row) -> (i64, Receiver) {
    // Switched on again by hand, which leaves the other columns as they are: what was before does not
    // count, or the next failure would switch it off again.
    let is_over = is_active == Some(true) && disabled_at.is_some() && failing_since <= disabled_at;
    let failing_since = failing_since.map(|at| at.0);
    let before = WebhookHealth { failing_since, n_failures: n_failures.max(0) as u32, disabled: None };
    let after = if is_over { WebhookHealth::default() } else { before };
    let triggered = triggered.map(|at| at.0);
    let version = version.max(0) as u32;
    (id, Receiver { before, after, triggered_before: triggered, triggered, url, version })
}

fn count(receivers: &mut Receivers, batches: &[(Vec<&Attempted>, &DisableRule)]) {
    for attempted in batches.iter().flat_map(|(batch, _)| batch) {
        let row = &attempted.row;
        if let Some(known) = receivers.get_mut(&row.webhook.0) {
            if attempted.judges(&known.url, known.version) {
                known.after.note(row.response_code.is_some_and(|code| (200..300).contains(&code)), row.at);
            }
            known.triggered = known.triggered.max(Some(row.at));
        }
    }
}

fn store(conn: &mut Conn, id: i64, known: &Receiver) -> QueryResult<()> {
    let Some(triggered) = known.triggered else { return Ok(()) };
    let is_news =
        known.triggered_before.is_none_or(|before| triggered > before && triggered.since(before) >= TRIGGER_STEP);
    if is_news || known.before != known.after {
        let failing_since = known.after.failing_since.map(SqlTime);
        let n_failures = i32::try_from(known.after.n_failures).unwrap_or(i32::MAX);
        dialect::note_health(conn, id, failing_since, n_failures, SqlTime(triggered))?;
    }
    Ok(())
}

fn disable(
    conn: &mut Conn,
    columns: &WebhookColumns,
    receivers: &Receivers,
    batch: &[&Attempted],
    rule: &DisableRule,
) -> QueryResult<Vec<DisabledWebhook>> {
    // The last attempt of each decides when; a 410 among them decides why. What is about a receiver that the
    // webhook no longer has decides nothing.
    let mut ends: BTreeMap<i64, (Timestamp, bool)> = BTreeMap::new();
    let counts =
        |one: &Attempted| receivers.get(&one.row.webhook.0).is_some_and(|known| one.judges(&known.url, known.version));
    for attempted in batch.iter().filter(|one| counts(one)) {
        let end = ends.entry(attempted.row.webhook.0).or_insert((attempted.row.at, false));
        *end = (end.0.max(attempted.row.at), end.1 || attempted.disposition == Disposition::Gone);
    }
    let mut disabled = Vec::new();
    for (id, (at, is_gone)) in ends {
        let is_hopeless = receivers.get(&id).is_some_and(|known| known.after.is_hopeless(rule, at));
        if is_gone || is_hopeless {
            let reason = if is_gone { DisableReason::Gone } else { DisableReason::Failing };
            let webhook = registrations::disable(conn, columns, WebhookId(id), reason, at)?;
            disabled.extend(webhook.map(|webhook| DisabledWebhook { webhook, reason }));
        }
    }
    Ok(disabled)
}
