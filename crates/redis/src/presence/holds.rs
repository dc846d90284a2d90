//! For whom this node's leases are held, because it sent them elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookswitch_hub::UserKey;
use hookswitch_protocol::{TenantId, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Users let go in one step.
const USERS_AT_ONCE: usize = 500;

/// For whom leases of this node are held, and until when. Whether somebody came back Redis knows. Bounded by the
/// users who were connected here in that time.
#[derive(Debug, Default)]
pub(super) struct Holds {
    until: Mutex<HashMap<UserKey, Instant>>,
    pub(super) came: Notify,
}

impl Holds {
    fn until(&self) -> MutexGuard<'_, HashMap<UserKey, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, users: impl Iterator<Item = UserKey>, until: Instant) {
        self.until().extend(users.map(|user| (user, until)));
        self.came.notify_one();
    }

    /// When nobody is held for any more.
    pub(super) fn last(&self) -> Option<Instant> {
        self.until().values().max().copied()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.until().values().min().copied()
    }

    /// Some of a tenant whose time is over.
    pub(super) fn take_due(&self, now: Instant) -> Option<(TenantId, Vec<UserId>)> {
        let mut until = self.until();
        let tenant = until.iter().find(|(_, until)| **until <= now)?.0.tenant.clone();
        let of_tenant = until.iter().filter(|(key, until)| key.tenant == tenant && **until <= now);
        let due: Vec<UserKey> = of_tenant.map(|(key, _)| key.clone()).take(USERS_AT_ONCE).collect();
        for key in &due {
            until.remove(key);
        }
        Some((tenant, due.into_iter().map(|key| key.user).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(tenant: &str, user: i64) -> UserKey {
        UserKey { tenant: TenantId::parse(tenant).expect("legal"), user: user.into() }
    }

    #[test]
    fn who_is_due_is_taken_tenant_by_tenant_and_the_last_one_is_known() {
        let (holds, start) = (Holds::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!((holds.next(), holds.last()), (None, None));
        holds.add([key("t", 1), key("t", 2)].into_iter(), at(10));
        holds.add([key("u", 1)].into_iter(), at(20));
        holds.add([key("t", 2)].into_iter(), at(30));
        assert_eq!((holds.next(), holds.last()), (Some(at(10)), Some(at(30))));
        assert!(holds.take_due(at(9)).is_none());
        let (tenant, users) = holds.take_due(at(15)).expect("one is due");
        assert_eq!((tenant.as_str(), users), ("t", vec![UserId::from(1)]));
        assert!(holds.take_due(at(15)).is_none(), "the other one was sent away anew");
        assert_eq!(holds.next(), Some(at(20)));
    }
}
