//! How many bytes of request bodies there may be at a time, together.

use std::time::Duration;

use hookswitch_protocol::{ErrorCode, TenantId};
use hookswitch_runtime::metrics::{Registry, register_gauge};
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};
use tokio::time::{Instant, timeout_at};

use super::Problem;

/// Where a body does not say how long it is, room is taken for so many bytes at a time.
const STEP_BYTES: usize = 64 * 1024;
/// What a body weighs at least.
const LEAST_BYTES: usize = 1_024;
/// How long a body may wait for room, nothing of it being read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room for bodies, which tenants share.
#[derive(Debug, Clone)]
pub(crate) struct BodyPermits(FairSemaphore<TenantId>);

impl BodyPermits {
    pub(crate) fn new(n_bytes: usize) -> Self {
        let n_bytes = n_bytes.max(LEAST_BYTES) as u64;
        // As much as there is may wait per tenant; the rest is refused at once.
        Self(FairSemaphore::new(n_bytes, Sharing { alpha: 1, waiting: n_bytes }))
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let room = self.0.clone();
        register_gauge(registry, "http_body_bytes", "Bytes for which request bodies hold room", move || room.used());
    }

    /// Room for one body of this tenant, none of it taken yet.
    /// Bytes for which room is held now.
    pub(crate) fn used(&self) -> u64 {
        self.0.used()
    }

    pub(crate) fn of(&self, tenant: &TenantId) -> BodyPermit {
        BodyPermit { room: self.clone(), tenant: tenant.clone(), permits: Vec::new(), n_bytes: 0, until: None }
    }
}

/// The room of one body: to be kept until its request is answered.
#[derive(Debug)]
pub(crate) struct BodyPermit {
    room: BodyPermits,
    tenant: TenantId,
    permits: Vec<FairPermit<TenantId>>,
    n_bytes: usize,
    /// When its patience ends, once it has waited.
    until: Option<Instant>,
}

impl BodyPermit {
    /// Room for what a body announces; where it announces nothing, room is taken as it comes.
    pub(super) async fn announce(&mut self, n_bytes: usize) -> Result<(), Problem> {
        self.take(n_bytes.max(LEAST_BYTES)).await
    }

    /// Room for so many bytes in all.
    pub(super) async fn grow_to(&mut self, n_bytes: usize) -> Result<(), Problem> {
        if n_bytes <= self.n_bytes {
            return Ok(());
        }
        self.take((n_bytes - self.n_bytes).max(STEP_BYTES)).await
    }

    async fn take(&mut self, n_bytes: usize) -> Result<(), Problem> {
        let BodyPermits(room) = &self.room;
        let permit = if let Some(permit) = room.try_acquire(&self.tenant, n_bytes as u64) {
            permit
        } else {
            let until = *self.until.get_or_insert_with(|| Instant::now() + PATIENCE);
            // Boxed, for it is rare, and every request's future would be larger by it.
            let waited = Box::pin(timeout_at(until, room.acquire(&self.tenant, n_bytes as u64))).await;
            waited.ok().and_then(Result::ok).ok_or_else(no_room)?
        };
        self.permits.push(permit);
        self.n_bytes += n_bytes;
        Ok(())
    }
}

fn no_room() -> Problem {
    Problem::new(ErrorCode::Overloaded, "too many and too large requests are under way; nothing was done, try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("a tenant")
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_half_and_another_one_its_part_at_once() {
        let room = BodyPermits::new(16 << 20);
        let mut held: Vec<BodyPermit> = Vec::new();
        for _ in 0..8 {
            let mut one = room.of(&tenant("busy"));
            one.announce(1 << 20).await.expect("within its share");
            held.push(one);
        }
        let start = Instant::now();
        let refused = room.of(&tenant("busy")).announce(1 << 20).await.expect_err("its share is used up");
        assert_eq!((refused.code, start.elapsed()), (ErrorCode::Overloaded, PATIENCE));
        let start = Instant::now();
        room.of(&tenant("quiet")).announce(1 << 20).await.expect("at once");
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(held);
        assert_eq!(room.0.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_announces_nothing_takes_room_as_it_comes() {
        let room = BodyPermits::new(1 << 20);
        let mut one = room.of(&tenant("t"));
        one.announce(0).await.expect("little");
        assert_eq!(room.0.used(), LEAST_BYTES as u64);
        one.grow_to(100_000).await.expect("its share");
        assert!((100_000..200_000).contains(&room.0.used()), "{}", room.0.used());
        let start = Instant::now();
        assert_eq!(one.grow_to(1_000_000).await.expect_err("more than its share").code, ErrorCode::Overloaded);
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
