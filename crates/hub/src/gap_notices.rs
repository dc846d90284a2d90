//! Tells connections that events of other nodes may be missing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookswitch_protocol::TenantId;
use hookswitch_runtime::Scope;
use tokio::sync::{Notify, mpsc};

use crate::broker::GapScope;
use crate::offline_delivery::OfflineDelivery;
use crate::sessions::ChatSessions;
use crate::shard::Request;
use crate::shared::Shared;
use crate::transport::Transport;

/// Connections are told at most so often: one notice says it for all gaps since the last.
const INTERVAL: Duration = Duration::from_secs(1);

/// Users whose kept messages are looked for at the same time when the store is back.
const LOOKED_AFTER_AT_ONCE: usize = 64;

/// Gaps that connections were not told of yet. Bounded by the number of tenants served.
#[derive(Debug, Default)]
pub(crate) struct PendingGaps {
    /// By tenant, or for everybody; how many events, where that is known.
    untold: Mutex<HashMap<Option<TenantId>, Option<u64>>>,
    noted: Notify,
}

impl PendingGaps {
    pub(crate) fn note(&self, scope: GapScope, n_missed: Option<u64>) {
        let tenant = match scope {
            GapScope::Tenant(tenant) => Some(tenant),
            GapScope::All => None,
        };
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let known = untold.entry(tenant).or_insert(Some(0));
        *known = known.zip(n_missed).map(|(a, b)| a + b);
        drop(untold);
        self.noted.notify_one();
    }

    fn take(&self) -> HashMap<Option<TenantId>, Option<u64>> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Passes gaps on to all shards.
pub(crate) struct GapNotifier<O: Transport> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shards: Arc<[mpsc::Sender<Request<O>>]>,
    pub(crate) sessions: Arc<ChatSessions>,
    pub(crate) offline_delivery: Arc<OfflineDelivery<O>>,
    pub(crate) scope: Scope,
}

impl<O: Transport> GapNotifier<O> {
    /// Until the task is ended.
    pub(crate) async fn run(self) {
        loop {
            self.shared.gaps.noted.notified().await;
            for (tenant, n_missed) in self.shared.gaps.take() {
                self.tell(tenant, n_missed).await;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn tell(&self, tenant: Option<TenantId>, n_missed: Option<u64>) {
        for requests in self.shards.iter() {
            // A shard that is gone has no connections to tell.
            let _gone = requests.send(Request::Gap { tenant: tenant.clone(), n_missed }).await;
        }
        if tenant.is_none() {
            // The way was closed, and whatever is behind it may have come back empty.
            self.sessions.restore().await;
            self.look_after_everybody();
        }
    }

    /// While the way was closed, delivery tasks gave up and other nodes' notices did not arrive: what was
    /// kept for whoever is here is looked for again.
    fn look_after_everybody(&self) {
        let (offline_delivery, users) = (Arc::clone(&self.offline_delivery), self.shared.connection_counts.users());
        self.scope.spawn_contained("backlogs", async move {
            let notices = stream::iter(users).map(|user| offline_delivery.serve(user).taken());
            notices.buffer_unordered(LOOKED_AFTER_AT_ONCE).for_each(|()| std::future::ready(())).await;
        });
    }
}
