//! Figures of the offline store, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the keeper started, of what this node did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfflineCounters {
    /// Messages kept.
    pub kept: u64,
    /// Messages dropped because too many waited or they were too old.
    pub dropped: u64,
    /// Foreign envelopes that were none, or named another tenant or user.
    pub refused: u64,
    /// Claims of nodes that had died, whose messages wait again.
    pub taken_over: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) kept: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) taken_over: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> OfflineCounters {
        OfflineCounters {
            kept: self.kept.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            taken_over: self.taken_over.load(Ordering::Relaxed),
        }
    }
}
