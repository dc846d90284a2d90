//! How much of what happened is kept at hand.

use std::time::Duration;

/// The bounds of recent history; whichever is reached first counts, and the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Events of one tenant (1,000). Types that one must ask for have a quarter of that for themselves.
    pub events: usize,
    /// Their bytes, of which each event takes half a KiB beside its payload (1 MiB); a quarter for types that one
    /// must ask for.
    pub bytes: usize,
    /// How long an event is kept (10 min).
    pub age: Duration,
    /// Bytes of all tenants (256 MiB); the history of the tenant that was not used for longest goes first.
    pub total_bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { events: 1_000, bytes: 1024 * 1024, age: Duration::from_mins(10), total_bytes: 256 * 1024 * 1024 }
    }
}

impl HistoryLimits {
    /// The share of the types that one must ask for.
    pub(crate) fn opt_in(&self) -> (usize, usize) {
        (self.events / 4, self.bytes / 4)
    }
}
