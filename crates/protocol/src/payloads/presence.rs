//! `presence.changed`: a user came, or went.

use serde::{Deserialize, Serialize};

use crate::{EventType, NewEvent, Payload, UserId};

/// One transition of a user, over all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresenceChanged {
    /// Who.
    pub user_id: UserId,
    /// What the user is now.
    pub state: PresenceWord,
    /// Why.
    pub cause: PresenceCause,
}

impl From<PresenceChanged> for NewEvent {
    /// The event that tells it, to the whole tenant.
    fn from(changed: PresenceChanged) -> Self {
        let payload = Payload::from_serialize(&changed).expect("a struct prints as an object");
        Self::new(EventType::PRESENCE_CHANGED, payload)
    }
}

/// The two ends of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PresenceWord {
    /// Connected to some node.
    Online,
    /// Connected to no node.
    Offline,
}

/// What caused a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PresenceCause {
    /// The first connection came.
    Connected,
    /// The last connection ended.
    Disconnected,
    /// The node with the last connections was not heard of any more.
    NodeLost,
    /// The node with the last connections sent them elsewhere, and the user did not come back in time.
    Drained,
    /// Somebody else had put the user among those online, and no node vouched for that.
    Expired,
}
