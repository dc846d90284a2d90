//! The seam between nodes: moves publications.

use std::sync::Arc;

use hookswitch_protocol::{Event, Retry, TenantId};

use crate::seam::BoxFuture;

/// Moves events between nodes.
///
/// Live delivery is at most once: what is published while a node is not watching the tenant, or
/// while the transport is down, does not reach it, and the sink hears of it through
/// [`BrokerSink::on_gap`]. Events of one tenant published through one node arrive at every sink in
/// that order. A node's own events do not come back to its sink: the hub has already delivered
/// them. A dropped future leaves the call done or not done.
pub trait Broker: Send + Sync {
    /// Starts receiving this tenant's events. Returns when they are sure to arrive. Idempotent.
    fn watch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Stops receiving this tenant's events. Idempotent.
    fn unwatch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Hands one event to all other nodes that watch its tenant.
    fn publish<'a>(&'a self, event: &'a Arc<Event>) -> BoxFuture<'a, Result<(), BrokerError>>;
}

/// Takes what other nodes published. Never blocks, never awaits.
pub trait BrokerSink: Send + Sync {
    /// One event of a watched tenant.
    fn on_event(&self, event: Arc<Event>);

    /// Something may be missing.
    fn on_gap(&self, scope: GapScope);
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
