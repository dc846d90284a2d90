//! What clients missed and this node does not hold: had from elsewhere, once for all who ask at the same time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::TenantId;
use tokio::sync::Notify;

/// Tenants that somebody waits for. Bounded by the number of tenants that are connected.
#[derive(Debug, Default)]
pub(crate) struct Recoveries {
    wanted: Mutex<HashMap<TenantId, Wanted>>,
    noted: Notify,
}

/// What is wanted of a tenant.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// What came before all that is here, too.
    with_past: bool,
    is_under_way: bool,
    /// Somebody came while it was under way whom it does not help.
    is_wanted_again: bool,
}

impl Recoveries {
    /// Waits until something may be wanted. Cancel safe.
    pub(crate) async fn noted(&self) {
        self.noted.notified().await;
    }

    /// Wants a tenant's history; everybody who does is told when it is there, or cannot be had.
    pub(crate) fn want(&self, tenant: &TenantId, with_past: bool) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Wanted { with_past: false, is_under_way: false, is_wanted_again: false };
        let known = wanted.entry(tenant.clone()).or_insert(new);
        // One that brings the past brings everything.
        known.is_wanted_again |= known.is_under_way && !known.with_past;
        known.with_past |= with_past && !(known.is_under_way && known.with_past);
        self.noted.notify_one();
    }

    /// What is wanted and not under way yet, with the past or without.
    pub(crate) fn take(&self) -> Vec<(TenantId, bool)> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = wanted.iter_mut().filter(|(_, known)| !known.is_under_way);
        let taken = idle.map(|(tenant, known)| {
            known.is_under_way = true;
            (tenant.clone(), known.with_past)
        });
        taken.collect()
    }

    /// It is there, or cannot be had.
    pub(crate) fn done(&self, tenant: &TenantId) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        match wanted.get_mut(tenant) {
            Some(known) if known.is_wanted_again => {
                (known.is_under_way, known.is_wanted_again) = (false, false);
                self.noted.notify_one();
            }
            Some(_) => _ = wanted.remove(tenant),
            None => {}
        }
    }
}
