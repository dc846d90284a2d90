//! What to ask the ledger for, and what to start.

use std::cmp::Reverse;
use std::collections::HashMap;

use hookswitch_protocol::WebhookId;
use tokio::time::Instant;

use super::{Parked, Scheduler, kind_of, rebind};
use crate::dispatcher::inbox::AttemptKind;
use crate::dispatcher::slots::{NodeUsage, SlotCounts};
use crate::dispatcher::token_bucket::TokenBucket;
use crate::dispatcher::webhook_queue::{WebhookQueue, total};
use crate::seams::ledger::{LeaseWish, LeasedDelivery};

/// Most wishes in one request, so that the question to the database stays small.
const WISHES: usize = 256;

impl Scheduler {
    /// Whether a plan may find something to ask for.
    pub(in crate::dispatcher) fn may_ask(&self) -> bool {
        self.asking.has_next() && self.node.may_lease(self.usage())
    }

    /// What to ask the ledger for now; empty when nothing is due or nothing has room. The queues asked
    /// for are in no fair queue until [`Scheduler::granted`] or [`Scheduler::refused`].
    pub(in crate::dispatcher) fn plan(&mut self, now: Instant) -> Vec<LeaseWish> {
        let mut wishes = Vec::new();
        let mut usage = self.usage();
        for _ in 0..self.asking.len() {
            if wishes.len() >= WISHES || !self.node.may_lease(usage) {
                break;
            }
            let Some(most) = self.tokens_of_next_tenant(now) else { continue };
            let Some(webhook) = self.asking.pop() else { break };
            let Some((wish, ahead)) = self.wish(webhook, usage, most, now) else { continue };
            let slots = SlotCounts { fresh: wish.fresh as usize - ahead, retries: wish.retries as usize };
            usage = NodeUsage { slots: usage.slots.plus(slots), ahead: usage.ahead + ahead };
            wishes.push(wish);
        }
        wishes
    }

    /// Takes in what the ledger handed out for these wishes.
    pub(in crate::dispatcher) fn granted(&mut self, wishes: &[LeaseWish], leased: Vec<LeasedDelivery>, now: Instant) {
        let mut given: HashMap<WebhookId, SlotCounts> = HashMap::new();
        for delivery in leased {
            let (webhook, kind) = (delivery.webhook.id, kind_of(&delivery));
            given.entry(webhook).or_default().add(kind);
            self.ready += 1;
            let queue =
                self.queues.entry(webhook).or_insert_with(|| WebhookQueue::new(delivery.webhook.tenant.clone()));
            queue.make_ready(kind, delivery, now);
        }
        for wish in wishes {
            self.answered(*wish, Some(given.remove(&wish.webhook).unwrap_or_default()));
        }
    }

    /// The ledger could not answer: the queues wait for their turn again.
    pub(in crate::dispatcher) fn refused(&mut self, wishes: &[LeaseWish]) {
        for wish in wishes {
            self.answered(*wish, None);
        }
    }

    /// What to start now.
    pub(in crate::dispatcher) fn start(&mut self, now: Instant) -> Vec<LeasedDelivery> {
        let mut started = Vec::new();
        for _ in 0..self.starting.len() {
            if self.running.total() >= self.node.total {
                break;
            }
            let Some(webhook) = self.starting.pop() else { break };
            self.start_in(webhook, &mut started, now);
        }
        started
    }

    fn start_in(&mut self, webhook: WebhookId, started: &mut Vec<LeasedDelivery>, now: Instant) {
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        queue.queued.starting = false;
        loop {
            let (running, node) = (self.running, self.node);
            let before = queue.running;
            let Some(delivery) = queue.start(|kind| node.has_room(kind, running), now) else { break };
            self.running.add(if queue.running.fresh > before.fresh { AttemptKind::Fresh } else { AttemptKind::Retry });
            self.ready -= 1;
            started.push(delivery);
        }
        self.enqueue(webhook);
    }

    /// What one queue asks for; `None` when it has to wait, for which it was put where it waits.
    fn wish(&mut self, webhook: WebhookId, usage: NodeUsage, most: usize, now: Instant) -> Option<(LeaseWish, usize)> {
        let queue = self.queues.get_mut(&webhook)?;
        queue.queued.asking = false;
        rebind(queue, webhook, (&self.table, &self.config, self.n_nodes), now);
        if let Some(until) = queue.held_back(now) {
            self.effects.n_rate_limited += u64::from(queue.is_out_of_tokens(now));
            queue.parked_until = Some(until);
            self.parked.push(Reverse((until, Parked::Queue(webhook))));
            return None;
        }
        let headroom = self.node.headroom(queue.is_answering(), usage);
        let (wish, ahead) = queue.wish(webhook, headroom, most, now);
        if total(wish) == 0 {
            // Held up by the node's shares only: keep its place.
            self.enqueue(webhook);
            return None;
        }
        queue.ask(wish);
        if let Some(bucket) = self.tenants.get_mut(&queue.tenant) {
            bucket.take(total(wish));
        }
        Some((wish, ahead))
    }

    fn usage(&self) -> NodeUsage {
        NodeUsage { slots: self.running, ahead: self.ready }
    }

    fn answered(&mut self, wish: LeaseWish, given: Option<SlotCounts>) {
        let Some(queue) = self.queues.get_mut(&wish.webhook) else { return };
        queue.answered(given);
        if let Some(bucket) = self.tenants.get_mut(&queue.tenant) {
            bucket.put_back(total(wish).saturating_sub(given.unwrap_or_default().total()));
        }
        self.enqueue(wish.webhook);
    }

    /// How many tokens the tenant whose turn it is has; `None` when it had none and is held back.
    fn tokens_of_next_tenant(&mut self, now: Instant) -> Option<usize> {
        let Some(rate) = self.config.tenant_rate_limit else { return Some(usize::MAX) };
        let tenant = self.asking.next_tenant()?.clone();
        let bucket = self.tenants.entry(tenant.clone()).or_insert_with(|| TokenBucket::new(rate.get(), now));
        match bucket.available(now) {
            0 => {
                self.effects.n_rate_limited += 1;
                self.asking.hold_back(&tenant);
                self.parked.push(Reverse((bucket.next_token(now), Parked::Tenant(tenant))));
                None
            }
            n => Some(n),
        }
    }
}
