//! Deliveries between lease and end: giving back, cancelling, the backlog.

use diesel::prelude::*;
use hookswitch_protocol::{NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Backlog, DueWebhook, Lease};

use super::dialect::{self, CHUNK, Conn, is_due, is_leased, skip_locked};
use crate::schema::webhook_deliveries as deliveries;

/// Why a delivery was cancelled: its webhook was deleted.
pub(crate) const DELETED: &str = "webhook deleted";
/// Why a delivery was cancelled: its webhook was switched off.
pub(crate) const SWITCHED_OFF: &str = "webhook switched off";

/// Most deliveries cancelled by one call, so that a webhook with a million of them does not hold the
/// writer for seconds.
pub(crate) const CANCEL_LIMIT: i64 = 10_000;

/// Cancels a webhook's waiting deliveries that are due by `due_by`, oldest first, within the limit.
pub(crate) fn cancel(
    conn: &mut Conn,
    webhook: WebhookId,
    due_by: i64,
    now: Timestamp,
    reason: &str,
) -> QueryResult<usize> {
    let waiting = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq_any([false, true]))
        .filter(deliveries::due_at.le(due_by))
        .limit(CANCEL_LIMIT)
        .select(deliveries::id);
    // What another node leases at this moment ends there, or is cancelled by the next lease.
    let ids: Vec<i64> = skip_locked!(waiting).load(conn)?;
    for chunk in ids.chunks(CHUNK) {
        diesel::update(deliveries::table.filter(deliveries::id.eq_any(chunk)))
            .set((
                deliveries::state.eq("cancelled"),
                deliveries::ended_at.eq(now.as_millis()),
                deliveries::reason.eq(reason),
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
    for lease in leases {
        let held = deliveries::table
            .find(lease.number)
            .filter(deliveries::state.eq("leased").and(deliveries::fence.eq(lease.fence)));
        diesel::update(held).set(waiting_again!()).execute(conn)?;
    }
    Ok(())
}

pub(crate) fn sweep(conn: &mut Conn, now: Timestamp) -> QueryResult<u64> {
    let ran_out = deliveries::table
        .filter(is_leased())
        .filter(deliveries::lease_until.lt(now.as_millis()))
        .select(deliveries::id);
    let ids: Vec<i64> = skip_locked!(ran_out).load(conn)?;
    Ok(wait_again(conn, &ids)? as u64)
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
