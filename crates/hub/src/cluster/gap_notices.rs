//! Tells connections that events of other nodes may be missing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookswitch_protocol::TenantId;
use tokio::sync::mpsc;

use crate::offline_delivery::OfflineDelivery;
use crate::sessions::ChatSessions;
use crate::shard::request::Request;
use crate::shared::Shared;

/// Connections are told at most so often: one notice says it for all gaps since the last.
const INTERVAL: Duration = Duration::from_secs(1);

/// Users whose kept messages are looked for at the same time when the store is back.
const LOOKED_AFTER_AT_ONCE: usize = 64;

/// Passes gaps on to all shards.
pub(crate) struct GapNotifier {
    pub(crate) shared: Arc<Shared>,
    pub(crate) shards: Arc<[mpsc::Sender<Request>]>,
    pub(crate) sessions: Arc<ChatSessions>,
    pub(crate) offline_delivery: Arc<OfflineDelivery>,
}

impl GapNotifier {
    /// Until the task is ended.
    pub(crate) async fn run(self) {
        tokio::join!(self.tell_gaps(), self.restore());
    }

    async fn tell_gaps(&self) {
        loop {
            self.shared.gaps.noted().await;
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
            self.shared.reopened.notify_one();
        }
    }

    /// What takes long after the way was closed, beside the telling of gaps: once for all the times that it
    /// was closed meanwhile.
    async fn restore(&self) {
        loop {
            self.shared.reopened.notified().await;
            // Whatever is behind the way may have come back empty.
            self.sessions.restore().await;
            self.look_after_everybody().await;
        }
    }

    /// While the way was closed, delivery tasks gave up and other nodes' notices did not arrive: what was
    /// kept for whoever is here is looked for again.
    async fn look_after_everybody(&self) {
        let counts = &self.shared.connection_counts;
        let users = stream::iter(counts.tenants()).flat_map(|tenant| stream::iter(counts.users(&tenant)));
        let notices = users.map(|user| self.offline_delivery.serve(user).taken());
        notices.buffer_unordered(LOOKED_AFTER_AT_ONCE).for_each(|()| std::future::ready(())).await;
    }
}
