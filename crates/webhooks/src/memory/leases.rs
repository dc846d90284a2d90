//! Deliveries in memory: handing out, settling, making due again.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookswitch_protocol::{Timestamp, WebhookId};

use super::{End, Registered, State};
use crate::health::{DisableReason, DisableRule};
use crate::seams::attempt_log::SkipReason;
use crate::seams::directory::Webhook;
use crate::seams::ledger::{
    Attempted, DisabledWebhook, Disposition, Finished, LeaseRequest, LeaseWish, LeasedDelivery, Requeue, Requeued,
    Settled,
};

impl State {
    pub(super) fn lease(&mut self, wish: LeaseWish, request: &LeaseRequest) -> Vec<LeasedDelivery> {
        let known = self.webhooks.get(&wish.webhook).filter(|known| !known.is_deleted);
        let Some(webhook) = known.map(|known| Arc::new(known.webhook.clone())) else {
            self.end_waiting(wish.webhook, None, End::Cancelled, SkipReason::Deleted, request.now);
            return Vec::new();
        };
        if !webhook.is_active {
            // What is due later may find it switched on again.
            self.end_waiting(wish.webhook, Some(request.now), End::Missed, SkipReason::Disabled, request.now);
            return Vec::new();
        }
        let mut leased = self.lease_kind(&webhook, true, wish.fresh, request);
        leased.extend(self.lease_kind(&webhook, false, wish.retries, request));
        leased
    }

    fn lease_kind(
        &mut self,
        webhook: &Arc<Webhook>,
        is_fresh: bool,
        most: u32,
        request: &LeaseRequest,
    ) -> Vec<LeasedDelivery> {
        let until = request.now.after(request.hold);
        let mut leased = Vec::new();
        let mut seen = None;
        while leased.len() < most as usize
            && let Some(next) = self.next_due(webhook.id, is_fresh, seen, request.now)
        {
            seen = Some(next);
            let (_, number) = next;
            let expires_at = self.deliveries.get(&number).and_then(|delivery| delivery.expires_at);
            if expires_at.is_some_and(|at| at < request.now) {
                self.skip(number, End::Expired, SkipReason::Expired, request.now);
            } else if webhook.options.ordered_by.is_none() || !self.is_held_up(number) {
                leased.extend(self.hand_out(number, webhook, until));
            }
        }
        leased
    }

    /// Ends what waits for a webhook that is gone or off; attempts under way end by themselves.
    fn end_waiting(
        &mut self,
        webhook: WebhookId,
        due_by: Option<Timestamp>,
        end: End,
        reason: SkipReason,
        now: Timestamp,
    ) {
        let Some(waiting) = self.waiting.get(&webhook) else { return };
        let all = waiting.fresh.iter().chain(&waiting.retries);
        let due = all.filter(|(due, _)| due_by.is_none_or(|by| *due <= by)).map(|(_, number)| *number);
        for number in due.collect::<Vec<_>>() {
            self.skip(number, end, reason, now);
        }
    }

    pub(super) fn settle(&mut self, results: Vec<Attempted>, rule: &DisableRule) -> Settled {
        let mut settled = Settled::default();
        let mut touched = BTreeSet::new();
        for attempted in results {
            if self.held(&attempted.lease).is_none() && self.has_logged(&attempted.row) {
                settled.finished.push(Finished::Recorded);
                continue;
            }
            let (webhook, at) = (attempted.row.webhook, attempted.row.at);
            if let Some(Registered { webhook: known, .. }) = self.webhooks.get_mut(&webhook) {
                known.last_triggered_at = known.last_triggered_at.max(Some(at));
                if attempted.judges(&known.url, known.receiver_version) {
                    let is_success = attempted.row.response_code.is_some_and(|code| (200..300).contains(&code));
                    known.health.note(is_success, at);
                    touched.insert((webhook, at, attempted.disposition == Disposition::Gone));
                }
            }
            settled.finished.push(self.finish(attempted));
        }
        for (webhook, at, is_gone) in touched {
            let is_hopeless =
                self.webhooks.get(&webhook).is_some_and(|known| known.webhook.health.is_hopeless(rule, at));
            let reason = if is_gone { DisableReason::Gone } else { DisableReason::Failing };
            if (is_gone || is_hopeless)
                && let Some(webhook) = self.disable(webhook, reason, at)
            {
                settled.disabled.push(DisabledWebhook { webhook, reason });
            }
        }
        settled
    }

    fn finish(&mut self, attempted: Attempted) -> Finished {
        let Attempted { lease, row, disposition, .. } = attempted;
        let at = row.at;
        self.log(row);
        let Some(delivery) = self.held(&lease) else { return Finished::LeaseLost };
        delivery.n_attempts += 1;
        match disposition {
            Disposition::Delivered => self.end(lease.number, End::Delivered, at),
            Disposition::Failed | Disposition::Gone => self.end(lease.number, End::Failed, at),
            Disposition::RetryAt(due) => {
                delivery.due_at = due;
                self.make_waiting(lease.number);
            }
            Disposition::Postponed(due) => {
                delivery.attempts_before += 1;
                delivery.due_at = due;
                self.make_waiting(lease.number);
            }
        }
        Finished::Recorded
    }

    pub(super) fn requeue(&mut self, webhook: WebhookId, which: &Requeue, now: Timestamp, limit: u32) -> Requeued {
        let of_webhook = self.deliveries.iter().filter(|(_, delivery)| delivery.webhook == webhook);
        let wanted = of_webhook.filter(|(_, delivery)| match which {
            Requeue::One(id) => delivery.id == *id,
            Requeue::FailedSince(since) => {
                delivery.end == Some(End::Failed) && delivery.ended_at <= now && delivery.accepted_at >= *since
            }
            Requeue::MissedSince(since) => delivery.end == Some(End::Missed) && delivery.accepted_at >= *since,
        });
        let wanted: Vec<(i64, bool)> =
            wanted.take(limit as usize).map(|(number, delivery)| (*number, delivery.end.is_some())).collect();
        for (number, _) in wanted.iter().filter(|(_, has_ended)| *has_ended) {
            self.revive(*number, now);
        }
        let n_due = wanted.iter().filter(|(_, has_ended)| *has_ended).count() as u64;
        Requeued { n_due, is_under_way: wanted.len() as u64 > n_due }
    }
}
