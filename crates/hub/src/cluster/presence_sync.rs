//! Keeps broker and presence store in step with who is connected to this node.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookswitch_protocol::{Chain, Retry, TenantId};
use tokio_util::sync::CancellationToken;

use crate::cluster::presence_notices::PresenceNotices;
use crate::error::HubError;
use crate::keyed_locks::KeyedLocks;
use crate::seams::broker::{Broker, BrokerError};
use crate::seams::presence::{PresenceError, PresenceStore};
use crate::seams::user_key::UserKey;
use crate::shared::Shared;

/// Users, and tenants, looked after at the same time: ten thousand users may leave at once, and one of whom a part of
/// the cluster hangs must not hold up the others.
const DEPARTED_AT_ONCE: usize = 64;

/// Writes the present truth of the counts to the seams, one user and one tenant at a time, so that
/// a coming and a going that overlap cannot end in the wrong order.
pub(crate) struct PresenceSync {
    shared: Arc<Shared>,
    broker: Arc<dyn Broker>,
    presence: Arc<dyn PresenceStore>,
    notices: Arc<PresenceNotices>,
    /// One turn per user and per tenant: who waits for a keeper holds up nobody else.
    users: KeyedLocks<UserKey>,
    tenants: KeyedLocks<TenantId>,
    watched: Mutex<HashSet<TenantId>>,
}

impl PresenceSync {
    pub(crate) fn new(
        shared: Arc<Shared>,
        broker: Arc<dyn Broker>,
        presence: Arc<dyn PresenceStore>,
        notices: Arc<PresenceNotices>,
    ) -> Self {
        Self {
            shared,
            broker,
            presence,
            notices,
            users: KeyedLocks::new(),
            tenants: KeyedLocks::new(),
            watched: Mutex::default(),
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that the tenant is watched; one watch for any number of waiters. The connection it is
    /// for must be counted already, or the tenant may be let go at this very moment.
    pub(crate) async fn watch(&self, tenant: &TenantId) -> Result<(), HubError> {
        if self.watched().contains(tenant) {
            return Ok(());
        }
        let _turn = self.tenants.lock(tenant).await;
        if !self.watched().contains(tenant) {
            let watch = self.broker.watch(tenant).await;
            watch.map_err(|source| HubError::Watch { tenant: tenant.clone(), source })?;
            self.watched().insert(tenant.clone());
        }
        Ok(())
    }

    /// Says what the counts say of this user: connected here, or not any more; `n_sent_away` connections of
    /// his were sent elsewhere since the last time.
    pub(crate) async fn reconcile(&self, user: &UserKey, n_sent_away: u32) -> Result<(), PresenceError> {
        let _turn = self.users.lock(user).await;
        let change = match self.shared.connection_counts.n_user(user) {
            0 if n_sent_away > 0 => self.presence.hold(user, n_sent_away).await?,
            0 => self.presence.leave(user).await?,
            n => self.presence.touch(user, n).await?,
        };
        // Within the turn, so that a coming and a going are told in their order.
        if let Some(change) = change {
            self.notices.note(change);
        }
        Ok(())
    }

    /// Looks after those who left, until the node goes away; then once more after all who did until
    /// then. What a store does not take is tried again: a user must not stay present for good.
    pub(crate) async fn run(&self, soft: &CancellationToken) {
        while soft.run_until_cancelled(self.shared.disconnects.arrived()).await.is_some() {
            // Not cut short: nobody else would look after those who are taken off the list.
            let pause = self.look_after_departed().await;
            let _ended = soft.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        // What is not taken now, the other nodes find out by the lease.
        self.look_after_departed().await;
    }

    /// Gives how long to wait before trying again what failed.
    async fn look_after_departed(&self) -> Duration {
        let users = stream::iter(self.shared.disconnects.take_users());
        let looked_after = users.map(|(user, n_sent_away)| async move {
            match self.left(&user, n_sent_away).await {
                Ok(()) => Duration::ZERO,
                Err(error) => later(error.retry(), || self.shared.disconnects.user(user, n_sent_away)),
            }
        });
        looked_after.buffer_unordered(DEPARTED_AT_ONCE).fold(Duration::ZERO, |a, b| async move { a.max(b) }).await
    }

    /// Lets go of tenants that nobody here belongs to any more, until the task is ended. Not at once: an
    /// event for a user who has just left may be on its way, and it is for this node to keep it.
    pub(crate) async fn run_tenants(self: Arc<Self>, linger: Duration) {
        loop {
            self.shared.disconnects.tenant_departed().await;
            let departed = self.shared.disconnects.take_tenants();
            tokio::time::sleep(linger).await;
            // Who came and left again meanwhile has left a moment ago: the next round is his.
            let departed = departed.into_iter().filter(|tenant| !self.shared.disconnects.has_tenant(tenant));
            let let_go = stream::iter(departed).map(|tenant| self.let_go(tenant)).buffer_unordered(DEPARTED_AT_ONCE);
            let pause = let_go.fold(linger, |a, b| async move { a.max(b) }).await;
            tokio::time::sleep(pause.saturating_sub(linger)).await;
        }
    }

    /// Gives how long to wait before trying again what failed.
    async fn let_go(&self, tenant: TenantId) -> Duration {
        let Err(error) = self.tenant_departed(&tenant).await else { return Duration::ZERO };
        self.shared.metrics.keeper_failures.inc();
        tracing::warn!(%tenant, error = %Chain(&error), "tenant could not be unwatched");
        later(error.retry(), || self.shared.disconnects.tenant(tenant))
    }

    async fn left(&self, user: &UserKey, n_sent_away: u32) -> Result<(), PresenceError> {
        self.reconcile(user, n_sent_away).await.inspect_err(|error| {
            self.shared.metrics.keeper_failures.inc();
            tracing::warn!(tenant = %user.tenant, user = %user.user, error = %Chain(error), "presence could not be updated");
        })
    }

    async fn tenant_departed(&self, tenant: &TenantId) -> Result<(), BrokerError> {
        let _turn = self.tenants.lock(tenant).await;
        {
            // Under one lock, because whoever finds the tenant watched was counted before it looked.
            let mut watched = self.watched();
            if self.shared.connection_counts.n_tenant(tenant) > 0 {
                return Ok(());
            }
            // First, because after a failure nobody knows whether it is still watched.
            watched.remove(tenant);
        }
        self.broker.unwatch(tenant).await
    }
}

/// Arranges for another try; gives how long to wait before it.
fn later(retry: Retry, again: impl FnOnce()) -> Duration {
    let pause = match retry {
        Retry::Never => return Duration::ZERO,
        Retry::Now => Duration::ZERO,
        Retry::After(pause) => pause,
    };
    again();
    pause
}
