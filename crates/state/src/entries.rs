//! What the fold knows of each entry; how it is shown stands in `shown.rs`.

use std::collections::BTreeSet;

use hookswitch_protocol::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::Key;

/// The last event that an entry had: an offset of the present epoch (0 is before it), and when something was last
/// heard of it, also from its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastUpdate {
    pub(crate) offset: u64,
    pub(crate) at: Timestamp,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Agent {
    pub(crate) user_id: UserId,
    pub(crate) username: Option<String>,
    pub(crate) extension: Option<String>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) last_update: LastUpdate,
    /// The calls that name the agent; follows from them.
    #[serde(skip)]
    pub(crate) calls: BTreeSet<Key>,
    /// The calls that ring there; follows from them.
    #[serde(skip)]
    pub(crate) rings: BTreeSet<Key>,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    Incoming,
    Queued,
    Ringing,
    Talking,
    Held,
    Parked,
    Ended,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent, and the phase is what follows from all of them"
)]
pub(crate) struct Call {
    pub(crate) direction: String,
    pub(crate) caller_id: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) destination: String,
    pub(crate) queue_name: Option<Key>,
    pub(crate) agents: Vec<UserId>,
    pub(crate) ringing: Vec<UserId>,
    pub(crate) since: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) transfers: u64,
    pub(crate) reason: Option<String>,
    pub(crate) source: Option<Key>,
    pub(crate) last_update: LastUpdate,
    pub(crate) phase: Phase,
    pub(crate) is_answered: bool,
    pub(crate) is_held: bool,
    pub(crate) is_parked: bool,
    pub(crate) is_ended: bool,
    /// What a source said of a call that it did not name the ringing agents or the queue of.
    pub(crate) told: Option<Phase>,
}

impl Call {
    /// A call that begins.
    pub(crate) fn new(at: Timestamp, last_update: LastUpdate) -> Self {
        Self {
            direction: hookswitch_protocol::payloads::INBOUND.to_owned(),
            caller_id: String::new(),
            caller_name: None,
            destination: String::new(),
            queue_name: None,
            agents: Vec::new(),
            ringing: Vec::new(),
            since: at,
            started_at: at,
            transfers: 0,
            reason: None,
            source: None,
            last_update,
            phase: Phase::Incoming,
            is_answered: false,
            is_held: false,
            is_parked: false,
            is_ended: false,
            told: None,
        }
    }

    /// The phase that follows from everything else.
    pub(crate) fn phase_now(&self, is_waiting: bool) -> Phase {
        match self {
            _ if self.is_ended => Phase::Ended,
            _ if self.is_parked => Phase::Parked,
            _ if self.is_answered && self.is_held => Phase::Held,
            _ if self.is_answered => Phase::Talking,
            _ if !self.ringing.is_empty() => Phase::Ringing,
            _ if is_waiting => Phase::Queued,
            _ => self.told.unwrap_or(Phase::Incoming),
        }
    }

    /// Whether somebody talks in it.
    pub(crate) fn is_talk(&self) -> bool {
        matches!(self.phase, Phase::Talking | Phase::Held)
    }
}

/// A queue. Who waits there and who serves it are sections of their own; what is counted follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Queue {
    /// The last figures as they were told, as JSON.
    pub(crate) stats: Option<String>,
    pub(crate) heard_at: Timestamp,
    /// Who waits, by place.
    #[serde(skip)]
    pub(crate) waiting: Vec<Key>,
    #[serde(skip)]
    pub(crate) n_members: u64,
    #[serde(skip)]
    pub(crate) n_available: u64,
    #[serde(skip)]
    pub(crate) n_logged_in: u64,
    #[serde(skip)]
    pub(crate) n_talking: u64,
}

/// Somebody who serves a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) queue_name: Key,
    pub(crate) user_id: Option<UserId>,
    pub(crate) username: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) paused: bool,
    pub(crate) reason: Option<String>,
    pub(crate) penalty: Option<i64>,
    pub(crate) since: Timestamp,
    pub(crate) source: Option<Key>,
    pub(crate) last_update: LastUpdate,
    /// What the queue's figures hold of this member.
    #[serde(skip)]
    pub(crate) counted: Standing,
}

/// What a member counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) is_available: bool,
    pub(crate) is_logged_in: bool,
    pub(crate) is_talking: bool,
}

/// A caller who waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) queue_name: Key,
    pub(crate) caller_id: String,
    pub(crate) caller_name: Option<String>,
    /// Callers stand in its order; numbers between two places are free, so that one who comes moves nobody else.
    pub(crate) order: i64,
    pub(crate) since: Timestamp,
    pub(crate) source: Option<Key>,
    pub(crate) last_update: LastUpdate,
}

/// A chat session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chat {
    pub(crate) session_id: Value,
    pub(crate) status: String,
    pub(crate) visitor_name: Option<String>,
    pub(crate) agent_id: Option<UserId>,
    pub(crate) agent_name: Option<String>,
    pub(crate) since: Timestamp,
    pub(crate) last_message_at: Option<Timestamp>,
    pub(crate) is_ended: bool,
    pub(crate) last_update: LastUpdate,
}
