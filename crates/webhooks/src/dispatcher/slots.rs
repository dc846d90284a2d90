//! How the node's slots are shared between first attempts and retries, between tenants, and between queues.
//!
//! A tenant that holds some may take more only while it then holds at most so many times what is free: fifteen
//! times where its receivers answer, so that one alone has nearly all; once, where they are not known to. So
//! silent receivers of one tenant hold half of the node at most, and something is left for a tenant that
//! holds nothing. What a tenant's silent receivers may hold they share by the same rule, so that one never
//! heard of is tried beside them. The bytes of bodies that are leased and have not ended are shared by the same rule: a
//! tenant has half of them by itself, and one call for more brings half of what is free at most. It is the rule of [`FairSemaphore`](hookswitch_runtime::FairSemaphore), for
//! slots that nobody waits for: who has no room keeps his place.

use super::inbox::AttemptKind;
use crate::config::WebhookConfig;
use crate::seams::ledger::LEASE_BYTES;

/// The part of the node's slots that first attempts may not use: one in so many.
const RETRY_RESERVE: usize = 16;

/// How many times what is free a tenant may hold whose receivers answer; fewer on nodes so small that
/// this would leave nothing.
const TENANT_ALPHA: usize = 15;

/// The same for slots whose receivers are not known to answer.
const SILENT_ALPHA: usize = 1;

/// How many times what is free of the bytes a tenant may hold.
const BYTES_ALPHA: usize = 1;

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
    /// Of the bodies of what runs or waits.
    pub(super) n_bytes: usize,
}

/// What one tenant holds of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TenantUsage {
    /// Running, or asked for to run at once.
    pub(super) slots: SlotCounts,
    /// Those among them whose receiver is not known to answer.
    pub(super) silent: SlotCounts,
    /// Leased and not started, or asked for to wait.
    pub(super) ahead: usize,
    /// Bytes of the bodies of what runs or is leased.
    pub(super) n_bytes: usize,
}

/// What the node leaves to one queue.
#[derive(Debug, Clone, Copy, Default)]
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
    /// Bytes of bodies that may be leased and not have ended.
    n_bytes: usize,
    fresh_percent: usize,
}

impl NodeSlots {
    pub(super) fn new(config: &WebhookConfig) -> Self {
        let total = config.concurrency.max(1);
        let fresh_percent = usize::from(config.fresh_percent.min(100));
        let by_kind =
            SlotCounts { fresh: total - total / RETRY_RESERVE, retries: share_of_retries(total, fresh_percent) };
        Self { total, by_kind, ahead: config.lease_ahead, n_bytes: config.body_bytes.max(1), fresh_percent }
    }

    /// Whether one more of this kind may start for a tenant that has so much.
    pub(super) fn has_room(&self, kind: AttemptKind, running: SlotCounts, tenant: TenantUsage) -> bool {
        let free_of_kind = self.by_kind.of_kind(kind).saturating_sub(running.of_kind(kind));
        let free = self.total.saturating_sub(running.total());
        self.share(tenant.slots.of_kind(kind), free_of_kind) > 0 && self.share(tenant.slots.total(), free) > 0
    }

    /// Whether anything more may be leased beside what runs and waits already.
    pub(super) fn may_lease(&self, usage: NodeUsage) -> bool {
        usage.n_bytes < self.n_bytes && (usage.ahead < self.ahead || usage.slots.total() < self.total)
    }

    /// How many bytes of bodies may be asked for at once, one body being handed out in any case: half of what is
    /// free, so that something is left for whoever comes next.
    pub(super) fn lease_bytes(&self, usage: NodeUsage) -> usize {
        (self.n_bytes.saturating_sub(usage.n_bytes) / 2).clamp(1, LEASE_BYTES)
    }

    /// What is left to a queue that holds `held`, beside what runs and waits already, of which `tenant` is its
    /// tenant's.
    pub(super) fn headroom(
        &self,
        is_answering: bool,
        held: SlotCounts,
        usage: NodeUsage,
        tenant: TenantUsage,
    ) -> Headroom {
        let free_bytes = self.n_bytes.saturating_sub(usage.n_bytes);
        if share(tenant.n_bytes, free_bytes, BYTES_ALPHA) == 0 {
            return Headroom { fresh_percent: self.fresh_percent, ..Headroom::default() };
        }
        let free = self.total.saturating_sub(usage.slots.total());
        let of_kind = |kind| {
            let free_of_kind = self.by_kind.of_kind(kind).saturating_sub(usage.slots.of_kind(kind));
            let (slots, silent) = (tenant.slots.of_kind(kind), tenant.silent.of_kind(kind));
            let most = self.share(slots, free_of_kind);
            if is_answering {
                return most;
            }
            // What its tenant's other receivers hold that answer is not theirs to lose by it.
            let left_to_silent = free_of_kind.min(free) + slots.saturating_sub(silent);
            most.min(share(held.of_kind(kind), share(silent, left_to_silent, SILENT_ALPHA), SILENT_ALPHA))
        };
        Headroom {
            per_kind: slots_under_load(is_answering, usage.slots.total(), self.total),
            free: SlotCounts { fresh: of_kind(AttemptKind::Fresh), retries: of_kind(AttemptKind::Retry) },
            free_total: self.share(tenant.slots.total(), free),
            ahead: self.share(tenant.ahead, self.ahead.saturating_sub(usage.ahead)),
            fresh_percent: self.fresh_percent,
        }
    }

    /// What a tenant that holds so many may take of what is free.
    fn share(&self, held: usize, free: usize) -> usize {
        share(held, free, TENANT_ALPHA.min(self.total - 1).max(1))
    }
}

/// How many more whoever holds `held` may take, one by one, so that after each it holds at most `alpha`
/// times what was free before it; one at least for who holds nothing, if there is one.
fn share(held: usize, free: usize, alpha: usize) -> usize {
    (alpha * free).checked_sub(held + 1).map_or(0, |rest| (rest / (alpha + 1) + 1).min(free))
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

impl Headroom {
    /// Whether nothing is left to any queue of the tenant whose receiver does as well.
    pub(super) fn is_empty(&self) -> bool {
        self.ahead == 0 && (self.free_total == 0 || self.free == SlotCounts::default())
    }
}

impl TenantUsage {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            slots: self.slots.plus(other.slots),
            silent: self.silent.plus(other.silent),
            ahead: self.ahead + other.ahead,
            n_bytes: self.n_bytes + other.n_bytes,
        }
    }
}

impl SlotCounts {
    pub(super) fn total(self) -> usize {
        self.fresh + self.retries
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { fresh: self.fresh + other.fresh, retries: self.retries + other.retries }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self { fresh: self.fresh.saturating_sub(other.fresh), retries: self.retries.saturating_sub(other.retries) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_holds_its_part_and_leaves_something() {
        let taken = |mut free: usize, alpha| {
            let mut held = 0;
            while share(held, free, alpha) > 0 {
                (held, free) = (held + 1, free - 1);
            }
            held
        };
        assert_eq!((taken(512, SILENT_ALPHA), taken(512, TENANT_ALPHA), taken(1, SILENT_ALPHA)), (256, 480, 1));
        for (held, free, alpha) in [(0, 512, 1), (0, 512, 15), (100, 412, 15), (3, 5, 1), (7, 1, 15), (300, 20, 15)] {
            let at_once = share(held, free, alpha);
            let one_by_one = (0..free).take_while(|taken| held + taken < alpha * (free - taken)).count();
            assert_eq!(at_once, one_by_one, "{held} held, {free} free, {alpha} times");
        }
        assert_eq!((share(0, 1, 1), share(0, 0, 15), share(1, 1, 1)), (1, 0, 0));
    }
}
