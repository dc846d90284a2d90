//! Takes in what comes over the channels.

use std::sync::Arc;
use std::time::Duration;

use fred::types::Message;
use hookswitch_hub::{BrokerSink, GapScope, Origin, Received};
use hookswitch_protocol::{NodeId, TenantId};
use tokio::time::MissedTickBehavior;

use super::orders::{Orders, SharedOrder, locked};
use super::read_ahead::Next;
use super::refusals::Refusals;
use super::sequence::Ordered;
use super::sources::Sources;
use super::subscriptions::Subscriptions;
use super::tenant_order::Echo;
use super::wire::{self, Context, ControlMessage, Incoming, Refusal};
use crate::keys::Channel;
use crate::link::Link;
use crate::metrics::BrokerMetrics;
use crate::peers::RedisPeers;

/// How often it is looked whether a missing number is to be given up.
const GIVE_UP_INTERVAL: Duration = Duration::from_millis(50);

/// Most events of one tenant that are handed on together.
const EVENTS_AT_ONCE: usize = 64;

/// Most bytes of payload that are handed on together; one event may have more.
const BYTES_AT_ONCE: usize = 1024 * 1024;

/// The one task that reads the clients' channels, which forget what they cannot hold.
pub(crate) struct Receiver {
    link: Link,
    subscriptions: Arc<Subscriptions>,
    sink: Arc<dyn BrokerSink>,
    metrics: BrokerMetrics,
    sources: Sources,
    refusals: Refusals,
    /// Where streams number the events.
    orders: Option<Arc<Orders>>,
    peers: Arc<RedisPeers>,
    /// Events that came right behind each other, and whose they are: what a node published together is
    /// handed on together.
    ready: Vec<Received>,
    ready_bytes: usize,
    ready_of: Option<TenantId>,
    /// The order of the last tenant that had an event.
    order: Option<(TenantId, SharedOrder)>,
    /// Bytes read since the clients' messages were taken over.
    n_read_bytes: usize,
}

impl Receiver {
    pub(crate) fn new(
        link: Link,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn BrokerSink>,
        metrics: BrokerMetrics,
        sources: Sources,
        orders: Option<Arc<Orders>>,
        peers: Arc<RedisPeers>,
    ) -> Self {
        let refusals = Refusals::new(metrics.clone());
        Self {
            link,
            subscriptions,
            sink,
            metrics,
            sources,
            refusals,
            orders,
            peers,
            ready: Vec::new(),
            ready_bytes: 0,
            ready_of: None,
            order: None,
            n_read_bytes: 0,
        }
    }

    pub(crate) async fn run(mut self) {
        // One for all turns: traffic must not begin the wait anew.
        let mut looks = tokio::time::interval(GIVE_UP_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n_taken = 0;
        loop {
            n_taken += 1;
            // Others on this thread, and the clock, have their turn in between.
            let is_due = n_taken % EVENTS_AT_ONCE == 0;
            if is_due || self.n_read_bytes >= BYTES_AT_ONCE {
                self.sources.read_ahead();
                self.n_read_bytes = 0;
            }
            let next = if is_due { None } else { self.sources.try_next() };
            let next = if let Some(next) = next {
                next
            } else {
                self.hand_on();
                let is_waiting = self.subscriptions.sequencer().is_waiting();
                tokio::select! {
                    biased;
                    _ = looks.tick(), if is_waiting => {
                        self.give_up();
                        continue;
                    }
                    next = self.sources.next() => next,
                }
            };
            match next {
                Next::Message(message) => self.take_one(&message),
                Next::TooLarge { channel, n_bytes } => self.refusals.too_large(&channel, n_bytes),
                Next::Forgotten { channel, n_messages } => self.forgotten(&channel, n_messages),
                Next::Lagged(n_messages) => self.lagged(n_messages),
                Next::Ended => return,
            }
        }
    }

    fn take_one(&mut self, message: &Message) {
        let n_ready = self.ready.len();
        self.take(message);
        // What is ready waits for its own kind only, not behind whatever else comes.
        if self.ready.len() == n_ready {
            self.hand_on();
        }
    }

    /// There was no room to hold a channel's messages: whoever listens to it is told.
    fn forgotten(&mut self, channel: &str, n_messages: u64) {
        let tenant = match self.link.keys().read_channel(channel) {
            Some(Channel::Tenant(name) | Channel::Internal(name)) => TenantId::parse(name).ok(),
            _ => None,
        };
        let Some(tenant) = tenant else { return self.lagged(n_messages) };
        tracing::warn!(%tenant, n_messages, "messages of other nodes were lost, more came than this node can handle");
        self.metrics.forgotten.inc_by(n_messages);
        self.hand_on();
        self.subscriptions.sequencer().forgive_tenant(&tenant);
        self.look_up_missing(vec![tenant.clone()]);
        self.sink.on_gap(GapScope::Tenant(tenant), None);
    }

    /// Compares where the histories of these tenants end with what came.
    fn look_up_missing(&self, tenants: Vec<TenantId>) {
        if let Some(orders) = &self.orders {
            orders.look_up(tenants);
        }
    }

    fn lagged(&mut self, n_messages: u64) {
        tracing::warn!(n_messages, "messages of other nodes were lost, this node cannot keep up");
        self.metrics.forgotten.inc_by(n_messages);
        self.hand_on();
        self.subscriptions.sequencer().forgive();
        self.look_up_missing(self.subscriptions.watched());
        self.sink.on_gap(GapScope::All, None);
    }

    fn take(&mut self, message: &Message) {
        let Some(channel) = self.link.keys().read_channel(&message.channel) else { return };
        let bytes = message.value.as_bytes().unwrap_or_default();
        self.n_read_bytes += bytes.len();
        if bytes.len() > wire::largest(self.link.config().message_bytes) {
            // Not even looked into: whoever sends it costs others nothing.
            self.refusals.too_large(&message.channel, bytes.len());
        } else if let Err(refusal) = self.take_from(channel, bytes) {
            self.refusals.refused(&message.channel, bytes.len(), &refusal);
        }
    }

    fn take_from(&mut self, channel: Channel<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        if let Channel::Tenant(name) = channel
            && self.is_known(&tenant(name)?, bytes)
        {
            return Ok(());
        }
        let context = Context {
            node: self.link.node(),
            tenant: None,
            topic: None,
            now: self.link.clock().now(),
            largest: self.link.config().message_bytes,
        };
        match channel {
            Channel::Probe(node) => self.take_probe(node, bytes),
            Channel::Node(node) if node == self.link.node().as_str() => self.peers.heard(bytes),
            Channel::Node(_) => {}
            Channel::Internal(name) => self.take_control(&tenant(name)?, bytes)?,
            Channel::Main => self.accept(wire::decode_wrapped(bytes, context)?),
            Channel::Topic(topic) => {
                // What comes back to its publisher is read only where nothing is known of it.
                let is_own = wire::plain_number(wire::split_position(bytes).0, self.link.node()).is_some();
                if self.orders.is_some() || !is_own {
                    self.accept(wire::decode(bytes, Context { topic: Some(topic), ..context })?);
                }
            }
            Channel::Tenant(name) => {
                let tenant = tenant(name)?;
                self.accept(wire::decode(bytes, Context { tenant: Some(&tenant), ..context })?);
            }
        }
        Ok(())
    }

    /// Whether an envelope need not be read: it was given, or is one of this node's own, which it has itself.
    fn is_known(&mut self, tenant: &TenantId, bytes: &[u8]) -> bool {
        let (head, position) = wire::split_position(bytes);
        let own = wire::plain_number(head, self.link.node());
        let Some((position, order)) = position.zip(self.order_of(tenant)) else { return own.is_some() };
        let echo = {
            let mut order = locked(&order);
            if order.is_given(position) || !order.is_watched && own.is_some() {
                return true;
            }
            own.map(|seq| order.echo(seq, position))
        };
        match echo {
            Some(Echo::Known) => true,
            Some(Echo::Event(received)) => {
                self.make_ready(tenant, *received);
                true
            }
            Some(Echo::Unknown) | None => false,
        }
    }

    fn order_of(&mut self, tenant: &TenantId) -> Option<SharedOrder> {
        let orders = self.orders.as_ref()?;
        if let Some((_, order)) = self.order.as_ref().filter(|(of, _)| of == tenant) {
            return Some(Arc::clone(order));
        }
        let order = orders.of(tenant);
        self.order = Some((tenant.clone(), Arc::clone(&order)));
        Some(order)
    }

    fn take_probe(&self, node: &str, bytes: &[u8]) {
        let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        if let Some(number) = number.filter(|_| node == self.link.node().as_str()) {
            self.link.probe_heard(number);
        }
    }

    fn take_control(&mut self, tenant: &TenantId, bytes: &[u8]) -> Result<(), Refusal> {
        match wire::decode_control(bytes, tenant, self.link.node())? {
            Some(ControlMessage::Backlog(user)) => {
                self.hand_on();
                self.sink.on_backlog(user);
            }
            Some(ControlMessage::Last(_, _, Some(n_dropped))) if self.orders.is_some() => {
                self.hand_on();
                self.metrics.missed.inc_by(n_dropped);
                self.sink.on_gap(GapScope::Tenant(tenant.clone()), Some(n_dropped));
            }
            Some(ControlMessage::Last(node, seq, _)) => {
                let ordered = self.subscriptions.sequencer().up_to(tenant, &node, seq);
                self.pass_on(tenant, ordered);
            }
            Some(ControlMessage::Head(head)) => {
                if let Some(orders) = self.orders.clone() {
                    self.hand_on();
                    orders.heard_of(tenant, head);
                }
            }
            None => {}
        }
        Ok(())
    }

    fn accept(&mut self, incoming: Incoming) {
        let Incoming { received, publisher, is_streamed } = incoming;
        if is_streamed && self.orders.is_some() {
            return self.accept_streamed(received, publisher);
        }
        let tenant = received.event.tenant.clone();
        let is_watched = self.subscriptions.is_watched(&tenant);
        match publisher {
            Some((node, _)) if node == *self.link.node() => {}
            Some((node, seq)) if is_watched => {
                let ordered = self.subscriptions.sequencer().take(&tenant, node, seq, received);
                self.pass_on(&tenant, ordered);
            }
            // It may come a moment after its tenant was unsubscribed from. Nobody here wants it then, but it
            // may be for this node to keep it: its publisher was told that it would be.
            Some(_) if matches!(received.origin, Origin::Node { answerable_with: Some(_) }) => {
                self.pass_on(&tenant, Ordered { ready: vec![received], n_missed: 0 });
            }
            None if is_watched => self.pass_on(&tenant, Ordered { ready: vec![received], n_missed: 0 }),
            Some(_) | None => {}
        }
    }

    /// An event whose publisher has a stream: with its position, or without where the stream did not take it.
    fn accept_streamed(&mut self, mut received: Received, publisher: Option<(NodeId, u64)>) {
        let tenant = received.event.tenant.clone();
        let Some(order) = self.order_of(&tenant) else { return };
        let is_own = publisher.as_ref().is_some_and(|(node, _)| node == self.link.node());
        let is_wanted = {
            let mut order = locked(&order);
            match (received.position, publisher) {
                (Some(position), Some((_, seq))) if is_own => match order.echo(seq, position) {
                    Echo::Known => return,
                    Echo::Event(own) => received = *own,
                    Echo::Unknown => {
                        received.origin = Origin::Own(None);
                        received.is_known = order.is_known(&(None, seq));
                    }
                },
                (Some(_), Some((node, seq))) => received.is_known = order.is_known(&(Some(node), seq)),
                (None, Some(_)) if is_own => return,
                (None, Some((node, seq))) if !received.event.event_type.is_passing() => {
                    order.note_known((Some(node), seq));
                }
                (_, None) | (None, Some(_)) => {}
            }
            order.is_watched
        };
        // It may be for this node to keep it, though it does not serve the tenant any more.
        let is_answerable = matches!(received.origin, Origin::Node { answerable_with: Some(_) });
        if is_wanted {
            self.make_ready(&tenant, received);
        } else if is_answerable && !received.is_known {
            self.pass_on(&tenant, Ordered { ready: vec![Received { position: None, ..received }], n_missed: 0 });
        }
    }

    fn give_up(&mut self) {
        let given_up = self.subscriptions.sequencer().give_up();
        for (tenant, ordered) in given_up {
            self.pass_on(&tenant, ordered);
        }
    }

    fn pass_on(&mut self, tenant: &TenantId, ordered: Ordered) {
        let Ordered { ready, n_missed } = ordered;
        if n_missed > 0 {
            self.hand_on();
            self.metrics.missed.inc_by(n_missed);
            self.sink.on_gap(GapScope::Tenant(tenant.clone()), Some(n_missed));
        }
        for received in ready {
            self.make_ready(tenant, received);
        }
    }

    fn make_ready(&mut self, tenant: &TenantId, received: Received) {
        let is_full = self.ready.len() >= EVENTS_AT_ONCE || self.ready_bytes >= BYTES_AT_ONCE;
        if self.ready_of.as_ref() != Some(tenant) || is_full {
            self.hand_on();
            self.ready_of = Some(tenant.clone());
        }
        self.ready_bytes += received.event.payload.as_str().len();
        self.ready.push(received);
    }

    /// Hands on what came so far; nothing that is told of the tenant may overtake it.
    fn hand_on(&mut self) {
        self.ready_bytes = 0;
        let Some(tenant) = self.ready_of.take() else { return };
        let ready = std::mem::take(&mut self.ready);
        if let (Some(orders), Some(order)) = (self.orders.clone(), self.order_of(&tenant)) {
            orders.take(&tenant, &order, ready);
        } else {
            self.metrics.received.inc_by(ready.len() as u64);
            self.sink.on_events(&tenant, ready);
        }
    }
}

fn tenant(name: &str) -> Result<TenantId, Refusal> {
    TenantId::parse(name).map_err(|_| Refusal::Unfit("its channel's tenant is not legal"))
}
