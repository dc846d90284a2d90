//! Users whom this node sent elsewhere: online until they are back there, or their time is over.

use hookswitch_hub::UserKey;
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{TenantId, UserId};
use tokio::time::{Instant, sleep_until};

use super::announcement::announcement;
use super::user_leases::Release;
use super::{RedisPresence, user_heartbeats};
use crate::link::LinkError;

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
