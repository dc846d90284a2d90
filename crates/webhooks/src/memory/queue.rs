//! The waiting line of deliveries: the moves that ledger calls are made of.

use hookswitch_protocol::{DeliveryId, Timestamp, WebhookId};

use super::{Delivery, ENDED, End, State};
use crate::directory::Webhook;
use crate::ledger::{DutyTarget, Lease, LeasedDelivery, NewDuty};
use crate::log::{SkipReason, SkipRow};

impl State {
    /// Adds one delivery of `duty`, due at once or missed.
    pub(super) fn add_delivery(&mut self, duty: &NewDuty, target: &DutyTarget, now: Timestamp) {
        self.last_delivery += 1;
        let delivery = Delivery {
            id: DeliveryId::generate(now),
            webhook: target.webhook,
            event_type: duty.event_type.clone(),
            body: duty.body.clone(),
            accepted_at: duty.accepted_at,
            due_at: duty.accepted_at,
            expires_at: target.expires_at,
            order_key: target.order_key.clone(),
            n_attempts: 0,
            attempts_before: 0,
            fence: 0,
            leased_until: None,
            end: None,
        };
        self.deliveries.insert(self.last_delivery, delivery);
        self.put_in_line(self.last_delivery);
        if target.is_missed {
            self.skip(self.last_delivery, End::Missed, SkipReason::Disabled, now);
        }
    }

    /// Deliveries that wait or run.
    pub(super) fn n_open(&self) -> usize {
        self.deliveries.len() - self.ended.len()
    }

    /// Lets a delivery wait for its due moment; its lease, if any, is over.
    pub(super) fn put_in_line(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        if let Some(until) = delivery.leased_until.take() {
            self.leased.remove(&(until, number));
        }
        let waiting = self.waiting.entry(delivery.webhook).or_default();
        let line = if delivery.is_retry() { &mut waiting.retries } else { &mut waiting.fresh };
        line.insert((delivery.due_at, number));
    }

    /// The first deliveries of one line that are due, oldest due first.
    pub(super) fn due(&self, webhook: WebhookId, is_fresh: bool, now: Timestamp) -> Vec<i64> {
        let Some(waiting) = self.waiting.get(&webhook) else { return Vec::new() };
        let line = if is_fresh { &waiting.fresh } else { &waiting.retries };
        line.iter().take_while(|(due, _)| *due <= now).map(|(_, number)| *number).collect()
    }

    /// Whether an earlier delivery of the same webhook and key has not ended.
    pub(super) fn is_held_up(&self, number: i64) -> bool {
        let Some(delivery) = self.deliveries.get(&number).filter(|delivery| delivery.order_key.is_some()) else {
            return false;
        };
        let mut earlier = self.deliveries.range(..number).map(|(_, earlier)| earlier);
        earlier.any(|earlier| {
            earlier.end.is_none() && earlier.webhook == delivery.webhook && earlier.order_key == delivery.order_key
        })
    }

    /// Puts a waiting delivery under a new lease.
    pub(super) fn hand_out(&mut self, number: i64, webhook: &Webhook, until: Timestamp) -> Option<LeasedDelivery> {
        self.leave_line(number);
        let delivery = self.deliveries.get_mut(&number)?;
        delivery.fence += 1;
        delivery.leased_until = Some(until);
        self.leased.insert((until, number));
        Some(LeasedDelivery {
            lease: Lease { number, fence: delivery.fence },
            delivery: delivery.id.clone(),
            webhook: webhook.clone(),
            event_type: delivery.event_type.clone(),
            body: delivery.body.clone(),
            attempt: delivery.n_attempts + 1,
            attempts_before: delivery.attempts_before,
            due_at: delivery.due_at,
        })
    }

    /// Ends a delivery, whatever it was doing.
    pub(super) fn end(&mut self, number: i64, end: End) {
        self.leave_line(number);
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        if let Some(until) = delivery.leased_until.take() {
            self.leased.remove(&(until, number));
        }
        if delivery.end.replace(end).is_none() {
            self.ended.push_back(number);
        }
        if self.ended.len() > ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.deliveries.remove(&oldest);
        }
    }

    /// Ends a delivery that is not sent, and says why.
    pub(super) fn skip(&mut self, number: i64, end: End, reason: SkipReason, at: Timestamp) {
        if let Some(delivery) = self.deliveries.get(&number) {
            let row = SkipRow {
                webhook: delivery.webhook,
                delivery: Some(delivery.id.clone()),
                event_type: Some(delivery.event_type.clone()),
                reason,
                at,
            };
            self.log_skip(row);
        }
        self.end(number, end);
    }

    /// Makes an ended delivery due again.
    pub(super) fn revive(&mut self, number: i64, now: Timestamp) {
        self.ended.retain(|ended| *ended != number);
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        delivery.end = None;
        delivery.attempts_before = delivery.n_attempts;
        delivery.due_at = now;
        // Somebody wants it now, however old it is.
        delivery.expires_at = None;
        self.put_in_line(number);
    }

    /// The delivery, if `lease` is the one in force.
    pub(super) fn held(&mut self, lease: &Lease) -> Option<&mut Delivery> {
        let delivery = self.deliveries.get_mut(&lease.number)?;
        (delivery.fence == lease.fence && delivery.leased_until.is_some()).then_some(delivery)
    }

    fn leave_line(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.get(&number) else { return };
        if let Some(waiting) = self.waiting.get_mut(&delivery.webhook) {
            waiting.fresh.remove(&(delivery.due_at, number));
            waiting.retries.remove(&(delivery.due_at, number));
        }
    }
}

impl Delivery {
    /// Whether its next attempt is a retry of its present round.
    fn is_retry(&self) -> bool {
        self.n_attempts > self.attempts_before
    }
}
