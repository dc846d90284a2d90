//! Whether this node may judge others.

use tokio::time::Instant;

use super::node_leases::Renewal;
use crate::node_lease::NodeLease;

/// How this node's own renewals went. After Redis stood still, or this process did, a node that was
/// not heard of need not be lost: whoever has not renewed in time himself for a whole lease may not
/// call others late.
#[derive(Debug)]
pub(super) struct LeaseMonitor {
    lease: NodeLease,
    has_renewed: bool,
    /// Since when, and when last, renewals came back in time.
    unbroken: Option<(Instant, Instant)>,
}

impl LeaseMonitor {
    pub(super) fn new(lease: NodeLease) -> Self {
        Self { lease, has_renewed: false, unbroken: None }
    }

    /// A renewal came back. Whether it shows that Redis has lost or dismissed this node.
    pub(super) fn renewed(&mut self, renewal: Renewal, now: Instant) -> bool {
        let gap = self.lease.longest_gap();
        let since = self.unbroken.filter(|(_, last)| renewal == Renewal::Kept && now - *last <= gap);
        self.unbroken = Some((since.map_or(now, |(since, _)| since), now));
        std::mem::replace(&mut self.has_renewed, true) && renewal == Renewal::Unknown
    }

    /// A renewal did not come back.
    pub(super) fn failed(&mut self) {
        self.unbroken = None;
    }

    pub(super) fn may_sweep(&self, now: Instant) -> bool {
        self.unbroken
            .is_some_and(|(since, last)| now - last <= self.lease.longest_gap() && now - since >= self.lease.length())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_who_was_in_time_for_a_whole_lease_may_sweep() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut monitor = LeaseMonitor::new(NodeLease::new(Duration::from_secs(15)));
        assert!(!monitor.renewed(Renewal::Unknown, at(0)), "nobody was dismissed who is new");
        for second in [5, 10, 14] {
            monitor.renewed(Renewal::Kept, at(second));
            assert!(!monitor.may_sweep(at(second)));
        }
        assert!(monitor.may_sweep(at(16)));
        assert!(!monitor.may_sweep(at(25)), "its own next renewal is late");
        monitor.renewed(Renewal::Kept, at(26));
        assert!(!monitor.may_sweep(at(27)), "a late renewal begins anew");
        for second in [31, 36, 41] {
            monitor.renewed(Renewal::Kept, at(second));
        }
        assert!(monitor.may_sweep(at(41)));
        assert!(!monitor.renewed(Renewal::Late, at(42)));
        assert!(!monitor.may_sweep(at(43)), "by Redis' own clock it was late");
        assert!(monitor.renewed(Renewal::Unknown, at(44)));
        monitor.failed();
        assert!(!monitor.may_sweep(at(45)));
    }
}
