//! How many bytes of kept messages there may be on their way to clients at a time, together.

use hookswitch_protocol::TenantId;
use hookswitch_runtime::{FairPermit, FairSemaphore, Sharing};

use crate::seams::offline::{Claim, OFFLINE_PAGE_BYTES};

/// Pages on their way, together.
const ALL_BYTES: u64 = 64 * 1024 * 1024;

/// What the largest page takes, but for one of a single message.
const PAGE_BYTES: u64 = OFFLINE_PAGE_BYTES as u64;

/// Room for pages, which tenants share.
#[derive(Debug)]
pub(crate) struct PagePermits(FairSemaphore<TenantId>);

/// The room of one page: kept until its client has it.
pub(crate) type HeldPage = Option<FairPermit<TenantId>>;

impl Default for PagePermits {
    fn default() -> Self {
        // As many may wait as there are users: nobody is refused.
        Self(FairSemaphore::new(ALL_BYTES, Sharing { alpha: 1, waiting: u64::MAX / 2 }))
    }
}

impl PagePermits {
    pub(crate) fn used(&self) -> u64 {
        self.0.used()
    }

    /// Room for the largest page; `before_wait` is called where there is none yet. Cancel safe.
    pub(crate) async fn take(&self, tenant: &TenantId, before_wait: impl FnOnce()) -> HeldPage {
        if let Some(permit) = self.0.try_acquire(tenant, PAGE_BYTES) {
            return Some(permit);
        }
        before_wait();
        self.0.acquire(tenant, PAGE_BYTES).await.ok()
    }

    /// What the page takes of it: most are small.
    pub(crate) fn exact(&self, tenant: &TenantId, claim: &Claim, held: HeldPage) -> HeldPage {
        let n_bytes = claim.messages.iter().map(|message| message.envelope.len() as u64).sum();
        if n_bytes >= PAGE_BYTES {
            return held;
        }
        self.0.try_acquire(tenant, n_bytes).or(held)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::seams::offline::{ClaimedMessage, MessageNumber};

    fn claim(n_bytes: usize) -> Claim {
        let message = ClaimedMessage { number: MessageNumber(1), envelope: Bytes::from(vec![b'x'; n_bytes]) };
        Claim { messages: vec![message], ..Claim::default() }
    }

    #[tokio::test]
    async fn pages_that_nobody_reads_are_bounded_together_and_another_tenants_come() {
        let (room, busy) = (PagePermits::default(), TenantId::parse("busy").expect("legal"));
        let mut held = Vec::new();
        for _ in 0..600 {
            let mut waits = false;
            let page = futures_util::FutureExt::now_or_never(room.take(&busy, || waits = true));
            match page {
                Some(page) => held.push(room.exact(&busy, &claim(PAGE_BYTES as usize), page)),
                None => assert!(waits, "it is told before it waits"),
            }
        }
        assert_eq!((held.len(), room.used()), (32, ALL_BYTES / 2), "half of all");
        let quiet = TenantId::parse("quiet").expect("legal");
        let page = room.take(&quiet, || panic!("there is room at once")).await;
        let page = room.exact(&quiet, &claim(1_000), page);
        assert_eq!(room.used(), ALL_BYTES / 2 + 1_000, "a small page takes little");
        drop((held, page));
        assert_eq!(room.used(), 0);
    }
}
