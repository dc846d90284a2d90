//! Who may lease and who may send next: the scheduler, without clocks or I/O.
//!
//! Every webhook has a queue ([`webhook_queue`](super::webhook_queue)). Tenants take turns, and the
//! webhooks of a tenant take turns, so neither a tenant with many webhooks nor a webhook with much work holds up the others.
//! A part of all slots is out of reach for retries, a smaller part out of reach for first attempts, so
//! neither starves.
//!
//! No tenant can fill the node, least of all with receivers that do not answer ([`slots`](super::slots)); and
//! no queue its tenant's share: a queue whose receiver keeps silent until the time limit loses
//! half its slots each time and wins them back one by one; and the fuller the node, the fewer slots one
//! queue may add, those whose receiver has not answered yet first of all.
//!
//! A queue that waits for a token or for its breaker is in no fair queue until the moment comes, holds no
//! slot, and uses up no attempt.
//!
//! What to ask for and what to start is decided in [`planning`].

mod planning;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{TenantId, WebhookId};
use tokio::time::Instant;

use super::breaker::BreakerTransition;
use super::fair_queue::FairQueue;
use super::inbox::{AttemptKind, FreedSlot, ReceiverOutcome, Signals};
use super::slots::{NodeSlots, SlotCounts};
use super::tenant_slots::TenantSlots;
use super::token_bucket::TokenBucket;
use super::webhook_queue::WebhookQueue;
use crate::config::WebhookConfig;
use crate::match_table::MatchTable;
use crate::seams::ledger::{DueWebhook, LEASE_BYTES, LeasedDelivery};

/// Most queues kept only to remember how their receiver did; beyond it such queues are forgotten and
/// their webhooks start anew.
const REMEMBERED: usize = 10_000;

/// How often queues are looked through for what is too old.
const TIDYING: Duration = Duration::from_secs(1);

/// A delivery that was leased ahead and did not start for this long goes back, so that another node
/// can have it and its lease is young when it starts.
const READY_FOR: Duration = Duration::from_secs(2);

/// Decides for this node; it holds all queues.
#[derive(Debug)]
pub(super) struct Scheduler {
    config: WebhookConfig,
    table: Arc<MatchTable>,
    node: NodeSlots,
    n_nodes: usize,
    queues: HashMap<WebhookId, WebhookQueue>,
    /// Queues with something due and room for it.
    asking: FairQueue,
    /// Queues with something ready and a slot for it.
    starting: FairQueue,
    /// Who waits for a moment.
    parked: BinaryHeap<Reverse<(Instant, Parked)>>,
    /// One bucket per tenant that used it lately, where there is a limit.
    tenants: HashMap<TenantId, TokenBucket>,
    running: SlotCounts,
    ready: usize,
    /// Of the bodies of both.
    n_bytes: usize,
    /// How many bytes of bodies the last plan asks for at most.
    lease_bytes: usize,
    /// What each tenant has of all that.
    shares: TenantSlots,
    tidied: Option<Instant>,
    effects: SchedulerEffects,
}

/// What follows from the scheduler's decisions for others, since the last time it was asked.
#[derive(Debug, Default)]
pub(super) struct SchedulerEffects {
    /// Breakers that changed.
    pub(super) transitions: Vec<(TenantId, WebhookId, BreakerTransition)>,
    /// Deliveries that go back to the ledger unattempted.
    pub(super) recalled: Vec<LeasedDelivery>,
    /// How often a queue or a tenant had to wait for a token.
    pub(super) n_rate_limited: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Parked {
    Queue(WebhookId),
    Tenant(TenantId),
}

impl Scheduler {
    /// No queues yet; the bounds of single webhooks come from the table.
    pub(super) fn new(config: &WebhookConfig, table: Arc<MatchTable>) -> Self {
        Self {
            config: config.clone(),
            table,
            node: NodeSlots::new(config),
            n_nodes: 1,
            queues: HashMap::new(),
            asking: FairQueue::default(),
            starting: FairQueue::default(),
            parked: BinaryHeap::new(),
            tenants: HashMap::new(),
            running: SlotCounts::default(),
            ready: 0,
            n_bytes: 0,
            lease_bytes: LEASE_BYTES,
            shares: TenantSlots::default(),
            tidied: None,
            effects: SchedulerEffects::default(),
        }
    }

    /// Attempts running.
    pub(super) fn n_running(&self) -> usize {
        self.running.total()
    }

    /// Deliveries leased and not started.
    pub(super) fn n_ready(&self) -> usize {
        self.ready
    }

    /// Bytes of the bodies of what runs or is ready.
    pub(super) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Queues that wait for their turn to lease.
    pub(super) fn n_asking(&self) -> usize {
        self.asking.len()
    }

    /// Takes in the signals.
    pub(super) fn absorb(&mut self, signals: Signals, now: Instant) {
        self.n_nodes = signals.n_nodes.max(1) as usize;
        for freed in signals.freed {
            self.free(freed, now);
        }
        for due in signals.due.into_values() {
            self.mark(due, now);
        }
        for webhook in signals.changed {
            self.recall(webhook, None);
            self.rebind(webhook, now);
            self.enqueue(webhook);
        }
        self.unpark(now);
        if self.tidied.is_none_or(|tidied| tidied + TIDYING <= now) {
            self.tidy(now);
        }
    }

    /// What happened that others must hear of.
    pub(super) fn take_effects(&mut self) -> SchedulerEffects {
        std::mem::take(&mut self.effects)
    }

    /// When to look again though no signal came.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let parked = self.parked.peek().map(|Reverse((at, _))| *at);
        let tidying = self.tidied.filter(|_| self.ready > 0).map(|tidied| tidied + TIDYING);
        [parked, tidying].into_iter().flatten().min()
    }

    fn mark(&mut self, due: DueWebhook, now: Instant) {
        let queue = self.queues.entry(due.webhook).or_insert_with(|| WebhookQueue::new(due.tenant));
        queue.due.fresh |= due.has_fresh;
        queue.due.retry |= due.has_retry;
        self.rebind(due.webhook, now);
        self.enqueue(due.webhook);
    }

    /// Takes in what the webhook's owner and the cluster allow now, and who its receiver is.
    fn rebind(&mut self, webhook: WebhookId, now: Instant) {
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        let was_closed = queue.is_breaker_closed();
        let bounds = self.table.bounds(&queue.tenant, webhook);
        let is_other = queue.bound(bounds, self.config.per_webhook.max(1), self.n_nodes, now);
        if is_other && !was_closed {
            let forgotten = (queue.tenant.clone(), webhook, BreakerTransition::Forgotten);
            self.effects.transitions.push(forgotten);
        }
    }

    fn free(&mut self, freed: FreedSlot, now: Instant) {
        self.running.sub(freed.kind);
        self.n_bytes = self.n_bytes.saturating_sub(freed.n_bytes);
        let Some(queue) = self.queues.get_mut(&freed.webhook) else { return };
        self.shares.ended(&queue.tenant, freed.kind, freed.n_bytes);
        let transition = queue.free(freed, &self.config.breaker, now);
        let is_shut =
            matches!(transition, Some(BreakerTransition::Opened { .. } | BreakerTransition::StaysOpen { .. }));
        self.effects.transitions.extend(transition.map(|transition| (queue.tenant.clone(), freed.webhook, transition)));
        if is_shut || freed.ended == ReceiverOutcome::TimedOut {
            // Would wait for its slots until the leases run out.
            self.recall(freed.webhook, None);
        }
        self.weigh(freed.webhook, now);
        self.enqueue(freed.webhook);
    }

    /// Counts a queue's running attempts among its tenant's silent ones, or no longer.
    fn weigh(&mut self, webhook: WebhookId, now: Instant) {
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        let silent = if queue.is_answering(now) { SlotCounts::default() } else { queue.running };
        let before = std::mem::replace(&mut queue.silent, silent);
        self.shares.fell_silent(&queue.tenant, before, silent);
    }

    fn recall(&mut self, webhook: WebhookId, since: Option<Instant>) {
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        let recalled = queue.recall(since);
        let n_bytes = recalled.iter().map(|delivery| delivery.body.len()).sum();
        self.ready -= recalled.len();
        self.n_bytes = self.n_bytes.saturating_sub(n_bytes);
        self.shares.recalled(&queue.tenant, recalled.len(), n_bytes);
        self.effects.recalled.extend(recalled);
    }

    /// Gives back everything that has not started.
    pub(super) fn recall_all(&mut self) {
        let all: Vec<WebhookId> = self.queues.keys().copied().collect();
        for webhook in all {
            self.recall(webhook, None);
        }
    }

    /// Puts a queue into the fair queues it belongs to.
    fn enqueue(&mut self, webhook: WebhookId) {
        let Some(queue) = self.queues.get_mut(&webhook) else { return };
        if !queue.queued.asking && queue.may_ask() {
            queue.queued.asking = true;
            self.asking.push(&queue.tenant, webhook);
        }
        if !queue.queued.starting && queue.may_start() {
            queue.queued.starting = true;
            self.starting.push(&queue.tenant, webhook);
        }
    }

    fn unpark(&mut self, now: Instant) {
        while self.parked.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            match self.parked.pop() {
                Some(Reverse((_, Parked::Tenant(tenant)))) => self.asking.resume(&tenant),
                Some(Reverse((_, Parked::Queue(webhook)))) => {
                    if let Some(queue) = self.queues.get_mut(&webhook) {
                        queue.parked_until = None;
                    }
                    self.enqueue(webhook);
                }
                None => {}
            }
        }
    }

    /// Looks who fell silent, gives back what waits too long, and forgets queues with nothing to do and nothing to remember.
    fn tidy(&mut self, now: Instant) {
        self.tidied = Some(now);
        let running = |(webhook, queue): (&WebhookId, &WebhookQueue)| (queue.running.total() > 0).then_some(*webhook);
        let running: Vec<WebhookId> = self.queues.iter().filter_map(running).collect();
        for webhook in running {
            self.weigh(webhook, now);
        }
        if let Some(since) = now.checked_sub(READY_FOR).filter(|_| self.ready > 0) {
            let all: Vec<WebhookId> = self.queues.keys().copied().collect();
            for webhook in all {
                self.recall(webhook, Some(since));
            }
        }
        let (rule, table, effects) = (self.config.breaker, &self.table, &mut self.effects);
        let too_many = self.queues.len() > REMEMBERED;
        self.queues.retain(|webhook, queue| {
            let goes = queue.is_idle()
                && (too_many || queue.has_nothing_to_remember(&rule, now) || !table.is_active(&queue.tenant, *webhook));
            if goes && !queue.is_breaker_closed() {
                effects.transitions.push((queue.tenant.clone(), *webhook, BreakerTransition::Forgotten));
            }
            !goes
        });
        self.tenants.retain(|_, bucket| !bucket.is_full(now));
    }
}

/// The kind of a delivery that was handed out.
pub(super) fn kind_of(delivery: &LeasedDelivery) -> AttemptKind {
    if delivery.attempt <= delivery.attempts_before + 1 { AttemptKind::Fresh } else { AttemptKind::Retry }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
