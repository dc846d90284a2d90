//! The folds of tenants' states: begun when a state is first read, from what history still holds.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use hookswitch_protocol::{Position, TenantId, Timestamp};
use hookswitch_state::State;
use tokio::time::Instant;

use crate::history::ring::{Recorded, Ring};
use crate::history::{History, RANDOM_BITS, TenantLock};
use crate::live_state::fold::Fold;

impl History {
    /// The tenant's fold, begun now where there is none; `None` where this node does not give the positions.
    pub(crate) fn fold(&self, tenant: &TenantId) -> Option<Arc<Fold>> {
        if !self.numbers.load(Ordering::Acquire) {
            return None;
        }
        let now = self.clock.now();
        let mut lock = self.lock(tenant);
        let known = lock.known();
        known.used_at = Instant::now();
        let fold = known.fold.get_or_insert_with(|| Arc::new(self.begin_fold(&known.ring, now)));
        Some(Arc::clone(fold))
    }

    fn begin_fold(&self, ring: &Ring, now: Timestamp) -> Fold {
        let begin = ring.head().position.map(|head| Position { offset: 0, ..head });
        // What was before the node began to give positions is not known either.
        let (start, broken_at) = match ring.find(begin, true) {
            Ok(place) => (place, begin.map_or(now, began_at)),
            Err(_unrecovered) => (ring.lost(), now),
        };
        let fold = Fold::new(
            State::new(self.state_limits.tenant, start.position, broken_at, false),
            Arc::clone(&self.fold_bytes),
        );
        let mut kept: Vec<&Recorded> = ring.between((start.seq, u64::MAX)).collect();
        kept.sort_unstable_by_key(|recorded| recorded.place.seq);
        for Recorded { event, place, .. } in kept {
            fold.enter(event.event(), place.position);
        }
        fold
    }

    /// The time by which states are shown.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Bytes of all tenants' states.
    pub(crate) fn n_state_bytes(&self) -> usize {
        self.fold_bytes.load(Ordering::Relaxed)
    }

    /// Tenants whose state is held.
    pub(crate) fn n_folds(&self) -> usize {
        let mut n_folds = 0;
        self.for_each_tenant(|_, known| n_folds += usize::from(known.fold.is_some()));
        n_folds
    }

    /// Wakes the evictor where states take more than they may.
    pub(crate) fn check_folds(&self) {
        if self.n_state_bytes() > self.state_limits.total_bytes {
            self.is_over.notify_one();
        }
    }

    /// Lets go of states that nobody has read for long, and while they are too large together of those that were not
    /// read for longest; gives how many of these there were.
    pub(crate) fn evict_folds(&self) -> u64 {
        let mut folds: Vec<(Instant, TenantId)> = Vec::new();
        for stripe in &self.stripes {
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            for (tenant, known) in &mut stripe.tenants {
                known.fold.take_if(|fold| fold.read_at().elapsed() > self.state_limits.keep);
                folds.extend(known.fold.as_ref().map(|fold| (fold.read_at(), tenant.clone())));
            }
        }
        folds.sort_unstable_by_key(|(read_at, _)| *read_at);
        let mut n_evicted = 0;
        for (_, tenant) in folds {
            if self.n_state_bytes() <= self.state_limits.total_bytes {
                break;
            }
            drop(self.lock(&tenant).known().fold.take());
            n_evicted += 1;
            tracing::warn!(%tenant, "a tenant's live state makes room for those of others: it is begun anew when it is read");
        }
        n_evicted
    }
}

impl TenantLock<'_> {
    /// The tenant's fold, where there is one.
    pub(crate) fn fold(&mut self) -> Option<Arc<Fold>> {
        self.known().fold.clone()
    }
}

/// When this position's epoch began.
fn began_at(position: Position) -> Timestamp {
    Timestamp::from_millis(i64::try_from(position.epoch >> RANDOM_BITS).unwrap_or_default())
}
