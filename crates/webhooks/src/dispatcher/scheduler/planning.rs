//! What to ask the ledger for, and what to start.

use std::cmp::Reverse;
use std::collections::HashMap;

use hookswitch_protocol::{TenantId, WebhookId};
use tokio::time::Instant;

use super::{Parked, Scheduler, kind_of};
use crate::dispatcher::inbox::AttemptKind;
use crate::dispatcher::slots::{NodeUsage, SlotCounts, TenantUsage};
use crate::dispatcher::tenant_slots::TenantSlots;
use crate::dispatcher::token_bucket::TokenBucket;
use crate::dispatcher::webhook_queue::{WebhookQueue, total};
use crate::seams::ledger::{LeaseWish, LeasedDelivery};

/// Most wishes in one request, so that the question to the database stays small.
const WISHES: usize = 256;

/// What is asked for at once, as far as it is planned.
struct Plan {
    wishes: Vec<LeaseWish>,
    /// What the node has running and waiting, the wishes included.
    usage: NodeUsage,
    /// What of the wishes is whose.
    asked: HashMap<TenantId, TenantUsage>,
    /// Tenants that have all they may have.
    held_back: Vec<TenantId>,
}

impl Plan {
    fn new(usage: NodeUsage) -> Self {
        Self { wishes: Vec::new(), usage, asked: HashMap::new(), held_back: Vec::new() }
    }

    /// What a tenant has, its wishes included.
    fn of(&self, tenant: &TenantId, shares: &TenantSlots) -> TenantUsage {
        let held = shares.of(tenant);
        self.asked.get(tenant).map_or(held, |asked| held.plus(*asked))
    }

    fn add(&mut self, tenant: &TenantId, wish: LeaseWish, ahead: usize, is_answering: bool) {
        let slots = SlotCounts { fresh: wish.fresh as usize - ahead, retries: wish.retries as usize };
        let silent = if is_answering { SlotCounts::default() } else { slots };
        let asked = self.asked.entry(tenant.clone()).or_default();
        *asked = asked.plus(TenantUsage { slots, silent, ahead, n_bytes: 0 });
        self.usage.slots = self.usage.slots.plus(slots);
        self.usage.ahead += ahead;
        self.wishes.push(wish);
    }
}

impl Scheduler {
    /// Whether a plan may find something to ask for.
    pub(in crate::dispatcher) fn may_ask(&self) -> bool {
        self.asking.has_next() && self.node.may_lease(self.usage())
    }

    /// What to ask the ledger for now; empty when nothing is due or nothing has room. The queues asked
    /// for are in no fair queue until [`Scheduler::granted`] or [`Scheduler::refused`].
    pub(in crate::dispatcher) fn plan(&mut self, now: Instant) -> Vec<LeaseWish> {
        let mut plan = Plan::new(self.usage());
        self.lease_bytes = self.node.lease_bytes(plan.usage);
        for _ in 0..self.asking.len() {
            if plan.wishes.len() >= WISHES || !self.node.may_lease(plan.usage) {
                break;
            }
            if self.is_share_used_up(&mut plan) {
                continue;
            }
            let Some(most) = self.tokens_of_next_tenant(now) else { continue };
            let Some(webhook) = self.asking.pop() else { break };
            self.wish(webhook, &mut plan, most, now);
        }
        for tenant in &plan.held_back {
            self.asking.resume(tenant);
        }
        plan.wishes
    }

    /// How many bytes of bodies the last plan asks for at most.
    pub(in crate::dispatcher) fn lease_bytes(&self) -> usize {
        self.lease_bytes
    }

    /// Whether the tenant whose turn it is has all it may have; then it has no turn in this plan any more.
    fn is_share_used_up(&mut self, plan: &mut Plan) -> bool {
        let Some(tenant) = self.asking.next_tenant() else { return false };
        let is_used_up =
            self.node.headroom(true, SlotCounts::default(), plan.usage, plan.of(tenant, &self.shares)).is_empty();
        if is_used_up {
            let tenant = tenant.clone();
            self.asking.hold_back(&tenant);
            plan.held_back.push(tenant);
        }
        is_used_up
    }

    /// Takes in what the ledger handed out for these wishes.
    pub(in crate::dispatcher) fn granted(&mut self, wishes: &[LeaseWish], leased: Vec<LeasedDelivery>, now: Instant) {
        // The ledger stopped before it had looked at everything, which says nothing about what is due.
        let is_cut_short = leased.iter().map(|delivery| delivery.body.len()).sum::<usize>() >= self.lease_bytes;
        let mut given: HashMap<WebhookId, SlotCounts> = HashMap::new();
        for delivery in leased {
            let (webhook, kind) = (delivery.webhook.id, kind_of(&delivery));
            given.entry(webhook).or_default().add(kind);
            let n_bytes = delivery.body.len();
            self.ready += 1;
            self.n_bytes += n_bytes;
            let queue =
                self.queues.entry(webhook).or_insert_with(|| WebhookQueue::new(delivery.webhook.tenant.clone()));
            self.shares.became_ready(&queue.tenant, n_bytes);
            queue.make_ready(kind, delivery, now);
        }
        for wish in wishes {
            self.answered(*wish, Some(given.remove(&wish.webhook).unwrap_or_default()));
            if is_cut_short {
                self.still_due(*wish);
            }
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
        let (mut started, mut held_back) = (Vec::new(), Vec::new());
        for _ in 0..self.starting.len() {
            if self.running.total() >= self.node.total {
                break;
            }
            let Some(tenant) = self.starting.next_tenant() else { break };
            let usage = self.shares.of(tenant);
            let may_start = |kind| self.node.has_room(kind, self.running, usage);
            if !may_start(AttemptKind::Fresh) && !may_start(AttemptKind::Retry) {
                let tenant = tenant.clone();
                self.starting.hold_back(&tenant);
                held_back.push(tenant);
                continue;
            }
            let Some(webhook) = self.starting.pop() else { break };
            self.start_in(webhook, &mut started, now);
        }
        for tenant in &held_back {
            self.starting.resume(tenant);
        }
        started
    }

    fn start_in(&mut self, webhook: WebhookId, started: &mut Vec<LeasedDelivery>, now: Instant) {
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        queue.queued.starting = false;
        loop {
            let (running, node, usage) = (self.running, self.node, self.shares.of(&queue.tenant));
            let before = queue.running;
            let Some(delivery) = queue.start(|kind| node.has_room(kind, running, usage), now) else { break };
            let kind = if queue.running.fresh > before.fresh { AttemptKind::Fresh } else { AttemptKind::Retry };
            self.running.add(kind);
            self.shares.started(&queue.tenant, kind);
            self.ready -= 1;
            started.push(delivery);
        }
        self.weigh(webhook, now);
        self.enqueue(webhook);
    }

    /// Adds what one queue asks for to the plan, or puts it where it waits.
    fn wish(&mut self, webhook: WebhookId, plan: &mut Plan, most: usize, now: Instant) {
        self.rebind(webhook, now);
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        queue.queued.asking = false;
        if let Some(until) = queue.held_back(now) {
            self.effects.n_rate_limited += u64::from(queue.is_out_of_tokens(now));
            queue.parked_until = Some(until);
            self.parked.push(Reverse((until, Parked::Queue(webhook))));
            return;
        }
        self.weigh(webhook, now);
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        let is_answering = queue.is_answering(now);
        let tenant = plan.of(&queue.tenant, &self.shares);
        let headroom = self.node.headroom(is_answering, queue.held(), plan.usage, tenant);
        let (wish, ahead) = queue.wish(webhook, headroom, most, now);
        if total(wish) == 0 {
            // Held up by the shares only: keep its place.
            self.enqueue(webhook);
            return;
        }
        queue.ask(wish);
        if let Some(bucket) = self.tenants.get_mut(&queue.tenant) {
            bucket.take(total(wish));
        }
        plan.add(&queue.tenant, wish, ahead, is_answering);
    }

    fn usage(&self) -> NodeUsage {
        NodeUsage { slots: self.running, ahead: self.ready, n_bytes: self.n_bytes }
    }

    fn answered(&mut self, wish: LeaseWish, given: Option<SlotCounts>) {
        let Some(queue) = self.queues.get_mut(&wish.webhook) else { return };
        queue.answered(given);
        if let Some(bucket) = self.tenants.get_mut(&queue.tenant) {
            bucket.put_back(total(wish).saturating_sub(given.unwrap_or_default().total()));
        }
        self.enqueue(wish.webhook);
    }

    fn still_due(&mut self, wish: LeaseWish) {
        let Some(queue) = self.queues.get_mut(&wish.webhook) else { return };
        queue.due.fresh |= wish.fresh > 0;
        queue.due.retry |= wish.retries > 0;
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
