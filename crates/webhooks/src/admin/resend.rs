//! Deliveries made due again: in bounded steps, in a task that outlives its caller.

use std::sync::Arc;

use hookswitch_protocol::{Chain, TenantId, Timestamp, WebhookId};

use crate::context::Context;
use crate::error::WebhookError;
use crate::seams::directory::{Webhook, WebhookChange};
use crate::seams::ledger::{Requeue, Requeued};

/// Deliveries made due in one ledger call, so that no call holds up publishing for long, not even several
/// in one transaction.
const STEP: u32 = 250;

/// Steps of one resend; what is left after them, its caller is told of.
const MAX_STEPS: u64 = 400;

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

/// A webhook that was just switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    /// As it is now.
    pub webhook: Webhook,
    /// What it had missed and gets now.
    pub missed: Resent,
}

/// Makes due again what `which` says, and waits for it.
pub(crate) async fn run(
    context: &Arc<Context>,
    tenant: &TenantId,
    webhook: WebhookId,
    which: Requeue,
) -> Result<Resent, WebhookError> {
    let permit = context.resends.try_acquire(tenant, 1).ok_or(WebhookError::TooManyResends)?;
    let task = context.scope.spawn_contained("webhook resend", {
        let (context, tenant) = (Arc::clone(context), tenant.clone());
        async move {
            let _permit = permit;
            requeue(&context, &tenant, webhook, which).await
        }
    });
    task.await.ok().flatten().unwrap_or(Err(WebhookError::Stopping))
}

/// Switches on, then makes due again what was missed: now, and a little later once more.
pub(crate) async fn enable(
    context: &Arc<Context>,
    tenant: &TenantId,
    id: WebhookId,
    missed_since: Option<Timestamp>,
) -> Result<Enabled, WebhookError> {
    let task = context.scope.spawn_contained("webhook enable", {
        let (context, tenant) = (Arc::clone(context), tenant.clone());
        async move {
            let on = WebhookChange { is_active: Some(true), ..WebhookChange::default() };
            let updated = context.seams.directory.update(&tenant, id, on).await?;
            let webhook = updated.ok_or(WebhookError::NotFound { id })?;
            context.table.put(&webhook);
            context.inbox.changed(id);
            let Some(since) = missed_since else { return Ok(Enabled { webhook, missed: Resent::default() }) };
            let late = requeue_late(Arc::clone(&context), tenant.clone(), id, Requeue::MissedSince(since));
            context.scope.spawn_contained("webhook missed late", late);
            let missed = run(&context, &tenant, id, Requeue::MissedSince(since)).await?;
            Ok(Enabled { webhook, missed })
        }
    });
    task.await.ok().flatten().unwrap_or(Err(WebhookError::Stopping))
}

/// Once more, for what other nodes let it miss that had not heard yet that it is on, and for what was
/// on its way into the ledger.
async fn requeue_late(context: Arc<Context>, tenant: TenantId, webhook: WebhookId, which: Requeue) {
    tokio::select! {
        () = tokio::time::sleep(context.config.table_interval * LATE_ROUNDS) => {}
        () = context.scope.soft().cancelled() => return,
    }
    let Ok(_permit) = context.resends.acquire(&tenant, 1).await else {
        tracing::warn!(%tenant, %webhook, "what was missed at the last moment stays missed, too many resends wait");
        return;
    };
    if context.table.is_active(&tenant, webhook)
        && let Err(error) = requeue(&context, &tenant, webhook, which).await
    {
        tracing::warn!(%tenant, %webhook, error = %Chain(&error), "what was missed at the last moment stays missed");
    }
}

async fn requeue(
    context: &Context,
    tenant: &TenantId,
    webhook: WebhookId,
    which: Requeue,
) -> Result<Resent, WebhookError> {
    let mut resent = Resent { n_queued: 0, has_more: true };
    let outcome = requeue_steps(context, webhook, &which, &mut resent).await;
    context.metrics.counters.resent.inc_by(resent.n_queued);
    if resent.n_queued > 0 {
        tracing::info!(%tenant, %webhook, ?which, n_queued = resent.n_queued, "deliveries are due again");
        context.inbox.work_arrived(&[(tenant.clone(), vec![webhook])]);
    }
    outcome.map(|()| resent)
}

async fn requeue_steps(
    context: &Context,
    webhook: WebhookId,
    which: &Requeue,
    resent: &mut Resent,
) -> Result<(), WebhookError> {
    // One moment for all steps: what is sent and fails meanwhile must not come around again in this
    // very loop.
    let now = context.clock.now();
    for _ in 0..MAX_STEPS {
        if context.scope.soft().is_cancelled() {
            return Ok(());
        }
        let Requeued { n_due, is_under_way } = context.seams.ledger.requeue(webhook, which.clone(), now, STEP).await?;
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
