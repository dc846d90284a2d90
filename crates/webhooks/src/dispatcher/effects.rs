//! What follows from what the dispatcher decided, for everybody else: logged, counted, written, announced.

use std::sync::Arc;

use hookswitch_protocol::{Chain, TenantId, Timestamp, WebhookId};
use tokio::time::Instant;

use super::breaker::BreakerTransition;
use crate::context::Context;
use crate::seams::attempt_log::{SkipReason, SkipRow};
use crate::seams::ledger::DisabledWebhook;

/// Keeps, logs and counts a breaker's transition.
pub(super) fn record_transition(
    context: &Arc<Context>,
    tenant: &TenantId,
    webhook: WebhookId,
    transition: BreakerTransition,
) {
    let now = context.clock.now();
    let at = |until: Instant| now.after(until.saturating_duration_since(Instant::now()));
    let until = match transition {
        BreakerTransition::Opened { until } => {
            tracing::warn!(%tenant, %webhook, until = %at(until), "a webhook's receiver only fails, its breaker opened");
            context.metrics.counters.breaker_opened.inc();
            log_opening(context, webhook, now);
            Some(at(until))
        }
        BreakerTransition::StaysOpen { until } => {
            tracing::info!(%tenant, %webhook, until = %at(until), "a webhook's receiver still fails, its breaker stays open");
            Some(at(until))
        }
        BreakerTransition::Closed => {
            tracing::info!(%tenant, %webhook, "a webhook's receiver is back, its breaker closed");
            None
        }
        BreakerTransition::Forgotten => None,
    };
    context.breakers.set(webhook, until);
}

/// Writes the one skip row of an opening, in a task: the scheduler waits for no database.
fn log_opening(context: &Arc<Context>, webhook: WebhookId, at: Timestamp) {
    let row = SkipRow { webhook, delivery: None, event_type: None, reason: SkipReason::BreakerOpen, at };
    let log = Arc::clone(&context.seams.log);
    context.scope.spawn_contained("webhook breaker row", async move {
        if let Err(error) = log.append_skip(row).await {
            tracing::warn!(%webhook, error = %Chain(&error), "the opening of a breaker is not in the log");
        }
    });
}

/// A call of ours has switched this webhook off: it matches nothing from here on, and its
/// subscribers get a notice.
pub(super) fn announce_disabled(context: &Context, disabled: &DisabledWebhook) {
    let DisabledWebhook { webhook, reason } = disabled;
    tracing::warn!(tenant = %webhook.tenant, webhook = %webhook.id, reason = reason.label(), "a webhook was switched off");
    context.metrics.counters.disabled.inc();
    context.table.put(webhook);
    context.inbox.changed(webhook.id);
    let n_missed = context.disabled_notices.send(disabled);
    if n_missed > 0 {
        tracing::warn!(webhook = %webhook.id, n_missed, "subscribers miss that a webhook was switched off");
        context.metrics.counters.disabled_news_dropped.inc_by(n_missed);
    }
}

/// The same some time after it happened.
pub(super) fn announce_late(context: &Context, disabled: &DisabledWebhook) {
    announce_disabled(context, disabled);
    // Somebody may have changed the webhook since: what the table has now is not the last word.
    context.table.read_again();
}
