//! Deliveries made due again: in bounded steps, in a task that outlives its caller.

use std::sync::Arc;

use hookswitch_protocol::{Chain, TenantId, Timestamp, WebhookId};

use crate::directory::WebhookChange;
use crate::error::WebhookError;
use crate::ledger::{Requeue, Requeued};
use crate::registrations::Enabled;
use crate::webhooks::Inner;

/// Deliveries made due in one ledger call, so that no call holds up publishing for long.
const STEP: u32 = 1_000;

/// Steps of one resend; what is left after them, its caller is told of.
const MAX_STEPS: u64 = 100;

/// After so many readings of the directory every node knows of a change.
const LATE_ROUNDS: u32 = 5;

/// What a resend did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resent {
    /// Deliveries made due again.
    pub n_queued: u64,
    /// Whether it stopped at its limit, or at the node's end, with more to do.
    pub has_more: bool,
}

/// Makes due again what `which` says, and waits for it.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    tenant: &TenantId,
    webhook: WebhookId,
    which: Requeue,
) -> Result<Resent, WebhookError> {
    let permit = Arc::clone(&inner.resends).try_acquire_owned().map_err(|_| WebhookError::TooManyResends)?;
    let task = inner.scope.spawn_contained("webhook resend", {
        let (inner, tenant) = (Arc::clone(inner), tenant.clone());
        async move {
            let _permit = permit;
            requeue(&inner, &tenant, webhook, which).await
        }
    });
    task.await.ok().flatten().unwrap_or(Err(WebhookError::Stopping))
}

/// Switches on, then makes due again what was missed: now, and a little later once more.
pub(crate) async fn enable(
    inner: &Arc<Inner>,
    tenant: &TenantId,
    id: WebhookId,
    missed_since: Option<Timestamp>,
) -> Result<Enabled, WebhookError> {
    let task = inner.scope.spawn_contained("webhook enable", {
        let (inner, tenant) = (Arc::clone(inner), tenant.clone());
        async move {
            let on = WebhookChange { is_active: Some(true), ..WebhookChange::default() };
            let updated = inner.seams.directory.update(&tenant, id, on).await?;
            let webhook = updated.ok_or(WebhookError::NotFound { id })?;
            inner.table.put(&webhook);
            let Some(since) = missed_since else { return Ok(Enabled { webhook, missed: Resent::default() }) };
            let late = requeue_late(Arc::clone(&inner), tenant.clone(), id, Requeue::MissedSince(since));
            inner.scope.spawn_contained("webhook missed late", late);
            let missed = run(&inner, &tenant, id, Requeue::MissedSince(since)).await?;
            Ok(Enabled { webhook, missed })
        }
    });
    task.await.ok().flatten().unwrap_or(Err(WebhookError::Stopping))
}

/// Once more, for what other nodes let it miss that had not heard yet that it is on, and for what was
/// on its way into the ledger.
async fn requeue_late(inner: Arc<Inner>, tenant: TenantId, webhook: WebhookId, which: Requeue) {
    tokio::select! {
        () = tokio::time::sleep(inner.table_interval * LATE_ROUNDS) => {}
        () = inner.scope.soft().cancelled() => return,
    }
    let Ok(_permit) = Arc::clone(&inner.resends).acquire_owned().await else { return };
    if inner.table.is_active(&tenant, webhook)
        && let Err(error) = requeue(&inner, &tenant, webhook, which).await
    {
        tracing::warn!(%tenant, %webhook, error = %Chain(&error), "what was missed at the last moment stays missed");
    }
}

async fn requeue(inner: &Inner, tenant: &TenantId, webhook: WebhookId, which: Requeue) -> Result<Resent, WebhookError> {
    let mut resent = Resent { n_queued: 0, has_more: true };
    let outcome = requeue_steps(inner, webhook, &which, &mut resent).await;
    inner.counters.resent.add(resent.n_queued);
    if resent.n_queued > 0 {
        tracing::info!(%tenant, %webhook, ?which, n_queued = resent.n_queued, "deliveries are due again");
        inner.inbox.work_arrived(&[(tenant.clone(), vec![webhook])]);
    }
    outcome.map(|()| resent)
}

async fn requeue_steps(
    inner: &Inner,
    webhook: WebhookId,
    which: &Requeue,
    resent: &mut Resent,
) -> Result<(), WebhookError> {
    // One moment for all steps: what is sent and fails meanwhile must not come around again in this
    // very loop.
    let now = inner.clock.now();
    for _ in 0..MAX_STEPS {
        if inner.scope.soft().is_cancelled() {
            return Ok(());
        }
        let Requeued { n_due, is_under_way } = inner.seams.ledger.requeue(webhook, which.clone(), now, STEP).await?;
        resent.n_queued += n_due;
        if let Requeue::One(delivery) = which {
            resent.has_more = false;
            return match (n_due, is_under_way) {
                (0, true) => Err(WebhookError::UnderWay { delivery: delivery.clone() }),
                (0, false) => Err(WebhookError::DeliveryNotFound { delivery: delivery.clone() }),
                _ => Ok(()),
            };
        }
        if n_due < u64::from(STEP) {
            resent.has_more = false;
            return Ok(());
        }
    }
    Ok(())
}
