//! The room in the mailboxes and each tenant's quota of it: whoever publishes more than the shards can deliver waits
//! for himself, and leaves room for everybody else, however many do so.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookswitch_protocol::{TenantId, limits};
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

const STRIPES: usize = 64;

/// One tenant may fill a quarter of a mailbox, or one whole batch where that is more.
const PARTS: usize = 4;

/// Which tenants have events on their way, and how many more they may have.
#[derive(Debug)]
pub(crate) struct TenantQuotas {
    /// Permits, each for an event of usual size.
    n_events: usize,
    /// What is in a mailbox at most, of all tenants. One that has something there may have no more than is left.
    room: FairSemaphore<TenantId>,
    stripes: [Mutex<HashMap<TenantId, TenantQuota>>; STRIPES],
    hasher: RandomState,
}

#[derive(Debug)]
struct TenantQuota {
    room: Arc<Semaphore>,
    n_holders: usize,
}

/// Part of a tenant's quota; given back when dropped.
#[derive(Debug)]
pub(crate) struct QuotaPermit {
    quotas: Arc<TenantQuotas>,
    tenant: TenantId,
    permit: Option<OwnedSemaphorePermit>,
    room: Option<FairPermit<TenantId>>,
}

impl TenantQuotas {
    /// Quotas of mailboxes that hold `mailbox_events` each.
    pub(crate) fn new(mailbox_events: usize) -> Self {
        let n_events = (mailbox_events / PARTS).max(limits::EVENTS_PER_REQUEST).min(mailbox_events);
        // Where a tenant's quota is more than a quarter, the largest batch would not fit otherwise.
        let alpha = if n_events * PARTS > mailbox_events { mailbox_events as u64 } else { 1 };
        let room = FairSemaphore::new(mailbox_events as u64, Sharing { alpha, waiting: u64::MAX / 2 });
        Self { n_events, room, stripes: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }

    /// The whole of one tenant's.
    pub(crate) fn n_events(&self) -> usize {
        self.n_events
    }

    fn stripe(&self, tenant: &TenantId) -> MutexGuard<'_, HashMap<TenantId, TenantQuota>> {
        let at = self.hasher.hash_one(tenant) as usize % STRIPES;
        self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A holder with nothing yet. It keeps the tenant's entry alive, also while it waits.
    fn holder(self: &Arc<Self>, tenant: &TenantId) -> (QuotaPermit, Arc<Semaphore>) {
        let mut stripe = self.stripe(tenant);
        let fresh = || TenantQuota { room: Arc::new(Semaphore::new(self.n_events)), n_holders: 0 };
        let quota = stripe.entry(tenant.clone()).or_insert_with(fresh);
        quota.n_holders += 1;
        let room = Arc::clone(&quota.room);
        drop(stripe);
        (QuotaPermit { quotas: Arc::clone(self), tenant: tenant.clone(), permit: None, room: None }, room)
    }

    /// Waits for room for `n_events` of the tenant. Cancel safe.
    pub(crate) async fn take(
        self: &Arc<Self>,
        tenant: &TenantId,
        n_events: usize,
    ) -> Result<QuotaPermit, AcquireError> {
        let (mut holder, room) = self.holder(tenant);
        holder.permit = Some(room.acquire_many_owned(n_events as u32).await?);
        // As many may wait as there are publishers; nobody is refused.
        holder.room = self.room.acquire(tenant, n_events as u64).await.ok();
        Ok(holder)
    }

    /// The same without waiting.
    pub(crate) fn try_take(self: &Arc<Self>, tenant: &TenantId, n_events: usize) -> Option<QuotaPermit> {
        let (mut holder, room) = self.holder(tenant);
        holder.permit = Some(room.try_acquire_many_owned(n_events as u32).ok()?);
        holder.room = Some(self.room.try_acquire(tenant, n_events as u64)?);
        Some(holder)
    }
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        // Before the entry goes, or a newcomer would find a whole quota beside this part.
        (self.room, self.permit) = (None, None);
        let mut stripe = self.quotas.stripe(&self.tenant);
        if let Some(quota) = stripe.get_mut(&self.tenant) {
            quota.n_holders -= 1;
            if quota.n_holders == 0 {
                stripe.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("legal")
    }

    #[test]
    fn a_share_is_bounded_and_apart_from_others_and_forgotten_when_unused() {
        let quotas = Arc::new(TenantQuotas::new(8_000));
        let (a, b) = (tenant("a"), tenant("b"));
        let all = quotas.try_take(&a, 2_000).expect("a quarter");
        assert!(quotas.try_take(&a, 1).is_none());
        let other = quotas.try_take(&b, 2_000).expect("its own quarter");
        drop(all);
        let again = quotas.try_take(&a, 2_000).expect("given back");
        drop((again, other));
        assert!(quotas.stripes.iter().all(|stripe| stripe.lock().is_ok_and(|stripe| stripe.is_empty())));
    }

    #[tokio::test]
    async fn four_that_take_all_they_can_leave_room_for_a_fifth_and_its_turn_comes_before_their_next() {
        let quotas = Arc::new(TenantQuotas::new(8_192));
        let mut held = Vec::new();
        for name in ["a", "b", "c", "d"] {
            held.push(std::iter::from_fn(|| quotas.try_take(&tenant(name), 512)).collect::<Vec<_>>());
        }
        let n_free = 8_192 - quotas.room.used();
        assert!(n_free >= 1_000, "{n_free}");
        let fifth = quotas.try_take(&tenant("e"), n_free as usize).expect("at once");
        // Now nothing is left. The four wait with large batches, and a sixth behind them with a small one.
        let waiting = ["a", "b", "c", "d"].map(|name| {
            let quotas = Arc::clone(&quotas);
            async move { quotas.take(&tenant(name), 512).await.map(drop) }
        });
        let mut waiting = futures_util::future::join_all(waiting);
        let small = tenant("f");
        let mut sixth = Box::pin(quotas.take(&small, 10));
        assert!(futures_util::poll!(&mut waiting).is_pending() && futures_util::poll!(&mut sixth).is_pending());
        drop(held[0].pop());
        assert!(futures_util::poll!(&mut sixth).is_ready(), "what comes free is for the one that has nothing");
        drop(fifth);
    }

    #[test]
    fn a_small_mailbox_still_takes_the_largest_batch() {
        let n_events = |mailbox| TenantQuotas::new(mailbox).n_events;
        assert_eq!([n_events(8_192), n_events(1_500), n_events(10)], [2_048, 1_000, 10]);
    }
}
