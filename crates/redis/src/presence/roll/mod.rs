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

pub(super) use self::tenant::{DueLease, Said};
use self::tenant::{Owed, TenantRoll};

/// Departures that may wait for Redis. Past it the oldest truth wins: the lease stays until the
/// comparison finds that nobody here answers to it.
const MAX_DEPARTURES: usize = 100_000;

/// Users of this node, and those who left without Redis having heard of it. Bounded by this node's
/// connections and [`MAX_DEPARTURES`]. Never waits.
#[derive(Debug, Default)]
pub(super) struct Roll {
    inner: Mutex<Inner>,
    /// Something is owed and nobody is at it.
    pub(super) owing: Notify,
    /// The last user has left.
    pub(super) vacated: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    tenants: HashMap<TenantId, TenantRoll>,
    /// Over all tenants, the departed included.
    n_users: usize,
    n_departed: usize,
    /// Before that, other nodes may not have said again whom they hold.
    leaves_from: Option<Instant>,
    /// The way to Redis on which everything was said, or will be.
    n_opened: u64,
}

impl Roll {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R: Default>(&self, tenant: &TenantId, act: impl FnOnce(&mut TenantRoll) -> R) -> R {
        self.inner().with(tenant, act)
    }

    fn tell_if_vacant(&self, inner: &Inner) {
        if inner.n_users == inner.n_departed {
            self.vacated.notify_one();
        }
    }

    /// The user has connections here. What is owed now is the caller's to say.
    pub(super) fn come(&self, key: &UserKey, n_connections: u32) {
        let inner = &mut *self.inner();
        if !inner.tenants.contains_key(&key.tenant) {
            inner.tenants.insert(key.tenant.clone(), TenantRoll::default());
        }
        let had_left = inner.with(&key.tenant, |roll| roll.come(&key.user, n_connections));
        inner.n_departed -= usize::from(had_left);
    }

    /// The user has none any more. Whether Redis has to hear of it, by the caller.
    pub(super) fn go(&self, key: &UserKey) -> bool {
        let inner = &mut *self.inner();
        let Some(tenant) = inner.tenants.get_mut(&key.tenant) else { return false };
        let Some(entry) = tenant.users.get_mut(&key.user) else { return false };
        if entry.said == Said::Never {
            // Redis never heard of him.
            inner.remove(key);
            self.tell_if_vacant(inner);
            return false;
        }
        inner.n_departed += usize::from(entry.is_present);
        entry.is_present = false;
        entry.owed = Owed::Leave;
        self.tell_if_vacant(inner);
        true
    }

    /// Leaves what the user is owed to the driver. False when there were too many departures, and
    /// this one is forgotten.
    pub(super) fn owe(&self, key: &UserKey) -> bool {
        let inner = &mut *self.inner();
        let is_full = inner.n_departed > MAX_DEPARTURES;
        let Some(tenant) = inner.tenants.get_mut(&key.tenant) else { return true };
        match tenant.users.get(&key.user) {
            Some(entry) if !entry.is_present && is_full => {
                inner.remove(key);
                return false;
            }
            Some(entry) if entry.owed != Owed::Nothing => drop(tenant.owing.insert(key.user.clone())),
            _ => return true,
        }
        self.owing.notify_one();
        true
    }

    /// The lease of one user as it is to be sent.
    pub(super) fn send(&self, key: &UserKey) -> Option<DueLease> {
        self.with(&key.tenant, |tenant| tenant.send(&key.user))
    }

    /// These leases are in Redis, and their users' coming is told.
    pub(super) fn said<'a>(&self, tenant: &TenantId, users: impl IntoIterator<Item = &'a UserId>) {
        self.with(tenant, |roll| users.into_iter().for_each(|user| roll.said(user)));
    }

    /// And nothing more is owed to them, unless they have left.
    pub(super) fn settled<'a>(&self, tenant: &TenantId, users: impl IntoIterator<Item = &'a UserId>) {
        self.with(tenant, |roll| users.into_iter().for_each(|user| roll.settled(user)));
    }

    /// Whether the caller may tell Redis now that the user left.
    pub(super) fn may_leave(&self, key: &UserKey) -> bool {
        let mut inner = self.inner();
        inner.may_leave()
            && inner.with(&key.tenant, |roll| roll.users.get(&key.user).is_some_and(|entry| entry.owes_leave()))
    }

    /// Redis knew nothing of this node in a tenant. Whether it should have: then it lost it.
    pub(super) fn is_in_step(&self, tenant: &TenantId) -> bool {
        self.with(tenant, |roll| roll.is_in_step())
    }

    /// These leases are not in Redis any more.
    pub(super) fn departed<'a>(&self, tenant: &TenantId, users: impl IntoIterator<Item = &'a UserId>) {
        let inner = &mut *self.inner();
        for user in users {
            let key = UserKey { tenant: tenant.clone(), user: user.clone() };
            if inner.tenants.get(tenant).and_then(|roll| roll.users.get(user)).is_some_and(|entry| !entry.is_present) {
                inner.remove(&key);
            }
        }
        self.tell_if_vacant(inner);
    }

    /// What keeps the driver's and the callers' words about one tenant apart.
    pub(super) fn gate(&self, tenant: &TenantId) -> Arc<RwLock<()>> {
        Arc::clone(&self.inner().tenants.entry(tenant.clone()).or_default().gate)
    }

    /// Tenants for which the driver has something to do.
    pub(super) fn debtors(&self) -> Vec<TenantId> {
        let inner = self.inner();
        let may_leave = inner.may_leave();
        let owes = |roll: &TenantRoll| {
            roll.with_owed(Owed::Lease).next().is_some() || (may_leave && roll.with_owed(Owed::Leave).next().is_some())
        };
        inner.tenants.iter().filter(|(_, roll)| owes(roll)).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// Up to so many leases that the driver has to send; they count as sent.
    pub(super) fn due_leases(&self, tenant: &TenantId, limit: usize) -> Vec<DueLease> {
        self.with(tenant, |roll| roll.due_leases(limit))
    }

    /// Up to so many departures that the driver has to tell.
    pub(super) fn due_leaves(&self, tenant: &TenantId, limit: usize) -> Vec<UserId> {
        if !self.inner().may_leave() {
            return Vec::new();
        }
        self.with(tenant, |roll| roll.with_owed(Owed::Leave).take(limit).cloned().collect())
    }

    pub(super) fn is_registered(&self, tenant: &TenantId) -> bool {
        self.with(tenant, |roll| roll.is_registered)
    }

    pub(super) fn registered(&self, tenant: &TenantId) {
        self.with(tenant, |roll| roll.is_registered = true);
    }

    pub(super) fn knows_it_was_swept(&self, tenant: &TenantId) -> bool {
        self.with(tenant, |roll| roll.knows_it_was_swept)
    }

    pub(super) fn sweep_acknowledged(&self, tenant: &TenantId) {
        self.with(tenant, |roll| roll.knows_it_was_swept = false);
    }

    /// The way to Redis is the one with this number. When it is another than before, everything has
    /// to be said again, and departures wait until then; gives whether it is so.
    pub(super) fn reopened(&self, n_opened: u64, leaves_from: Instant) -> bool {
        let inner = &mut *self.inner();
        let before = inner.n_opened;
        inner.n_opened = before.max(n_opened);
        if before == 0 || before >= n_opened {
            // On the first way nothing was ever said that could be lost.
            return false;
        }
        inner.doubt(None, leaves_from);
        self.owing.notify_one();
        true
    }

    /// Redis may have lost what it held of this tenant, or of all; departures wait until then.
    pub(super) fn doubt(&self, only: Option<&TenantId>, leaves_from: Instant) {
        self.inner().doubt(only, leaves_from);
        self.owing.notify_one();
    }

    /// The other nodes took this one for lost and said so in this tenant.
    pub(super) fn swept(&self, tenant: &TenantId) {
        let inner = &mut *self.inner();
        inner.n_departed -= inner.with(tenant, TenantRoll::swept);
        self.owing.notify_one();
        self.tell_if_vacant(inner);
    }

    /// Compares one tenant with what Redis holds; how much differs.
    pub(super) fn compare(&self, tenant: &TenantId, held: &HashMap<UserId, u32>, online: &HashSet<UserId>) -> usize {
        let inner = &mut *self.inner();
        let (n_differing, n_strays) = inner.with(tenant, |roll| roll.compare(held, online));
        inner.n_departed += n_strays;
        if n_differing > 0 {
            self.owing.notify_one();
        }
        n_differing
    }

    /// Every tenant of which anything is known; forgets those of which nothing is.
    pub(super) fn tenants(&self) -> Vec<TenantId> {
        let mut inner = self.inner();
        // One who holds the gate would say something about a roll that is not there any more.
        inner.tenants.retain(|_, roll| !roll.users.is_empty() || Arc::strong_count(&roll.gate) > 1);
        inner.tenants.keys().cloned().collect()
    }

    /// Everybody who is here and known to Redis.
    pub(super) fn present(&self) -> Vec<UserKey> {
        let inner = self.inner();
        let present = |(tenant, roll): (&TenantId, &TenantRoll)| -> Vec<UserKey> {
            let known = roll.users.iter().filter(|(_, entry)| entry.is_present && entry.said == Said::Yes);
            known.map(|(user, _)| UserKey { tenant: tenant.clone(), user: user.clone() }).collect()
        };
        inner.tenants.iter().flat_map(present).collect()
    }

    pub(super) fn is_present(&self, key: &UserKey) -> bool {
        self.with(&key.tenant, |roll| roll.users.get(&key.user).is_some_and(|entry| entry.is_present))
    }

    /// Whether nobody is here.
    pub(super) fn is_vacant(&self) -> bool {
        let inner = self.inner();
        inner.n_users == inner.n_departed
    }

    /// Whether nobody is here and no departure is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.inner().n_users == 0
    }
}

impl Inner {
    fn with<R: Default>(&mut self, tenant: &TenantId, act: impl FnOnce(&mut TenantRoll) -> R) -> R {
        let Some(roll) = self.tenants.get_mut(tenant) else { return R::default() };
        let n_before = roll.users.len();
        let done = act(roll);
        self.n_users = self.n_users + roll.users.len() - n_before;
        done
    }

    fn doubt(&mut self, only: Option<&TenantId>, leaves_from: Instant) {
        self.leaves_from = Some(leaves_from);
        let doubted = self.tenants.iter_mut().filter(|(tenant, _)| only.is_none_or(|only| only == *tenant));
        doubted.for_each(|(_, roll)| roll.doubt());
    }

    fn remove(&mut self, key: &UserKey) {
        let removed = self.with(&key.tenant, |roll| {
            roll.owing.remove(&key.user);
            roll.users.remove(&key.user)
        });
        self.n_departed -= usize::from(removed.is_some_and(|entry| !entry.is_present));
    }

    fn may_leave(&self) -> bool {
        self.leaves_from.is_none_or(|from| from <= Instant::now())
    }
}
