//! Users without a lease, until they have had the time for a heartbeat.

use std::collections::{HashMap, VecDeque};

use hookswitch_protocol::TenantId;
use tokio::time::Instant;

/// Most of them, over all tenants, of which one tenant has no more than is left over for the others; those beyond it
/// are found again by the next audit.
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
    by_tenant: HashMap<TenantId, usize>,
}

impl Suspects {
    /// These are looked at again then, no sooner than any that were added before.
    pub(super) fn add(&mut self, tenant: &TenantId, mut users: Vec<String>, at: Instant) {
        let own = self.by_tenant.get(tenant).copied().unwrap_or_default();
        // As many as there are, or until as much is left as the tenant has.
        users.truncate((SUSPECTS - self.n_users).saturating_sub(own) / 2);
        if !users.is_empty() {
            self.n_users += users.len();
            self.by_tenant.insert(tenant.clone(), own + users.len());
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
        if let Some(own) = self.by_tenant.get_mut(&due.tenant) {
            *own -= due.users.len();
            if *own == 0 {
                self.by_tenant.remove(&due.tenant);
            }
        }
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
        assert_eq!(suspects.take_due(soon).map(|due| due.users.len()), Some(SUSPECTS / 2 - 1));
        assert_eq!(suspects.take_due(soon), None);
        assert!(suspects.by_tenant.is_empty() && suspects.n_users == 0, "nothing is left of them");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_with_many_leaves_room_for_the_others() {
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        let [large, small] = ["large", "small"].map(|name| TenantId::parse(name).expect("legal"));
        for _ in 0..20 {
            suspects.add(&large, vec!["7".to_owned(); SUSPECTS], now);
        }
        suspects.add(&small, vec!["8".to_owned(); 1_000], now);
        let mut of_small = 0;
        while let Some(due) = suspects.take_due(now) {
            of_small += if due.tenant == small { due.users.len() } else { 0 };
        }
        assert_eq!(of_small, 1_000);
    }
}
