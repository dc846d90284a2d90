//! One webhook's queue: what is due, what is ready, what runs, and how much more may.

use std::collections::VecDeque;
use std::time::Duration;

use hookswitch_protocol::{TenantId, WebhookId};
use tokio::time::Instant;

use super::breaker::{Breaker, BreakerTransition, Permission};
use super::inbox::{AttemptKind, FreedSlot, ReceiverOutcome};
use super::slots::{Headroom, SlotCounts, share_of_retries};
use super::token_bucket::TokenBucket;
use crate::config::BreakerRule;
use crate::match_table::Bounds;
use crate::receiver_version::ReceiverVersion;
use crate::seams::ledger::{LeaseWish, LeasedDelivery};

/// How far ahead a quick receiver's deliveries are leased: about as many as it takes in this time, so
/// that its slots do not stand empty while the ledger is asked.
const HORIZON: Duration = Duration::from_millis(20);

/// A receiver that has ended no attempt for so long while some run, or takes longer for each, is not known
/// to answer, whatever it did before.
const SILENCE: Duration = Duration::from_secs(5);

/// What is due in a queue, as far as it is known and was not asked for since.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Due {
    pub(super) fresh: bool,
    pub(super) retry: bool,
}

/// Whether a queue waits for its turn to lease, and for its turn to start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    pub(super) asking: bool,
    pub(super) starting: bool,
}

/// A queue. What it may do follows from its own state; the fair queues it waits in are the scheduler's.
#[derive(Debug)]
pub(super) struct WebhookQueue {
    pub(super) tenant: TenantId,
    pub(super) due: Due,
    pub(super) running: SlotCounts,
    /// Leased and not started, retries apart, with the moment they came.
    ready: [VecDeque<(Instant, LeasedDelivery)>; 2],
    /// What was asked for and is not answered yet.
    pub(super) asked: Option<LeaseWish>,
    /// Slots it may have at most.
    limit: usize,
    /// Slots lost to time-outs.
    lost_slots: usize,
    /// How long its attempts take, smoothed; `None` before the first answer and after a time-out.
    took: Option<Duration>,
    /// When an attempt last ended, or, after none ran, the first one started.
    progress: Option<Instant>,
    /// Running attempts that count among its tenant's silent ones.
    pub(super) silent: SlotCounts,
    bucket: Option<TokenBucket>,
    breaker: Breaker,
    /// Whom slots and breaker are about; `None` until it is known.
    receiver: Option<ReceiverVersion>,
    pub(super) queued: Queued,
    /// In no fair queue until then.
    pub(super) parked_until: Option<Instant>,
    /// Takes turns between kinds where there is one slot only.
    fresh_was_last: bool,
    /// The ledger had as many first attempts as were wished for, the last time it was asked.
    is_backlogged: bool,
}

impl WebhookQueue {
    pub(super) fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            due: Due::default(),
            running: SlotCounts::default(),
            ready: [VecDeque::new(), VecDeque::new()],
            asked: None,
            limit: 1,
            lost_slots: 0,
            took: None,
            progress: None,
            silent: SlotCounts::default(),
            bucket: None,
            breaker: Breaker::default(),
            receiver: None,
            queued: Queued::default(),
            parked_until: None,
            fresh_was_last: false,
            is_backlogged: false,
        }
    }

    /// Takes in what its owner and the cluster allow now. Whether it has another receiver than before, of
    /// which nothing is known: then its breaker is closed and it waits for nothing.
    pub(super) fn bound(&mut self, bounds: Bounds, per_webhook: usize, n_nodes: usize, now: Instant) -> bool {
        let is_other = bounds.receiver.is_some() && self.receiver.is_some() && bounds.receiver != self.receiver;
        self.receiver = bounds.receiver.or(self.receiver);
        if is_other {
            self.breaker = Breaker::default();
            (self.lost_slots, self.took, self.parked_until) = (0, None, None);
        }
        let most = bounds.max_in_flight.map_or(per_webhook, |most| most as usize);
        self.limit = (most / n_nodes.max(1)).max(1);
        self.lost_slots = self.lost_slots.min(self.limit - 1);
        match (&mut self.bucket, bounds.rate_limit) {
            (Some(bucket), Some(rate)) => bucket.set_rate(rate, now),
            (bucket, rate) => *bucket = rate.map(|rate| TokenBucket::new(rate, now)),
        }
        is_other
    }

    /// Slots it may use now, as its receiver does.
    fn allowance(&self) -> usize {
        self.limit - self.lost_slots
    }

    /// Running or ready.
    pub(super) fn held(&self) -> SlotCounts {
        let [fresh, retries] = &self.ready;
        SlotCounts { fresh: self.running.fresh + fresh.len(), retries: self.running.retries + retries.len() }
    }

    pub(super) fn n_ready(&self) -> usize {
        self.ready.iter().map(VecDeque::len).sum()
    }

    /// Whether its receiver answers, as far as the last attempts tell and those that run.
    pub(super) fn is_answering(&self, now: Instant) -> bool {
        let is_stuck = self.running.total() > 0 && self.progress.is_some_and(|at| at + SILENCE <= now);
        self.took.is_some_and(|took| took < SILENCE) && !is_stuck
    }

    pub(super) fn has_due(&self) -> bool {
        self.due.fresh || self.due.retry
    }

    /// Whether something is due and the queue's own limits leave room to ask for it.
    pub(super) fn may_ask(&self) -> bool {
        let slots = self.allowance() + if self.due.fresh { self.ahead() } else { 0 };
        self.has_due() && self.parked_until.is_none() && self.asked.is_none() && self.held().total() < slots
    }

    /// Whether something is ready and the queue's own limits leave a slot for it.
    pub(super) fn may_start(&self) -> bool {
        self.n_ready() > 0 && self.running.total() < self.allowance()
    }

    /// When it may ask again, if not now: the breaker is open, or it has no token.
    pub(super) fn held_back(&mut self, now: Instant) -> Option<Instant> {
        if let Permission::NotBefore(until) = self.breaker.permission(now) {
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
        let Some(took) = self.took.filter(|_| self.lost_slots == 0 && self.is_backlogged) else { return 0 };
        // Ready and not started though there is a slot: the node is full, and more would only wait.
        if self.n_ready() > 0 && self.running.total() < self.allowance() {
            return 0;
        }
        (self.limit as u128 * HORIZON.as_micros() / took.as_micros().max(1)).min(u128::from(u16::MAX)) as usize
    }

    /// Slots it may use now, and whether for a probe only.
    fn slots(&mut self, now: Instant) -> (usize, bool) {
        match self.breaker.permission(now) {
            Permission::Any => (self.allowance(), false),
            Permission::Probe => (1, true),
            Permission::NotBefore(_) | Permission::ProbeUnderWay => (0, true),
        }
    }

    /// How much to ask for: within the queue's limits, at most `most`, and what the node leaves it.
    /// The second number is how many of the first attempts are ahead of slots.
    pub(super) fn wish(
        &mut self,
        webhook: WebhookId,
        headroom: Headroom,
        most: usize,
        now: Instant,
    ) -> (LeaseWish, usize) {
        let most = self.bucket.as_mut().map_or(usize::MAX, |bucket| bucket.available(now)).min(most);
        let (slots, is_probe) = self.slots(now);
        let held = self.held();
        let room = slots.saturating_sub(held.total()).min(headroom.free_total).min(most);
        let (free_fresh, free_retries) = (
            headroom.free.fresh.min(headroom.per_kind.saturating_sub(held.fresh)),
            headroom.free.retries.min(headroom.per_kind.saturating_sub(held.retries)),
        );
        if slots == 1 && self.due.fresh && self.due.retry {
            let (fresh, retries) = if self.fresh_was_last { (0, 1) } else { (1, 0) };
            let wish = wish_of(webhook, room.min(fresh).min(free_fresh), room.min(retries).min(free_retries));
            return (wish, 0);
        }
        let own_retries = share_of_retries(slots, headroom.fresh_percent).saturating_sub(held.retries);
        let wanted = |has: bool, most: usize| if has { most.min(room) } else { 0 };
        let mut retries = wanted(self.due.retry, own_retries.min(free_retries));
        if self.due.fresh {
            // First attempts come first, all but the one slot that keeps retries moving.
            retries = retries.min(usize::from(held.retries == 0));
        }
        let fresh = wanted(self.due.fresh, (room - retries).min(free_fresh));
        let has_ahead = self.due.fresh && !is_probe && headroom.per_kind >= slots;
        let ahead = if has_ahead { self.ahead().saturating_sub(held.total().saturating_sub(slots)) } else { 0 };
        let ahead = ahead.min(headroom.ahead).min(most - fresh - retries);
        (wish_of(webhook, fresh + ahead, retries), ahead)
    }

    /// The wish goes to the ledger: what becomes due from here on is asked for again.
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
    pub(super) fn answered(&mut self, given: Option<SlotCounts>) {
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

    pub(super) fn make_ready(&mut self, kind: AttemptKind, delivery: LeasedDelivery, now: Instant) {
        self.ready[kind as usize].push_back((now, delivery));
    }

    /// The next delivery to start, of a kind that still `has_room` on the node: retries first, for they
    /// are few.
    pub(super) fn start(&mut self, has_room: impl Fn(AttemptKind) -> bool, now: Instant) -> Option<LeasedDelivery> {
        let (slots, _) = self.slots(now);
        let free = slots.saturating_sub(self.running.total());
        let is_retry_expected = self.running.retries == 0
            && self.ready[AttemptKind::Retry as usize].is_empty()
            && (self.due.retry || self.asked.is_some_and(|wish| wish.retries > 0));
        // What was leased ahead must not take the slot that keeps retries moving.
        let free_fresh = if slots > 1 && is_retry_expected { free.saturating_sub(1) } else { free };
        let may = |kind: AttemptKind, free: usize| free > 0 && has_room(kind) && !self.ready[kind as usize].is_empty();
        let kind = if may(AttemptKind::Retry, free) {
            AttemptKind::Retry
        } else if may(AttemptKind::Fresh, free_fresh) {
            AttemptKind::Fresh
        } else {
            return None;
        };
        let (_, delivery) = self.ready[kind as usize].pop_front()?;
        if self.running.total() == 0 {
            self.progress = Some(now);
        }
        self.running.add(kind);
        self.breaker.started();
        Some(delivery)
    }

    /// An attempt ended.
    pub(super) fn free(&mut self, freed: FreedSlot, rule: &BreakerRule, now: Instant) -> Option<BreakerTransition> {
        self.running.sub(freed.kind);
        self.progress = Some(now);
        let is_about_another = self.receiver.is_some_and(|receiver| receiver != freed.receiver);
        let ended = if is_about_another { ReceiverOutcome::Unknown } else { freed.ended };
        match ended {
            ReceiverOutcome::TimedOut | ReceiverOutcome::Slowly => {
                self.lost_slots = self.limit - (self.allowance() / 2).max(1);
                self.took = None;
            }
            ReceiverOutcome::Well | ReceiverOutcome::Badly => {
                self.lost_slots = self.lost_slots.saturating_sub(1);
                self.took = Some(self.took.map_or(freed.took, |took| (took * 3 + freed.took) / 4));
            }
            ReceiverOutcome::Unknown => {}
        }
        let has_failed = match ended {
            ReceiverOutcome::Well | ReceiverOutcome::Slowly => Some(false),
            ReceiverOutcome::Badly | ReceiverOutcome::TimedOut => Some(true),
            ReceiverOutcome::Unknown => None,
        };
        self.breaker.ended(has_failed, rule, now)
    }

    /// Takes back what is ready, or what of it is ready since before `since`.
    pub(super) fn recall(&mut self, since: Option<Instant>) -> Vec<LeasedDelivery> {
        let mut recalled = Vec::new();
        for kind in &mut self.ready {
            while kind.front().is_some_and(|(came, _)| since.is_none_or(|since| *came < since)) {
                recalled.extend(kind.pop_front().map(|(_, delivery)| delivery));
            }
        }
        recalled
    }

    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_due()
            && self.held() == SlotCounts::default()
            && self.asked.is_none()
            && !(self.queued.asking || self.queued.starting)
            && self.parked_until.is_none()
    }

    /// Whether forgetting an idle queue changes nothing.
    pub(super) fn has_nothing_to_remember(&mut self, rule: &BreakerRule, now: Instant) -> bool {
        self.lost_slots == 0
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
