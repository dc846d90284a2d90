//! Who has the most waiting.

use std::collections::BTreeSet;

use hookswitch_protocol::TenantId;

/// Tenants in the order of what waits of theirs.
#[derive(Debug, Default)]
pub(super) struct Heaviest(BTreeSet<(usize, TenantId)>);

impl Heaviest {
    pub(super) fn of<'a>(weights: impl Iterator<Item = (&'a TenantId, usize)>) -> Self {
        Self(weights.filter(|(_, weight)| *weight > 0).map(|(tenant, weight)| (weight, tenant.clone())).collect())
    }

    /// The one with the most.
    pub(super) fn tenant(&self) -> Option<&TenantId> {
        self.0.last().map(|(_, tenant)| tenant)
    }

    pub(super) fn change(&mut self, tenant: &TenantId, before: usize, now: usize) {
        if before == now {
            return;
        }
        self.0.remove(&(before, tenant.clone()));
        if now > 0 {
            self.0.insert((now, tenant.clone()));
        }
    }
}
