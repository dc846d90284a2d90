//! Keeps broker and presence store in step with who is connected to this node.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{Retry, TenantId};
use tokio::sync::Mutex;

use crate::broker::{Broker, BrokerError};
use crate::counters::Counters;
use crate::error::HubError;
use crate::presence::{PresenceError, PresenceStore};
use crate::seam::UserKey;
use crate::shared::Shared;

const STRIPES: usize = 64;

/// Writes the present truth of the census to the seams, one user and one tenant at a time, so that
/// a coming and a going that overlap cannot end in the wrong order.
pub(crate) struct Roster {
    shared: Arc<Shared>,
    broker: Arc<dyn Broker>,
    presence: Arc<dyn PresenceStore>,
    hasher: RandomState,
    users: [Mutex<()>; STRIPES],
    watched: [Mutex<HashSet<TenantId>>; STRIPES],
}

impl Roster {
    pub(crate) fn new(shared: Arc<Shared>, broker: Arc<dyn Broker>, presence: Arc<dyn PresenceStore>) -> Self {
        Self {
            shared,
            broker,
            presence,
            hasher: RandomState::new(),
            users: std::array::from_fn(|_| Mutex::default()),
            watched: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn stripe(&self, key: &impl Hash) -> usize {
        self.hasher.hash_one(key) as usize % STRIPES
    }

    /// Sees to it that the tenant is watched; one watch for any number of waiters.
    pub(crate) async fn watch(&self, tenant: &TenantId) -> Result<(), HubError> {
        let mut watched = self.watched[self.stripe(tenant)].lock().await;
        if !watched.contains(tenant) {
            let watch = self.broker.watch(tenant).await;
            watch.map_err(|source| HubError::Watch { tenant: tenant.clone(), source })?;
            watched.insert(tenant.clone());
        }
        Ok(())
    }

    /// Says what the census says of this user: connected here, or not any more.
    pub(crate) async fn reconcile(&self, user: &UserKey) -> Result<(), PresenceError> {
        let _turn = self.users[self.stripe(user)].lock().await;
        match self.shared.census.n_user(user) {
            0 => self.presence.leave(user).await,
            n => self.presence.touch(user, n).await,
        }
    }

    /// Looks after those who left, until the task is ended. What a store does not take is tried
    /// again: a user must not stay present, nor a tenant watched, for good.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            self.shared.departures.arrived().await;
            let mut pause = Duration::ZERO;
            for user in self.shared.departures.take_users() {
                if let Err(error) = self.reconcile(&user).await {
                    Counters::add(&self.shared.counters.keeper_failures, 1);
                    tracing::warn!(tenant = %user.tenant, user = %user.user, %error, "presence could not be updated");
                    pause = pause.max(later(error.retry(), || self.shared.departures.user(user)));
                }
            }
            for tenant in self.shared.departures.take_tenants() {
                if let Err(error) = self.tenant_departed(&tenant).await {
                    Counters::add(&self.shared.counters.keeper_failures, 1);
                    tracing::warn!(%tenant, %error, "tenant could not be unwatched");
                    pause = pause.max(later(error.retry(), || self.shared.departures.tenant(tenant)));
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn tenant_departed(&self, tenant: &TenantId) -> Result<(), BrokerError> {
        let mut watched = self.watched[self.stripe(tenant)].lock().await;
        if self.shared.census.n_tenant(tenant) > 0 {
            return Ok(());
        }
        // First, because after a failure nobody knows whether it is still watched.
        watched.remove(tenant);
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
