//! What is told of connections and of what became of an event; nodes tell each other the same.

use std::net::IpAddr;

use hookswitch_protocol::{EventType, Position, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// What became of an event for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Handed to the system's socket as it came. Whether the client has it, only the client's position tells.
    Written,
    /// It is still in this node: in front of a client that does not read, or its turn has not come.
    Waiting,
    /// Given later, from recent history: to a client that was behind or came back. Where only the newest of its kind
    /// counts, a newer one may have been given in its place.
    CaughtUp,
    /// Gone for this connection: history held it no longer when its client read on, and the client was told.
    Dropped,
    /// The connection closed before it was written; a client that comes back to its position gets it.
    Unsent,
    /// Its subscription left it out.
    NotSubscribed,
    /// It is for another user, or for administrators only.
    NotAddressed,
    /// Its user was away: it is brought as a kept message and in no other way.
    Kept,
    /// The connection was not there yet, or no more.
    NotConnected,
    /// Its subscription was changed since, and nobody remembers whether it was wanted.
    Unknown,
}

/// One connection of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionReport {
    /// Its id, unique within the life of its node.
    pub id: String,
    /// When it came in.
    pub since: Timestamp,
    /// When it ended; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The address that the node sees, maybe a proxy's; `None` where the transport has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The name of its wire form, such as `websocket`.
    pub transport: String,
    /// What became of the event that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// An event as a node remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TracedEvent {
    /// Its type.
    pub event_type: EventType,
    /// Whom it is for, where it is for one user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Its place in its tenant's order; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Whether it was accepted by the node that tells this.
    pub is_own: bool,
}

/// That an event was kept for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    /// For whom.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
}

/// What one node knows of an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EventTrace {
    /// The event; `None` where this node does not remember it.
    pub event: Option<TracedEvent>,
    /// For whom this node kept it.
    pub kept: Vec<KeptReport>,
    /// The connections of the user that was asked about: open ones, then closed ones, newest first.
    pub connections: Vec<ConnectionReport>,
}
