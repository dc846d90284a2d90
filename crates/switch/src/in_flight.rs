//! Event ids that are being accepted right now: the same id twice at once waits its turn.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{EventId, TenantId};
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use tokio::sync::Notify;

use crate::error::AcceptError;

type Key = (TenantId, EventId);

/// The chosen ids under way on this node. Between nodes the ledger decides.
#[derive(Debug)]
pub(crate) struct InFlight {
    ids: Mutex<HashSet<Key>>,
    freed: Notify,
    /// For so many ids at once, shared by tenants; beyond it further ones wait.
    room: FairSemaphore<TenantId>,
    /// How long one may wait for its turn.
    wait: Duration,
}

/// Ids of one batch; free again when dropped.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    table: &'a InFlight,
    keys: Vec<Key>,
    _room: Option<FairPermit<TenantId>>,
}

impl InFlight {
    pub(crate) fn new(capacity: usize, wait: Duration) -> Self {
        let capacity = capacity as u64;
        let room = FairSemaphore::new(capacity, Sharing { alpha: 1, waiting: capacity });
        Self { ids: Mutex::default(), freed: Notify::new(), room, wait }
    }

    /// Waits until none of these ids of one tenant is under way, then takes all of them at once. Cancel safe.
    pub(crate) async fn claim(&self, keys: Vec<Key>) -> Result<Claimed<'_>, AcceptError> {
        let Some((tenant, _)) = keys.first() else { return Ok(Claimed { table: self, keys, _room: None }) };
        let n_ids = keys.len() as u64;
        let mut room = self.room.try_acquire(tenant, n_ids);
        // An immediate claim must not need a timer.
        if room.is_none() || !self.try_take(&keys) {
            let waiting = tokio::time::timeout(self.wait, async {
                if room.is_none() {
                    room = Some(self.room.acquire(tenant, n_ids).await.map_err(|_full| AcceptError::StoreBusy)?);
                }
                self.take(&keys).await;
                Ok::<_, AcceptError>(())
            });
            waiting.await.unwrap_or(Err(AcceptError::StoreBusy))?;
        }
        Ok(Claimed { table: self, keys, _room: room })
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
        let is_free = !keys.iter().any(|key| ids.contains(key));
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
        let table = InFlight::new(4, Duration::from_secs(5));
        let _held = table.claim(keys(&["a", "b"])).await.expect("half of the room");
        assert!(matches!(table.claim(keys(&["c"])).await, Err(AcceptError::StoreBusy)));
        let neighbour = keys(&["a"]).into_iter().map(|(_, id)| (TenantId::parse("n").expect("legal"), id)).collect();
        assert!(table.claim(neighbour).await.is_ok(), "something is left for another tenant");
        assert!(table.claim(Vec::new()).await.is_ok(), "nothing chosen, nothing to wait for");
    }
}
