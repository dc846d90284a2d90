//! Takes in what comes over the channels.

use std::sync::Arc;
use std::time::Duration;

use fred::interfaces::EventInterface as _;
use fred::types::Message;
use hookswitch_hub::{BrokerSink, GapScope, Received};
use hookswitch_protocol::TenantId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::MissedTickBehavior;

use super::sequence::Ordered;
use super::subscriptions::Subscriptions;
use super::wire::{self, Context, ControlMessage, Incoming, Refusal};
use crate::keys::Channel;
use crate::link::Link;
use crate::metrics::BrokerMetrics;

/// How often it is looked whether a missing number is to be given up.
const GIVE_UP_INTERVAL: Duration = Duration::from_millis(50);

/// Most events of one tenant that are handed on together.
const EVENTS_AT_ONCE: usize = 64;

/// The one task that reads the client's channel, which forgets what it cannot hold.
pub(crate) struct Receiver {
    link: Link,
    subscriptions: Arc<Subscriptions>,
    sink: Arc<dyn BrokerSink>,
    metrics: BrokerMetrics,
    messages: broadcast::Receiver<Message>,
    /// Events that came right behind each other, and whose they are: what a node published together is
    /// handed on together.
    ready: Vec<Received>,
    ready_of: Option<TenantId>,
}

impl Receiver {
    pub(crate) fn new(
        link: Link,
        subscriptions: Arc<Subscriptions>,
        sink: Arc<dyn BrokerSink>,
        metrics: BrokerMetrics,
    ) -> Self {
        let messages = link.subscriber().message_rx();
        Self { link, subscriptions, sink, metrics, messages, ready: Vec::new(), ready_of: None }
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
            let received = match if is_due { Err(TryRecvError::Empty) } else { self.messages.try_recv() } {
                Ok(message) => Ok(message),
                Err(TryRecvError::Lagged(n_messages)) => Err(RecvError::Lagged(n_messages)),
                Err(TryRecvError::Closed) => Err(RecvError::Closed),
                Err(TryRecvError::Empty) => {
                    self.hand_on();
                    let is_waiting = self.subscriptions.sequencer().is_waiting();
                    tokio::select! {
                        biased;
                        _ = looks.tick(), if is_waiting => {
                            self.give_up();
                            continue;
                        }
                        received = self.messages.recv() => received,
                    }
                }
            };
            match received {
                Ok(message) => {
                    let n_ready = self.ready.len();
                    self.take(&message);
                    // What is ready waits for its own kind only, not behind whatever else comes.
                    if self.ready.len() == n_ready {
                        self.hand_on();
                    }
                }
                Err(RecvError::Lagged(n_messages)) => {
                    tracing::warn!(n_messages, "messages of other nodes were lost, this node cannot keep up");
                    self.hand_on();
                    self.subscriptions.sequencer().forgive();
                    self.sink.on_gap(GapScope::All, None);
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn take(&mut self, message: &Message) {
        let Some(channel) = self.link.keys().read_channel(&message.channel) else { return };
        let bytes = message.value.as_bytes().unwrap_or_default();
        if let Err(reason) = self.take_from(channel, bytes) {
            self.metrics.refused.inc();
            let channel = &*message.channel;
            tracing::warn!(target: "hookswitch::security", channel, %reason, "a message from Redis was refused");
        }
    }

    fn take_from(&mut self, channel: Channel<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        let context = Context { node: self.link.node(), tenant: None, topic: None, now: self.link.clock().now() };
        match channel {
            Channel::Probe(node) => self.take_probe(node, bytes),
            Channel::Internal(name) => self.take_control(&tenant(name)?, bytes)?,
            Channel::Main => self.accept(wire::decode_wrapped(bytes, context)?),
            // What comes back to its publisher is not worth reading.
            Channel::Topic(_) | Channel::Tenant(_) if wire::is_plainly_of(bytes, self.link.node()) => {}
            Channel::Topic(topic) => self.accept(wire::decode(bytes, Context { topic: Some(topic), ..context })?),
            Channel::Tenant(name) => {
                let tenant = tenant(name)?;
                // It may come a moment after it was unsubscribed from.
                if self.subscriptions.is_watched(&tenant) {
                    self.accept(wire::decode(bytes, Context { tenant: Some(&tenant), ..context })?);
                }
            }
        }
        Ok(())
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
            Some(ControlMessage::Last(node, seq)) => {
                let ordered = self.subscriptions.sequencer().up_to(tenant, &node, seq);
                self.pass_on(tenant, ordered);
            }
            None => {}
        }
        Ok(())
    }

    fn accept(&mut self, incoming: Incoming) {
        let Incoming { received, publisher } = incoming;
        let tenant = received.event.tenant.clone();
        if !self.subscriptions.is_watched(&tenant) {
            return;
        }
        match publisher {
            Some((node, _)) if node == *self.link.node() => {}
            Some((node, seq)) => {
                let ordered = self.subscriptions.sequencer().take(&tenant, node, seq, received);
                self.pass_on(&tenant, ordered);
            }
            None => self.pass_on(&tenant, Ordered { ready: vec![received], n_missed: 0 }),
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
        self.metrics.received.inc_by(ready.len() as u64);
        for received in ready {
            if self.ready_of.as_ref() != Some(tenant) || self.ready.len() >= EVENTS_AT_ONCE {
                self.hand_on();
                self.ready_of = Some(tenant.clone());
            }
            self.ready.push(received);
        }
    }

    /// Hands on what came so far; nothing that is told of the tenant may overtake it.
    fn hand_on(&mut self) {
        if let Some(tenant) = self.ready_of.take() {
            self.sink.on_events(&tenant, std::mem::take(&mut self.ready));
        }
    }
}

fn tenant(name: &str) -> Result<TenantId, Refusal> {
    TenantId::parse(name).map_err(|error| error.to_string().into())
}
