//! One attempt: send, judge, hand over to be settled.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_egress::ErrorClass;
use hookswitch_protocol::{TenantId, Timestamp};
use hookswitch_runtime::FairPermit;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::inbox::{AttemptKind, FreedSlot, ReceiverOutcome};
use super::scheduler::kind_of;
use super::settler::{GivenBack, MadeAttempt, Unsettled};
use crate::context::Context;
use crate::options::RetryProfile;
use crate::receiver_version::ReceiverVersion;
use crate::retry_policy::retry_delay;
use crate::seams::ledger::{Attempted, Disposition, DueWebhook, LeasedDelivery};
use crate::sender::{AttemptOutcome, AttemptRequest};

/// The longest wait after a fault of ours.
const MOST_POSTPONED_BY: Duration = Duration::from_mins(5);

/// So many faults of ours, about eight hours of them, are no outage: from then on retries are used up.
const MOST_POSTPONEMENTS: u32 = 100;

/// Starts the attempt in a task of its own. Its slot is free once there is room for its result.
pub(super) fn start(context: &Arc<Context>, delivery: LeasedDelivery, ended: mpsc::Sender<Unsettled>) {
    let kind = kind_of(&delivery);
    let freed = FreedSlot {
        webhook: delivery.webhook.id,
        kind,
        ended: ReceiverOutcome::Unknown,
        took: Duration::ZERO,
        receiver: ReceiverVersion::of(&delivery.webhook),
        n_bytes: delivery.body.len(),
    };
    let slot = Slot { context: Arc::clone(context), freed };
    let context = Arc::clone(context);
    // The lease of an attempt that panics runs out, so nothing is lost with it.
    context.scope.clone().spawn_contained("webhook attempt", run(context, delivery, ended, slot));
}

/// A delivery that goes back unattempted.
pub(super) fn given_back(delivery: &LeasedDelivery) -> GivenBack {
    let due = due_of(delivery, kind_of(delivery));
    GivenBack { lease: delivery.lease.clone(), due }
}

async fn run(context: Arc<Context>, delivery: LeasedDelivery, ended: mpsc::Sender<Unsettled>, mut slot: Slot) {
    let in_flight = context.metrics.in_flight.hold();
    let tenant = delivery.webhook.tenant.clone();
    let started = Instant::now();
    let outcome = tokio::select! {
        outcome = send(&context, &delivery) => Some(outcome),
        () = context.cut.cancelled() => None,
    };
    drop(in_flight);
    let mut made = match outcome {
        Some(outcome) => {
            (slot.freed.ended, slot.freed.took) = (receiver_outcome(&outcome), outcome.took);
            judge(&context, delivery, outcome)
        }
        None => cut_off(&context, delivery, started.elapsed()),
    };
    context.metrics.unsettled.add(1);
    made.room = room_for(&context, &tenant, made.weight() as u64).await;
    let unsettled = Unsettled::Attempted(Box::new(made));
    if ended.send(unsettled).await.is_err() {
        // The settler ends last but for the hard token; then the lease runs out or is reclaimed.
        context.metrics.unsettled.sub(1);
    }
}

/// Waits until there is room for so many bytes of a result. Nobody is refused: how many wait is bounded by the
/// slots they keep.
async fn room_for(context: &Context, tenant: &TenantId, n_bytes: u64) -> Option<FairPermit<TenantId>> {
    match context.results.try_acquire(tenant, n_bytes) {
        Some(room) => Some(room),
        None => context.results.acquire(tenant, n_bytes).await.ok(),
    }
}

async fn send(context: &Context, delivery: &LeasedDelivery) -> AttemptOutcome {
    let request = AttemptRequest {
        webhook: &delivery.webhook,
        delivery: &delivery.delivery,
        event_type: &delivery.event_type,
        attempt: delivery.attempt,
        body: delivery.body.clone(),
        now: context.clock.now(),
    };
    context.sender.send(request).await
}

fn judge(context: &Context, delivery: LeasedDelivery, outcome: AttemptOutcome) -> MadeAttempt {
    let now = context.clock.now();
    context.metrics.counters.attempts.inc();
    if let Some(failure) = outcome.failure {
        context.metrics.error(failure.class());
    }
    let in_round = delivery.attempt.saturating_sub(delivery.attempts_before);
    let disposition = context.retry_policy.disposition(&outcome, &delivery.webhook, in_round, now);
    let disposition = match disposition {
        Disposition::RetryAt(_) | Disposition::Failed if outcome.is_ours => {
            postponed(&delivery, now).unwrap_or(disposition)
        }
        _ => disposition,
    };
    tracing::debug!(
        tenant = %delivery.webhook.tenant, webhook = %delivery.webhook.id, delivery = %delivery.delivery,
        attempt = delivery.attempt, status = outcome.status, failure = ?outcome.failure, ?disposition, "webhook attempt"
    );
    let judged = (!outcome.is_ours).then(|| Arc::clone(&delivery.webhook));
    let ends_its_turn = delivery.webhook.options.ordered_by.is_some()
        && !matches!(disposition, Disposition::RetryAt(_) | Disposition::Postponed(_));
    let next = ends_its_turn.then(|| due_of(&delivery, AttemptKind::Fresh));
    let LeasedDelivery { lease, delivery: id, webhook, event_type, body, attempt, .. } = delivery;
    let row = outcome.into_row(webhook.id, id, event_type, body, attempt, now);
    MadeAttempt { attempted: Attempted { lease, row, disposition, judged }, next, room: None }
}

/// A fault of ours uses up no retries: it is tried again, later and later, until it is more than an outage.
fn postponed(delivery: &LeasedDelivery, now: Timestamp) -> Option<Disposition> {
    let delay = retry_delay(RetryProfile::Standard, delivery.attempt, 0.0).min(MOST_POSTPONED_BY);
    (delivery.attempts_before < MOST_POSTPONEMENTS).then(|| Disposition::Postponed(now.after(delay)))
}

/// The attempt was made, and a shutdown did not let it have its answer: it is a row, and due again.
fn cut_off(context: &Context, delivery: LeasedDelivery, took: Duration) -> MadeAttempt {
    context.metrics.counters.attempts.inc();
    let next = Some(due_of(&delivery, kind_of(&delivery)));
    let now = context.clock.now();
    let disposition = Disposition::Postponed(now);
    let LeasedDelivery { lease, delivery: id, webhook, event_type, body, attempt, .. } = delivery;
    let outcome = AttemptOutcome { took, ..AttemptOutcome::default() };
    let row = outcome.into_row(webhook.id, id, event_type, body, attempt, now).cut_off();
    MadeAttempt { attempted: Attempted { lease, row, disposition, judged: None }, next, room: None }
}

fn due_of(delivery: &LeasedDelivery, kind: AttemptKind) -> DueWebhook {
    DueWebhook {
        webhook: delivery.webhook.id,
        tenant: delivery.webhook.tenant.clone(),
        has_fresh: kind == AttemptKind::Fresh,
        has_retry: kind == AttemptKind::Retry,
    }
}

/// What the end says about the receiver, for its slots and its breaker.
fn receiver_outcome(outcome: &AttemptOutcome) -> ReceiverOutcome {
    if outcome.is_ours {
        return ReceiverOutcome::Unknown;
    }
    match (outcome.status, outcome.failure.map(|failure| failure.class())) {
        (Some(200..=299), Some(ErrorClass::Timeout)) => ReceiverOutcome::Slowly,
        (_, Some(ErrorClass::Timeout)) => ReceiverOutcome::TimedOut,
        (Some(429 | 500..=599), _) => ReceiverOutcome::Badly,
        (Some(_), _) => ReceiverOutcome::Well,
        // Our own rules, or the row: nothing was sent.
        (None, Some(ErrorClass::AddressBlocked | ErrorClass::InvalidUrl)) => ReceiverOutcome::Unknown,
        (None, _) => ReceiverOutcome::Badly,
    }
}

/// Frees its slot when dropped, however the attempt ends.
struct Slot {
    context: Arc<Context>,
    freed: FreedSlot,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.context.inbox.slot_freed(self.freed);
    }
}
