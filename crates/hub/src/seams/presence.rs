//! The seam for presence: who is connected anywhere.

use hookswitch_protocol::payloads::{PresenceCause, PresenceWord};
use hookswitch_protocol::{NodeId, Retry, TenantId, Timestamp, UserId};

use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// Keeps who is connected, on any node, under leases.
///
/// A user is offline only when no node holds a lease for it. Calls about one user take effect in
/// the order they were made. A dropped future leaves the call done or not done.
///
/// Each coming (offline to online) and each going is one transition, told exactly once: by the
/// [`PresenceChange`] that a call returns, or by a store that tells all nodes itself, and then
/// returns none.
pub trait PresenceStore: Send + Sync {
    /// This node has `n_connections` (at least 1) of this user; makes or renews its lease.
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>>;

    /// This node has no connection of this user any more. Idempotent.
    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>>;

    /// This node has no connection of this user any more because it sent them elsewhere, `n_sent_away`
    /// (at least 1) since the last call about him. A store that other nodes share keeps him online for a
    /// while, so that nobody hears of it if he is back on any node by then; if not, he goes offline with the
    /// cause `drained`. A held user is online to who asks, and no node has him: what is published for him is
    /// kept. Without other nodes it is the same as [`PresenceStore::leave`], and so it is by default.
    fn hold<'a>(
        &'a self,
        user: &'a UserKey,
        n_sent_away: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        let _ = n_sent_away;
        self.leave(user)
    }

    /// Tells the other nodes how many connections this one has, or, with `None`, that it takes no more part; gives
    /// the numbers of all nodes, this one's too. None without other nodes, and so it is by default.
    fn exchange_counts(&self, n_connections: Option<u64>) -> BoxFuture<'_, Result<Vec<u64>, PresenceError>> {
        let _ = n_connections;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The other nodes that hold a lease for this user. Not this one, whose connections the hub counts
    /// itself: the lease of a connection that has just ended may stand a moment longer.
    fn other_holders<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>>;

    /// What is known of one user, over all nodes.
    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>>;

    /// The users of a tenant that are connected anywhere, in no particular order.
    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>>;
}

/// A transition for the caller to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who came or went.
    pub user: UserKey,
    /// What the user is now.
    pub state: PresenceWord,
    /// Why.
    pub cause: PresenceCause,
}

/// What is known of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPresence {
    /// Online, away or offline.
    pub state: PresenceState,
    /// Connections over all nodes.
    pub n_connections: u32,
    /// The last sign of life, where one is known.
    pub last_seen: Option<Timestamp>,
}

impl UserPresence {
    /// A user nobody knows.
    pub const OFFLINE: Self = Self { state: PresenceState::Offline, n_connections: 0, last_seen: None };
}

/// The contract's three states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceState {
    /// Connected, heartbeat fresh.
    Online,
    /// Connected, heartbeat expired.
    Away,
    /// Not connected anywhere.
    Offline,
}

/// Why presence could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// The store is down or did not answer in time.
    #[error("presence store is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PresenceError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(std::time::Duration::from_secs(1)),
        }
    }
}
