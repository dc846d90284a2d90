//! Events that connections here may have missed, until they are told.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::TenantId;
use tokio::sync::Notify;

use crate::seams::broker::GapScope;

/// Gaps that connections were not told of yet. Bounded by the number of tenants served.
#[derive(Debug, Default)]
pub(crate) struct PendingGaps {
    /// By tenant, or for everybody; how many events, where that is known.
    untold: Mutex<HashMap<Option<TenantId>, Option<u64>>>,
    noted: Notify,
}

impl PendingGaps {
    pub(crate) fn note(&self, scope: GapScope, n_missed: Option<u64>) {
        let tenant = match scope {
            GapScope::Tenant(tenant) => Some(tenant),
            GapScope::All => None,
        };
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let known = untold.entry(tenant).or_insert(Some(0));
        *known = known.zip(n_missed).map(|(a, b)| a + b);
        drop(untold);
        self.noted.notify_one();
    }

    /// What was noted since the last call.
    pub(crate) fn take(&self) -> HashMap<Option<TenantId>, Option<u64>> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something is noted. Cancel safe.
    pub(crate) async fn noted(&self) {
        self.noted.notified().await;
    }
}
