//! How much of the node's slots each tenant holds.

use std::collections::HashMap;

use hookswitch_protocol::TenantId;

use super::inbox::AttemptKind;
use super::slots::{SlotCounts, TenantUsage};

/// What every tenant holds that holds anything.
#[derive(Debug, Default)]
pub(super) struct TenantSlots(HashMap<TenantId, TenantUsage>);

impl TenantSlots {
    pub(super) fn of(&self, tenant: &TenantId) -> TenantUsage {
        self.0.get(tenant).copied().unwrap_or_default()
    }

    /// A delivery that was ready starts.
    pub(super) fn started(&mut self, tenant: &TenantId, kind: AttemptKind) {
        self.change(tenant, |usage| {
            usage.slots.add(kind);
            usage.ahead = usage.ahead.saturating_sub(1);
        });
    }

    /// An attempt ended, at a delivery of so many bytes.
    pub(super) fn ended(&mut self, tenant: &TenantId, kind: AttemptKind, n_bytes: usize) {
        self.change(tenant, |usage| {
            usage.slots.sub(kind);
            usage.n_bytes = usage.n_bytes.saturating_sub(n_bytes);
        });
    }

    /// A delivery of so many bytes became ready.
    pub(super) fn became_ready(&mut self, tenant: &TenantId, n_bytes: usize) {
        self.change(tenant, |usage| {
            usage.ahead += 1;
            usage.n_bytes += n_bytes;
        });
    }

    /// So many that were ready go back, with so many bytes.
    pub(super) fn recalled(&mut self, tenant: &TenantId, n: usize, n_bytes: usize) {
        self.change(tenant, |usage| {
            usage.ahead = usage.ahead.saturating_sub(n);
            usage.n_bytes = usage.n_bytes.saturating_sub(n_bytes);
        });
    }

    /// Of one queue's running attempts so many are at a receiver that is not known to answer, after so
    /// many `before`.
    pub(super) fn fell_silent(&mut self, tenant: &TenantId, before: SlotCounts, now: SlotCounts) {
        if before != now {
            self.change(tenant, |usage| usage.silent = usage.silent.plus(now).minus(before));
        }
    }

    fn change(&mut self, tenant: &TenantId, change: impl FnOnce(&mut TenantUsage)) {
        if let Some(usage) = self.0.get_mut(tenant) {
            change(usage);
            if *usage == TenantUsage::default() {
                self.0.remove(tenant);
            }
            return;
        }
        let mut usage = TenantUsage::default();
        change(&mut usage);
        if usage != TenantUsage::default() {
            self.0.insert(tenant.clone(), usage);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
