//! Why the hub could not do it.

use std::time::Duration;

use hookswitch_protocol::{ErrorCode, Retry, TenantId};

use crate::connection_caps::ConnectionCap;
use crate::seams::broker::BrokerError;
use crate::seams::presence::PresenceError;

/// A subscription would hold more names than allowed; it stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection may subscribe to at most {limit} names, this would make {n_names}")]
pub struct TooManyNames {
    /// How many it would have been.
    pub n_names: usize,
    /// How many are allowed.
    pub limit: usize,
}

/// Why a call to the hub failed; nothing was done then.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The shards' mailboxes stayed full for the whole deadline.
    #[error("the hub is overloaded: no room for {n_events} events within {waited:?}")]
    Overloaded {
        /// How many were offered.
        n_events: usize,
        /// How long it waited.
        waited: Duration,
    },
    /// Whoever wants to connect has as many connections to this node as it may have.
    #[error("{cap} has {limit} connections to this node, and may have no more")]
    TooManyConnections {
        /// Whose number it is.
        cap: ConnectionCap,
        /// The number.
        limit: usize,
    },
    /// The hub is shutting down.
    #[error("the hub is shutting down")]
    Draining,
    /// Events of the tenant cannot be received from other nodes at the moment.
    #[error("cannot watch tenant {tenant}")]
    Watch {
        /// Whose events.
        tenant: TenantId,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// A connection would subscribe to too much from the start.
    #[error(transparent)]
    TooManyNames(#[from] TooManyNames),
    /// Presence cannot be written at the moment.
    #[error("cannot record the connection's presence")]
    Presence(#[from] PresenceError),
}

impl HubError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Overloaded { .. } | Self::Draining => Retry::After(Duration::from_secs(1)),
            // Others must go first.
            Self::TooManyConnections { .. } => Retry::After(Duration::from_secs(30)),
            Self::Watch { source, .. } => source.retry(),
            Self::Presence(source) => source.retry(),
            Self::TooManyNames(_) => Retry::Never,
        }
    }

    /// The code told to clients.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::TooManyConnections { .. } => ErrorCode::TooManyConnections,
            Self::Draining => ErrorCode::Draining,
            Self::TooManyNames(_) => ErrorCode::TooManyNames,
            Self::Watch { .. } | Self::Presence(_) => ErrorCode::StorageUnavailable,
        }
    }
}
