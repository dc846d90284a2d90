//! The seam between nodes: moves publications.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use hookswitch_protocol::{Event, NodeId, Retry, TenantId};

use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// Moves events between nodes.
///
/// Live delivery is at most once: what is published while a node is not watching the tenant, or
/// while the transport is down, does not reach it, and the sink hears of it through
/// [`BrokerSink::on_gap`]. Events of one tenant published through one node arrive at every sink in
/// that order, none twice. A node's own events do not come back to its sink: the hub has already
/// delivered them. A dropped future leaves the call done or not done.
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
}

impl EncodedEvent {
    /// An event whose envelope is not printed yet.
    pub fn new(event: impl Into<Arc<Event>>) -> Self {
        Self { event: event.into(), envelope: OnceLock::new(), is_kept: false }
    }

    /// The same of one whose user is away and gets it from the store alone: it has its place in history, and ends the
    /// session that it ends, but nobody is given it from there.
    pub fn kept(event: impl Into<Arc<Event>>) -> Self {
        Self { is_kept: true, ..Self::new(event) }
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
}

impl Publication {
    /// An event that waits for nobody.
    pub fn new(event: impl Into<Arc<Event>>) -> Self {
        Self { event: EncodedEvent::new(event), holders: Vec::new() }
    }
}

impl AsRef<EncodedEvent> for Publication {
    fn as_ref(&self) -> &EncodedEvent {
        &self.event
    }
}

/// One event from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The event. Its session is unknown when a foreign program published it.
    pub event: Arc<Event>,
    /// Who published it.
    pub origin: Origin,
}

impl Received {
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
}

/// Takes what other nodes published. Never blocks, never awaits.
pub trait BrokerSink: Send + Sync {
    /// Events of one watched tenant, in their order. Those that are given together take their room
    /// together.
    fn on_events(&self, tenant: &TenantId, received: Vec<Received>);

    /// Something may be missing: `n_missed` events where that is known.
    fn on_gap(&self, scope: GapScope, n_missed: Option<u64>);

    /// Something was kept, on another node, for a user who may be connected here.
    fn on_backlog(&self, user: UserKey);

    /// A store that nodes share has lost what it held, without the way to it having been closed: what this node
    /// knows of it is to be put back.
    fn on_store_lost(&self) {}
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
