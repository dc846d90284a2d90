//! One attempt: send, judge, hand over to be settled.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Shared;
use super::agenda::{Agenda, Ended, Freed};
use super::lanes::kind_of;
use super::settler::Ending;
use crate::ledger::{Attempted, LeasedDelivery};
use crate::outcome::{AttemptOutcome, ErrorClass};
use crate::schedule::verdict;
use crate::sender::AttemptRequest;

/// Starts the attempt in a task of its own. Its slot is free once the settler has taken the result.
pub(super) fn start(shared: &Arc<Shared>, delivery: LeasedDelivery, ended: mpsc::Sender<Ending>) {
    let freed = Freed { webhook: delivery.webhook.id, kind: kind_of(&delivery), ended: Ended::Unknown };
    let slot = Slot { agenda: Arc::clone(&shared.agenda), freed };
    let shared = Arc::clone(shared);
    // The lease of an attempt that panics runs out, so nothing is lost with it.
    shared.scope.clone().spawn_contained("webhook attempt", run(shared, delivery, ended, slot));
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
            slot.freed.ended = verdict_on_receiver(&outcome);
            Ending::Attempted(Box::new(judge(&shared, delivery, outcome)))
        }
        None => Ending::CutOff(delivery.lease),
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

fn judge(shared: &Shared, delivery: LeasedDelivery, outcome: AttemptOutcome) -> Attempted {
    let now = shared.clock.now();
    shared.counters.attempts.add(1);
    if let Some(failure) = outcome.failure {
        shared.counters.error(failure.class);
    }
    let verdict = verdict(&outcome, delivery.attempt - delivery.attempts_before, delivery.webhook.retry_count, now);
    tracing::debug!(
        tenant = %delivery.webhook.tenant, webhook = %delivery.webhook.id, delivery = %delivery.delivery,
        attempt = delivery.attempt, status = outcome.status, failure = ?outcome.failure, ?verdict, "webhook attempt"
    );
    let LeasedDelivery { lease, delivery: id, webhook, event_type, body, attempt, .. } = delivery;
    let row = outcome.into_row(webhook.id, id, event_type, body, attempt, now);
    Attempted { lease, row, verdict }
}

fn verdict_on_receiver(outcome: &AttemptOutcome) -> Ended {
    match outcome.failure {
        Some(failure) if failure.class == ErrorClass::Timeout => Ended::TimedOut,
        _ => Ended::Reacted,
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
