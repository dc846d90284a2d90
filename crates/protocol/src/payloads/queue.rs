//! `queue.*`: how a queue stands, and who serves it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::is_zero;
use crate::{Payload, UserId};

/// The part of a payload that tells queues apart.
#[derive(Deserialize)]
struct OfQueue<'a> {
    #[serde(borrow)]
    queue_name: Option<Cow<'a, str>>,
}

/// Which queue a payload is about; `None` where it has no such field, or one that is no text.
pub fn queue_name(payload: &Payload) -> Option<Cow<'_, str>> {
    let of: OfQueue<'_> = serde_json::from_str(payload.as_str()).ok()?;
    of.queue_name
}

/// The figures of one queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct QueueStats {
    /// Which queue.
    pub queue_name: String,
    /// Callers waiting.
    pub calls_waiting: i64,
    /// Agents who could take a call now.
    pub available_agents: i64,
    /// Agents logged in.
    pub logged_in_agents: i64,
    /// Agents talking.
    pub talking_agents: i64,
    /// The longest present wait, in seconds.
    pub longest_wait_time: i64,
    /// The average wait, in seconds.
    pub average_wait_time: i64,
    /// Calls served.
    pub completed_calls: i64,
    /// Calls given up by their callers.
    pub abandoned_calls: i64,
}

impl QueueStats {
    /// The queue of this name, all figures 0.
    pub fn new(queue_name: impl Into<String>) -> Self {
        Self { queue_name: queue_name.into(), ..Self::default() }
    }
}

/// An agent's place in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QueueMember {
    /// Which queue.
    #[serde(default)]
    pub queue_name: String,
    /// Which agent.
    pub user_id: UserId,
    /// The agent's name.
    #[serde(default)]
    pub username: String,
    /// How the agent is called, such as `SIP/100`.
    #[serde(default)]
    pub interface: String,
    /// Whether the agent takes no calls at the moment.
    #[serde(default)]
    pub paused: bool,
    /// Agents with a lower penalty are called first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub penalty: i64,
}

impl QueueMember {
    /// This agent in this queue, not paused, everything else empty.
    pub fn new(queue_name: impl Into<String>, user_id: impl Into<UserId>) -> Self {
        Self {
            queue_name: queue_name.into(),
            user_id: user_id.into(),
            username: String::new(),
            interface: String::new(),
            paused: false,
            penalty: 0,
        }
    }
}
