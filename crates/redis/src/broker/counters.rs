//! Figures of the broker, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerCounters {
    /// Messages that Redis took for the other nodes.
    pub sent: u64,
    /// Messages dropped because Redis was away for too long; the others see the gap.
    pub dropped: u64,
    /// Messages of other nodes and programs that were taken in.
    pub received: u64,
    /// Messages that were no events, or not their channel's; each is logged with its reason.
    pub refused: u64,
    /// Events of other nodes that never came.
    pub missed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) missed: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> BrokerCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BrokerCounters {
            sent: read(&self.sent),
            dropped: read(&self.dropped),
            received: read(&self.received),
            refused: read(&self.refused),
            missed: read(&self.missed),
        }
    }
}
