//! Events between nodes over pub/sub.

mod appending;
mod order_heads;
mod order_past;
mod orders;
mod outgoing;
mod read_ahead;
mod receiver;
mod refusals;
mod send_queue;
mod sequence;
mod shard_listeners;
mod shard_watch;
mod sources;
mod subscriptions;
mod supervisor;
mod tenant_order;
pub(crate) mod wire;

use std::fmt;
use std::sync::Arc;

use fred::interfaces::EventInterface as _;
use hookswitch_hub::{BoxFuture, Broker, BrokerError, BrokerSink, Publication, UserKey};
use hookswitch_protocol::TenantId;
use hookswitch_runtime::Scope;
use tokio::sync::{Notify, watch};

use self::orders::Orders;
use self::outgoing::Outgoing;
use self::receiver::Receiver;
use self::shard_listeners::ShardListeners;
use self::shard_watch::ShardWatch;
use self::sources::Sources;
use self::subscriptions::Subscriptions;
use self::supervisor::Supervisor;
use crate::config::Topology;
use crate::link::Link;
use crate::metrics::BrokerMetrics;
use crate::peers::RedisPeers;

/// Publishes to the contract's channels and listens to those of the tenants this node serves.
pub struct RedisBroker {
    subscriptions: Arc<Subscriptions>,
    outgoing: Arc<Outgoing>,
    metrics: BrokerMetrics,
    ended: Arc<Notify>,
    is_needed: watch::Sender<bool>,
}

impl RedisBroker {
    /// Starts listening, sending and looking after the link, as tasks of the scope.
    pub(crate) fn start(link: &Link, sink: &Arc<dyn BrokerSink>, peers: &Arc<RedisPeers>, scope: &Scope) -> Arc<Self> {
        let metrics = BrokerMetrics::default();
        let (add_source, sources) =
            Sources::new(link.subscriber().message_rx(), wire::largest(link.config().message_bytes));
        let shards =
            subscriptions::has_shards(link).then(|| Arc::new(ShardListeners::new(link.clone(), add_source.clone())));
        // Over shard channels the order of a tenant's events is that of its server, and not of its stream.
        let orders = (!link.config().sharded_pubsub)
            .then(|| Orders::new(link.clone(), Arc::clone(sink), metrics.clone(), scope.clone()));
        let subscriptions = Arc::new(Subscriptions::new(link.clone(), shards.clone(), orders.clone()));
        let outgoing = Arc::new(Outgoing::new(link.clone(), metrics.clone(), orders.clone()));
        let (subs, count) = (Arc::clone(&subscriptions), metrics.clone());
        let receiver =
            Receiver::new(link.clone(), subs, Arc::clone(sink), count, sources, orders.clone(), Arc::clone(peers));
        let supervisor = Supervisor::new(link.clone(), Arc::clone(&subscriptions), Arc::clone(sink), add_source);
        let is_needed = watch::Sender::new(true);
        if let Topology::Cluster(_) = link.config().topology {
            let following = link.clone().follow_slots(link.config().probe_interval * 2);
            scope.spawn("redis-slots", while_needed(&is_needed, following));
        }
        if let Some(shards) = shards {
            let (link, subscriptions, sink) = (link.clone(), Arc::clone(&subscriptions), Arc::clone(sink));
            let watch = ShardWatch { link, shards, subscriptions, sink, metrics: metrics.clone() };
            scope.spawn("redis-shards", while_needed(&is_needed, watch.run()));
        }
        if let Some(orders) = orders {
            scope.spawn("redis-heads", while_needed(&is_needed, Arc::clone(&orders).compare_heads()));
            scope.spawn("redis-way", while_needed(&is_needed, orders.tell_way()));
        }
        scope.spawn("redis-receiver", while_needed(&is_needed, receiver.run()));
        scope.spawn("redis-supervisor", while_needed(&is_needed, supervisor.run()));
        let (sender, ending, ended) = (Arc::clone(&outgoing), scope.clone(), Arc::<Notify>::default());
        let last = Arc::clone(&ended);
        scope.spawn("redis-sender", async move {
            sender.run(&ending).await;
            last.notify_one();
        });
        Arc::new(Self { subscriptions, outgoing, metrics, ended, is_needed })
    }

    /// After the soft token: everything is sent that could be. For one waiter.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Nobody has anything to say any more: ends listening and looking after the link.
    pub(crate) fn stop(&self) {
        self.is_needed.send_replace(false);
    }

    /// What it counts.
    pub fn metrics(&self) -> &BrokerMetrics {
        &self.metrics
    }

    /// Events that wait for Redis.
    pub fn n_buffered(&self) -> usize {
        self.outgoing.n_waiting()
    }
}

/// Ends work with the last who needs it, not with the soft token: until then a Redis that goes away or
/// hangs must be noticed.
fn while_needed<F: Future<Output = ()> + Send + 'static>(
    is_needed: &watch::Sender<bool>,
    work: F,
) -> impl Future<Output = ()> + Send + use<F> {
    let mut is_needed = is_needed.subscribe();
    async move {
        tokio::select! {
            () = work => {}
            _stopped = is_needed.wait_for(|is_needed| !is_needed) => {}
        }
    }
}

impl Broker for RedisBroker {
    fn watch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let watched = self.subscriptions.watch(tenant).await;
            watched.map_err(|error| BrokerError::Unavailable { operation: "watch", source: error.boxed() })
        })
    }

    fn unwatch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            let unwatched = self.subscriptions.unwatch(tenant).await;
            unwatched.map_err(|error| BrokerError::Unavailable { operation: "unwatch", source: error.boxed() })
        })
    }

    fn publish<'a>(&'a self, publications: &'a [Publication]) -> BoxFuture<'a, Result<(), BrokerError>> {
        // Here and not in the future: now is these events' turn.
        let told = self.outgoing.publish(publications);
        Box::pin(async move {
            self.outgoing.settle(told).await;
            Ok(())
        })
    }

    fn gives_positions(&self) -> bool {
        self.outgoing.orders.is_some()
    }

    fn recover<'a>(&'a self, tenant: &'a TenantId, with_past: bool) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(orders) = &self.outgoing.orders {
                orders.recover(tenant, with_past).await;
            }
        })
    }

    fn backlog_kept<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            self.outgoing.tell_backlog(user).await;
            Ok(())
        })
    }
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroker").field("n_buffered", &self.n_buffered()).finish_non_exhaustive()
    }
}
