//! One webhook's lane: what is due, what is ready, what runs, and how much more may.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_protocol::{TenantId, WebhookId};
use tokio::time::Instant;

use super::agenda::{Ended, Freed, Kind};
use super::breaker::{Breaker, BreakerRule, Gate, Turn};
use super::bucket::Bucket;
use super::slots::{Busy, Share, share_of_retries};
use crate::ledger::{LeaseWish, LeasedDelivery};
use crate::table::Bounds;

/// How far ahead a quick receiver's deliveries are leased: about as many as it takes in this time, so
/// that its slots do not stand empty while the ledger is asked.
const HORIZON: Duration = Duration::from_millis(20);

/// What is due in a lane, as far as we were told and have not asked for since.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Due {
    pub(super) fresh: bool,
    pub(super) retry: bool,
}

/// Whether a lane stands in the line for leases, and in the line for slots.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InLine {
    pub(super) asking: bool,
    pub(super) starting: bool,
}

/// A lane. What it may do follows from what it was told; the lines it stands in are its owner's.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) tenant: TenantId,
    pub(super) due: Due,
    pub(super) busy: Busy,
    /// Leased and not started, retries apart, with the moment they came.
    ready: [VecDeque<(Instant, LeasedDelivery)>; 2],
    /// What was asked for and is not answered yet.
    pub(super) asked: Option<LeaseWish>,
    /// Slots it may have at most.
    limit: usize,
    /// Slots lost to time-outs.
    cut: usize,
    /// How long its attempts take, smoothed; `None` before the first answer and after a time-out.
    took: Option<Duration>,
    bucket: Option<Bucket>,
    breaker: Breaker,
    pub(super) in_line: InLine,
    /// Out of both lines until then.
    pub(super) parked_until: Option<Instant>,
    /// Takes turns between kinds where there is one slot only.
    fresh_was_last: bool,
    /// The ledger had as many first attempts as were wished for, the last time it was asked.
    is_backlogged: bool,
}

impl Lane {
    pub(super) fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            due: Due::default(),
            busy: Busy::default(),
            ready: [VecDeque::new(), VecDeque::new()],
            asked: None,
            limit: 1,
            cut: 0,
            took: None,
            bucket: None,
            breaker: Breaker::default(),
            in_line: InLine::default(),
            parked_until: None,
            fresh_was_last: false,
            is_backlogged: false,
        }
    }

    /// Takes in what its owner and the cluster allow now.
    pub(super) fn bound(&mut self, bounds: Bounds, per_webhook: usize, n_nodes: usize, now: Instant) {
        let most = bounds.max_in_flight.map_or(per_webhook, |most| most as usize);
        self.limit = (most / n_nodes.max(1)).max(1);
        self.cut = self.cut.min(self.limit - 1);
        match (&mut self.bucket, bounds.rate_limit) {
            (Some(bucket), Some(rate)) => bucket.set_rate(rate, now),
            (bucket, rate) => *bucket = rate.map(|rate| Bucket::new(rate, now)),
        }
    }

    /// Slots it may use now, as its receiver does.
    fn allowance(&self) -> usize {
        self.limit - self.cut
    }

    /// Running or ready.
    pub(super) fn held(&self) -> Busy {
        let [fresh, retries] = &self.ready;
        Busy { fresh: self.busy.fresh + fresh.len(), retries: self.busy.retries + retries.len() }
    }

    pub(super) fn n_ready(&self) -> usize {
        self.ready.iter().map(VecDeque::len).sum()
    }

    /// Whether its receiver answers, as far as the last attempt tells.
    pub(super) fn is_answering(&self) -> bool {
        self.took.is_some()
    }

    pub(super) fn has_due(&self) -> bool {
        self.due.fresh || self.due.retry
    }

    /// Whether something is due and the lane's own limits leave room to ask for it.
    pub(super) fn may_ask(&self) -> bool {
        let slots = self.allowance() + if self.due.fresh { self.ahead() } else { 0 };
        self.has_due() && self.parked_until.is_none() && self.asked.is_none() && self.held().total() < slots
    }

    /// Whether something is ready and the lane's own limits leave a slot for it.
    pub(super) fn may_start(&self) -> bool {
        self.n_ready() > 0 && self.busy.total() < self.allowance()
    }

    /// When it may ask again, if not now: the breaker is open, or it has no token.
    pub(super) fn held_back(&mut self, now: Instant) -> Option<Instant> {
        if let Gate::ShutUntil(until) = self.breaker.gate(now) {
            return Some(until);
        }
        let bucket = self.bucket.as_mut()?;
        (bucket.available(now) == 0).then(|| bucket.next_token(now))
    }

    /// Whether it is the rate that holds it back, not the breaker.
    pub(super) fn is_out_of_tokens(&mut self, now: Instant) -> bool {
        self.bucket.as_mut().is_some_and(|bucket| bucket.available(now) == 0)
    }

    /// Deliveries worth leasing beyond the slots.
    fn ahead(&self) -> usize {
        let Some(took) = self.took.filter(|_| self.cut == 0 && self.is_backlogged) else { return 0 };
        // Ready and not started though there is a slot: the node is full, and more would only wait.
        if self.n_ready() > 0 && self.busy.total() < self.allowance() {
            return 0;
        }
        (self.limit as u128 * HORIZON.as_micros() / took.as_micros().max(1)).min(u128::from(u16::MAX)) as usize
    }

    /// Slots it may use now, and whether for a probe only.
    fn slots(&mut self, now: Instant) -> (usize, bool) {
        match self.breaker.gate(now) {
            Gate::Open => (self.allowance(), false),
            Gate::Probe => (1, true),
            Gate::ShutUntil(_) | Gate::Probing => (0, true),
        }
    }

    /// How much to ask for: within the lane's limits, at most `most`, and what the node leaves it.
    /// The second number is how many of the first attempts are ahead of slots.
    pub(super) fn wish(&mut self, webhook: WebhookId, share: Share, most: usize, now: Instant) -> (LeaseWish, usize) {
        let most = self.bucket.as_mut().map_or(usize::MAX, |bucket| bucket.available(now)).min(most);
        let (slots, is_probe) = self.slots(now);
        let held = self.held();
        let room = slots.saturating_sub(held.total()).min(share.free_total).min(most);
        let (free_fresh, free_retries) = (
            share.free.fresh.min(share.per_kind.saturating_sub(held.fresh)),
            share.free.retries.min(share.per_kind.saturating_sub(held.retries)),
        );
        if slots == 1 && self.due.fresh && self.due.retry {
            let (fresh, retries) = if self.fresh_was_last { (0, 1) } else { (1, 0) };
            let wish = wish_of(webhook, room.min(fresh).min(free_fresh), room.min(retries).min(free_retries));
            return (wish, 0);
        }
        let own_retries = share_of_retries(slots, share.fresh_percent).saturating_sub(held.retries);
        let wanted = |has: bool, most: usize| if has { most.min(room) } else { 0 };
        let mut retries = wanted(self.due.retry, own_retries.min(free_retries));
        if self.due.fresh {
            // First attempts come first, all but the one slot that keeps retries moving.
            retries = retries.min(usize::from(held.retries == 0));
        }
        let fresh = wanted(self.due.fresh, (room - retries).min(free_fresh));
        let has_ahead = self.due.fresh && !is_probe && share.per_kind >= slots;
        let ahead = if has_ahead { self.ahead().saturating_sub(held.total().saturating_sub(slots)) } else { 0 };
        let ahead = ahead.min(share.ahead).min(most - fresh - retries);
        (wish_of(webhook, fresh + ahead, retries), ahead)
    }

    /// The wish goes to the ledger: what is told from here on is news.
    pub(super) fn ask(&mut self, wish: LeaseWish) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(total(wish));
        }
        self.due.fresh &= wish.fresh == 0;
        self.due.retry &= wish.retries == 0;
        self.asked = Some(wish);
    }

    /// The ledger answered with so many, or not at all. Fewer than wished means that no more was due
    /// when it looked.
    pub(super) fn answered(&mut self, given: Option<Busy>) {
        let Some(wish) = self.asked.take() else { return };
        let got = given.unwrap_or_default();
        self.due.fresh |= wish.fresh > 0 && given.is_none_or(|got| got.fresh >= wish.fresh as usize);
        self.due.retry |= wish.retries > 0 && given.is_none_or(|got| got.retries >= wish.retries as usize);
        if wish.fresh > 0 {
            self.is_backlogged = got.fresh >= wish.fresh as usize;
        }
        if got.total() > 0 {
            self.fresh_was_last = got.fresh > 0;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.put_back(total(wish).saturating_sub(got.total()));
        }
    }

    pub(super) fn make_ready(&mut self, kind: Kind, delivery: LeasedDelivery, now: Instant) {
        self.ready[kind as usize].push_back((now, delivery));
    }

    /// The next delivery to start, of a kind that still `has_room` on the node: retries first, for they
    /// are few.
    pub(super) fn start(&mut self, has_room: impl Fn(Kind) -> bool, now: Instant) -> Option<LeasedDelivery> {
        let (slots, _) = self.slots(now);
        let free = slots.saturating_sub(self.busy.total());
        let is_retry_expected = self.busy.retries == 0
            && self.ready[Kind::Retry as usize].is_empty()
            && (self.due.retry || self.asked.is_some_and(|wish| wish.retries > 0));
        // What was leased ahead must not take the slot that keeps retries moving.
        let free_fresh = if slots > 1 && is_retry_expected { free.saturating_sub(1) } else { free };
        let may = |kind: Kind, free: usize| free > 0 && has_room(kind) && !self.ready[kind as usize].is_empty();
        let kind = if may(Kind::Retry, free) {
            Kind::Retry
        } else if may(Kind::Fresh, free_fresh) {
            Kind::Fresh
        } else {
            return None;
        };
        let (_, delivery) = self.ready[kind as usize].pop_front()?;
        self.busy.add(kind);
        self.breaker.started();
        Some(delivery)
    }

    /// An attempt ended.
    pub(super) fn free(&mut self, freed: Freed, rule: &BreakerRule, now: Instant) -> Option<Turn> {
        self.busy.sub(freed.kind);
        match freed.ended {
            Ended::TimedOut | Ended::Slowly => {
                self.cut = self.limit - (self.allowance() / 2).max(1);
                self.took = None;
            }
            Ended::Well | Ended::Badly => {
                self.cut = self.cut.saturating_sub(1);
                self.took = Some(self.took.map_or(freed.took, |took| (took * 3 + freed.took) / 4));
            }
            Ended::Unknown => {}
        }
        let has_failed = match freed.ended {
            Ended::Well | Ended::Slowly => Some(false),
            Ended::Badly | Ended::TimedOut => Some(true),
            Ended::Unknown => None,
        };
        self.breaker.ended(has_failed, rule, now)
    }

    /// Takes back what is ready, or what of it is ready since before `since`.
    pub(super) fn recall(&mut self, since: Option<Instant>) -> Vec<LeasedDelivery> {
        let mut recalled = Vec::new();
        for line in &mut self.ready {
            while line.front().is_some_and(|(came, _)| since.is_none_or(|since| *came < since)) {
                recalled.extend(line.pop_front().map(|(_, delivery)| delivery));
            }
        }
        recalled
    }

    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_due()
            && self.held() == Busy::default()
            && self.asked.is_none()
            && !(self.in_line.asking || self.in_line.starting)
            && self.parked_until.is_none()
    }

    /// Whether forgetting an idle lane changes nothing.
    pub(super) fn has_nothing_to_remember(&mut self, rule: &BreakerRule, now: Instant) -> bool {
        self.cut == 0
            && self.breaker.is_blank(rule, now)
            && self.bucket.as_mut().is_none_or(|bucket| bucket.is_full(now))
    }

    pub(super) fn is_breaker_closed(&self) -> bool {
        self.breaker.is_closed()
    }
}

pub(super) fn total(wish: LeaseWish) -> usize {
    (wish.fresh + wish.retries) as usize
}

fn wish_of(webhook: WebhookId, fresh: usize, retries: usize) -> LeaseWish {
    LeaseWish { webhook, fresh: fresh as u32, retries: retries as u32 }
}
