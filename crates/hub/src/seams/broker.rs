//! The seam between nodes: moves publications.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use hookswitch_protocol::{Event, NodeId, Position, Retry, TenantId};

use crate::seams::ticket::Ticket;
use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// Moves events between nodes.
///
/// Live delivery is at most once: what is published while a node is not watching the tenant, or
/// while the transport is down, does not reach it, and the sink hears of it through
/// [`BrokerSink::on_gap`]. Events of one tenant published through one node arrive at every sink in
/// that order, none twice. A node's own events do not come back to its sink, because the hub has already
/// delivered them, unless [`Broker::gives_positions`]. A dropped future leaves the call done or not done.
///
/// While the transport is away, watching succeeds and takes effect when it is back, and what is
/// published is kept, up to a bound, and sent then: a node goes on by itself meanwhile, and its
/// readiness says so.
pub trait Broker: Send + Sync {
    /// Starts receiving this tenant's events. Returns when they are sure to arrive, or when the
    /// transport is known to be away. Idempotent.
    fn watch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Stops receiving this tenant's events. Idempotent.
    fn unwatch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Hands events, in order, to all other nodes that watch their tenants. They take their place in
    /// the order when this is called, not when the future is polled: then the other nodes' order is
    /// this node's own. The call itself does not wait for anything, nor does it compute for long: it may
    /// be made on a shard's thread. Ready when the transport has them, or keeps them for when it is back.
    fn publish<'a>(&'a self, publications: &'a [Publication]) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Whether there can be no other node: then this one gives events their positions.
    fn is_alone(&self) -> bool {
        false
    }

    /// Whether the transport gives events their positions, in one order for all nodes. Then a node's own events
    /// come back to its sink, while it watches their tenant, each once and as [`Origin::Own`]: behind those that come
    /// before them, mostly before [`Broker::publish`] is ready; without a position and at once where the transport
    /// is away. Passing events ([`EventType::is_passing`](hookswitch_protocol::EventType::is_passing)) never do. The
    /// same of every call.
    fn gives_positions(&self) -> bool {
        false
    }

    /// Sees to it that the sink has been given everything of a watched tenant up to now; with `with_past`, once, also
    /// what is held of what came before that ([`BrokerSink::on_past`]). Ready within the time of a few commands, whether
    /// or not it could be done. For where [`Broker::gives_positions`].
    fn recover<'a>(&'a self, _tenant: &'a TenantId, _with_past: bool) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Tells the other nodes that something was kept for a user who may be connected to them.
    fn backlog_kept<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// An event with its envelope, which is printed once for all connections and all nodes.
///
/// It is printed when it is first asked for: clones made before print their own.
#[derive(Debug, Clone)]
pub struct EncodedEvent {
    event: Arc<Event>,
    envelope: OnceLock<Bytes>,
    is_kept: bool,
    is_from_elsewhere: bool,
}

impl EncodedEvent {
    /// An event whose envelope is not printed yet.
    pub fn new(event: impl Into<Arc<Event>>) -> Self {
        Self { event: event.into(), envelope: OnceLock::new(), is_kept: false, is_from_elsewhere: false }
    }

    /// The same of one whose user is away and gets it from the store alone: it has its place in history, and ends the
    /// session that it ends, but nobody is given it from there.
    pub fn kept(event: impl Into<Arc<Event>>) -> Self {
        Self { is_kept: true, ..Self::new(event) }
    }

    /// The same of one that this process did not accept.
    pub fn from_elsewhere(event: impl Into<Arc<Event>>) -> Self {
        Self { is_from_elsewhere: true, ..Self::new(event) }
    }

    /// Whether it was accepted by another node, or by this one's process before.
    pub(crate) fn is_from_elsewhere(&self) -> bool {
        self.is_from_elsewhere
    }

    /// The same event with a part of it changed.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Event)) -> Self {
        let mut event = Event::clone(&self.event);
        change(&mut event);
        Self { event: Arc::new(event), envelope: OnceLock::new(), ..*self }
    }

    /// Whether it was made by [`EncodedEvent::kept`].
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Whether it is to reach connections of one user.
    pub(crate) fn seeks_user(&self) -> bool {
        self.event.user.is_some() && !self.is_kept
    }

    /// The event by itself.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// The envelope as compact JSON, as [`Event::encode`] prints it.
    pub fn envelope(&self) -> &Bytes {
        self.envelope.get_or_init(|| Bytes::from(self.event.encode()))
    }
}

impl PartialEq for EncodedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.event == other.event && self.is_kept == other.is_kept
    }
}

impl Deref for EncodedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

impl AsRef<EncodedEvent> for EncodedEvent {
    fn as_ref(&self) -> &EncodedEvent {
        self
    }
}

/// One event on its way to the other nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The event.
    pub event: EncodedEvent,
    /// Of an event for one user who is not connected here: the nodes that held connections of that
    /// user when it was accepted. It is theirs to keep the event should the user be gone by the time
    /// it arrives.
    pub holders: Vec<NodeId>,
    /// Handed back with the event where it comes back to its own node.
    pub ticket: Option<Ticket>,
}

impl Publication {
    /// An event that waits for nobody.
    pub fn new(event: impl Into<Arc<Event>>) -> Self {
        Self { event: EncodedEvent::new(event), holders: Vec::new(), ticket: None }
    }
}

impl AsRef<EncodedEvent> for Publication {
    fn as_ref(&self) -> &EncodedEvent {
        &self.event
    }
}

/// One event from elsewhere, or back from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The event. Its session is unknown when a foreign program published it.
    pub event: EncodedEvent,
    /// Who published it.
    pub origin: Origin,
    /// Its place in the order that all nodes see; those of a tenant rise.
    pub position: Option<Position>,
    /// It was given before, without its position: now it is only entered into history.
    pub is_known: bool,
}

impl AsRef<EncodedEvent> for Received {
    fn as_ref(&self) -> &EncodedEvent {
        &self.event
    }
}

impl Received {
    /// One that has no position.
    pub fn live(event: impl Into<Arc<Event>>, origin: Origin) -> Self {
        Self { event: EncodedEvent::from_elsewhere(event), origin, position: None, is_known: false }
    }

    /// Whether it is this node's, maybe with others, to keep the event when its user is gone.
    pub(crate) fn is_answerable(&self) -> bool {
        matches!(&self.origin, Origin::Node { answerable_with: Some(_) })
    }
}

/// Who published an event that came from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Another node, which holds this node answerable for the event's user, or does not.
    Node {
        /// When it does: the other nodes it holds answerable besides this one.
        answerable_with: Option<Vec<NodeId>>,
    },
    /// The store itself, or a program that is no node: delivered live only.
    Foreign,
    /// This node, with what it has put into [`Publication::ticket`].
    Own(Option<Ticket>),
}

/// Takes what other nodes published. Never blocks, never awaits.
pub trait BrokerSink: Send + Sync {
    /// Events of one watched tenant, in their order. Those that are given together take their room
    /// together.
    fn on_events(&self, tenant: &TenantId, received: Vec<Received>);

    /// Something may be missing: `n_missed` events where that is known.
    fn on_gap(&self, scope: GapScope, n_missed: Option<u64>);

    /// The tenant is watched from here on: everything behind this position will be given.
    fn on_base(&self, _tenant: &TenantId, _base: Position) {}

    /// What is held of what came before, or everything that is held; nobody is given it as it comes.
    fn on_past(&self, _tenant: &TenantId, _past: Past) {}

    /// The way between nodes is open, or is not: then nobody knows what others publish. For where
    /// [`Broker::gives_positions`].
    fn on_link_state(&self, _is_open: bool) {}

    /// The way was closed and is open again, and each tenant's missing events are looked for: whatever else may have
    /// been missed meanwhile is to be looked after.
    fn on_reopened(&self) {}

    /// Something was kept, on another node, for a user who may be connected here.
    fn on_backlog(&self, user: UserKey);

    /// A store that nodes share has lost what it held, without the way to it having been closed: what this node
    /// knows of it is to be put back.
    fn on_store_lost(&self) {}
}

/// A part of a tenant's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The events, in order, each with its position.
    pub events: Vec<Received>,
    /// Every event of ordinary types behind this position is among them, or was given.
    pub held_after: Position,
    /// Every event behind this one is, those of opt-in types too.
    pub opt_in_held_after: Position,
}

/// Whose events may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GapScope {
    /// One tenant's.
    Tenant(TenantId),
    /// Everybody's: the transport was down.
    All,
}

/// Why the broker could not do it.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The transport is down or did not answer in time.
    #[error("broker is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the transport said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl BrokerError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(std::time::Duration::from_secs(1)),
        }
    }
}
