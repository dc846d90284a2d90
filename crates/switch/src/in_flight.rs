//! Event ids that are being accepted right now: the same id twice at once waits its turn.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{EventId, TenantId};
use tokio::sync::Notify;

use crate::error::AcceptError;

type Key = (TenantId, EventId);

/// The chosen ids under way on this node. Between nodes the ledger decides.
#[derive(Debug)]
pub(crate) struct InFlight {
    ids: Mutex<HashSet<Key>>,
    freed: Notify,
    /// Most ids at once; beyond it further ones wait.
    capacity: usize,
    /// How long one may wait for its turn.
    wait: Duration,
}

/// Ids of one batch; free again when dropped.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    table: &'a InFlight,
    keys: Vec<Key>,
}

impl InFlight {
    pub(crate) fn new(capacity: usize, wait: Duration) -> Self {
        Self { ids: Mutex::default(), freed: Notify::new(), capacity, wait }
    }

    /// Waits until none of these ids is under way, then takes all of them at once. Cancel safe.
    pub(crate) async fn claim(&self, keys: Vec<Key>) -> Result<Claimed<'_>, AcceptError> {
        // An immediate claim must not need a timer.
        if !self.try_take(&keys) {
            let waiting = tokio::time::timeout(self.wait, self.take(&keys));
            waiting.await.map_err(|_elapsed| AcceptError::StoreBusy)?;
        }
        Ok(Claimed { table: self, keys })
    }

    async fn take(&self, keys: &[Key]) {
        loop {
            // Listening before looking: what is freed in between is not missed.
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.try_take(keys) {
                return;
            }
            freed.await;
        }
    }

    fn try_take(&self, keys: &[Key]) -> bool {
        if keys.is_empty() {
            return true;
        }
        let mut ids = self.ids();
        let is_free = ids.len() + keys.len() <= self.capacity && !keys.iter().any(|key| ids.contains(key));
        if is_free {
            ids.extend(keys.iter().cloned());
        }
        is_free
    }

    fn ids(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        let mut ids = self.table.ids();
        for key in &self.keys {
            ids.remove(key);
        }
        drop(ids);
        self.table.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn keys(ids: &[&str]) -> Vec<Key> {
        let tenant = TenantId::parse("t").expect("legal");
        ids.iter().map(|id| (tenant.clone(), EventId::parse(id).expect("legal"))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_waits_for_its_twin_and_no_other() {
        let table = Arc::new(InFlight::new(10, Duration::from_secs(5)));
        let first = table.claim(keys(&["a", "b"])).await.expect("free");
        drop(table.claim(keys(&["c"])).await.expect("another id does not wait"));
        assert!(matches!(table.claim(keys(&["b", "c"])).await, Err(AcceptError::StoreBusy)), "waits in vain");
        let (claimed, ()) = tokio::join!(table.claim(keys(&["b", "c"])), async { drop(first) });
        assert_eq!(claimed.expect("freed").keys.len(), 2);
        assert!(table.ids().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let table = InFlight::new(2, Duration::from_secs(5));
        let _held = table.claim(keys(&["a", "b"])).await.expect("room for two");
        assert!(matches!(table.claim(keys(&["c"])).await, Err(AcceptError::StoreBusy)));
        assert!(table.claim(Vec::new()).await.is_ok(), "nothing chosen, nothing to wait for");
    }
}
