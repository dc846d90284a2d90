//! What a source says is true.

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch_protocol::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::entries::Phase;
use crate::fields::Key;

/// A checked `state/sync`, or the mere renewal of a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sync {
    pub(crate) source: Key,
    /// Nothing but the source was said: it is still there.
    pub(crate) is_renewal: bool,
    pub(crate) complete: bool,
    /// Epoch and offset of the last event that was considered.
    pub(crate) as_of: Option<(u64, u64)>,
    pub(crate) lease: Option<Duration>,
    pub(crate) agents: Option<BTreeMap<Key, ReportedAgent>>,
    pub(crate) calls: Option<BTreeMap<Key, ReportedCall>>,
    pub(crate) members: Option<BTreeMap<Key, ReportedMember>>,
    pub(crate) waiting: Option<BTreeMap<Key, ReportedWaiting>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportedAgent {
    pub(crate) user_id: UserId,
    pub(crate) username: Option<String>,
    pub(crate) extension: Option<String>,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportedCall {
    pub(crate) phase: Phase,
    pub(crate) direction: String,
    pub(crate) caller_id: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) destination: String,
    pub(crate) queue_name: Option<Key>,
    pub(crate) agents: Vec<UserId>,
    pub(crate) ringing: Vec<UserId>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) transfers: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportedMember {
    pub(crate) queue_name: Key,
    pub(crate) user_id: Option<UserId>,
    pub(crate) username: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) paused: bool,
    pub(crate) reason: Option<String>,
    pub(crate) penalty: Option<i64>,
    pub(crate) since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReportedWaiting {
    pub(crate) queue_name: Key,
    pub(crate) caller_id: String,
    pub(crate) caller_name: Option<String>,
    pub(crate) order: i64,
    pub(crate) since: Option<Timestamp>,
}

impl Sync {
    /// Who says it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether only the lease is renewed.
    pub fn is_renewal(&self) -> bool {
        self.is_renewal
    }
}
