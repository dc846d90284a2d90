//! Event ids that are being accepted right now: the same id twice at once waits its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{EventId, TenantId};
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use tokio::sync::Notify;

use crate::error::AcceptError;

type Key = (TenantId, EventId);

/// The chosen ids under way on this node. Between nodes the ledger decides.
#[derive(Debug)]
pub(crate) struct InFlight {
    ids: Mutex<HashMap<Key, Slot>>,
    /// For so many ids at once, shared by tenants; beyond it further ones wait.
    room: FairSemaphore<TenantId>,
    /// How long one may wait for its turn.
    wait: Duration,
}

/// One id that is under way or waited for. It stays while it is either.
#[derive(Debug, Default)]
struct Slot {
    is_taken: bool,
    n_waiting: usize,
    /// Of those who wait for this id one is woken when it is freed, so that many repeats of one event cost no more
    /// than that, and nobody else anything.
    freed: Option<Arc<Notify>>,
}

impl Slot {
    /// Wakes one who waits, where the id is free.
    fn wake_one(&self) {
        if let Some(freed) = self.freed.as_ref().filter(|_| !self.is_taken) {
            freed.notify_one();
        }
    }
}

/// Ids of one batch; free again when dropped.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    table: &'a InFlight,
    keys: Vec<Key>,
    _room: Option<FairPermit<TenantId>>,
}

/// A place among those who wait for an id.
struct Waiting<'a> {
    table: &'a InFlight,
    key: Key,
    freed: Arc<Notify>,
}

impl InFlight {
    pub(crate) fn new(capacity: usize, wait: Duration) -> Self {
        let capacity = capacity as u64;
        let room = FairSemaphore::new(capacity, Sharing { alpha: 1, waiting: capacity });
        Self { ids: Mutex::default(), room, wait }
    }

    /// Waits until none of these ids of one tenant is under way, then takes all of them at once. Cancel safe.
    pub(crate) async fn claim(&self, keys: Vec<Key>) -> Result<Claimed<'_>, AcceptError> {
        let Some((tenant, _)) = keys.first() else { return Ok(Claimed { table: self, keys, _room: None }) };
        let n_ids = keys.len() as u64;
        let mut room = self.room.try_acquire(tenant, n_ids);
        // An immediate claim must not need a timer.
        if room.is_none() || self.try_take(&keys).is_err() {
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
        // Left only when the next one is known: who was woken and cannot take all passes it on.
        let mut left;
        while let Err(waiting) = self.try_take(keys) {
            left = waiting;
            left.freed.notified().await;
        }
    }

    /// Takes all of them, or a place among those who wait for the first that is taken.
    fn try_take(&self, keys: &[Key]) -> Result<(), Waiting<'_>> {
        let mut ids = self.ids();
        let taken = keys.iter().find(|key| ids.get(key).is_some_and(|slot| slot.is_taken));
        if let Some(slot) = taken.and_then(|key| ids.get_mut(key)) {
            slot.n_waiting += 1;
            let freed = Arc::clone(slot.freed.get_or_insert_default());
            return Err(Waiting { table: self, key: taken.expect("just found").clone(), freed });
        }
        for key in keys {
            ids.entry(key.clone()).or_default().is_taken = true;
        }
        Ok(())
    }

    /// Frees an id or leaves those who wait for it.
    fn leave(&self, key: &Key, change: impl FnOnce(&mut Slot)) {
        let mut ids = self.ids();
        let Some(slot) = ids.get_mut(key) else { return };
        change(slot);
        if slot.is_taken || slot.n_waiting > 0 {
            slot.wake_one();
        } else {
            ids.remove(key);
        }
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.table.leave(&self.key, |slot| slot.n_waiting -= 1);
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        for key in &self.keys {
            self.table.leave(key, |slot| slot.is_taken = false);
        }
    }
}

#[cfg(test)]
mod tests {
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

    /// Whoever waits is polled no more than once per event that goes before it.
    #[tokio::test(start_paused = true)]
    async fn a_freed_id_wakes_one_who_waits_for_it_and_nobody_else() {
        let table = InFlight::new(100, Duration::from_secs(5));
        let (first, other) = (table.claim(keys(&["a"])).await, table.claim(keys(&["b"])).await);
        let mut twins: Vec<_> = (0..3).map(|_| tokio_test::task::spawn(table.claim(keys(&["a"])))).collect();
        let mut waits_for_other = tokio_test::task::spawn(table.claim(keys(&["b"])));
        for waiting in twins.iter_mut().chain([&mut waits_for_other]) {
            assert!(waiting.poll().is_pending());
        }
        drop(first);
        let woken: Vec<_> = twins.iter().map(tokio_test::task::Spawn::is_woken).collect();
        assert_eq!((woken, waits_for_other.is_woken()), (vec![true, false, false], false));
        assert!(twins[0].poll().is_ready());
        drop(twins.remove(0));
        assert!(twins[0].is_woken(), "the next one, when the claim that was ready is gone");
        drop(other);
        assert!(waits_for_other.is_woken());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_woken_and_cannot_take_all_passes_it_on() {
        let table = InFlight::new(100, Duration::from_secs(5));
        let (a, _b) = (table.claim(keys(&["a"])).await, table.claim(keys(&["b"])).await);
        let mut both = tokio_test::task::spawn(table.claim(keys(&["a", "b"])));
        let mut one = tokio_test::task::spawn(table.claim(keys(&["a"])));
        assert!(both.poll().is_pending() && one.poll().is_pending());
        drop(a);
        assert!(both.is_woken() && both.poll().is_pending(), "it waits for the other id now");
        assert!(one.is_woken() && one.poll().is_ready());
    }
}
