//! `agent.*`: who is at work, and in which state.

use serde::{Deserialize, Serialize};

use crate::UserId;

/// The state of an agent who has just logged in.
pub const AVAILABLE: &str = "available";
/// The state of an agent who has logged out.
pub const OFFLINE: &str = "offline";

/// An agent and the state it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Agent {
    /// Which agent.
    pub user_id: UserId,
    /// The agent's name.
    #[serde(default)]
    pub username: String,
    /// `available`, `offline`, or a state of the deployment's own.
    #[serde(default)]
    pub state: String,
    /// Why, such as `lunch`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The phone in use.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extension: String,
}

impl Agent {
    /// This agent, its state still empty.
    pub fn new(user_id: impl Into<UserId>, username: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            username: username.into(),
            state: String::new(),
            reason: String::new(),
            extension: String::new(),
        }
    }

    /// The same agent in this state.
    #[must_use]
    pub fn in_state(self, state: impl Into<String>) -> Self {
        Self { state: state.into(), ..self }
    }
}
