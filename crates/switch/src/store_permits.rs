//! Permits for events that wait for the store: for large batches, and for small ones that large ones cannot take.

use std::time::Duration;

use futures_util::future::select_ok;
use hookswitch_protocol::TenantId;
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};

use crate::error::AcceptError;

/// Of so many parts of the whole ...
const PARTS: u64 = 4_096;

/// ... a batch of at most so many has so many of its own, beside what it may have of the next one's. A batch for many
/// webhooks takes its time, and one that waits for as much as it needs is not overtaken: with one room for all, a few
/// tenants' largest batches would hold up the single events of everybody else.
const OWN: [(u64, u64); 2] = [(16, 512), (128, 512)];

/// The permits, shared by tenants in each of their parts.
#[derive(Debug)]
pub(crate) struct StorePermits {
    /// From the one for the smallest batches to the one for all, with the weight of the largest in each.
    classes: Vec<(u64, FairSemaphore<TenantId>)>,
    /// How long a batch waits for it.
    wait: Duration,
}

impl StorePermits {
    /// Room for events of so much weight.
    pub(crate) fn new(total: u64, wait: Duration) -> Self {
        let shared = |room: u64| FairSemaphore::new(room.max(1), Sharing { alpha: 1, waiting: 4 * total });
        let mut classes: Vec<_> =
            OWN.iter().map(|(most, room)| ((total * most / PARTS).max(1), shared(total * room / PARTS))).collect();
        let rest = total - OWN.iter().map(|(_, room)| total * room / PARTS).sum::<u64>();
        classes.push((u64::MAX, shared(rest)));
        Self { classes, wait }
    }

    /// Waits for as much room. Cancel safe.
    ///
    /// # Errors
    /// [`AcceptError::StoreBusy`] when none came free in time.
    pub(crate) async fn take(&self, tenant: &TenantId, weight: u64) -> Result<FairPermit<TenantId>, AcceptError> {
        let open = || self.classes.iter().filter(|(most, _)| weight <= *most).map(|(_, room)| room);
        // What others can use as well first.
        if let Some(room) = open().rev().find_map(|room| room.try_acquire(tenant, weight)) {
            return Ok(room);
        }
        let any = select_ok(open().map(|room| Box::pin(room.acquire(tenant, weight))));
        match tokio::time::timeout(self.wait, any).await {
            Ok(Ok((room, _others))) => Ok(room),
            _ => Err(AcceptError::StoreBusy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: usize) -> TenantId {
        TenantId::parse(&format!("t{number}")).expect("legal")
    }

    #[tokio::test(start_paused = true)]
    async fn largest_batches_of_many_tenants_leave_room_for_smaller_ones() {
        let room = StorePermits::new(4_096, Duration::from_secs(5));
        let mut held = Vec::new();
        for number in 0..3 {
            held.push(room.take(&tenant(number), 1_000).await.expect("there is room"));
        }
        let next = tenant(3);
        let waiting = room.take(&next, 1_000);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending(), "three are as many as there may be");
        for number in 10..14 {
            for weight in [100, 16, 1] {
                held.push(room.take(&tenant(number), weight).await.expect("at once, past the one that waits"));
            }
        }
        assert!(matches!(room.take(&tenant(20), 200).await, Err(AcceptError::StoreBusy)), "as large as to wait");
        held.remove(0);
        waiting.await.expect("in its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn one_tenant_has_half_and_waits_beyond_it() {
        let room = StorePermits::new(4_096, Duration::from_secs(5));
        let mut held = Vec::new();
        while let Ok(one) = room.take(&tenant(0), 16).await {
            held.push(one);
        }
        assert_eq!(held.len() * 16, 4_096 / 2, "of each part");
        room.take(&tenant(1), 16).await.expect("the other half is not his");
        let busy = tenant(0);
        let next = room.take(&busy, 1);
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending());
        held.clear();
        next.await.expect("room again");
    }
}
