//! How long a dead node's users stay online: the length of a node's lease, and everything computed from it.

use std::time::Duration;

/// How long a node that is not heard of counts as alive, and its users with it; 15 s by default.
///
/// A node says that it lives every third of it. The others look for dead nodes as often, so the users of
/// one that died are offline at most 1.4 times the length after its last word. Claims of offline messages
/// last as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLease(Duration);

impl NodeLease {
    /// The shortest that suits a production system. One command that fails takes a second until it is
    /// tried again; a lease that is not much longer than that makes a node count as dead which is only
    /// held up, and its users go offline and come back.
    pub const MIN: Duration = Duration::from_secs(5);

    /// The longest that makes sense: as long as a user's heartbeat lasts, after which he is away anyway.
    pub const MAX: Duration = Duration::from_mins(5);

    /// One of this length. The bounds are not checked: they are for operators, and tests go below them.
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// For how long one renewal holds.
    pub const fn length(self) -> Duration {
        self.0
    }

    /// How often a node renews its lease, and its claims of offline messages.
    pub(crate) fn renewal_interval(self) -> Duration {
        self.0 / 3
    }

    /// When a renewal that failed is tried again.
    pub(crate) fn retry_interval(self) -> Duration {
        self.renewal_interval() / 3
    }

    /// How often dead nodes are looked for.
    pub(crate) fn sweep_interval(self) -> Duration {
        self.renewal_interval()
    }

    /// How often what Redis holds is compared with the truth: a minute by default.
    pub(crate) fn audit_interval(self) -> Duration {
        self.0 * 4
    }

    /// The longest time between two renewals of a node that may judge others: the next one is due after
    /// half of it.
    pub(crate) fn longest_gap(self) -> Duration {
        self.renewal_interval() * 2
    }

    /// When every node has noticed that Redis is back, and has renewed its lease there.
    pub(crate) fn all_renewed_within(self) -> Duration {
        self.renewal_interval() * 2
    }
}

impl Default for NodeLease {
    fn default() -> Self {
        Self(Duration::from_secs(15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_lease_survives_a_renewal_that_fails() {
        let lease = NodeLease::new(NodeLease::MIN);
        let command_timeout = Duration::from_secs(1);
        let failed_once = lease.renewal_interval() + command_timeout + lease.retry_interval() + command_timeout;
        assert!(failed_once < lease.length());
        assert!((NodeLease::MIN..=NodeLease::MAX).contains(&NodeLease::default().length()));
    }
}
