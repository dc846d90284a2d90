//! How much recent history there is on a node, for whoever runs it.

use std::time::Duration;

use tokio::time::Instant;

use crate::history::History;

/// Recent history of all tenants on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySize {
    /// Events.
    pub n_events: usize,
    /// What they take.
    pub n_bytes: usize,
    /// How long an event is kept, at present rates, of the tenant whose events are kept for the shortest time.
    pub shortest_reach: Duration,
}

impl History {
    /// How much there is, and how far back it goes where it goes back least.
    pub(crate) fn size(&self) -> HistorySize {
        let (now, mut n_events, mut shortest_reach) = (Instant::now(), 0, self.limits.age);
        self.for_each_tenant(|_, known| {
            n_events += known.ring.len();
            shortest_reach = known.ring.reach(now).map_or(shortest_reach, |reach| reach.min(shortest_reach));
        });
        HistorySize { n_events, n_bytes: self.n_bytes(), shortest_reach }
    }
}
