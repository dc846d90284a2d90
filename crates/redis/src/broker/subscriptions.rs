//! Which channels this node listens to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::interfaces::{ClientLike as _, PubsubInterface as _};
use fred::types::config::Options;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hookswitch_protocol::{Chain, TenantId};

use super::orders::Orders;
use super::sequence::Sequencer;
use super::shard_listeners::ShardListeners;
use crate::config::Topology;
use crate::link::{Link, LinkError};

/// How long a node's first events are collected where they may come out of order.
const SETTLING: Duration = Duration::from_millis(50);

/// Tenants whose channels are asked for in one command.
const TENANTS_AT_ONCE: usize = 100;

/// Shard channels asked for at the same time, each by a command of its own.
const SHARD_CHANNELS_AT_ONCE: usize = 32;

/// How long an answer is waited for while probes come back, which tell sooner when none will come.
const ANSWER_PATIENCE: Duration = Duration::from_mins(1);

/// What this node listens to, and wants to listen to.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    link: Link,
    tenants: Mutex<Tenants>,
    /// The order of what comes in; forgotten with its tenant.
    sequencer: Mutex<Sequencer>,
    /// Where a cluster's shard channels are listened to.
    shards: Option<Arc<ShardListeners>>,
    /// Where streams number the events.
    orders: Option<Arc<Orders>>,
}

#[derive(Debug, Default)]
struct Tenants {
    wanted: HashSet<TenantId>,
    /// Wanted, and still to be asked for by whoever opens the link.
    pending: HashSet<TenantId>,
    /// Wanted, and granted at least once.
    granted: HashSet<TenantId>,
}

impl Subscriptions {
    pub(crate) fn new(link: Link, shards: Option<Arc<ShardListeners>>, orders: Option<Arc<Orders>>) -> Self {
        // Sharded, a topic's events and the others of a tenant come over different servers.
        let settling = if link.config().sharded_pubsub { SETTLING } else { Duration::ZERO };
        let sequencer = Mutex::new(Sequencer::settling_for(settling));
        Self { link, tenants: Mutex::default(), sequencer, shards, orders }
    }

    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sequencer(&self) -> MutexGuard<'_, Sequencer> {
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether streams number the events.
    pub(crate) fn has_orders(&self) -> bool {
        self.orders.is_some()
    }

    /// Whether events of this tenant are wanted.
    pub(crate) fn is_watched(&self, tenant: &TenantId) -> bool {
        self.tenants().wanted.contains(tenant)
    }

    /// Whose events are wanted and are taken to arrive.
    pub(crate) fn watched(&self) -> Vec<TenantId> {
        let tenants = self.tenants();
        tenants.granted.difference(&tenants.pending).cloned().collect()
    }

    /// Listens to a tenant's channels; confirmed when this returns and the link is open. While it is
    /// closed, the wish is noted and fulfilled before it opens.
    ///
    /// However long the answer takes: whether the way is open is told by the probes, which go the same way.
    pub(crate) async fn watch(&self, tenant: &TenantId) -> Result<(), LinkError> {
        if let Some(orders) = &self.orders {
            orders.begin(tenant);
        }
        let is_heard = self.listen(tenant).await?;
        if is_heard {
            self.read_heads(std::slice::from_ref(tenant), false).await;
        }
        Ok(())
    }

    /// Whether its channels are listened to now; otherwise whoever opens the link asks for them.
    async fn listen(&self, tenant: &TenantId) -> Result<bool, LinkError> {
        let mut changes = self.link.changes();
        let n_opened = {
            let mut tenants = self.tenants();
            tenants.wanted.insert(tenant.clone());
            // Under the lock: whoever opens the link does so under it too, when nothing is pending.
            if !self.link.is_up() {
                tenants.pending.insert(tenant.clone());
                return Ok(false);
            }
            changes.borrow().n_opened
        };
        let is_another = |state: &crate::link::LinkState| state.problem.is_some() || state.n_opened != n_opened;
        tokio::select! {
            subscribed = self.subscribe_at_last(tenant) => {
                let mut tenants = self.tenants();
                if subscribed.is_err() {
                    tenants.wanted.remove(tenant);
                } else if tenants.wanted.contains(tenant) {
                    tenants.granted.insert(tenant.clone());
                }
                subscribed.map(|()| true)
            }
            // Whoever opens it again asks for all that is wanted.
            _closed = changes.wait_for(is_another) => {
                self.tenants().pending.insert(tenant.clone());
                Ok(false)
            }
        }
    }

    /// Everything behind the ends of these tenants' histories comes from here on; what is missing before, since they were
    /// listened to last, is fetched.
    async fn read_heads(&self, tenants: &[TenantId], is_late: bool) {
        if let Some(orders) = &self.orders {
            orders.read_heads(tenants, is_late).await;
        }
    }

    /// Asks until it is answered.
    async fn subscribe_at_last(&self, tenant: &TenantId) -> Result<(), LinkError> {
        loop {
            match self.subscribe(std::slice::from_ref(tenant), ANSWER_PATIENCE).await {
                Err(error) if !error.is_refusal() => tokio::time::sleep(self.link.config().probe_interval).await,
                answered => return answered,
            }
        }
    }

    /// Stops listening to a tenant's channels. What still comes in is left out.
    pub(crate) async fn unwatch(&self, tenant: &TenantId) -> Result<(), LinkError> {
        {
            let mut tenants = self.tenants();
            tenants.wanted.remove(tenant);
            tenants.pending.remove(tenant);
            tenants.granted.remove(tenant);
        }
        self.sequencer().forget(tenant);
        if let Some(orders) = &self.orders {
            orders.stop(tenant);
        }
        if self.link.is_up() { self.unsubscribe(tenant).await } else { Ok(()) }
    }

    /// Asks anew for everything, after the connection was lost with all it listened to.
    pub(crate) async fn resubscribe(&self) -> Result<(), LinkError> {
        {
            let Tenants { wanted, pending, .. } = &mut *self.tenants();
            pending.clone_from(wanted);
        }
        let keys = self.link.keys();
        let node = self.link.node();
        let channels = vec![keys.main_channel(), keys.probe_channel(node), keys.node_channel(node)];
        let client = self.client(self.patience());
        let listening = client.subscribe(channels).await;
        listening.map_err(|source| self.failed("subscribe to the main channel", &keys.main_channel(), source))?;
        let pattern = format!("{}*", keys.topic_prefix());
        let topics = client.psubscribe(pattern.clone()).await;
        topics.map_err(|source| self.failed("subscribe to the custom topics", &pattern, source))?;
        self.confirm(&keys.main_channel(), self.patience()).await
    }

    /// As long as probes are waited for, before the way counts as closed.
    fn patience(&self) -> Duration {
        self.link.config().command_timeout * 2 + self.link.config().probe_interval
    }

    /// Waits until Redis has carried out what was asked so far: the client calls a subscription done
    /// once it is written. All but sharded ones go over one connection, in order.
    async fn confirm(&self, channel: &str, patience: Duration) -> Result<(), LinkError> {
        let answered: Result<fred::types::Value, _> = self.client(patience).ping(None).await;
        answered.map(drop).map_err(|source| self.failed("confirm a subscription", channel, source))
    }

    /// Asks for what is pending; opens the link when nothing is left. Whether anything was pending:
    /// whoever wanted it may have missed something.
    pub(crate) async fn open_when_complete(&self) -> Result<bool, LinkError> {
        let mut was_pending = false;
        loop {
            let pending: Vec<TenantId> = {
                let tenants = self.tenants();
                if tenants.pending.is_empty() {
                    self.link.open();
                    return Ok(was_pending);
                }
                was_pending = true;
                tenants.pending.iter().cloned().collect()
            };
            for some in pending.chunks(TENANTS_AT_ONCE) {
                self.subscribe(some, self.patience()).await?;
                self.settle(some).await;
                self.read_heads(some, true).await;
            }
        }
    }

    /// They are subscribed to; those nobody wants any more are let go.
    async fn settle(&self, subscribed: &[TenantId]) {
        let unwanted: Vec<TenantId> = {
            let mut tenants = self.tenants();
            for tenant in subscribed {
                tenants.pending.remove(tenant);
                if tenants.wanted.contains(tenant) {
                    tenants.granted.insert(tenant.clone());
                }
            }
            subscribed.iter().filter(|tenant| !tenants.wanted.contains(*tenant)).cloned().collect()
        };
        for tenant in unwanted {
            if let Err(error) = self.unsubscribe(&tenant).await {
                tracing::debug!(%tenant, error = %Chain(&error), "a tenant's channels are still listened to");
            }
        }
    }

    async fn subscribe(&self, tenants: &[TenantId], patience: Duration) -> Result<(), LinkError> {
        let keys = self.link.keys();
        let Some(first) = tenants.first() else { return Ok(()) };
        let (first, what) = (keys.tenant_channel(first), "subscribe to a tenant's channels");
        let channels: Vec<String> = tenants.iter().flat_map(|tenant| keys.tenant_channels(tenant)).collect();
        let subscribed = self.client(patience).subscribe(channels).await;
        subscribed.map_err(|source| self.failed(what, &first, source))?;
        self.confirm(&first, patience).await?;
        if !self.link.config().sharded_pubsub {
            return Ok(());
        }
        let asked: Vec<_> = tenants.iter().map(|tenant| self.subscribe_shard(tenant, patience)).collect();
        stream::iter(asked).buffer_unordered(SHARD_CHANNELS_AT_ONCE).try_collect().await
    }

    async fn subscribe_shard(&self, tenant: &TenantId, patience: Duration) -> Result<(), LinkError> {
        let channel = self.link.keys().tenant_channel(tenant);
        let Some(shards) = &self.shards else {
            let subscribed = self.client(patience).ssubscribe(channel.clone()).await;
            return subscribed.map_err(|source| self.failed("subscribe to a tenant's shard", &channel, source));
        };
        if let Err(error) = shards.subscribe(tenant, self.patience()).await {
            // One master that is away is no trouble of the others' tenants, nor a reason to keep its own waiting:
            // it is asked again every second, and the tenant told when that succeeds.
            tracing::debug!(%tenant, error = %Chain(&error), "a tenant's shard is not listened to yet");
        }
        Ok(())
    }

    async fn unsubscribe(&self, tenant: &TenantId) -> Result<(), LinkError> {
        let (keys, what) = (self.link.keys(), "unsubscribe from a tenant's channels");
        let channel = keys.tenant_channel(tenant);
        let client = self.client(self.link.config().command_timeout);
        let unsubscribed = client.unsubscribe(keys.tenant_channels(tenant).to_vec()).await;
        unsubscribed.map_err(|source| self.failed(what, &channel, source))?;
        match &self.shards {
            Some(shards) => shards.unsubscribe(tenant).await,
            None if self.link.config().sharded_pubsub => {
                client.sunsubscribe(channel.clone()).await.map_err(|source| self.failed(what, &channel, source))
            }
            None => Ok(()),
        }
    }

    fn client(&self, patience: Duration) -> fred::clients::WithOptions<fred::clients::Client> {
        let options = Options { timeout: Some(patience), fail_fast: true, ..Options::default() };
        self.link.subscriber().with_options(&options)
    }

    fn failed(&self, operation: &'static str, channel: &str, source: fred::error::Error) -> LinkError {
        self.link.failed(operation, channel, source)
    }
}

/// Whether shard channels are each on a master of their own.
pub(crate) fn has_shards(link: &Link) -> bool {
    link.config().sharded_pubsub && matches!(link.config().topology, Topology::Cluster(_))
}
