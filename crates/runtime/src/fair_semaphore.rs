//! Permits by weight, shared fairly between tenants, or whoever else the keys are.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A bounded resource that many keys share: database connections, slots, bytes of memory.
///
/// A key that holds something may take more only while it then holds at most `alpha` times what is free.
/// So one key alone gets `alpha / (alpha + 1)` of the whole, two get `alpha / (2 · alpha + 1)` each, and
/// something is left for a key that holds nothing. (The rule is that of dynamic queue thresholds: Choudhury
/// and Hahne, *Dynamic queue length thresholds for shared-memory packet switches*, 1998.) Waiting keys are
/// served in turn; within a key, first come, first served. A key that holds nothing and waits for more than
/// is free is not overtaken.
///
/// Cheap to clone; clones share one state. A permit is to be kept until the work really ends, also when nobody
/// waits for the work any more.
///
/// ```
/// use hookswitch_runtime::{FairSemaphore, Sharing};
///
/// let readers = FairSemaphore::new(4, Sharing { alpha: 1, waiting: 100 });
/// let held: Vec<_> = (0..4).filter_map(|_| readers.try_acquire(&"busy", 1)).collect();
/// assert_eq!(held.len(), 2, "half of all");
/// assert!(readers.try_acquire(&"quiet", 1).is_some());
/// ```
pub struct FairSemaphore<K: Hash + Eq + Clone>(Arc<Shared<K>>);

/// How a [`FairSemaphore`] is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// How many times what is free a key may hold; at least 1.
    pub alpha: u64,
    /// The weight that may wait per key; beyond it [`FairSemaphore::acquire`] refuses.
    pub waiting: u64,
}

/// A part of the resource, given back when dropped.
pub struct FairPermit<K: Hash + Eq + Clone> {
    shared: Arc<Shared<K>>,
    key: K,
    weight: u64,
}

/// The key has as much waiting already as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

struct Shared<K: Hash + Eq + Clone> {
    total: u64,
    sharing: Sharing,
    state: Mutex<State<K>>,
}

struct State<K: Hash + Eq + Clone> {
    used: u64,
    /// Who holds something or waits.
    keys: HashMap<K, Usage<K>>,
    /// Keys that wait, in the order of their turns, each once.
    turns: VecDeque<K>,
}

struct Usage<K: Hash + Eq + Clone> {
    held: u64,
    /// What the waiters weigh together, those that are gone included.
    waiting: u64,
    waiters: VecDeque<Waiter<K>>,
}

struct Waiter<K: Hash + Eq + Clone> {
    weight: u64,
    grant: oneshot::Sender<FairPermit<K>>,
}

/// Permits to be handed out when the lock is released, because a waiter that is gone gives its own back.
type Grants<K> = Vec<(Waiter<K>, FairPermit<K>)>;

enum Fit {
    Yes,
    OverShare,
    NoRoom,
}

impl<K: Hash + Eq + Clone> FairSemaphore<K> {
    /// `total` is the weight of everything.
    ///
    /// # Panics
    /// When `total` or `alpha` is 0.
    pub fn new(total: u64, sharing: Sharing) -> Self {
        assert!(total > 0 && sharing.alpha > 0, "nothing to share");
        let state = State { used: 0, keys: HashMap::new(), turns: VecDeque::new() };
        Self(Arc::new(Shared { total, sharing, state: Mutex::new(state) }))
    }

    /// Waits for the key's turn. More than everything counts as everything. Cancel safe.
    ///
    /// # Errors
    /// [`QueueFull`] when the key has too much waiting already.
    pub async fn acquire(&self, key: &K, weight: u64) -> Result<FairPermit<K>, QueueFull> {
        let granted = self.enqueue(key, weight)?;
        self.serve();
        Ok(granted.await.expect("a waiter stays queued until it is served"))
    }

    /// The same without waiting; `None` too when others are to be served first.
    pub fn try_acquire(&self, key: &K, weight: u64) -> Option<FairPermit<K>> {
        let weight = weight.clamp(1, self.0.total);
        let mut state = self.0.lock();
        let may_pass = !state.turns.contains(key) && !state.turns.iter().any(|key| state.held(key) == 0);
        if !may_pass || !matches!(self.0.fit(&state, key, weight), Fit::Yes) {
            return None;
        }
        Some(self.0.grant(&mut state, key, weight))
    }

    /// The weight of everything.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// The weight that is held now.
    pub fn used(&self) -> u64 {
        self.0.lock().used
    }

    /// How many wait now.
    pub fn n_waiting(&self) -> usize {
        let state = self.0.lock();
        state.turns.iter().filter_map(|key| state.keys.get(key)).map(Usage::n_waiting).sum()
    }

    fn enqueue(&self, key: &K, weight: u64) -> Result<oneshot::Receiver<FairPermit<K>>, QueueFull> {
        let weight = weight.clamp(1, self.0.total);
        let mut state = self.0.lock();
        let State { keys, turns, .. } = &mut *state;
        let usage = keys.entry(key.clone()).or_default();
        let was_waiting = !usage.waiters.is_empty();
        if usage.is_full(weight, self.0.sharing.waiting) {
            usage.forget_gone();
        }
        if usage.is_full(weight, self.0.sharing.waiting) {
            return Err(QueueFull);
        }
        let (grant, granted) = oneshot::channel();
        usage.waiting += weight;
        usage.waiters.push_back(Waiter { weight, grant });
        if !was_waiting {
            turns.push_back(key.clone());
        }
        Ok(granted)
    }

    fn serve(&self) {
        self.0.serve();
    }
}

impl<K: Hash + Eq + Clone> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fit(&self, state: &State<K>, key: &K, weight: u64) -> Fit {
        let (free, held) = (self.total - state.used, state.held(key));
        if held > 0 && held + weight > self.sharing.alpha.saturating_mul(free) {
            Fit::OverShare
        } else if weight > free {
            Fit::NoRoom
        } else {
            Fit::Yes
        }
    }

    fn grant(self: &Arc<Self>, state: &mut State<K>, key: &K, weight: u64) -> FairPermit<K> {
        state.used += weight;
        state.keys.entry(key.clone()).or_default().held += weight;
        FairPermit { shared: Arc::clone(self), key: key.clone(), weight }
    }

    /// Gives everybody whose turn it is what fits.
    fn serve(self: &Arc<Self>) {
        let grants = self.next_grants(&mut self.lock());
        for (waiter, permit) in grants {
            // One that is gone drops its permit here, which serves the next.
            drop(waiter.grant.send(permit));
        }
    }

    fn next_grants(self: &Arc<Self>, state: &mut State<K>) -> Grants<K> {
        let mut grants = Vec::new();
        let mut n_passed = 0;
        while n_passed < state.turns.len() && state.used < self.total {
            let Some(key) = state.turns.pop_front() else { break };
            let Some(weight) = state.next_weight(&key) else { continue };
            match self.fit(state, &key, weight) {
                Fit::Yes => {
                    let permit = self.grant(state, &key, weight);
                    grants.extend(state.take_waiter(&key).map(|waiter| (waiter, permit)));
                    n_passed = 0;
                }
                Fit::NoRoom if state.held(&key) == 0 => {
                    // Whoever has nothing is not overtaken, or small ones would pass for ever.
                    state.turns.push_front(key);
                    break;
                }
                Fit::NoRoom | Fit::OverShare => n_passed += 1,
            }
            state.turns.push_back(key);
        }
        grants
    }

    fn release(self: &Arc<Self>, key: &K, weight: u64) {
        let mut state = self.lock();
        state.used -= weight;
        if let Some(usage) = state.keys.get_mut(key) {
            usage.held -= weight;
        }
        state.forget_if_idle(key);
        drop(state);
        self.serve();
    }
}

impl<K: Hash + Eq + Clone> State<K> {
    fn held(&self, key: &K) -> u64 {
        self.keys.get(key).map_or(0, |usage| usage.held)
    }

    /// What the key's next waiter weighs; `None`, and the key forgotten, when all have gone.
    fn next_weight(&mut self, key: &K) -> Option<u64> {
        let usage = self.keys.get_mut(key)?;
        while usage.waiters.front().is_some_and(|waiter| waiter.grant.is_closed()) {
            usage.pop();
        }
        let weight = usage.waiters.front().map(|waiter| waiter.weight);
        if weight.is_none() {
            self.forget_if_idle(key);
        }
        weight
    }

    fn take_waiter(&mut self, key: &K) -> Option<Waiter<K>> {
        self.keys.get_mut(key)?.pop()
    }

    fn forget_if_idle(&mut self, key: &K) {
        if self.keys.get(key).is_some_and(|usage| usage.held == 0 && usage.waiters.is_empty()) {
            self.keys.remove(key);
        }
    }
}

impl<K: Hash + Eq + Clone> Usage<K> {
    /// Whether so much more is too much. Nobody is refused for what it weighs alone: the bound is on what else waits.
    fn is_full(&self, weight: u64, bound: u64) -> bool {
        self.waiting > 0 && self.waiting + weight > bound
    }

    fn pop(&mut self) -> Option<Waiter<K>> {
        let waiter = self.waiters.pop_front()?;
        self.waiting -= waiter.weight;
        Some(waiter)
    }

    fn forget_gone(&mut self) {
        self.waiters.retain(|waiter| !waiter.grant.is_closed());
        self.waiting = self.waiters.iter().map(|waiter| waiter.weight).sum();
    }

    fn n_waiting(&self) -> usize {
        self.waiters.iter().filter(|waiter| !waiter.grant.is_closed()).count()
    }
}

impl<K: Hash + Eq + Clone> Default for Usage<K> {
    fn default() -> Self {
        Self { held: 0, waiting: 0, waiters: VecDeque::new() }
    }
}

impl<K: Hash + Eq + Clone> Drop for FairPermit<K> {
    fn drop(&mut self) {
        self.shared.release(&self.key, self.weight);
    }
}

impl<K: Hash + Eq + Clone> Clone for FairSemaphore<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for FairSemaphore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairSemaphore")
            .field("total", &self.0.total)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for FairPermit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairPermit").field("weight", &self.weight).finish_non_exhaustive()
    }
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much is waiting already")
    }
}

impl std::error::Error for QueueFull {}

#[cfg(test)]
#[path = "fair_semaphore_tests.rs"]
mod tests;
