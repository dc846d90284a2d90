//! What this node wants Redis to hold, and how far it got there.

mod tenant;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookswitch_hub::UserKey;
use hookswitch_protocol::{TenantId, UserId};
use tokio::sync::{Notify, RwLock};
use tokio::time::Instant;

pub(super) use self::tenant::{DueLease, Stored};
use self::tenant::{Pending, TenantPresence};

/// Departures that may wait for Redis. Past it the lease stays until the audit finds that nobody here
/// has it.
const MAX_DEPARTURES: usize = 100_000;

/// Users of this node, and those who left without Redis having heard of it. Bounded by this node's
/// connections and [`MAX_DEPARTURES`]. Never waits.
#[derive(Debug, Default)]
pub(super) struct LocalPresence {
    inner: Mutex<Inner>,
    /// Something is pending, and no call is at it.
    pub(super) became_pending: Notify,
    /// The last user has left.
    pub(super) emptied: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    tenants: HashMap<TenantId, TenantPresence>,
    /// Over all tenants, the departed included.
    n_users: usize,
    n_departed: usize,
    /// Before that, other nodes may not have written again whom they hold.
    departures_from: Option<Instant>,
    /// The opening of the link since which everything was written, or will be.
    n_opened: u64,
}

impl LocalPresence {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R: Default>(&self, tenant: &TenantId, act: impl FnOnce(&mut TenantPresence) -> R) -> R {
        self.inner().with(tenant, act)
    }

    fn notify_if_empty(&self, inner: &Inner) {
        if inner.n_users == inner.n_departed {
            self.emptied.notify_one();
        }
    }

    /// The user has connections here; writing that is the caller's, now.
    pub(super) fn set_online(&self, key: &UserKey, n_connections: u32) {
        let inner = &mut *self.inner();
        if !inner.tenants.contains_key(&key.tenant) {
            inner.tenants.insert(key.tenant.clone(), TenantPresence::default());
        }
        let had_left = inner.with(&key.tenant, |presence| presence.set_online(&key.user, n_connections));
        inner.n_departed -= usize::from(had_left);
    }

    /// The user has none any more, `n_sent_away` of them because they were sent elsewhere. Whether Redis has to hear
    /// of it, by the caller.
    pub(super) fn set_offline(&self, key: &UserKey, n_sent_away: u32) -> bool {
        let inner = &mut *self.inner();
        let Some(tenant) = inner.tenants.get_mut(&key.tenant) else { return false };
        let Some(entry) = tenant.users.get_mut(&key.user) else { return false };
        if entry.stored == Stored::Never {
            // Redis never heard of him.
            inner.remove(key);
            self.notify_if_empty(inner);
            return false;
        }
        inner.n_departed += usize::from(entry.is_present);
        // Said twice before it is written, he is expected back all the same.
        let before = if entry.is_present { 0 } else { entry.n_sent_away };
        entry.n_sent_away = before.max(n_sent_away);
        entry.is_present = false;
        entry.pending = Pending::Departure;
        self.notify_if_empty(inner);
        true
    }

    /// Leaves what is pending for the user to restoration. False when there were too many departures, and
    /// this one is forgotten.
    pub(super) fn leave_pending(&self, key: &UserKey) -> bool {
        let inner = &mut *self.inner();
        let is_full = inner.n_departed > MAX_DEPARTURES;
        let Some(tenant) = inner.tenants.get_mut(&key.tenant) else { return true };
        match tenant.users.get(&key.user) {
            Some(entry) if !entry.is_present && is_full => {
                inner.remove(key);
                return false;
            }
            Some(entry) if entry.pending != Pending::Nothing => drop(tenant.pending_users.insert(key.user.clone())),
            _ => return true,
        }
        self.became_pending.notify_one();
        true
    }

    /// The lease of one user as it is to be sent.
    pub(super) fn send(&self, key: &UserKey) -> Option<DueLease> {
        self.with(&key.tenant, |tenant| tenant.send(&key.user))
    }

    /// These leases are in Redis, and announced.
    pub(super) fn mark_stored<'a>(&self, tenant: &TenantId, users: impl IntoIterator<Item = &'a UserId>) {
        self.with(tenant, |presence| users.into_iter().for_each(|user| presence.mark_stored(user)));
    }

    /// Nothing more is pending for them, unless they have left.
    pub(super) fn mark_settled<'a>(&self, tenant: &TenantId, users: impl IntoIterator<Item = &'a UserId>) {
        self.with(tenant, |presence| users.into_iter().for_each(|user| presence.mark_settled(user)));
    }

    /// Whether the caller may tell Redis now that the user left.
    pub(super) fn may_depart(&self, key: &UserKey) -> bool {
        let mut inner = self.inner();
        inner.may_depart()
            && inner.with(&key.tenant, |presence| {
                presence.users.get(&key.user).is_some_and(|entry| entry.has_pending_departure())
            })
    }

    /// Those of these users who have left, each with the number of connections that were sent elsewhere.
    pub(super) fn departures(&self, tenant: &TenantId, users: &[UserId]) -> Vec<(UserId, u32)> {
        self.with(tenant, |presence| presence.departures(users))
    }

    /// Redis knew nothing of this node in a tenant. Whether it should have: then it lost it.
    pub(super) fn was_in_sync(&self, tenant: &TenantId) -> bool {
        self.with(tenant, |presence| presence.was_in_sync())
    }

    /// These leases are not in Redis any more.
    pub(super) fn departed<'a>(&self, tenant: &TenantId, users: impl IntoIterator<Item = &'a UserId>) {
        let inner = &mut *self.inner();
        for user in users {
            let key = UserKey { tenant: tenant.clone(), user: user.clone() };
            if inner
                .tenants
                .get(tenant)
                .and_then(|presence| presence.users.get(user))
                .is_some_and(|entry| !entry.is_present)
            {
                inner.remove(&key);
            }
        }
        self.notify_if_empty(inner);
    }

    /// Keeps what restoration and callers write about one tenant apart.
    pub(super) fn write_lock(&self, tenant: &TenantId) -> Arc<RwLock<()>> {
        Arc::clone(&self.inner().tenants.entry(tenant.clone()).or_default().write_lock)
    }

    /// Tenants with something to write.
    pub(super) fn pending_tenants(&self) -> Vec<TenantId> {
        let inner = self.inner();
        let may_depart = inner.may_depart();
        let has_work = |presence: &TenantPresence| {
            presence.with_pending(Pending::Lease).next().is_some()
                || (may_depart && presence.with_pending(Pending::Departure).next().is_some())
        };
        inner.tenants.iter().filter(|(_, presence)| has_work(presence)).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// Up to so many leases that restoration has to send; they count as sent.
    pub(super) fn due_leases(&self, tenant: &TenantId, limit: usize) -> Vec<DueLease> {
        self.with(tenant, |presence| presence.due_leases(limit))
    }

    /// Up to so many departures that restoration has to tell.
    pub(super) fn due_departures(&self, tenant: &TenantId, limit: usize) -> Vec<UserId> {
        if !self.inner().may_depart() {
            return Vec::new();
        }
        self.with(tenant, |presence| presence.with_pending(Pending::Departure).take(limit).cloned().collect())
    }

    /// Everybody of a tenant who is here, or left without Redis having heard of it.
    pub(super) fn users(&self, tenant: &TenantId) -> Vec<UserId> {
        self.with(tenant, |presence| presence.users.keys().cloned().collect())
    }

    pub(super) fn is_registered(&self, tenant: &TenantId) -> bool {
        self.with(tenant, |presence| presence.is_registered)
    }

    pub(super) fn registered(&self, tenant: &TenantId) {
        self.with(tenant, |presence| presence.is_registered = true);
    }

    pub(super) fn knows_it_was_swept(&self, tenant: &TenantId) -> bool {
        self.with(tenant, |presence| presence.knows_it_was_swept)
    }

    pub(super) fn sweep_acknowledged(&self, tenant: &TenantId) {
        self.with(tenant, |presence| presence.knows_it_was_swept = false);
    }

    /// The link is open for the n-th time. When it is another than before, everything has
    /// to be written again, and departures wait until then; gives whether it is so.
    pub(super) fn reopened(&self, n_opened: u64, departures_from: Instant) -> bool {
        let inner = &mut *self.inner();
        let before = inner.n_opened;
        inner.n_opened = before.max(n_opened);
        if before == 0 || before >= n_opened {
            // On the first way nothing was ever written that could be lost.
            return false;
        }
        inner.doubt(None, departures_from);
        self.became_pending.notify_one();
        true
    }

    /// Redis may have lost what it held of this tenant, or of all; departures wait until then.
    pub(super) fn doubt(&self, only: Option<&TenantId>, departures_from: Instant) {
        self.inner().doubt(only, departures_from);
        self.became_pending.notify_one();
    }

    /// The other nodes took this one for lost and said so in this tenant.
    pub(super) fn swept(&self, tenant: &TenantId) {
        let inner = &mut *self.inner();
        inner.n_departed -= inner.with(tenant, TenantPresence::swept);
        self.became_pending.notify_one();
        self.notify_if_empty(inner);
    }

    /// Compares one tenant with what Redis holds; how much differs.
    pub(super) fn compare(&self, tenant: &TenantId, held: &HashMap<UserId, u32>, online: &HashSet<UserId>) -> usize {
        let inner = &mut *self.inner();
        let (n_differing, n_unknown) = inner.with(tenant, |presence| presence.compare(held, online));
        inner.n_departed += n_unknown;
        if n_differing > 0 {
            self.became_pending.notify_one();
        }
        n_differing
    }

    /// Every tenant of which anything is known; forgets those of which nothing is.
    pub(super) fn tenants(&self) -> Vec<TenantId> {
        let mut inner = self.inner();
        // Whoever holds the lock would write about an entry that is not there any more.
        inner.tenants.retain(|_, presence| !presence.users.is_empty() || Arc::strong_count(&presence.write_lock) > 1);
        inner.tenants.keys().cloned().collect()
    }

    /// Everybody who is here and known to Redis.
    pub(super) fn present(&self) -> Vec<UserKey> {
        let inner = self.inner();
        let present = |(tenant, presence): (&TenantId, &TenantPresence)| -> Vec<UserKey> {
            let known = presence.users.iter().filter(|(_, entry)| entry.is_present && entry.stored == Stored::Yes);
            known.map(|(user, _)| UserKey { tenant: tenant.clone(), user: user.clone() }).collect()
        };
        inner.tenants.iter().flat_map(present).collect()
    }

    pub(super) fn is_present(&self, key: &UserKey) -> bool {
        self.with(&key.tenant, |presence| presence.users.get(&key.user).is_some_and(|entry| entry.is_present))
    }

    /// Whether nobody is here.
    pub(super) fn has_nobody_online(&self) -> bool {
        let inner = self.inner();
        inner.n_users == inner.n_departed
    }

    /// Whether nobody is here and no departure is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.inner().n_users == 0
    }
}

impl Inner {
    fn with<R: Default>(&mut self, tenant: &TenantId, act: impl FnOnce(&mut TenantPresence) -> R) -> R {
        let Some(presence) = self.tenants.get_mut(tenant) else { return R::default() };
        let n_before = presence.users.len();
        let done = act(presence);
        self.n_users = self.n_users + presence.users.len() - n_before;
        done
    }

    fn doubt(&mut self, only: Option<&TenantId>, departures_from: Instant) {
        self.departures_from = Some(departures_from);
        let doubted = self.tenants.iter_mut().filter(|(tenant, _)| only.is_none_or(|only| only == *tenant));
        doubted.for_each(|(_, presence)| presence.doubt());
    }

    fn remove(&mut self, key: &UserKey) {
        let removed = self.with(&key.tenant, |presence| {
            presence.pending_users.remove(&key.user);
            presence.users.remove(&key.user)
        });
        self.n_departed -= usize::from(removed.is_some_and(|entry| !entry.is_present));
    }

    fn may_depart(&self) -> bool {
        self.departures_from.is_none_or(|from| from <= Instant::now())
    }
}
