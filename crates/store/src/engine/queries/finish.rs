//! Settling attempts, for many callers at once.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, Timestamp, WebhookId};
use hookswitch_webhooks::{Attempted, DisableRule, DisabledWebhook, Disposition, Finished, Settled};

use super::dialect::{CHUNK, Conn, for_update};
use super::{health, logs, webhooks as registrations};
use crate::schema::{webhook_deliveries as deliveries, webhook_logs};
use crate::time::SqlTime;
use crate::webhook_columns::WebhookColumns;

/// What is in force of a batch's settlement.
#[derive(Default)]
struct Settlement {
    delivered: Vec<i64>,
    failed: Vec<i64>,
    again: Vec<(i64, Timestamp)>,
    postponed: Vec<(i64, Timestamp)>,
    ended: Option<Timestamp>,
}

/// Settles every batch; one answer per batch.
pub(crate) fn finish(
    conn: &mut Conn,
    columns: &WebhookColumns,
    batches: &[(Arc<[Attempted]>, DisableRule)],
) -> QueryResult<Vec<Settled>> {
    finish_but(conn, columns, batches, &HashSet::new())
}

/// Settles a batch without waiting for webhooks whose rows somebody else has locked. Their deliveries end
/// too; the places of the attempts are given whose rows are still to be written, and whose they are.
pub(crate) fn finish_past_locks(
    conn: &mut Conn,
    columns: &WebhookColumns,
    batch: &Arc<[Attempted]>,
    rule: DisableRule,
) -> QueryResult<(Settled, Vec<(usize, String)>)> {
    let mut ids: Vec<i64> = batch.iter().map(|attempted| attempted.row.webhook.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let locked = registrations::locked(conn, &ids)?;
    let settled = finish_but(conn, columns, &[(Arc::clone(batch), rule)], &locked)?.pop().unwrap_or_default();
    let tenants = registrations::tenants(conn, &locked)?;
    let owed = batch.iter().enumerate().filter(|(_, one)| locked.contains(&one.row.webhook.0));
    let tenant = |one: &Attempted| tenants.get(&one.row.webhook.0).cloned().unwrap_or_default();
    Ok((settled, owed.map(|(place, one)| (place, tenant(one))).collect()))
}

/// Writes what a webhook's settled attempts owe its row and the log, and gives whom that has switched off; `None`
/// while that row is locked, unless `waits` for it.
pub(crate) fn log_owed(
    conn: &mut Conn,
    columns: &WebhookColumns,
    (webhook, waits): (WebhookId, bool),
    attempts: &[Attempted],
    rule: DisableRule,
) -> QueryResult<Option<Vec<DisabledWebhook>>> {
    if waits {
        registrations::lock(conn, webhook)?;
    } else if !registrations::locked(conn, &[webhook.0])?.is_empty() {
        return Ok(None);
    }
    let disabled = health::note(conn, columns, &[(attempts.iter().collect(), &rule)])?;
    let rows: Vec<_> = attempts.iter().map(|attempted| &attempted.row).collect();
    logs::append(conn, &rows)?;
    Ok(Some(disabled.into_iter().flatten().collect()))
}

/// Writes neither to nor about the webhooks that are `locked`.
fn finish_but(
    conn: &mut Conn,
    columns: &WebhookColumns,
    batches: &[(Arc<[Attempted]>, DisableRule)],
    locked: &HashSet<i64>,
) -> QueryResult<Vec<Settled>> {
    let mut held = load_held(conn, batches)?;
    let settled = load_settled(conn, &held, batches)?;
    let is_settled = |one: &Attempted| made(one).is_some_and(|made| settled.contains(&made));
    let mut settlement = Settlement::default();
    let mut judge = |one| if is_settled(one) { Finished::Recorded } else { settlement.take(&mut held, one) };
    let finished: Vec<Vec<Finished>> =
        batches.iter().map(|(batch, _)| batch.iter().map(&mut judge).collect()).collect();
    let is_news = |one: &&Attempted| !is_settled(one) && !locked.contains(&one.row.webhook.0);
    let news: Vec<(Vec<&Attempted>, &DisableRule)> =
        batches.iter().map(|(batch, rule)| (batch.iter().filter(is_news).collect(), rule)).collect();
    // Before the log rows, which lock their webhooks for reading: two nodes that want more than that
    // afterwards would wait for each other.
    let disabled = health::note(conn, columns, &news)?;
    // Every attempt was made and gets its row, whoever holds the delivery now. Only a webhook whose row
    // an operator deleted by hand can have no log any more.
    let rows: Vec<_> = news.iter().flat_map(|(batch, _)| batch).map(|attempted| &attempted.row).collect();
    logs::append(conn, &rows)?;
    settlement.store(conn)?;
    Ok(finished.into_iter().zip(disabled).map(|(finished, disabled)| Settled { finished, disabled }).collect())
}

/// The fences in force of the deliveries that are leased.
fn load_held(conn: &mut Conn, batches: &[(Arc<[Attempted]>, DisableRule)]) -> QueryResult<HashMap<i64, i64>> {
    let mut numbers: Vec<i64> =
        batches.iter().flat_map(|(batch, _)| batch.iter()).map(|attempted| attempted.lease.number).collect();
    numbers.sort_unstable();
    let mut held = HashMap::with_capacity(numbers.len());
    for chunk in numbers.chunks(CHUNK) {
        let leased = deliveries::table
            .filter(deliveries::id.eq_any(chunk))
            .filter(deliveries::state.eq("leased"))
            .select((deliveries::id, deliveries::fence));
        let rows: Vec<(i64, i64)> = for_update!(leased).load(conn)?;
        held.extend(rows);
    }
    Ok(held)
}

/// What tells a made attempt from all others: delivery, number, end, answer and duration.
type Made = (Option<String>, i32, SqlTime, Option<i32>, Option<i32>);

/// `None` for an attempt of no delivery, which nothing tells from others.
fn made(Attempted { row, .. }: &Attempted) -> Option<Made> {
    let duration = i32::try_from(row.duration_ms).unwrap_or(i32::MAX);
    let delivery = row.delivery.as_ref()?.as_str().to_owned();
    let code = row.response_code.map(i32::from);
    Some((Some(delivery), row.attempt as i32, SqlTime(row.at), code, Some(duration)))
}

/// The attempts whose results are in the log already: a call whose connection broke while it was
/// committed is made again by its caller, who cannot know that all was done. Only what is not held can
/// be among them.
fn load_settled(
    conn: &mut Conn,
    held: &HashMap<i64, i64>,
    batches: &[(Arc<[Attempted]>, DisableRule)],
) -> QueryResult<HashSet<Made>> {
    let all = batches.iter().flat_map(|(batch, _)| batch.iter());
    let stale: Vec<&str> = all
        .filter(|one| held.get(&one.lease.number) != Some(&one.lease.fence))
        .filter_map(|one| one.row.delivery.as_ref().map(DeliveryId::as_str))
        .collect();
    let mut settled = HashSet::new();
    for chunk in stale.chunks(CHUNK) {
        let rows: Vec<Made> = webhook_logs::table
            .filter(webhook_logs::delivery_id.eq_any(chunk))
            .select((
                webhook_logs::delivery_id,
                webhook_logs::attempt,
                webhook_logs::created_at,
                webhook_logs::response_code,
                webhook_logs::duration_ms,
            ))
            .load(conn)?;
        settled.extend(rows);
    }
    Ok(settled)
}

impl Settlement {
    fn take(&mut self, held: &mut HashMap<i64, i64>, attempted: &Attempted) -> Finished {
        let Attempted { lease, row, disposition, .. } = attempted;
        if held.get(&lease.number) != Some(&lease.fence) {
            return Finished::LeaseLost;
        }
        held.remove(&lease.number);
        match disposition {
            Disposition::Delivered => self.delivered.push(lease.number),
            Disposition::Failed | Disposition::Gone => self.failed.push(lease.number),
            Disposition::RetryAt(at) => self.again.push((lease.number, *at)),
            Disposition::Postponed(at) => self.postponed.push((lease.number, *at)),
        }
        self.ended = self.ended.max(Some(row.at));
        Finished::Recorded
    }

    fn store(&self, conn: &mut Conn) -> QueryResult<()> {
        // One time for all that end in this transaction: the log rows hold the exact ones.
        let ended_at = self.ended.map(Timestamp::as_millis);
        for (state, numbers) in [("delivered", &self.delivered), ("failed", &self.failed)] {
            for chunk in numbers.chunks(CHUNK) {
                diesel::update(deliveries::table.filter(deliveries::id.eq_any(chunk)))
                    .set((
                        deliveries::state.eq(state),
                        deliveries::lease_owner.eq(None::<String>),
                        deliveries::lease_until.eq(None::<i64>),
                        deliveries::attempt.eq(deliveries::attempt + 1),
                        // In the order in which a requeue wants them.
                        deliveries::is_retry.eq(false),
                        deliveries::due_at.eq(deliveries::created_at),
                        deliveries::ended_at.eq(ended_at),
                    ))
                    .execute(conn)?;
            }
        }
        self.again.chunks(CHUNK).try_for_each(|chunk| due_again(conn, chunk, "is_retry = 1"))?;
        // A number of its own, and none of the retries.
        self.postponed
            .chunks(CHUNK)
            .try_for_each(|chunk| due_again(conn, chunk, "attempts_before = attempts_before + 1"))
    }
}

/// Each at its own time, in one statement. Only numbers stand in its text.
fn due_again(conn: &mut Conn, chunk: &[(i64, Timestamp)], and: &'static str) -> QueryResult<()> {
    let (mut cases, mut numbers) = (String::new(), String::new());
    for (number, at) in chunk {
        let comma = if numbers.is_empty() { "" } else { "," };
        write!(cases, " WHEN {number} THEN {}", at.as_millis()).expect("a string takes everything");
        write!(numbers, "{comma}{number}").expect("a string takes everything");
    }
    let update = format!(
        "UPDATE webhook_deliveries
         SET state = 'due', lease_owner = NULL, lease_until = NULL, attempt = attempt + 1, {and},
             due_at = CASE id{cases} END
         WHERE id IN ({numbers})"
    );
    diesel::sql_query(update).execute(conn)?;
    Ok(())
}
