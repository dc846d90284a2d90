//! Waiting deliveries: the moves that ledger calls are made of.

use std::ops::Bound;
use std::sync::Arc;

use hookswitch_protocol::{DeliveryId, EventId, TenantId, Timestamp, WebhookId};

use super::{Delivery, ENDED, End, State};
use crate::seams::attempt_log::{SkipReason, SkipRow};
use crate::seams::directory::Webhook;
use crate::seams::event_delivery::{DeliveryState, EventDelivery};
use crate::seams::ledger::{DeliveryTarget, Lease, LeasedDelivery, NewDeliveries};

impl State {
    /// Adds one delivery of `new`, due at once or missed.
    pub(super) fn add_delivery(&mut self, new: &NewDeliveries, target: &DeliveryTarget, now: Timestamp) {
        self.last_delivery += 1;
        let delivery = Delivery {
            id: DeliveryId::generate(now),
            webhook: target.webhook,
            tenant: new.tenant.clone(),
            event: new.event_id.clone(),
            event_type: new.event_type.clone(),
            body: new.body.clone(),
            accepted_at: new.accepted_at,
            due_at: new.accepted_at,
            expires_at: target.expires_at,
            order_key: target.order_key.clone(),
            n_attempts: 0,
            attempts_before: 0,
            fence: 0,
            leased_until: None,
            end: None,
            ended_at: now,
        };
        self.deliveries.insert(self.last_delivery, delivery);
        self.hold_up_others(self.last_delivery);
        self.make_waiting(self.last_delivery);
        if target.is_missed {
            self.skip(self.last_delivery, End::Missed, SkipReason::Disabled, now);
        }
    }

    /// Deliveries that wait or run.
    pub(super) fn n_open(&self) -> usize {
        self.deliveries.len() - self.ended.len()
    }

    /// Lets a delivery wait for its due moment; its lease, if any, is over.
    pub(super) fn make_waiting(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        if let Some(until) = delivery.leased_until.take() {
            self.leased.remove(&(until, number));
        }
        let waiting = self.waiting.entry(delivery.webhook).or_default();
        let waiting = if delivery.is_retry() { &mut waiting.retries } else { &mut waiting.fresh };
        waiting.insert((delivery.due_at, number));
    }

    /// The next delivery of one kind that is due, oldest due first, after the one that was seen last.
    pub(super) fn next_due(
        &self,
        webhook: WebhookId,
        is_fresh: bool,
        seen: Option<(Timestamp, i64)>,
        now: Timestamp,
    ) -> Option<(Timestamp, i64)> {
        let waiting = self.waiting.get(&webhook)?;
        let waiting = if is_fresh { &waiting.fresh } else { &waiting.retries };
        let after = seen.map_or(Bound::Unbounded, Bound::Excluded);
        waiting.range((after, Bound::Unbounded)).next().copied().filter(|(due, _)| *due <= now)
    }

    /// Whether an earlier delivery of the same webhook and key has not ended.
    pub(super) fn is_held_up(&self, number: i64) -> bool {
        let Some(delivery) = self.deliveries.get(&number).filter(|delivery| delivery.order_key.is_some()) else {
            return false;
        };
        let open = self.ordered.get(&(delivery.webhook, delivery.order_key.clone()));
        open.and_then(|open| open.first()).is_some_and(|first| *first < number)
    }

    /// Lets an open delivery with an order key hold up later ones.
    fn hold_up_others(&mut self, number: i64) {
        if let Some(delivery) = self.deliveries.get(&number).filter(|delivery| delivery.order_key.is_some()) {
            let key = (delivery.webhook, delivery.order_key.clone());
            self.ordered.entry(key).or_default().insert(number);
        }
    }

    fn hold_up_nobody(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.get(&number).filter(|delivery| delivery.order_key.is_some()) else {
            return;
        };
        let key = (delivery.webhook, delivery.order_key.clone());
        if let Some(open) = self.ordered.get_mut(&key) {
            open.remove(&number);
            if open.is_empty() {
                self.ordered.remove(&key);
            }
        }
    }

    /// Puts a waiting delivery under a new lease.
    pub(super) fn hand_out(&mut self, number: i64, webhook: &Arc<Webhook>, until: Timestamp) -> Option<LeasedDelivery> {
        self.stop_waiting(number);
        let delivery = self.deliveries.get_mut(&number)?;
        delivery.fence += 1;
        delivery.leased_until = Some(until);
        self.leased.insert((until, number));
        Some(LeasedDelivery {
            lease: Lease { number, fence: delivery.fence },
            delivery: delivery.id.clone(),
            webhook: Arc::clone(webhook),
            event_type: delivery.event_type.clone(),
            body: delivery.body.clone(),
            attempt: delivery.n_attempts + 1,
            attempts_before: delivery.attempts_before,
            due_at: delivery.due_at,
        })
    }

    /// Ends a delivery, whatever it was doing.
    pub(super) fn end(&mut self, number: i64, end: End, at: Timestamp) {
        self.stop_waiting(number);
        self.hold_up_nobody(number);
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        if let Some(until) = delivery.leased_until.take() {
            self.leased.remove(&(until, number));
        }
        delivery.ended_at = at;
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
        self.end(number, end, at);
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
        self.hold_up_others(number);
        self.make_waiting(number);
    }

    /// The delivery, if `lease` is the one in force.
    pub(super) fn held(&mut self, lease: &Lease) -> Option<&mut Delivery> {
        let delivery = self.deliveries.get_mut(&lease.number)?;
        (delivery.fence == lease.fence && delivery.leased_until.is_some()).then_some(delivery)
    }

    fn stop_waiting(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.get(&number) else { return };
        if let Some(waiting) = self.waiting.get_mut(&delivery.webhook) {
            waiting.fresh.remove(&(delivery.due_at, number));
            waiting.retries.remove(&(delivery.due_at, number));
        }
    }
}

impl State {
    /// The deliveries of one event, by their webhooks.
    pub(super) fn deliveries_of(
        &self,
        tenant: &TenantId,
        event: &EventId,
        accepted_at: Option<Timestamp>,
        limit: u32,
    ) -> Vec<EventDelivery> {
        let known = self.seen.get(&(tenant.clone(), event.clone())).map(|(_, at)| *at);
        let Some(accepted_at) = accepted_at.or(known) else { return Vec::new() };
        let is_of = |delivery: &&Delivery| {
            delivery.accepted_at == accepted_at && delivery.event == *event && delivery.tenant == *tenant
        };
        let mut found: Vec<&Delivery> = self.deliveries.values().filter(is_of).collect();
        found.sort_by_key(|delivery| delivery.webhook);
        found.into_iter().take(limit as usize).map(Delivery::told).collect()
    }
}

impl Delivery {
    fn told(&self) -> EventDelivery {
        let state = match self.end {
            Some(End::Delivered) => DeliveryState::Delivered,
            Some(End::Failed) => DeliveryState::Failed,
            Some(End::Expired) => DeliveryState::Expired,
            Some(End::Cancelled) => DeliveryState::Cancelled,
            Some(End::Missed) => DeliveryState::Missed,
            None if self.leased_until.is_some() => DeliveryState::Leased,
            None => DeliveryState::Due,
        };
        EventDelivery {
            webhook: self.webhook,
            delivery: self.id.clone(),
            event_type: self.event_type.clone(),
            accepted_at: self.accepted_at,
            state,
            due_at: (state == DeliveryState::Due).then_some(self.due_at),
        }
    }

    /// Whether its next attempt is a retry of its present round.
    fn is_retry(&self) -> bool {
        self.n_attempts > self.attempts_before
    }
}
