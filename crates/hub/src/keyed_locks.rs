//! One lock per key, for work that waits: whoever is slow holds up the same key only.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex, OwnedMutexGuard};

const STRIPES: usize = 64;

/// Locks by key. A key takes memory only while somebody holds its lock or waits for it.
pub(crate) struct KeyedLocks<K> {
    hasher: RandomState,
    stripes: [StdMutex<HashMap<K, Arc<Mutex<()>>>>; STRIPES],
}

/// The lock of one key; released when dropped.
#[must_use = "a lock that is dropped is released"]
pub(crate) struct KeyedGuard<'a, K: Hash + Eq> {
    /// Before the ticket, which looks whether anybody else needs the lock.
    _held: OwnedMutexGuard<()>,
    _ticket: Ticket<'a, K>,
}

/// Somebody who holds a key's lock or waits for it.
struct Ticket<'a, K: Hash + Eq> {
    locks: &'a KeyedLocks<K>,
    key: K,
}

impl<K: Hash + Eq + Clone> KeyedLocks<K> {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), stripes: std::array::from_fn(|_| StdMutex::default()) }
    }

    /// Waits for the key's lock, first come, first served. Cancel safe.
    pub(crate) async fn lock(&self, key: &K) -> KeyedGuard<'_, K> {
        let ticket = Ticket { locks: self, key: key.clone() };
        let lock = Arc::clone(self.stripe(key).entry(key.clone()).or_default());
        KeyedGuard { _held: lock.lock_owned().await, _ticket: ticket }
    }
}

impl<K: Hash + Eq> KeyedLocks<K> {
    fn stripe(&self, key: &K) -> MutexGuard<'_, HashMap<K, Arc<Mutex<()>>>> {
        let at = self.hasher.hash_one(key) as usize % STRIPES;
        self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Ticket<'_, K> {
    fn drop(&mut self) {
        let mut stripe = self.locks.stripe(&self.key);
        if stripe.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            stripe.remove(&self.key);
        }
    }
}

impl<K> fmt::Debug for KeyedLocks<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLocks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn n_known(locks: &KeyedLocks<u32>) -> usize {
        locks.stripes.iter().map(|stripe| stripe.lock().expect("not poisoned").len()).sum()
    }

    #[tokio::test]
    async fn one_key_waits_for_itself_only_and_leaves_nothing() {
        let locks = KeyedLocks::<u32>::new();
        let held = locks.lock(&1).await;
        let others: Vec<_> = (2..100).map(|key| locks.lock(&key).now_or_never()).collect();
        assert!(others.iter().all(Option::is_some), "more keys than stripes, and none waits for another");
        drop(others);
        let mut waiting = Box::pin(locks.lock(&1));
        assert!(waiting.as_mut().now_or_never().is_none());
        // One that gives up must not take the lock of those who wait along.
        let mut gives_up = Box::pin(locks.lock(&1));
        assert!(gives_up.as_mut().now_or_never().is_none());
        drop(gives_up);
        assert_eq!(n_known(&locks), 1);
        drop(held);
        drop(waiting.await);
        assert_eq!(n_known(&locks), 0);
    }

    #[tokio::test]
    async fn who_gives_up_last_cleans_up() {
        let locks = KeyedLocks::<u32>::new();
        let held = locks.lock(&1).await;
        let mut gives_up = Box::pin(locks.lock(&1));
        assert!(gives_up.as_mut().now_or_never().is_none());
        drop(held);
        drop(gives_up);
        assert_eq!(n_known(&locks), 0);
    }
}
