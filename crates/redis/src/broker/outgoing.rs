//! What goes out: in order, at once while Redis is there, later when it is back.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::interfaces::PubsubInterface as _;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hookswitch_hub::{BoxFuture, Publication, UserKey};
use hookswitch_protocol::TenantId;
use hookswitch_runtime::Scope;
use tokio::sync::{Notify, oneshot, watch};

use super::orders::Orders;
use super::send_queue::{Batch, Bounds, Outbound, Placed, SendQueue};
use super::wire;
use crate::config::Topology;
use crate::link::{Link, LinkError, LinkState};
use crate::metrics::BrokerMetrics;

/// Pause before what failed is sent again.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// What is being sent.
type Sends<'a> = FuturesUnordered<BoxFuture<'a, ()>>;

/// The queue of messages to the other nodes.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) link: Link,
    pub(super) metrics: BrokerMetrics,
    queue: Mutex<SendQueue>,
    /// Where streams number the events.
    pub(super) orders: Option<Arc<Orders>>,
    arrived: Notify,
    /// Whether messages go out now; otherwise they are kept, and nobody waits for them.
    is_sending: AtomicBool,
}

impl Outgoing {
    pub(crate) fn new(link: Link, metrics: BrokerMetrics, orders: Option<Arc<Orders>>) -> Self {
        let (n_messages, n_bytes) = (link.config().buffer_events, link.config().buffer_bytes);
        let queue = Mutex::new(SendQueue::new(Bounds { n_messages, n_bytes }));
        Self { link, metrics, queue, orders, arrived: Notify::new(), is_sending: AtomicBool::new(false) }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, SendQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.queue().n_waiting()
    }

    /// Puts events into the queue, with their numbers. They are sent whether anybody waits or not.
    pub(crate) fn publish(&self, publications: &[Publication]) -> Vec<oneshot::Receiver<()>> {
        let told = {
            let mut queue = self.queue();
            let mut append = |publication| {
                let mut outbound = self.outbound(&mut queue, publication);
                let (settled, told) = oneshot::channel();
                outbound.settled = Some(settled);
                self.append(&mut queue, outbound);
                told
            };
            publications.iter().map(&mut append).collect()
        };
        self.give_where_degraded(publications);
        self.arrived.notify_one();
        told
    }

    /// Tells the other nodes that something was kept for a user.
    pub(crate) async fn tell_backlog(&self, user: &UserKey) {
        let (settled, told) = oneshot::channel();
        let mut outbound = self.control(&user.tenant, wire::encode_backlog(user, self.link.node()));
        outbound.settled = Some(settled);
        self.append(&mut self.queue(), outbound);
        self.arrived.notify_one();
        self.settle(vec![told]).await;
    }

    fn control(&self, tenant: &TenantId, body: Vec<u8>) -> Outbound {
        Outbound {
            tenant: tenant.clone(),
            channel: self.link.keys().internal_channel(tenant),
            body: body.into(),
            is_sharded: false,
            slot: self.slot_of(tenant),
            settled: None,
            placed: None,
        }
    }

    /// Redis takes messages again: the other nodes are told how far the numbers of those tenants went of which
    /// messages were dropped, for maybe no event follows that would show it.
    pub(super) fn tell_dropped(&self, queue: &mut SendQueue) {
        let room = self.link.config().buffer_events.saturating_sub(queue.n_waiting());
        for (tenant, last, n_dropped) in queue.take_unannounced(room) {
            self.append(queue, self.control(&tenant, wire::encode_last(self.link.node(), last, n_dropped)));
        }
    }

    /// Waits until Redis has them: not while it is away, and not for long when it does not answer.
    pub(crate) async fn settle(&self, told: Vec<oneshot::Receiver<()>>) {
        if self.is_sending.load(Ordering::Acquire) {
            // A sender is dropped when the message is sent, has failed, or the link is found closed. Past
            // the deadline it stays in the queue.
            let all = join_all(told);
            let _settled = tokio::time::timeout(self.link.config().command_timeout * 2, all).await;
        }
    }

    fn outbound(&self, queue: &mut SendQueue, publication: &Publication) -> Outbound {
        let event = &publication.event;
        let keys = self.link.keys();
        let seq = queue.number(&event.tenant);
        let is_sharded = self.link.config().sharded_pubsub && event.topic.is_none();
        let is_placed = self.orders.is_some() && !event.event_type.is_passing();
        let placed = || Placed { publication: publication.clone(), seq, was_live: false, was_sent: false };
        Outbound {
            tenant: event.tenant.clone(),
            channel: if is_sharded { keys.tenant_channel(&event.tenant) } else { keys.channel_of(event) },
            body: wire::encode(publication, self.link.node(), seq, self.orders.is_some()).into(),
            is_sharded,
            slot: self.slot_of(&event.tenant),
            settled: None,
            placed: is_placed.then(placed),
        }
    }

    /// The slot of a tenant's messages.
    fn slot_of(&self, tenant: &TenantId) -> u16 {
        match self.link.config().topology {
            Topology::Cluster(_) => fred::util::redis_keyslot(tenant.as_str().as_bytes()),
            Topology::Single(_) | Topology::Sentinel { .. } => 0,
        }
    }

    /// Puts a message at the end; over the bound the oldest of the tenant with the most go. Their numbers stay
    /// out, so that the other nodes notice.
    fn append(&self, queue: &mut SendQueue, outbound: Outbound) {
        queue.append(outbound);
        let was_dropping = queue.is_dropping();
        let mut n_dropped = 0;
        while let Some(oldest) = queue.drop_over() {
            n_dropped += 1;
            if n_dropped == 1 && !was_dropping {
                tracing::warn!(tenant = %oldest.tenant, "events for other nodes are dropped from now on, too many wait for Redis");
            }
        }
        self.metrics.dropped.inc_by(n_dropped);
    }

    /// Says once how much was dropped, when that is over.
    pub(super) fn report_dropped(queue: &mut SendQueue) {
        if let Some(dropped) = queue.take_dropped() {
            let (n_events, n_tenants) = (dropped.n_messages, dropped.tenants.len());
            tracing::warn!(n_events, n_tenants, "events for other nodes were dropped while too many waited for Redis");
        }
    }

    /// Sends until the soft token, and then what still waits. Each tenant by itself: one whose messages Redis
    /// does not take holds up no other.
    pub(crate) async fn run(&self, scope: &Scope) {
        let (soft, mut changes) = (scope.soft(), self.link.changes());
        let (mut sends, mut appends) = (Sends::new(), Sends::new());
        while !soft.is_cancelled() {
            if !self.link.is_up() || !self.is_sending.load(Ordering::Acquire) {
                let was_down = !self.link.is_up();
                self.stop_sending();
                let mut reopened = pin!(async {
                    // Each comes back in time, as the clients' commands do.
                    while sends.next().await.is_some() {}
                    soft.run_until_cancelled(self.wait_for_link(&mut changes, was_down)).await;
                });
                while tokio::select! {
                    Some(()) = appends.next() => true,
                    () = &mut reopened => false,
                } {}
            }
            self.send_ready(&mut sends, &mut appends);
            tokio::select! {
                Some(()) = sends.next() => {}
                Some(()) = appends.next() => {}
                () = self.arrived.notified() => {}
                _ = changes.changed() => {}
                () = soft.cancelled() => {}
            }
        }
        let rest = async {
            while self.link.is_up() && !(sends.is_empty() && appends.is_empty()) {
                tokio::select! {
                    Some(()) = sends.next() => {}
                    Some(()) = appends.next() => {}
                }
                self.send_ready(&mut sends, &mut appends);
            }
        };
        let _sent = tokio::time::timeout(self.link.config().flush_timeout(), rest).await;
        self.report_unsent();
    }

    /// What Redis did not take until now is lost to the others. They may have no later number to notice it by,
    /// so it is told here at least.
    fn report_unsent(&self) {
        let queue = self.queue();
        let (n_messages, n_tenants) = (queue.n_waiting(), queue.n_tenants());
        if n_messages > 0 {
            self.metrics.unsent.inc_by(n_messages as u64);
            tracing::error!(n_messages, n_tenants, node = %self.link.node(), "this node ends with messages for other nodes that Redis did not take: they are lost there");
        }
    }

    fn stop_sending(&self) {
        self.is_sending.store(false, Ordering::Release);
        let tenants = {
            let mut queue = self.queue();
            queue.release_waiters();
            queue.tenants()
        };
        for tenant in tenants {
            self.degrade(&tenant);
        }
    }

    /// Whether messages go out now.
    pub(super) fn is_sending(&self) -> bool {
        self.is_sending.load(Ordering::Acquire)
    }

    /// Waits until the link is open, and then a moment longer: the other nodes, which lost it too, must
    /// listen again before they are told what happened meanwhile.
    async fn wait_for_link(&self, changes: &mut watch::Receiver<LinkState>, was_down: bool) {
        // The sender of the state lives as long as the link.
        let n_opened = changes.wait_for(|state| state.problem.is_none()).await.map_or(0, |state| state.n_opened);
        if was_down && n_opened > 1 {
            tokio::time::sleep(self.link.config().probe_interval * 2).await;
        }
        self.is_sending.store(true, Ordering::Release);
    }

    /// Begins to send what can be sent now: what is only published, tenant by tenant; what streams number, together. In a
    /// cluster each tenant by itself, for its server may hang.
    fn send_ready<'a>(&'a self, sends: &mut Sends<'a>, appends: &mut Sends<'a>) {
        let taken: Vec<_> = {
            let mut queue = self.queue();
            std::iter::from_fn(|| queue.take()).collect()
        };
        let is_placed = |(_, batch): &(TenantId, Batch)| batch.iter().any(|outbound| outbound.placed.is_some());
        let (placed, plain): (Vec<_>, Vec<_>) = taken.into_iter().partition(is_placed);
        sends.extend(
            plain.into_iter().map(|(tenant, batch)| Box::pin(self.send_batch(tenant, batch)) as BoxFuture<'a, ()>),
        );
        let Some(orders) = self.orders.as_deref().filter(|_| !placed.is_empty()) else { return };
        match self.link.config().topology {
            Topology::Cluster(_) => {
                appends.extend(
                    placed.into_iter().map(|one| Box::pin(self.append_all(orders, vec![one])) as BoxFuture<'a, ()>),
                );
            }
            Topology::Single(_) | Topology::Sentinel { .. } => appends.push(Box::pin(self.append_all(orders, placed))),
        }
    }

    /// Sends messages of one tenant. From the first that failed on they are sent again; what Redis took
    /// of them nevertheless, the others know by its number.
    async fn send_batch(&self, tenant: TenantId, mut batch: Batch) {
        let answers = join_all(batch.iter().map(|outbound| self.send_one(outbound))).await;
        let n_sent = answers.iter().take_while(|answer| answer.is_ok()).count();
        self.metrics.sent.inc_by(n_sent as u64);
        let rest = batch.split_off(n_sent);
        let has_failed = !rest.is_empty();
        {
            let mut queue = self.queue();
            queue.gone(&batch);
            queue.put_back(&tenant, rest);
            queue.settled(&tenant, has_failed);
            if !has_failed {
                queue.release(tenant);
                self.tell_dropped(&mut queue);
                return Self::report_dropped(&mut queue);
            }
        }
        // Whoever waits for those that were sent need not wait for the others.
        drop(batch);
        tokio::time::sleep(PAUSE).await;
        self.queue().release(tenant);
    }

    /// Publishes a message as it is.
    pub(super) async fn send(&self, channel: &str, body: &Bytes, slot: u16) -> Result<(), LinkError> {
        self.link.publish_at(slot, channel, body.clone()).await
    }

    async fn send_one(&self, outbound: &Outbound) -> Result<(), LinkError> {
        let channel = outbound.channel.as_str();
        if !outbound.is_sharded {
            return self.send(channel, &outbound.body, outbound.slot).await;
        }
        let send = async |client: WithOptions<Client>| client.spublish(channel, outbound.body.clone()).await;
        let sent: Result<(), _> = self.link.at_key(channel, send).await;
        sent.map_err(|source| self.link.failed("publish an event", channel, source))
    }
}
