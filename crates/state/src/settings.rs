//! The spans and bounds of live state.

use std::time::Duration;

/// What bounds live state; the same on every node, since the fold depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateSettings {
    /// A call of which nothing was heard for so long has ended. Default 4 h.
    pub call_max_age: Duration,
    /// Calls and chats that have ended are shown for so long. Default 10 s.
    pub ended_for: Duration,
    /// Bytes of all entries of a tenant, as compact JSON; beyond it nothing new enters. Default 8 MiB.
    pub max_bytes: usize,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { call_max_age: Duration::from_hours(4), ended_for: Duration::from_secs(10), max_bytes: 8 * 1024 * 1024 }
    }
}
