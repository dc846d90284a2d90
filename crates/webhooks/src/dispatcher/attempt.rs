//! One attempt: send, judge, hand over to be settled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Shared;
use super::inbox::{AttemptKind, FreedSlot, ReceiverOutcome, SchedulerInbox};
use super::scheduler::kind_of;
use super::settler::{GivenBack, MadeAttempt, Unsettled};
use crate::ledger::{Attempted, Disposition, DueWebhook, LeasedDelivery};
use hookswitch_egress::ErrorClass;

use crate::sender::AttemptOutcome;
use crate::sender::AttemptRequest;

/// Starts the attempt in a task of its own. Its slot is free once there is room for its result.
pub(super) fn start(shared: &Arc<Shared>, delivery: LeasedDelivery, ended: mpsc::Sender<Unsettled>) {
    let kind = kind_of(&delivery);
    let freed = FreedSlot { webhook: delivery.webhook.id, kind, ended: ReceiverOutcome::Unknown, took: Duration::ZERO };
    let slot = Slot { inbox: Arc::clone(&shared.inbox), freed };
    let shared = Arc::clone(shared);
    // The lease of an attempt that panics runs out, so nothing is lost with it.
    shared.scope.clone().spawn_contained("webhook attempt", run(shared, delivery, ended, slot));
}

/// A delivery that goes back unattempted.
pub(super) fn given_back(delivery: &LeasedDelivery) -> GivenBack {
    let due = due_of(delivery, kind_of(delivery));
    GivenBack { lease: delivery.lease.clone(), due }
}

async fn run(shared: Arc<Shared>, delivery: LeasedDelivery, ended: mpsc::Sender<Unsettled>, mut slot: Slot) {
    let in_flight = shared.counters.in_flight.hold();
    let outcome = tokio::select! {
        outcome = send(&shared, &delivery) => Some(outcome),
        () = shared.cut.cancelled() => None,
    };
    drop(in_flight);
    let unsettled = match outcome {
        Some(outcome) => {
            (slot.freed.ended, slot.freed.took) = (receiver_outcome(&outcome), outcome.took);
            Unsettled::Attempted(Box::new(judge(&shared, delivery, outcome)))
        }
        None => Unsettled::GivenBack(given_back(&delivery)),
    };
    shared.counters.unsettled.add(1);
    if ended.send(unsettled).await.is_err() {
        // The settler ends last but for the hard token; then the lease runs out or is reclaimed.
        shared.counters.unsettled.sub(1);
    }
}

async fn send(shared: &Shared, delivery: &LeasedDelivery) -> AttemptOutcome {
    let request = AttemptRequest {
        webhook: &delivery.webhook,
        delivery: &delivery.delivery,
        event_type: &delivery.event_type,
        attempt: delivery.attempt,
        body: delivery.body.clone(),
        now: shared.clock.now(),
    };
    shared.sender.send(request).await
}

fn judge(shared: &Shared, delivery: LeasedDelivery, outcome: AttemptOutcome) -> MadeAttempt {
    let now = shared.clock.now();
    shared.counters.attempts.add(1);
    if let Some(failure) = outcome.failure {
        shared.counters.error(failure.class());
    }
    let in_round = delivery.attempt.saturating_sub(delivery.attempts_before);
    let disposition = shared.retry_policy.disposition(&outcome, &delivery.webhook, in_round, now);
    tracing::debug!(
        tenant = %delivery.webhook.tenant, webhook = %delivery.webhook.id, delivery = %delivery.delivery,
        attempt = delivery.attempt, status = outcome.status, failure = ?outcome.failure, ?disposition, "webhook attempt"
    );
    let ends_its_turn =
        delivery.webhook.options.ordered_by.is_some() && !matches!(disposition, Disposition::RetryAt(_));
    let next = ends_its_turn.then(|| due_of(&delivery, AttemptKind::Fresh));
    let LeasedDelivery { lease, delivery: id, webhook, event_type, body, attempt, .. } = delivery;
    let row = outcome.into_row(webhook.id, id, event_type, body, attempt, now);
    MadeAttempt { attempted: Attempted { lease, row, disposition }, next }
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
    inbox: Arc<SchedulerInbox>,
    freed: FreedSlot,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.inbox.slot_freed(self.freed);
    }
}
