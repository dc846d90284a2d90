//! The waiting line of deliveries: the moves that ledger calls are made of.

use hookswitch_protocol::{DeliveryId, Timestamp, WebhookId};

use super::{Delivery, State};
use crate::directory::Webhook;
use crate::ledger::{Lease, LeasedDelivery, NewDuty};

impl State {
    /// Adds one delivery of `duty` for `webhook`, due at once.
    pub(super) fn add_delivery(&mut self, duty: &NewDuty, webhook: WebhookId, now: Timestamp) {
        self.last_delivery += 1;
        let delivery = Delivery {
            id: DeliveryId::generate(now),
            webhook,
            event_type: duty.event_type.clone(),
            body: duty.body.clone(),
            due_at: duty.accepted_at,
            n_attempts: 0,
            fence: 0,
            leased_until: None,
        };
        self.deliveries.insert(self.last_delivery, delivery);
        self.put_in_line(self.last_delivery);
    }

    /// Lets a delivery wait for its due moment; its lease, if any, is over.
    pub(super) fn put_in_line(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.get_mut(&number) else { return };
        if let Some(until) = delivery.leased_until.take() {
            self.leased.remove(&(until, number));
        }
        let waiting = self.waiting.entry(delivery.webhook).or_default();
        let line = if delivery.n_attempts == 0 { &mut waiting.fresh } else { &mut waiting.retries };
        line.insert((delivery.due_at, number));
    }

    /// Takes up to `most` due deliveries out of one line, oldest due first.
    pub(super) fn take_due(&mut self, webhook: WebhookId, is_fresh: bool, now: Timestamp, most: u32) -> Vec<i64> {
        let Some(waiting) = self.waiting.get_mut(&webhook) else { return Vec::new() };
        let line = if is_fresh { &mut waiting.fresh } else { &mut waiting.retries };
        let due: Vec<_> = line.iter().take(most as usize).take_while(|(due, _)| *due <= now).copied().collect();
        due.into_iter()
            .map(|entry| {
                line.remove(&entry);
                entry.1
            })
            .collect()
    }

    /// Puts a delivery that was taken out of line under a new lease.
    pub(super) fn hand_out(&mut self, number: i64, webhook: &Webhook, until: Timestamp) -> Option<LeasedDelivery> {
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
            due_at: delivery.due_at,
        })
    }

    /// Ends a delivery, whatever it was doing.
    pub(super) fn end(&mut self, number: i64) {
        let Some(delivery) = self.deliveries.remove(&number) else { return };
        if let Some(until) = delivery.leased_until {
            self.leased.remove(&(until, number));
        }
        if let Some(waiting) = self.waiting.get_mut(&delivery.webhook) {
            waiting.fresh.remove(&(delivery.due_at, number));
            waiting.retries.remove(&(delivery.due_at, number));
        }
    }

    /// Ends every delivery of a webhook.
    pub(super) fn cancel_all(&mut self, webhook: WebhookId) {
        self.deliveries.retain(|_, delivery| delivery.webhook != webhook);
        self.waiting.remove(&webhook);
        let deliveries = &self.deliveries;
        self.leased.retain(|(_, number)| deliveries.contains_key(number));
    }

    /// The delivery, if `lease` is the one in force.
    pub(super) fn held(&mut self, lease: &Lease) -> Option<&mut Delivery> {
        let delivery = self.deliveries.get_mut(&lease.number)?;
        (delivery.fence == lease.fence && delivery.leased_until.is_some()).then_some(delivery)
    }
}
