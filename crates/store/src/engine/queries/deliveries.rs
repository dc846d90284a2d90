//! Deliveries between lease and end: giving back, ending without an attempt, the backlog.

use std::sync::Mutex;

use diesel::prelude::*;
use hookswitch_protocol::{NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Backlog, DueWebhook, Lease, SkipReason, Sweep, Swept};

use super::dialect::{self, CHUNK, Conn, NodeLiveness, skip_locked};
use super::skips;
use crate::literals::{is_due, is_leased};
use crate::schema::webhook_deliveries as deliveries;

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

/// Most deliveries ended by one call, so that a webhook with a million of them does not hold the
/// writer for seconds.
pub(crate) const END_LIMIT: i64 = 2_000;

/// Ends a webhook's waiting deliveries that are due by `due_by`, oldest first, within the limit.
pub(crate) fn end_waiting(
    conn: &mut Conn,
    webhook: WebhookId,
    due_by: i64,
    end: End,
    now: Timestamp,
) -> QueryResult<()> {
    let waiting = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq_any([false, true]))
        .filter(deliveries::due_at.le(due_by))
        .limit(END_LIMIT)
        .select(deliveries::id);
    // What another node leases at this moment ends there, or is ended by the next lease.
    let ids: Vec<i64> = skip_locked!(waiting).load(conn)?;
    end_these(conn, &ids, end, now)
}

/// Ends what is due and too late, within the limit.
pub(crate) fn expire(conn: &mut Conn, webhook: WebhookId, is_retry: bool, now: Timestamp) -> QueryResult<()> {
    let late = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq(is_retry))
        .filter(deliveries::due_at.le(now.as_millis()))
        .filter(deliveries::expires_at.lt(now.as_millis()))
        .limit(END_LIMIT)
        .select(deliveries::id);
    let ids: Vec<i64> = skip_locked!(late).load(conn)?;
    end_these(conn, &ids, EXPIRED, now)
}

fn end_these(conn: &mut Conn, ids: &[i64], end: End, now: Timestamp) -> QueryResult<()> {
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
    Ok(())
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
    for lease in leases {
        let held = deliveries::table
            .find(lease.number)
            .filter(deliveries::state.eq("leased").and(deliveries::fence.eq(lease.fence)));
        diesel::update(held).set(waiting_again!()).execute(conn)?;
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

/// The leases of a node's former self; where the database belongs to one process, every lease.
pub(crate) fn reclaim(conn: &mut Conn, node: &NodeId) -> QueryResult<u64> {
    let leased = deliveries::table.filter(is_leased()).select(deliveries::id);
    let ids: Vec<i64> = match dialect::reclaims_from(node) {
        None => leased.load(conn)?,
        Some(owner) => skip_locked!(leased.filter(deliveries::lease_owner.eq(owner))).load(conn)?,
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
