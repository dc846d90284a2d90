//! Who is connected to this node: the counts that everybody may ask for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookswitch_protocol::{NewEvent, TenantId, UserId};
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::attachment::{Attachment, Subject};
use crate::connection_caps::{ConnectionCap, ConnectionCaps};
use crate::error::HubError;
use crate::publish::batch::PreparedEvent;
use crate::publish::shard_interest::ShardInterest;
use crate::seams::user_key::UserKey;

const STRIPES: usize = 16;

/// A larger batch is not looked through: it pays for waking a shard in vain.
const EVENTS_LOOKED_AT: usize = 64;

/// Counts of this node's connections. Written when a connection comes, goes or subscribes, never on
/// the fan-out path; the locks are held for one look-up. Why shards are told apart:
/// `docs/decisions/0010-home-shards.md`.
#[derive(Debug)]
pub(crate) struct ConnectionCounts {
    hasher: RandomState,
    home_connections: usize,
    caps: ConnectionCaps,
    stripes: [Mutex<HashMap<TenantId, TenantCount>>; STRIPES],
    total: AtomicUsize,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct TenantCount {
    n_connections: usize,
    /// By whose they are, also those on their way into the tables: what the caps are compared with.
    admitted: HashMap<Subject, u32>,
    users: HashMap<UserId, u32>,
    /// By shard, as far as one had a connection of the tenant.
    shards: Vec<ShardInterest>,
}

impl ConnectionCounts {
    /// The first `home_connections` of each tenant belong on one shard.
    pub(crate) fn new(home_connections: usize, caps: ConnectionCaps) -> Self {
        Self {
            hasher: RandomState::new(),
            home_connections,
            caps,
            stripes: std::array::from_fn(|_| Mutex::default()),
            total: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }

    fn stripe(&self, tenant: &TenantId) -> MutexGuard<'_, HashMap<TenantId, TenantCount>> {
        let at = self.hasher.hash_one(tenant) as usize % STRIPES;
        self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of the tenant, on its way into the tables or in them, unless there are as many as
    /// there may be.
    pub(crate) fn add(&self, who: &Attachment) -> Result<(), HubError> {
        let mut stripe = self.stripe(&who.tenant);
        let count = stripe.get(&who.tenant);
        let n_tenant = count.map_or(0, |count| count.n_connections);
        let n_subject = count.and_then(|count| count.admitted.get(&who.subject)).map_or(0, |n| *n as usize);
        let of_tenant = (n_tenant, (ConnectionCap::Tenant, self.caps.per_tenant));
        for (n, (cap, limit)) in [(n_subject, self.caps.of(&who.subject)), of_tenant] {
            if n >= limit {
                return Err(HubError::TooManyConnections { cap, limit });
            }
        }
        let count = stripe.entry(who.tenant.clone()).or_default();
        count.n_connections += 1;
        *count.admitted.entry(who.subject.clone()).or_default() += 1;
        drop(stripe);
        self.total.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// One less.
    pub(crate) fn remove(&self, tenant: &TenantId, subject: &Subject) {
        let mut stripe = self.stripe(tenant);
        if let Some(count) = stripe.get_mut(tenant) {
            count.n_connections -= 1;
            if let Some(n) = count.admitted.get_mut(subject) {
                *n -= 1;
                if *n == 0 {
                    count.admitted.remove(subject);
                }
            }
            if count.n_connections == 0 {
                stripe.remove(tenant);
            }
        }
        drop(stripe);
        if self.total.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.emptied.notify_waiters();
        }
    }

    /// One of the tenant's connections is in the tables, and is this user's. Not before: whoever
    /// hears that the user is connected sends events instead of keeping them.
    pub(crate) fn add_user(&self, tenant: &TenantId, user: &UserId) {
        if let Some(count) = self.stripe(tenant).get_mut(tenant) {
            *count.users.entry(user.clone()).or_default() += 1;
        }
    }

    /// The user has one less: it is gone, or on its way out and takes nothing any more. Comes before
    /// [`ConnectionCounts::remove`].
    pub(crate) fn remove_user(&self, tenant: &TenantId, user: &UserId) {
        let mut stripe = self.stripe(tenant);
        if let Some(count) = stripe.get_mut(tenant)
            && let Some(n) = count.users.get_mut(user)
        {
            *n -= 1;
            if *n == 0 {
                count.users.remove(user);
            }
        }
    }

    /// Changes what a shard's connections of the tenant listen to. The shard does it before the
    /// change is acknowledged to anybody, so that what is published after that is not kept from it.
    pub(crate) fn listen(&self, tenant: &TenantId, shard: u8, change: impl FnOnce(&mut ShardInterest)) {
        if let Some(count) = self.stripe(tenant).get_mut(tenant) {
            let shard = usize::from(shard);
            if count.shards.len() <= shard {
                count.shards.resize_with(shard + 1, ShardInterest::default);
            }
            change(&mut count.shards[shard]);
        }
    }

    /// For each shard whether anybody there may want any of these events of the tenant; shards
    /// beyond the end have nobody.
    pub(crate) fn interested_shards(&self, tenant: &TenantId, deliveries: &[PreparedEvent]) -> SmallVec<[bool; 16]> {
        let stripe = self.stripe(tenant);
        let shards = stripe.get(tenant).map_or(&[][..], |count| &count.shards);
        let is_large = deliveries.len() > EVENTS_LOOKED_AT;
        let may_want = |shard: &ShardInterest| deliveries.iter().any(|delivery| shard.may_want(&delivery.event));
        shards.iter().map(|shard| if is_large { shard.is_anybody() } else { may_want(shard) }).collect()
    }

    /// The shard with the only connections of the tenant that may want the event, when it is one.
    pub(crate) fn only_interested_shard(&self, tenant: &TenantId, event: &NewEvent) -> Option<u8> {
        let stripe = self.stripe(tenant);
        let shards = &stripe.get(tenant)?.shards;
        let interested_shards = shards.iter().enumerate().filter(|(_, shard)| shard.may_want_new(event));
        let mut indexes = interested_shards.map(|(index, _)| index as u8);
        indexes.next().filter(|_| indexes.next().is_none())
    }

    /// Where a tenant with few connections has them all, as a number that stays the same; `None`
    /// when it has more, counting the one that asks.
    pub(crate) fn home(&self, tenant: &TenantId) -> Option<usize> {
        let is_small = self.n_tenant(tenant) <= self.home_connections;
        is_small.then(|| (self.hasher.hash_one(tenant) >> 32) as usize)
    }

    /// The tenants that have connections to this node.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        let mut all = Vec::new();
        for stripe in &self.stripes {
            all.extend(stripe.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned());
        }
        all
    }

    /// Everybody of the tenant who is connected to this node.
    pub(crate) fn users(&self, tenant: &TenantId) -> Vec<UserKey> {
        let stripe = self.stripe(tenant);
        let users = stripe.get(tenant).into_iter().flat_map(|count| count.users.keys());
        users.map(|user| UserKey { tenant: tenant.clone(), user: user.clone() }).collect()
    }

    pub(crate) fn n_total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn n_tenant(&self, tenant: &TenantId) -> usize {
        self.stripe(tenant).get(tenant).map_or(0, |count| count.n_connections)
    }

    pub(crate) fn n_user(&self, user: &UserKey) -> u32 {
        let stripe = self.stripe(&user.tenant);
        stripe.get(&user.tenant).and_then(|count| count.users.get(&user.user)).copied().unwrap_or(0)
    }

    /// Waits until no connection is left. Cancel safe.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.n_total() == 0 {
                return;
            }
            emptied.await;
        }
    }
}
