//! Users whom this node sent elsewhere: online until they are back there, or their time is over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookswitch_hub::UserKey;
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{TenantId, UserId};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::announcement::announcement;
use super::restore::USERS_AT_ONCE;
use super::user_leases::Release;
use super::{RedisPresence, user_heartbeats};
use crate::link::LinkError;

/// For whom leases of this node are held, and until when. Whether somebody came back Redis knows. Bounded by the
/// users who were connected here in that time.
#[derive(Debug, Default)]
pub(super) struct Holds {
    until: Mutex<HashMap<UserKey, Instant>>,
    came: Notify,
}

impl Holds {
    fn until(&self) -> MutexGuard<'_, HashMap<UserKey, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, users: impl Iterator<Item = UserKey>, until: Instant) {
        self.until().extend(users.map(|user| (user, until)));
        self.came.notify_one();
    }

    /// When nobody is held for any more.
    pub(super) fn last(&self) -> Option<Instant> {
        self.until().values().max().copied()
    }

    fn next(&self) -> Option<Instant> {
        self.until().values().min().copied()
    }

    /// Some of a tenant whose time is over.
    fn take_due(&self, now: Instant) -> Option<(TenantId, Vec<UserId>)> {
        let mut until = self.until();
        let tenant = until.iter().find(|(_, until)| **until <= now)?.0.tenant.clone();
        let of_tenant = until.iter().filter(|(key, until)| key.tenant == tenant && **until <= now);
        let due: Vec<UserKey> = of_tenant.map(|(key, _)| key.clone()).take(USERS_AT_ONCE).collect();
        due.iter().for_each(|key| _ = until.remove(key));
        Some((tenant, due.into_iter().map(|key| key.user).collect()))
    }
}

impl RedisPresence {
    /// Has this node's leases held for users whom it sent elsewhere. Whether they are.
    pub(super) async fn hold_leases(&self, tenant: &TenantId, sent: &[(UserId, u32)]) -> Result<bool, LinkError> {
        let until = Instant::now() + self.link.config().presence_hold;
        let outcome = self.leases.hold(&self.link, tenant, self.fence(tenant), sent).await?;
        let users: Vec<UserId> = sent.iter().map(|(user, _)| user.clone()).collect();
        // Before they count as departed, which may be the last that the node waits for.
        let keys = users.iter().map(|user| UserKey { tenant: tenant.clone(), user: user.clone() });
        self.holds.add(keys, until);
        let is_done = self.has_departed(tenant, outcome, &users);
        if is_done {
            self.metrics.held.inc_by(users.len() as u64);
        }
        Ok(is_done)
    }

    /// Lets go of users who did not come back in time.
    pub(super) async fn run_holds(&self) {
        loop {
            let next = self.holds.next();
            tokio::select! {
                () = self.holds.came.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            while let Some((tenant, users)) = self.holds.take_due(Instant::now()) {
                if let Err(error) = self.let_go(&tenant, &users).await {
                    self.failed(&error, Some(&tenant));
                    let again = Instant::now() + self.node_lease().retry_interval();
                    self.holds.add(users.into_iter().map(|user| UserKey { tenant: tenant.clone(), user }), again);
                    break;
                }
            }
        }
    }

    async fn let_go(&self, tenant: &TenantId, users: &[UserId]) -> Result<(), LinkError> {
        self.link.ready()?;
        let write_lock = self.local.write_lock(tenant);
        let _guard = write_lock.write().await;
        let now = self.link.clock().now();
        let tell = |user: &UserId| (user.to_string(), announcement(tenant, user, PresenceCause::Drained, now));
        let told = users.iter().map(tell).collect();
        // What this node lost meanwhile, or was swept of, is not held by it any more.
        let left = self.leases.leave(&self.link, tenant, Release::Held(self.fence(tenant)), told).await?;
        self.metrics.holds_ended.inc_by(left.gone.len() as u64);
        user_heartbeats::erase(&self.link, tenant, &left.gone).await
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
