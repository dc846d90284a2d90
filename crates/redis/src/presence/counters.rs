//! Figures of the keeper of presence.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the keeper counts while it runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) restorations: AtomicU64,
    pub(super) reassertions: AtomicU64,
    pub(super) nodes_swept: AtomicU64,
    pub(super) users_swept: AtomicU64,
    pub(super) users_expired: AtomicU64,
    pub(super) strays: AtomicU64,
    pub(super) departures_dropped: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// What the keeper of presence has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PresenceCounters {
    /// How often everything this node holds had to be said again: Redis was away, came back empty,
    /// or the other nodes had taken this one for lost.
    pub restorations: u64,
    /// Leases said again, by a restoration or after a command that failed.
    pub reassertions: u64,
    /// Nodes that were lost and that this node swept to the end.
    pub nodes_swept: u64,
    /// Users that a sweep of this node made offline.
    pub users_swept: u64,
    /// Users in an online set for whom no node vouched.
    pub users_expired: u64,
    /// Leases of this node that it did not know of, or missed, when it compared.
    pub strays: u64,
    /// Departures beyond those that may wait for Redis; the comparison of leases finds them later.
    pub departures_dropped: u64,
    /// Commands that failed or were not answered in time.
    pub failures: u64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> PresenceCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PresenceCounters {
            restorations: read(&self.restorations),
            reassertions: read(&self.reassertions),
            nodes_swept: read(&self.nodes_swept),
            users_swept: read(&self.users_swept),
            users_expired: read(&self.users_expired),
            strays: read(&self.strays),
            departures_dropped: read(&self.departures_dropped),
            failures: read(&self.failures),
        }
    }
}
