//! Who may lease and who may send next: the plan of slots, without clocks or I/O.
//!
//! Every webhook has a lane ([`lane`](super::lane)). Tenants take turns, and the webhooks of a tenant
//! take turns, so neither a tenant with many webhooks nor a webhook with much work holds up the others.
//! A part of all slots is out of reach for retries, a smaller part out of reach for first attempts, so
//! neither starves.
//!
//! Dead receivers cannot fill the node: a lane whose receiver keeps silent until the time limit loses
//! half its slots each time and wins them back one by one; and the fuller the node, the fewer slots one
//! lane may add, those whose receiver has not answered yet first of all.
//!
//! A lane that waits for a token or for its breaker is in no line until the moment comes, holds no
//! slot, and uses up no attempt.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{TenantId, WebhookId};
use tokio::time::Instant;

use super::agenda::{Ended, Freed, Kind, Letters};
use super::breaker::Turn;
use super::bucket::Bucket;
use super::lane::{Lane, total};
use super::slots::{Busy, NodeSlots, Taken};
use super::turns::Turns;
use crate::config::WebhookConfig;
use crate::ledger::{DueWebhook, LeaseWish, LeasedDelivery};
use crate::table::MatchTable;

/// Most wishes in one request, so that the question to the database stays small.
const WISHES: usize = 256;

/// Most lanes kept only to remember how their receiver did; beyond it such lanes are forgotten and
/// their webhooks start anew.
const REMEMBERED: usize = 10_000;

/// How often lanes are looked through for what is too old.
const TIDYING: Duration = Duration::from_secs(1);

/// A delivery that was leased ahead and did not start for this long goes back, so that another node
/// can have it and its lease is young when it starts.
const READY_FOR: Duration = Duration::from_secs(2);

/// All lanes of this node.
#[derive(Debug)]
pub(super) struct Lanes {
    config: WebhookConfig,
    table: Arc<MatchTable>,
    node: NodeSlots,
    n_nodes: usize,
    lanes: HashMap<WebhookId, Lane>,
    /// Lanes with something due and room for it.
    asking: Turns,
    /// Lanes with something ready and a slot for it.
    starting: Turns,
    /// Who waits for a moment.
    parked: BinaryHeap<Reverse<(Instant, Parked)>>,
    /// One bucket per tenant that used it lately, where there is a limit.
    tenants: HashMap<TenantId, Bucket>,
    busy: Busy,
    ready: usize,
    tidied: Option<Instant>,
    told: Told,
}

/// What the plan has to tell, since the last time it was asked.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Breakers that changed.
    pub(super) turns: Vec<(TenantId, WebhookId, Turn)>,
    /// Deliveries that go back to the ledger unattempted.
    pub(super) recalled: Vec<LeasedDelivery>,
    /// How often a lane or a tenant had to wait for a token.
    pub(super) n_rate_limited: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Parked {
    Lane(WebhookId),
    Tenant(TenantId),
}

impl Lanes {
    /// No lanes yet; the bounds of single webhooks come from the table.
    pub(super) fn new(config: &WebhookConfig, table: Arc<MatchTable>) -> Self {
        Self {
            config: config.clone(),
            table,
            node: NodeSlots::new(config),
            n_nodes: 1,
            lanes: HashMap::new(),
            asking: Turns::default(),
            starting: Turns::default(),
            parked: BinaryHeap::new(),
            tenants: HashMap::new(),
            busy: Busy::default(),
            ready: 0,
            tidied: None,
            told: Told::default(),
        }
    }

    /// Attempts running.
    pub(super) fn n_busy(&self) -> usize {
        self.busy.total()
    }

    /// Deliveries leased and not started.
    pub(super) fn n_ready(&self) -> usize {
        self.ready
    }

    /// Takes in what was told.
    pub(super) fn absorb(&mut self, letters: Letters, now: Instant) {
        self.n_nodes = letters.n_nodes.max(1) as usize;
        for freed in letters.freed {
            self.free(freed, now);
        }
        for due in letters.due.into_values() {
            self.mark(due, now);
        }
        for webhook in letters.switched_off {
            self.recall(webhook, None);
        }
        self.unpark(now);
        if self.tidied.is_none_or(|tidied| tidied + TIDYING <= now) {
            self.tidy(now);
        }
    }

    /// What happened that others must hear of.
    pub(super) fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// When to look again though nobody told anything.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let parked = self.parked.peek().map(|Reverse((at, _))| *at);
        let tidying = self.tidied.filter(|_| self.ready > 0).map(|tidied| tidied + TIDYING);
        [parked, tidying].into_iter().flatten().min()
    }

    /// Whether a plan may find something to ask for.
    pub(super) fn may_ask(&self) -> bool {
        self.asking.has_next() && self.node.may_lease(self.taken())
    }

    /// What to ask the ledger for now; empty when nothing is due or nothing has room. The lanes asked
    /// for are out of line until [`Lanes::granted`] or [`Lanes::refused`].
    pub(super) fn plan(&mut self, now: Instant) -> Vec<LeaseWish> {
        let mut wishes = Vec::new();
        let mut taken = self.taken();
        for _ in 0..self.asking.len() {
            if wishes.len() >= WISHES || !self.node.may_lease(taken) {
                break;
            }
            let Some(most) = self.tokens_of_next_tenant(now) else { continue };
            let Some(webhook) = self.asking.pop() else { break };
            let Some((wish, ahead)) = self.wish(webhook, taken, most, now) else { continue };
            let slots = Busy { fresh: wish.fresh as usize - ahead, retries: wish.retries as usize };
            taken = Taken { slots: taken.slots.plus(slots), ahead: taken.ahead + ahead };
            wishes.push(wish);
        }
        wishes
    }

    /// Takes in what the ledger handed out for these wishes.
    pub(super) fn granted(&mut self, wishes: &[LeaseWish], leased: Vec<LeasedDelivery>, now: Instant) {
        let mut given: HashMap<WebhookId, Busy> = HashMap::new();
        for delivery in leased {
            let (webhook, kind) = (delivery.webhook.id, kind_of(&delivery));
            given.entry(webhook).or_default().add(kind);
            self.ready += 1;
            let lane = self.lanes.entry(webhook).or_insert_with(|| Lane::new(delivery.webhook.tenant.clone()));
            lane.make_ready(kind, delivery, now);
        }
        for wish in wishes {
            self.answered(*wish, Some(given.remove(&wish.webhook).unwrap_or_default()));
        }
    }

    /// The ledger could not answer: the lanes are in line again.
    pub(super) fn refused(&mut self, wishes: &[LeaseWish]) {
        for wish in wishes {
            self.answered(*wish, None);
        }
    }

    /// What to start now.
    pub(super) fn start(&mut self, now: Instant) -> Vec<LeasedDelivery> {
        let mut started = Vec::new();
        for _ in 0..self.starting.len() {
            if self.busy.total() >= self.node.total {
                break;
            }
            let Some(webhook) = self.starting.pop() else { break };
            self.start_in(webhook, &mut started, now);
        }
        started
    }

    fn start_in(&mut self, webhook: WebhookId, started: &mut Vec<LeasedDelivery>, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        lane.in_line.starting = false;
        loop {
            let (busy, node) = (self.busy, self.node);
            let before = lane.busy;
            let Some(delivery) = lane.start(|kind| node.has_room(kind, busy), now) else { break };
            self.busy.add(if lane.busy.fresh > before.fresh { Kind::Fresh } else { Kind::Retry });
            self.ready -= 1;
            started.push(delivery);
        }
        self.line_up(webhook);
    }

    /// What one lane asks for; `None` when it has to wait, for which it was put where it waits.
    fn wish(&mut self, webhook: WebhookId, taken: Taken, most: usize, now: Instant) -> Option<(LeaseWish, usize)> {
        let lane = self.lanes.get_mut(&webhook)?;
        lane.in_line.asking = false;
        rebind(lane, webhook, (&self.table, &self.config, self.n_nodes), now);
        if let Some(until) = lane.held_back(now) {
            self.told.n_rate_limited += u64::from(lane.is_out_of_tokens(now));
            lane.parked_until = Some(until);
            self.parked.push(Reverse((until, Parked::Lane(webhook))));
            return None;
        }
        let share = self.node.share(lane.is_answering(), taken);
        let (wish, ahead) = lane.wish(webhook, share, most, now);
        if total(wish) == 0 {
            // Held up by the node's shares only: keep its place.
            self.line_up(webhook);
            return None;
        }
        lane.ask(wish);
        if let Some(bucket) = self.tenants.get_mut(&lane.tenant) {
            bucket.take(total(wish));
        }
        Some((wish, ahead))
    }

    fn taken(&self) -> Taken {
        Taken { slots: self.busy, ahead: self.ready }
    }

    fn answered(&mut self, wish: LeaseWish, given: Option<Busy>) {
        let Some(lane) = self.lanes.get_mut(&wish.webhook) else { return };
        lane.answered(given);
        if let Some(bucket) = self.tenants.get_mut(&lane.tenant) {
            bucket.put_back(total(wish).saturating_sub(given.unwrap_or_default().total()));
        }
        self.line_up(wish.webhook);
    }

    fn mark(&mut self, due: DueWebhook, now: Instant) {
        let lane = self.lanes.entry(due.webhook).or_insert_with(|| {
            let mut lane = Lane::new(due.tenant);
            rebind(&mut lane, due.webhook, (&self.table, &self.config, self.n_nodes), now);
            lane
        });
        lane.due.fresh |= due.has_fresh;
        lane.due.retry |= due.has_retry;
        self.line_up(due.webhook);
    }

    fn free(&mut self, freed: Freed, now: Instant) {
        self.busy.sub(freed.kind);
        let Some(lane) = self.lanes.get_mut(&freed.webhook) else { return };
        let turn = lane.free(freed, &self.config.breaker, now);
        let is_shut = matches!(turn, Some(Turn::Opened { .. } | Turn::StaysOpen { .. }));
        self.told.turns.extend(turn.map(|turn| (lane.tenant.clone(), freed.webhook, turn)));
        if is_shut || freed.ended == Ended::TimedOut {
            // Would wait for its slots until the leases run out.
            self.recall(freed.webhook, None);
        }
        self.line_up(freed.webhook);
    }

    fn recall(&mut self, webhook: WebhookId, since: Option<Instant>) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        let recalled = lane.recall(since);
        self.ready -= recalled.len();
        self.told.recalled.extend(recalled);
    }

    /// Gives back everything that has not started.
    pub(super) fn recall_all(&mut self) {
        let all: Vec<WebhookId> = self.lanes.keys().copied().collect();
        for webhook in all {
            self.recall(webhook, None);
        }
    }

    /// Puts a lane in the lines it belongs to.
    fn line_up(&mut self, webhook: WebhookId) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        if !lane.in_line.asking && lane.may_ask() {
            lane.in_line.asking = true;
            self.asking.push(&lane.tenant, webhook);
        }
        if !lane.in_line.starting && lane.may_start() {
            lane.in_line.starting = true;
            self.starting.push(&lane.tenant, webhook);
        }
    }

    /// How many tokens the tenant whose turn it is has; `None` when it had none and is held back.
    fn tokens_of_next_tenant(&mut self, now: Instant) -> Option<usize> {
        let Some(rate) = self.config.tenant_rate_limit else { return Some(usize::MAX) };
        let tenant = self.asking.next_tenant()?.clone();
        let bucket = self.tenants.entry(tenant.clone()).or_insert_with(|| Bucket::new(rate.get(), now));
        match bucket.available(now) {
            0 => {
                self.told.n_rate_limited += 1;
                self.asking.hold_back(&tenant);
                self.parked.push(Reverse((bucket.next_token(now), Parked::Tenant(tenant))));
                None
            }
            n => Some(n),
        }
    }

    fn unpark(&mut self, now: Instant) {
        while self.parked.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            match self.parked.pop() {
                Some(Reverse((_, Parked::Tenant(tenant)))) => self.asking.resume(&tenant),
                Some(Reverse((_, Parked::Lane(webhook)))) => {
                    if let Some(lane) = self.lanes.get_mut(&webhook) {
                        lane.parked_until = None;
                    }
                    self.line_up(webhook);
                }
                None => {}
            }
        }
    }

    /// Gives back what waits too long, and forgets lanes with nothing to do and nothing to remember.
    fn tidy(&mut self, now: Instant) {
        self.tidied = Some(now);
        if let Some(since) = now.checked_sub(READY_FOR).filter(|_| self.ready > 0) {
            let all: Vec<WebhookId> = self.lanes.keys().copied().collect();
            for webhook in all {
                self.recall(webhook, Some(since));
            }
        }
        let (rule, table, told) = (self.config.breaker, &self.table, &mut self.told);
        let too_many = self.lanes.len() > REMEMBERED;
        self.lanes.retain(|webhook, lane| {
            let goes = lane.is_idle()
                && (too_many || lane.has_nothing_to_remember(&rule, now) || !table.is_active(&lane.tenant, *webhook));
            if goes && !lane.is_breaker_closed() {
                told.turns.push((lane.tenant.clone(), *webhook, Turn::Forgotten));
            }
            !goes
        });
        self.tenants.retain(|_, bucket| !bucket.is_full(now));
    }
}

/// Takes in what the webhook's owner and the cluster allow now.
fn rebind(
    lane: &mut Lane,
    webhook: WebhookId,
    (table, config, n_nodes): (&MatchTable, &WebhookConfig, usize),
    now: Instant,
) {
    let bounds = table.bounds(&lane.tenant, webhook);
    lane.bound(bounds, config.per_webhook.max(1), n_nodes, now);
}

/// The kind of a delivery that was handed out.
pub(super) fn kind_of(delivery: &LeasedDelivery) -> Kind {
    if delivery.attempt <= delivery.attempts_before + 1 { Kind::Fresh } else { Kind::Retry }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
