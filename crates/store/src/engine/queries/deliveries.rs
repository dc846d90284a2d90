//! Deliveries between lease and end: giving back, ending without an attempt, the backlog.

use std::collections::HashSet;
use std::sync::Mutex;

use diesel::prelude::*;
use hookswitch_protocol::{NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Backlog, DueWebhook, Lease, SkipReason, Sweep, Swept};

use super::dialect::{self, CHUNK, Conn, NodeLiveness, for_update, skip_locked};
use super::skips;
use crate::ended_nodes::EndedNodes;
use crate::literals::{is_due, is_leased};
use crate::schema::{webhook_deliveries as deliveries, webhooks};

/// How a delivery ends that is not attempted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    state: &'static str,
    reason: SkipReason,
}

/// Its webhook was deleted.
pub(crate) const DELETED: End = End { state: "cancelled", reason: SkipReason::Deleted };
/// Its webhook was switched off; it can be made due again.
pub(crate) const MISSED: End = End { state: "missed", reason: SkipReason::Disabled };
/// It is too late for it.
pub(crate) const EXPIRED: End = End { state: "expired", reason: SkipReason::Expired };

/// Most deliveries ended by a call that does something else, which others wait for. The rest is a chore's.
pub(crate) const END_BESIDE: i64 = 10;

/// Ends what a webhook must not be sent any more, up to `limit`; how many. None that may be sent is ended.
pub(crate) fn end_unsendable(conn: &mut Conn, webhook: WebhookId, now: Timestamp, limit: i64) -> QueryResult<usize> {
    match is_active(conn, webhook)? {
        None => end_waiting(conn, webhook, i64::MAX, DELETED, now, limit),
        // What is due later may find it switched on again.
        Some(false) => end_waiting(conn, webhook, now.as_millis(), MISSED, now, limit),
        // Where its row cannot be read (a seal that no key opens), everything waits until it can.
        Some(true) => expire(conn, webhook, now, limit),
    }
}

/// Whether a webhook exists, and if so whether it is switched on.
fn is_active(conn: &mut Conn, id: WebhookId) -> QueryResult<Option<bool>> {
    let row = webhooks::table.find(id.0).filter(webhooks::deleted_at.is_null()).select(webhooks::is_active);
    let found: Option<Option<bool>> = row.first(conn).optional()?;
    Ok(found.map(|is_active| is_active.unwrap_or(false)))
}

/// Ends a webhook's waiting deliveries that are due by `due_by`, oldest first, up to `limit`; how many.
pub(crate) fn end_waiting(
    conn: &mut Conn,
    webhook: WebhookId,
    due_by: i64,
    end: End,
    now: Timestamp,
    limit: i64,
) -> QueryResult<usize> {
    let waiting = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq_any([false, true]))
        .filter(deliveries::due_at.le(due_by))
        .limit(limit)
        .select(deliveries::id);
    // What another node leases at this moment ends there, or is ended by the next lease.
    let ids: Vec<i64> = skip_locked!(waiting).load(conn)?;
    end_these(conn, &ids, end, now)
}

/// Ends what is too late among the first `limit` that are due, of first attempts and of retries; how many.
/// Those behind are looked at when they come first: nobody walks over a backlog to find them.
fn expire(conn: &mut Conn, webhook: WebhookId, now: Timestamp, limit: i64) -> QueryResult<usize> {
    let mut n_ended = 0;
    for is_retry in [false, true] {
        let first: Vec<(i64, Option<i64>)> = deliveries::table
            .filter(is_due())
            .filter(deliveries::webhook_id.eq(webhook.0))
            .filter(deliveries::is_retry.eq(is_retry))
            .filter(deliveries::due_at.le(now.as_millis()))
            .order((deliveries::due_at.asc(), deliveries::id.asc()))
            .limit(limit)
            .select((deliveries::id, deliveries::expires_at))
            .load(conn)?;
        let is_late = |(_, expires_at): &(i64, Option<i64>)| expires_at.is_some_and(|at| at < now.as_millis());
        let late: Vec<i64> = first.into_iter().filter(is_late).map(|(id, _)| id).collect();
        n_ended += end_late(conn, &late, now)?;
    }
    Ok(n_ended)
}

/// Ends these as expired, but those that are not due any more or that another node is about to end; how many.
pub(crate) fn end_late(conn: &mut Conn, ids: &[i64], now: Timestamp) -> QueryResult<usize> {
    let mut n_ended = 0;
    for chunk in ids.chunks(CHUNK) {
        let due = deliveries::table.filter(deliveries::id.eq_any(chunk)).filter(is_due()).select(deliveries::id);
        let due: Vec<i64> = skip_locked!(due).load(conn)?;
        n_ended += end_these(conn, &due, EXPIRED, now)?;
    }
    Ok(n_ended)
}

fn end_these(conn: &mut Conn, ids: &[i64], end: End, now: Timestamp) -> QueryResult<usize> {
    for chunk in ids.chunks(CHUNK) {
        skips::of_deliveries(conn, chunk, end.reason, now)?;
        diesel::update(deliveries::table.filter(deliveries::id.eq_any(chunk)))
            .set((
                deliveries::state.eq(end.state),
                // In the order in which a requeue wants them.
                deliveries::is_retry.eq(false),
                deliveries::due_at.eq(deliveries::created_at),
                deliveries::ended_at.eq(now.as_millis()),
                deliveries::reason.eq(end.reason.label()),
            ))
            .execute(conn)?;
    }
    Ok(ids.len())
}

/// The columns of a delivery that waits again.
macro_rules! waiting_again {
    () => {
        (
            deliveries::state.eq("due"),
            deliveries::lease_owner.eq(None::<String>),
            deliveries::lease_until.eq(None::<i64>),
        )
    };
}

pub(crate) fn give_back(conn: &mut Conn, leases: &[Lease]) -> QueryResult<()> {
    for chunk in leases.chunks(CHUNK) {
        let leased = deliveries::table
            .filter(deliveries::id.eq_any(chunk.iter().map(|lease| lease.number)))
            .filter(deliveries::state.eq("leased"))
            .select((deliveries::id, deliveries::fence));
        let held: HashSet<(i64, i64)> = for_update!(leased).load(conn)?.into_iter().collect();
        let ours = chunk.iter().map(|lease| (lease.number, lease.fence)).filter(|lease| held.contains(lease));
        let ids: Vec<i64> = ours.map(|(number, _)| number).collect();
        wait_again(conn, &ids)?;
    }
    Ok(())
}

/// Says that `sweep.by` lives, and gives back what ran out and what the dead hold.
pub(crate) fn sweep(conn: &mut Conn, sweep: &Sweep, seen: &Mutex<NodeLiveness>) -> QueryResult<Swept> {
    let now = sweep.now.as_millis();
    let nodes = dialect::heartbeat(conn, sweep, seen)?;
    let n_nodes = 1 + nodes.alive.len() as u32;
    // Whoever lives sees to his own leases, by his own clock.
    let ran_out = deliveries::table
        .filter(is_leased())
        .filter(deliveries::lease_until.lt(now))
        .filter(deliveries::lease_owner.is_null().or(deliveries::lease_owner.ne_all(nodes.alive)))
        .select(deliveries::id);
    let mut ids: Vec<i64> = skip_locked!(ran_out).load(conn)?;
    if !nodes.dead.is_empty() {
        let orphaned = deliveries::table
            .filter(is_leased())
            .filter(deliveries::lease_until.ge(now))
            .filter(deliveries::lease_owner.eq_any(nodes.dead))
            .select(deliveries::id);
        let orphaned: Vec<i64> = skip_locked!(orphaned).load(conn)?;
        ids.extend(orphaned);
    }
    Ok(Swept { n_leases: wait_again(conn, &ids)? as u64, n_nodes })
}

/// The leases of a node's former self, and of others that have certainly ended; where the database belongs to
/// one process, every lease.
pub(crate) fn reclaim(conn: &mut Conn, node: &NodeId, ended: &EndedNodes) -> QueryResult<u64> {
    let leased = deliveries::table.filter(is_leased()).select(deliveries::id);
    let ids: Vec<i64> = match dialect::reclaims_from(node) {
        None => leased.load(conn)?,
        Some(own) => {
            let owners = deliveries::table.filter(is_leased()).select(deliveries::lease_owner).distinct();
            let owners: Vec<Option<String>> = owners.load(conn)?;
            let gone: Vec<String> =
                owners.into_iter().flatten().filter(|owner| owner == own || ended.contain(owner)).collect();
            skip_locked!(leased.filter(deliveries::lease_owner.eq_any(gone))).load(conn)?
        }
    };
    Ok(wait_again(conn, &ids)? as u64)
}

fn wait_again(conn: &mut Conn, ids: &[i64]) -> QueryResult<usize> {
    let mut n_rows = 0;
    for chunk in ids.chunks(CHUNK) {
        n_rows += diesel::update(deliveries::table.filter(deliveries::id.eq_any(chunk)))
            .set(waiting_again!())
            .execute(conn)?;
    }
    Ok(n_rows)
}

pub(crate) fn backlog(conn: &mut Conn, now: Timestamp) -> QueryResult<Backlog> {
    let mut backlog = Backlog::default();
    for row in dialect::backlog(conn, now.as_millis())? {
        let next = row.next_due.map(Timestamp::from_millis);
        backlog.next_due = [backlog.next_due, next].into_iter().flatten().min();
        let Some(tenant) = row.tenant_id.as_deref().and_then(|tenant| TenantId::parse(tenant).ok()) else { continue };
        let webhook = WebhookId(row.webhook_id);
        // Rows come ordered by webhook, first attempts before retries.
        if let Some(due) = backlog.due.last_mut().filter(|due| due.webhook == webhook) {
            due.has_retry |= row.is_retry;
        } else {
            let (has_fresh, has_retry) = (!row.is_retry, row.is_retry);
            backlog.due.push(DueWebhook { webhook, tenant, has_fresh, has_retry });
        }
    }
    Ok(backlog)
}
