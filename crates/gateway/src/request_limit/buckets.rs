//! A rate per second for each of many, on this node.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Keys remembered before idle ones are looked for.
const FIRST_SWEEP: usize = 1_024;

/// One bucket per key, such as a tenant: full, it lets a second's worth through at once, and it is full again after
/// a second of rest. A bucket that is full says nothing, so that only keys of the last second take memory.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    per_second: NonZeroU32,
    /// What one request uses up.
    cost: Duration,
    fill: Mutex<Fill<K>>,
}

#[derive(Debug)]
struct Fill<K> {
    /// When each bucket is full again.
    full_at: HashMap<K, Instant>,
    /// At this size idle keys are forgotten.
    sweep_at: usize,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let fill = Fill { full_at: HashMap::new(), sweep_at: FIRST_SWEEP };
        Self { per_second, cost: Duration::from_secs(1) / per_second.get(), fill: Mutex::new(fill) }
    }

    pub(crate) const fn per_second(&self) -> NonZeroU32 {
        self.per_second
    }

    /// Takes one request out of this key's bucket, if there is room; a refused one costs nothing.
    pub(crate) fn admit(&self, key: &K) -> bool {
        let now = Instant::now();
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = fill.full_at.get(key).map_or(now, |full_at| now.max(*full_at)) + self.cost;
        // The divided second may be a few nanoseconds short of one, never longer.
        if full_at - now > Duration::from_secs(1) {
            return false;
        }
        if let Some(known) = fill.full_at.get_mut(key) {
            *known = full_at;
        } else {
            fill.sweep(now);
            fill.full_at.insert(key.clone(), full_at);
        }
        true
    }
}

impl<K: Eq + Hash> Fill<K> {
    /// Forgets who is idle; at twice the size of what is left it looks again, so that the cost per
    /// newcomer stays constant.
    fn sweep(&mut self, now: Instant) {
        if self.full_at.len() >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_at = (2 * self.full_at.len()).max(FIRST_SWEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::TenantId;

    use super::*;

    fn tenant(n: usize) -> TenantId {
        TenantId::parse(&format!("tenant-{n}")).expect("legal")
    }

    fn limit(per_second: u32) -> Buckets<TenantId> {
        Buckets::new(NonZeroU32::new(per_second).expect("not zero"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_seconds_worth_goes_at_once_and_then_at_the_rate() {
        for rate in [1, 3, 10, 7_000] {
            let limit = limit(rate);
            let admitted = |n: u32| (0..n).filter(|_| limit.admit(&tenant(1))).count();
            assert_eq!(admitted(2 * rate), rate as usize, "{rate} at once");
            assert!(limit.admit(&tenant(2)), "others have their own");
            tokio::time::advance(Duration::from_millis(1_001)).await;
            assert_eq!(admitted(2 * rate), rate as usize, "{rate} after a second");
        }
        let limit = limit(10);
        while limit.admit(&tenant(1)) {}
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!((limit.admit(&tenant(1)), limit.admit(&tenant(1))), (true, false), "one in a tenth");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_tenants_are_forgotten() {
        let limit = limit(5);
        for round in 0..10 {
            for n in 0..1_000 {
                assert!(limit.admit(&tenant(round * 1_000 + n)));
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let n_known = limit.fill.lock().expect("not poisoned").full_at.len();
        assert!(n_known <= 2 * FIRST_SWEEP, "{n_known}");
    }
}
