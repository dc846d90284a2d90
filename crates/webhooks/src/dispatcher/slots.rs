//! How the node's slots are shared between first attempts and retries, and between queues.

use super::inbox::AttemptKind;
use crate::config::WebhookConfig;

/// The part of the node's slots that first attempts may not use: one in so many.
const RETRY_RESERVE: usize = 16;

/// Slots by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SlotCounts {
    pub(super) fresh: usize,
    pub(super) retries: usize,
}

/// What runs, or is asked for to run at once; and what waits, or is asked for to wait. The two are
/// kept apart: what a quick queue has waiting must not keep slots from the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeUsage {
    pub(super) slots: SlotCounts,
    pub(super) ahead: usize,
}

/// What the node leaves to one queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headroom {
    /// Slots the queue may have of each kind, however well it does.
    pub(super) per_kind: usize,
    /// What may still be leased to fill slots, by kind and together.
    pub(super) free: SlotCounts,
    pub(super) free_total: usize,
    /// What may still be leased ahead of them.
    pub(super) ahead: usize,
    pub(super) fresh_percent: usize,
}

/// The slots of the whole node.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeSlots {
    pub(super) total: usize,
    /// How many of them each kind may use.
    by_kind: SlotCounts,
    /// Deliveries that may be leased and not started.
    ahead: usize,
    fresh_percent: usize,
}

impl NodeSlots {
    pub(super) fn new(config: &WebhookConfig) -> Self {
        let total = config.concurrency.max(1);
        let fresh_percent = usize::from(config.fresh_percent.min(100));
        let by_kind =
            SlotCounts { fresh: total - total / RETRY_RESERVE, retries: share_of_retries(total, fresh_percent) };
        Self { total, by_kind, ahead: config.lease_ahead, fresh_percent }
    }

    /// Whether one more of this kind may start.
    pub(super) fn has_room(&self, kind: AttemptKind, running: SlotCounts) -> bool {
        running.total() < self.total && running.of_kind(kind) < self.by_kind.of_kind(kind)
    }

    /// Whether anything more may be leased beside what runs and waits already.
    pub(super) fn may_lease(&self, usage: NodeUsage) -> bool {
        usage.ahead < self.ahead || usage.slots.total() < self.total
    }

    /// What is left to one queue beside what runs and waits already.
    pub(super) fn headroom(&self, is_answering: bool, usage: NodeUsage) -> Headroom {
        Headroom {
            per_kind: slots_under_load(is_answering, usage.slots.total(), self.total),
            free: SlotCounts {
                fresh: self.by_kind.fresh.saturating_sub(usage.slots.fresh),
                retries: self.by_kind.retries.saturating_sub(usage.slots.retries),
            },
            free_total: self.total.saturating_sub(usage.slots.total()),
            ahead: self.ahead.saturating_sub(usage.ahead),
            fresh_percent: self.fresh_percent,
        }
    }
}

/// How many slots of each kind one queue may have when the node has so many in use: all of its own up
/// to half, two in the last quarter; fewer where the receiver has not answered yet. So even many dead
/// receivers at once leave something to the others.
fn slots_under_load(is_answering: bool, in_use: usize, total: usize) -> usize {
    match (in_use * 4 / total, is_answering) {
        (0 | 1, _) | (2, true) => usize::MAX,
        (2, false) | (_, true) => 2,
        (_, false) => 1,
    }
}

/// How many of `total` slots retries may use: never none.
pub(super) fn share_of_retries(total: usize, fresh_percent: usize) -> usize {
    (total - (total * fresh_percent).div_ceil(100)).max(1)
}

impl SlotCounts {
    pub(super) fn total(self) -> usize {
        self.fresh + self.retries
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { fresh: self.fresh + other.fresh, retries: self.retries + other.retries }
    }

    pub(super) fn add(&mut self, kind: AttemptKind) {
        *self.of(kind) += 1;
    }

    pub(super) fn sub(&mut self, kind: AttemptKind) {
        let of = self.of(kind);
        *of = of.saturating_sub(1);
    }

    pub(super) fn of_kind(mut self, kind: AttemptKind) -> usize {
        *self.of(kind)
    }

    fn of(&mut self, kind: AttemptKind) -> &mut usize {
        match kind {
            AttemptKind::Fresh => &mut self.fresh,
            AttemptKind::Retry => &mut self.retries,
        }
    }
}
