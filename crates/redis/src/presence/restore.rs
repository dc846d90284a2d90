//! Says what is pending: after a failure, and all of it after Redis was away or lost it.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookswitch_hub::UserKey;
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{TenantId, UserId};
use tokio::time::sleep;

use super::announcement::announcement;
use super::local_presence::DueLease;
use super::user_leases::LeaseOutcome;
use super::{RedisPresence, user_heartbeats};
use crate::link::LinkError;

/// Users in one script: it takes a few milliseconds, in which Redis does nothing else.
pub(super) const USERS_AT_ONCE: usize = 500;

/// Tenants at once: one whose part of a cluster is gone must not hold up the others.
pub(super) const TENANTS_AT_ONCE: usize = 8;

/// Pause between two steps of looking after restored users.
const BACKLOGS_PAUSE: Duration = Duration::from_millis(20);

/// When what failed is tried again.
const RETRY: Duration = Duration::from_millis(700);

impl RedisPresence {
    pub(super) async fn run_restoration(&self) {
        loop {
            tokio::select! {
                () = self.local.became_pending.notified() => {}
                () = sleep(RETRY) => {}
            }
            if self.link.is_up() {
                self.notice_reopening();
                let pending_tenants = stream::iter(self.local.pending_tenants());
                pending_tenants.for_each_concurrent(TENANTS_AT_ONCE, |tenant| self.settle(tenant)).await;
            }
        }
    }

    /// Has kept messages looked for, a few users at a time.
    pub(super) async fn run_backlogs(&self) {
        loop {
            let some = self.backlogs.take_some();
            if some.is_empty() {
                self.backlogs.arrived.notified().await;
                continue;
            }
            for user in some {
                self.sink.on_backlog(user);
            }
            sleep(BACKLOGS_PAUSE).await;
        }
    }

    async fn settle(&self, tenant: TenantId) {
        if let Err(error) = self.try_settle(&tenant).await {
            self.failed(&error, Some(&tenant));
        }
    }

    async fn try_settle(&self, tenant: &TenantId) -> Result<(), LinkError> {
        let write_lock = self.local.write_lock(tenant);
        // A turn for each batch, so that those who come meanwhile need not wait for all.
        while self.settle_some(tenant, &write_lock).await? {}
        Ok(())
    }

    /// Whether there may be more.
    async fn settle_some(&self, tenant: &TenantId, write_lock: &tokio::sync::RwLock<()>) -> Result<bool, LinkError> {
        let _guard = write_lock.write().await;
        let leases = self.local.due_leases(tenant, USERS_AT_ONCE);
        if !leases.is_empty() {
            self.register(tenant).await?;
            self.metrics.reassertions.inc_by(leases.len() as u64);
            let is_settled = self.assert(tenant, &leases).await?;
            if is_settled {
                self.backlogs.add(present_users(tenant, &leases));
            }
            return Ok(is_settled);
        }
        let users = self.local.due_departures(tenant, USERS_AT_ONCE);
        Ok(!users.is_empty() && self.end_leases(tenant, &users).await?)
    }

    /// Makes leases of this node. Whether they are there, and nothing about them is pending any more.
    pub(super) async fn assert(&self, tenant: &TenantId, leases: &[DueLease]) -> Result<bool, LinkError> {
        let now = self.link.clock().now();
        let news = |lease: &DueLease| {
            let connected = || announcement(tenant, &lease.user, PresenceCause::Connected, now);
            lease.is_announced.then(connected).unwrap_or_default()
        };
        let args = leases.iter().map(|lease| (lease.n_connections, (lease.user.to_string(), news(lease)))).collect();
        let outcome = self.leases.assert(&self.link, tenant, self.fence(tenant), args).await?;
        match outcome {
            LeaseOutcome::Stale => return Ok(false),
            LeaseOutcome::Swept => {
                self.local.swept(tenant);
                return Ok(false);
            }
            LeaseOutcome::Fresh if self.local.was_in_sync(tenant) => self.lost(Some(tenant)),
            LeaseOutcome::Done | LeaseOutcome::Fresh => {}
        }
        self.local.sweep_acknowledged(tenant);
        self.local.mark_stored(tenant, users(leases));
        user_heartbeats::write_all(&self.link, &present_users(tenant, leases)).await?;
        self.local.mark_settled(tenant, users(leases));
        Ok(true)
    }

    /// Sees to it that whoever sweeps this node one day looks into this tenant.
    pub(super) async fn register(&self, tenant: &TenantId) -> Result<(), LinkError> {
        if !self.local.is_registered(tenant) {
            self.renew().await?;
            self.nodes.register(&self.link, tenant).await?;
            self.local.registered(tenant);
        }
        Ok(())
    }
}

fn users(leases: &[DueLease]) -> impl Iterator<Item = &UserId> {
    leases.iter().map(|lease| &lease.user)
}

/// Those who are here. Those who left are only there so that they can leave again.
fn present_users(tenant: &TenantId, leases: &[DueLease]) -> Vec<UserKey> {
    let present = leases.iter().filter(|lease| lease.is_present);
    present.map(|lease| UserKey { tenant: tenant.clone(), user: lease.user.clone() }).collect()
}
