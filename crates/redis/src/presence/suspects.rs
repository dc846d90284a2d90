//! Users without a lease, until they have had the time for a heartbeat.

use std::collections::VecDeque;

use hookswitch_protocol::TenantId;
use tokio::time::Instant;

/// Most of them, over all tenants; others are found again by the next audit.
const SUSPECTS: usize = 100_000;

/// Those of one tenant, and when they are looked at again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suspected {
    pub(super) tenant: TenantId,
    pub(super) users: Vec<String>,
    pub(super) at: Instant,
}

/// In the order in which they are due: no tenant waits for another's.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    waiting: VecDeque<Suspected>,
    n_users: usize,
}

impl Suspects {
    /// These are looked at again then, no sooner than any that were added before.
    pub(super) fn add(&mut self, tenant: &TenantId, mut users: Vec<String>, at: Instant) {
        users.truncate(SUSPECTS - self.n_users);
        if !users.is_empty() {
            self.n_users += users.len();
            self.waiting.push_back(Suspected { tenant: tenant.clone(), users, at });
        }
    }

    /// The next that are due by then.
    pub(super) fn take_due(&mut self, by: Instant) -> Option<Suspected> {
        if self.waiting.front()?.at > by {
            return None;
        }
        let due = self.waiting.pop_front()?;
        self.n_users -= due.users.len();
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn they_come_when_they_are_due_and_are_bounded() {
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        let tenant = TenantId::parse("t").expect("legal");
        let soon = now + Duration::from_secs(5);
        suspects.add(&tenant, vec!["7".to_owned()], soon);
        suspects.add(&tenant, vec![], soon);
        suspects.add(&tenant, vec!["8".to_owned(); SUSPECTS], soon);
        assert_eq!(suspects.take_due(now), None, "not yet");
        assert_eq!(suspects.take_due(soon).map(|due| due.users), Some(vec!["7".to_owned()]));
        assert_eq!(suspects.take_due(soon).map(|due| due.users.len()), Some(SUSPECTS - 1));
        assert_eq!(suspects.take_due(soon), None);
    }
}
