//! Sees to it that shard channels stay listened to, and tells the tenants whose were not.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use hookswitch_hub::{BrokerSink, GapScope};
use hookswitch_protocol::{Chain, TenantId};
use tokio::time::MissedTickBehavior;

use super::shard_listeners::ShardListeners;
use super::subscriptions::Subscriptions;
use crate::link::Link;
use crate::metrics::BrokerMetrics;

/// Channels asked for anew at the same time.
const AT_ONCE: usize = 32;

/// Channels asked for anew with each look, though nothing says that they are not listened to.
const IN_TURN: usize = 100;

/// One look after the other.
pub(crate) struct ShardWatch {
    pub(crate) link: Link,
    pub(crate) shards: Arc<ShardListeners>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) sink: Arc<dyn BrokerSink>,
    pub(crate) metrics: BrokerMetrics,
}

impl ShardWatch {
    pub(crate) async fn run(self) {
        let mut interval = tokio::time::interval(self.link.config().probe_interval * 2);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if self.link.is_up() {
                self.look().await;
            }
        }
    }

    async fn look(&self) {
        let watched = self.subscriptions.watched();
        let lost = match self.shards.lost(&watched).await {
            Ok(lost) => lost,
            Err(error) => return self.link.note_deaf(Some(Chain(&error).to_string())),
        };
        let doubtful = self.shards.in_turn(&watched, IN_TURN);
        let tenants: std::collections::HashSet<TenantId> = lost.into_iter().chain(doubtful).collect();
        let asked = stream::iter(tenants).map(|tenant| self.ask_anew(tenant));
        let failed: Vec<String> = asked.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
        let problem = failed
            .first()
            .map(|first| format!("shard channels of {} tenants are not listened to, the first: {first}", failed.len()));
        self.link.note_deaf(problem);
    }

    /// Why it is not listened to, if it is not.
    async fn ask_anew(&self, tenant: TenantId) -> Option<String> {
        if !self.subscriptions.is_watched(&tenant) {
            return None;
        }
        match self.shards.subscribe_anew(&tenant, self.link.config().command_timeout).await {
            Ok(was_deaf) => {
                if was_deaf {
                    self.was_deaf(tenant).await;
                }
                None
            }
            Err(error) => Some(format!("{tenant}: {}", Chain(&error))),
        }
    }

    async fn was_deaf(&self, tenant: TenantId) {
        if !self.subscriptions.is_watched(&tenant) {
            // Let go meanwhile.
            let _ended = self.shards.unsubscribe(&tenant).await;
            return;
        }
        self.metrics.resubscribed.inc();
        self.subscriptions.sequencer().forgive_tenant(&tenant);
        self.sink.on_gap(GapScope::Tenant(tenant), None);
    }
}
