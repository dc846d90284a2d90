//! Deliveries between lease and end: giving back, cancelling, the backlog.

use diesel::prelude::*;
use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Backlog, DueWebhook, Lease};

use crate::dialect::{self, CHUNK, Conn, is_due, is_leased};
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
    let ids: Vec<i64> = deliveries::table
        .filter(is_due())
        .filter(deliveries::webhook_id.eq(webhook.0))
        .filter(deliveries::is_retry.eq_any([false, true]))
        .filter(deliveries::due_at.le(due_by))
        .limit(CANCEL_LIMIT)
        .select(deliveries::id)
        .load(conn)?;
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
    let ran_out = deliveries::table.filter(is_leased()).filter(deliveries::lease_until.lt(now.as_millis()));
    let n_rows = diesel::update(ran_out).set(waiting_again!()).execute(conn)?;
    Ok(n_rows as u64)
}

/// Every lease: the file belongs to one process, so whoever held one is this process or dead.
pub(crate) fn reclaim(conn: &mut Conn) -> QueryResult<u64> {
    let n_rows = diesel::update(deliveries::table.filter(is_leased())).set(waiting_again!()).execute(conn)?;
    Ok(n_rows as u64)
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
