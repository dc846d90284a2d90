//! `call.*`, `queue.joined` and `queue.left`: one call and where it stands.

use serde::{Deserialize, Serialize};

use super::{is_nobody, is_zero};
use crate::UserId;

/// The direction of a call that comes in.
pub const INBOUND: &str = "inbound";

/// One call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Call {
    /// The telephone system's name for the call.
    pub unique_id: String,
    /// The caller's number.
    #[serde(default)]
    pub caller_id: String,
    /// The caller's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller_name: String,
    /// The number called.
    #[serde(default)]
    pub destination: String,
    /// The caller's channel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// The callee's channel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub destination_channel: String,
    /// The agent concerned.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub agent_id: Option<UserId>,
    /// That agent's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_name: String,
    /// The queue the call came through.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub queue_name: String,
    /// `inbound`, `outbound` or a deployment's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub direction: String,
    /// How long it took, in seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duration: i64,
}

impl Call {
    /// The call of this name, everything else empty.
    pub fn new(unique_id: impl Into<String>) -> Self {
        Self { unique_id: unique_id.into(), ..Self::default() }
    }
}
