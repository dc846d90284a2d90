//! Who may send next: the plan of slots, without clocks or I/O.
//!
//! Every webhook has a lane. Tenants take turns, and the webhooks of a tenant take turns, so neither
//! a tenant with many webhooks nor a webhook with much work holds up the others. A part of all slots
//! is out of reach for retries, a smaller part out of reach for first attempts, so neither starves.
//! A lane whose receiver keeps silent until the time limit loses half its slots each time and wins
//! them back one by one, so that even many dead receivers cannot fill the node.

use std::collections::{HashMap, VecDeque};

use hookswitch_protocol::{TenantId, WebhookId};

use super::agenda::{Ended, Freed, Kind, Letters};
use crate::config::WebhookConfig;
use crate::ledger::{DueWebhook, LeaseWish, LeasedDelivery};

/// Most wishes in one request, so that the question to the database stays small.
const WISHES: usize = 256;

/// The part of the node's slots that first attempts may not use: one in so many.
const RETRY_RESERVE: usize = 16;

/// Most lanes kept only to remember that their receiver was silent; beyond it such lanes are
/// forgotten and their webhooks start anew with all their slots.
const REMEMBERED: usize = 10_000;

/// All lanes of this node.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: Limits,
    lanes: HashMap<WebhookId, Lane>,
    /// Tenants with a lane in line, in the order of their turns.
    turns: VecDeque<TenantId>,
    /// Lanes with something due and room for it, per tenant. A tenant here is in `turns`, once.
    lines: HashMap<TenantId, VecDeque<WebhookId>>,
    busy: Busy,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    node: Busy,
    node_total: usize,
    per_webhook: usize,
    fresh_percent: usize,
}

/// Slots by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Busy {
    fresh: usize,
    retries: usize,
}

/// What is due in a lane, as far as we were told.
#[derive(Debug, Clone, Copy, Default)]
struct Due {
    fresh: bool,
    retry: bool,
}

#[derive(Debug)]
struct Lane {
    tenant: TenantId,
    due: Due,
    busy: Busy,
    /// Slots it may use now; below the limit after time-outs.
    allowance: usize,
    /// Whether it stands in its tenant's line.
    in_line: bool,
    /// Takes turns between kinds where there is one slot only.
    fresh_was_last: bool,
}

impl Lanes {
    /// No lanes yet.
    pub(super) fn new(config: &WebhookConfig) -> Self {
        let total = config.concurrency.max(1);
        let percent = usize::from(config.fresh_percent.min(100));
        let limits = Limits {
            node: Busy { fresh: total - total / RETRY_RESERVE, retries: share_of_retries(total, percent) },
            node_total: total,
            per_webhook: config.per_webhook.max(1),
            fresh_percent: percent,
        };
        Self { limits, lanes: HashMap::new(), turns: VecDeque::new(), lines: HashMap::new(), busy: Busy::default() }
    }

    /// Slots in use.
    pub(super) fn n_busy(&self) -> usize {
        self.busy.total()
    }

    /// Takes in what was told.
    pub(super) fn absorb(&mut self, letters: Letters) {
        for freed in letters.freed {
            self.free(freed);
        }
        for due in letters.due.into_values() {
            self.mark(due);
        }
    }

    /// What to ask the ledger for now; empty when nothing is due or nothing has room. Until
    /// [`Lanes::granted`] or [`Lanes::refused`] the lanes asked for are out of line.
    pub(super) fn plan(&mut self) -> Vec<LeaseWish> {
        let mut wishes = Vec::new();
        let mut planned = self.busy;
        let n_in_line: usize = self.lines.values().map(VecDeque::len).sum();
        for _ in 0..n_in_line {
            if planned.total() >= self.limits.node_total || wishes.len() >= WISHES {
                break;
            }
            let Some(webhook) = self.next_in_line() else { break };
            let Some(lane) = self.lanes.get_mut(&webhook) else { continue };
            let wish = lane.wish(webhook, self.limits, planned);
            if wish.fresh + wish.retries > 0 {
                planned.fresh += wish.fresh as usize;
                planned.retries += wish.retries as usize;
                wishes.push(wish);
            } else if lane.has_room() {
                // Held up by the node's shares only: keep its place.
                self.line_up(webhook);
            }
        }
        wishes
    }

    /// Takes in what the ledger handed out for these wishes. Fewer than wished means that no more
    /// was due.
    pub(super) fn granted(&mut self, wishes: &[LeaseWish], leased: &[LeasedDelivery]) {
        let mut given: HashMap<WebhookId, Busy> = HashMap::new();
        for delivery in leased {
            given.entry(delivery.webhook.id).or_default().add(kind_of(delivery));
        }
        for wish in wishes {
            let given = given.remove(&wish.webhook).unwrap_or_default();
            let Some(lane) = self.lanes.get_mut(&wish.webhook) else { continue };
            lane.due.fresh &= wish.fresh == 0 || given.fresh >= wish.fresh as usize;
            lane.due.retry &= wish.retries == 0 || given.retries >= wish.retries as usize;
            lane.fresh_was_last = given.fresh > 0;
            lane.busy = lane.busy.plus(given);
            self.busy = self.busy.plus(given);
            self.line_up(wish.webhook);
            self.forget_if_idle(wish.webhook);
        }
    }

    /// The ledger could not answer: the lanes are in line again.
    pub(super) fn refused(&mut self, wishes: &[LeaseWish]) {
        for wish in wishes {
            self.line_up(wish.webhook);
        }
    }

    fn mark(&mut self, due: DueWebhook) {
        let lane = self.lanes.entry(due.webhook).or_insert_with(|| Lane::new(due.tenant, self.limits.per_webhook));
        lane.due.fresh |= due.has_fresh;
        lane.due.retry |= due.has_retry;
        self.line_up(due.webhook);
    }

    fn free(&mut self, freed: Freed) {
        self.busy.sub(freed.kind);
        let Some(lane) = self.lanes.get_mut(&freed.webhook) else { return };
        lane.busy.sub(freed.kind);
        lane.allowance = match freed.ended {
            Ended::Reacted => (lane.allowance + 1).min(self.limits.per_webhook),
            Ended::TimedOut => (lane.allowance / 2).max(1),
            Ended::Unknown => lane.allowance,
        };
        self.line_up(freed.webhook);
        self.forget_if_idle(freed.webhook);
    }

    fn line_up(&mut self, webhook: WebhookId) {
        let Some(lane) = self.lanes.get_mut(&webhook) else { return };
        if lane.in_line || !lane.has_room() {
            return;
        }
        lane.in_line = true;
        let line = self.lines.entry(lane.tenant.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(lane.tenant.clone());
        }
        line.push_back(webhook);
    }

    fn next_in_line(&mut self) -> Option<WebhookId> {
        let tenant = self.turns.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let webhook = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        let lane = self.lanes.get_mut(&webhook?)?;
        lane.in_line = false;
        webhook
    }

    /// A lane with nothing to do and nothing to remember goes.
    fn forget_if_idle(&mut self, webhook: WebhookId) {
        let enough = if self.lanes.len() > REMEMBERED { 0 } else { self.limits.per_webhook };
        let is_idle =
            |lane: &Lane| !lane.in_line && !lane.has_work() && lane.busy == Busy::default() && lane.allowance >= enough;
        if self.lanes.get(&webhook).is_some_and(is_idle) {
            self.lanes.remove(&webhook);
        }
    }
}

impl Lane {
    fn new(tenant: TenantId, allowance: usize) -> Self {
        Self { tenant, due: Due::default(), busy: Busy::default(), allowance, in_line: false, fresh_was_last: false }
    }

    fn has_work(&self) -> bool {
        self.due.fresh || self.due.retry
    }

    /// Whether something is due and the lane's own limits leave room for it.
    fn has_room(&self) -> bool {
        self.has_work() && self.busy.total() < self.allowance
    }

    /// How much to ask for: within the lane's limits and what the node has left beside `planned`.
    fn wish(&self, webhook: WebhookId, limits: Limits, planned: Busy) -> LeaseWish {
        let room = self.allowance.saturating_sub(self.busy.total()).min(limits.node_total - planned.total());
        let node_fresh = limits.node.fresh.saturating_sub(planned.fresh);
        let node_retries = limits.node.retries.saturating_sub(planned.retries);
        if self.allowance == 1 && self.due.fresh && self.due.retry {
            let (fresh, retries) = if self.fresh_was_last { (0, 1) } else { (1, 0) };
            return wish_of(webhook, room.min(fresh).min(node_fresh), room.min(retries).min(node_retries));
        }
        let own_retries = share_of_retries(self.allowance, limits.fresh_percent).saturating_sub(self.busy.retries);
        let wanted = |has: bool, most: usize| if has { most.min(room) } else { 0 };
        let mut retries = wanted(self.due.retry, own_retries.min(node_retries));
        if self.due.fresh {
            // First attempts come first, all but the one slot that keeps retries moving.
            retries = retries.min(usize::from(self.busy.retries == 0));
        }
        let fresh = wanted(self.due.fresh, (room - retries).min(node_fresh));
        wish_of(webhook, fresh, retries)
    }
}

impl Busy {
    fn total(self) -> usize {
        self.fresh + self.retries
    }

    fn plus(self, other: Self) -> Self {
        Self { fresh: self.fresh + other.fresh, retries: self.retries + other.retries }
    }

    fn add(&mut self, kind: Kind) {
        *self.of(kind) += 1;
    }

    fn sub(&mut self, kind: Kind) {
        let of = self.of(kind);
        *of = of.saturating_sub(1);
    }

    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Fresh => &mut self.fresh,
            Kind::Retry => &mut self.retries,
        }
    }
}

/// The kind of a delivery that was handed out.
pub(super) fn kind_of(delivery: &LeasedDelivery) -> Kind {
    if delivery.attempt <= delivery.attempts_before + 1 { Kind::Fresh } else { Kind::Retry }
}

/// How many of `total` slots retries may use: never none.
fn share_of_retries(total: usize, fresh_percent: usize) -> usize {
    (total - (total * fresh_percent).div_ceil(100)).max(1)
}

fn wish_of(webhook: WebhookId, fresh: usize, retries: usize) -> LeaseWish {
    LeaseWish { webhook, fresh: fresh as u32, retries: retries as u32 }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
