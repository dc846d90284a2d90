//! What an open store consists of, and its chores.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use hookswitch_hub::OfflineLimits;
use hookswitch_runtime::{Clock, Scope};
use tokio::time::Instant;

use super::dialect::NodeLiveness;
use super::queries::offline;
use super::{Conn, PendingUsers, ReaderClasses, Writer};
use crate::codec::Codec;
use crate::error::Failure;
use crate::metrics::StoreMetrics;
use crate::offline_claim::Holder;

/// How often messages that are too old are looked for; claims look for themselves.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(5);

/// Most messages that expire in one transaction.
const EXPIRY_STEP: i64 = 1_000;

/// The parts of an open store.
pub(crate) struct Inner {
    pub(crate) offline: OfflineLimits,
    pub(crate) metrics: StoreMetrics,
    pub(crate) codec: Arc<Codec>,
    pub(crate) clock: Clock,
    /// Acceptance and registrations: what somebody outside waits for.
    pub(crate) acceptance: Writer,
    /// Lease, settling and chores. On a database with one writer, that same one.
    pub(crate) dispatch: Writer,
    pub(crate) readers: ReaderClasses,
    pub(crate) pending_users: PendingUsers,
    /// What this node knows of the others on the database.
    pub(crate) liveness: Arc<Mutex<NodeLiveness>>,
    /// In whose name offline messages are claimed.
    pub(crate) holder: Holder,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("acceptance", &self.acceptance).finish_non_exhaustive()
    }
}

impl Inner {
    /// Begins the chores, which end with the scope or with the last clone of the store.
    pub(crate) fn share(self, scope: &Scope) -> Arc<Self> {
        let inner = Arc::new(self);
        scope.spawn("store expiry", expire(Arc::downgrade(&inner), scope.clone()));
        inner
    }

    /// Calls that wait for a writer now.
    pub(crate) fn n_waiting(&self) -> usize {
        let dispatch = if self.acceptance.is_same(&self.dispatch) { 0 } else { self.dispatch.n_waiting() };
        self.acceptance.n_waiting() + dispatch
    }

    /// Whether both writers can write.
    pub(crate) async fn check_writing(&self) -> Result<(), Failure> {
        tokio::try_join!(self.acceptance.check(), self.dispatch.check()).map(drop)
    }

    /// Drops what is older than the bound, in steps that leave room for others.
    pub(crate) async fn expire_offline(&self) -> Result<(), Failure> {
        loop {
            let oldest = self.clock.now().before(self.offline.max_age);
            let step = move |conn: &mut Conn| offline::expire(conn, oldest, EXPIRY_STEP);
            if self.dispatch.call(step).await? < EXPIRY_STEP as usize {
                return Ok(());
            }
        }
    }
}

/// Drops offline messages that are too old while the store lives.
async fn expire(store: Weak<Inner>, scope: Scope) {
    let mut ticks = tokio::time::interval_at(Instant::now() + EXPIRY_INTERVAL, EXPIRY_INTERVAL);
    loop {
        tokio::select! {
            () = scope.soft().cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.expire_offline().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "offline messages could not be expired");
        }
    }
}
