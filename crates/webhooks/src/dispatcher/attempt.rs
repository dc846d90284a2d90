//! One attempt: send, judge, hand over to be settled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Shared;
use super::agenda::{Agenda, Ended, Freed, Kind};
use super::lanes::kind_of;
use super::settler::{Ending, GivenBack, Made};
use crate::ledger::{Attempted, DueWebhook, LeasedDelivery, Verdict};
use crate::outcome::{AttemptOutcome, ErrorClass};
use crate::sender::AttemptRequest;

/// Starts the attempt in a task of its own. Its slot is free once there is room for its result.
pub(super) fn start(shared: &Arc<Shared>, delivery: LeasedDelivery, ended: mpsc::Sender<Ending>) {
    let kind = kind_of(&delivery);
    let freed = Freed { webhook: delivery.webhook.id, kind, ended: Ended::Unknown, took: Duration::ZERO };
    let slot = Slot { agenda: Arc::clone(&shared.agenda), freed };
    let shared = Arc::clone(shared);
    // The lease of an attempt that panics runs out, so nothing is lost with it.
    shared.scope.clone().spawn_contained("webhook attempt", run(shared, delivery, ended, slot));
}

/// A delivery that goes back unattempted.
pub(super) fn given_back(delivery: &LeasedDelivery) -> GivenBack {
    let due = due_of(delivery, kind_of(delivery));
    GivenBack { lease: delivery.lease.clone(), due }
}

async fn run(shared: Arc<Shared>, delivery: LeasedDelivery, ended: mpsc::Sender<Ending>, mut slot: Slot) {
    let in_flight = shared.counters.in_flight.hold();
    let outcome = tokio::select! {
        outcome = send(&shared, &delivery) => Some(outcome),
        () = shared.cut.cancelled() => None,
    };
    drop(in_flight);
    let ending = match outcome {
        Some(outcome) => {
            (slot.freed.ended, slot.freed.took) = (verdict_on_receiver(&outcome), outcome.took);
            Ending::Attempted(Box::new(judge(&shared, delivery, outcome)))
        }
        None => Ending::GivenBack(given_back(&delivery)),
    };
    shared.counters.unsettled.add(1);
    if ended.send(ending).await.is_err() {
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

fn judge(shared: &Shared, delivery: LeasedDelivery, outcome: AttemptOutcome) -> Made {
    let now = shared.clock.now();
    shared.counters.attempts.add(1);
    if let Some(failure) = outcome.failure {
        shared.counters.error(failure.class);
    }
    let in_round = delivery.attempt.saturating_sub(delivery.attempts_before);
    let verdict = shared.schedule.verdict(&outcome, &delivery.webhook, in_round, now);
    tracing::debug!(
        tenant = %delivery.webhook.tenant, webhook = %delivery.webhook.id, delivery = %delivery.delivery,
        attempt = delivery.attempt, status = outcome.status, failure = ?outcome.failure, ?verdict, "webhook attempt"
    );
    let ends_its_turn = delivery.webhook.options.ordered_by.is_some() && !matches!(verdict, Verdict::RetryAt(_));
    let next = ends_its_turn.then(|| due_of(&delivery, Kind::Fresh));
    let LeasedDelivery { lease, delivery: id, webhook, event_type, body, attempt, .. } = delivery;
    let row = outcome.into_row(webhook.id, id, event_type, body, attempt, now);
    Made { attempted: Attempted { lease, row, verdict }, next }
}

fn due_of(delivery: &LeasedDelivery, kind: Kind) -> DueWebhook {
    DueWebhook {
        webhook: delivery.webhook.id,
        tenant: delivery.webhook.tenant.clone(),
        has_fresh: kind == Kind::Fresh,
        has_retry: kind == Kind::Retry,
    }
}

/// What the end says about the receiver, for its slots and its breaker.
fn verdict_on_receiver(outcome: &AttemptOutcome) -> Ended {
    match (outcome.status, outcome.failure.map(|failure| failure.class)) {
        (Some(200..=299), Some(ErrorClass::Timeout)) => Ended::Slowly,
        (_, Some(ErrorClass::Timeout)) => Ended::TimedOut,
        (Some(429 | 500..=599), _) => Ended::Badly,
        (Some(_), _) => Ended::Well,
        // Our own rules, or the row: nothing was sent.
        (None, Some(ErrorClass::AddressBlocked | ErrorClass::InvalidUrl)) => Ended::Unknown,
        (None, _) => Ended::Badly,
    }
}

/// Frees its slot when dropped, however the attempt ends.
struct Slot {
    agenda: Arc<Agenda>,
    freed: Freed,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.agenda.slot_freed(self.freed);
    }
}
