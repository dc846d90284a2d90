//! The chat sessions that this node knows of, by every name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hookswitch_protocol::{SessionKey, TenantId, Timestamp};
use indexmap::{IndexMap, IndexSet};
use tokio::time::Instant;

use super::limits::SessionLimits;
use crate::seams::chat::ChatSession;

/// Sessions by key, and what their tenants call them.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By place too, so that a walk over all of them can be made in steps.
    by_key: IndexMap<SessionKey, ChatSession>,
    /// A tenant's own session id, where it differs from the key.
    aliases: HashMap<(TenantId, SessionKey), Alias>,
    /// Of those that were started here.
    n_by_tenant: HashMap<TenantId, usize>,
    /// Those of which a shared store has told, where they can be looked up again.
    noted: Noted,
    /// Sessions active since the last write-down.
    touched: HashMap<SessionKey, Timestamp>,
    /// When a shared store last said that the session is as it stands here.
    checked: HashMap<SessionKey, Instant>,
}

/// What a tenant's id stands for.
#[derive(Debug)]
struct Alias {
    key: SessionKey,
    /// When a shared store last said so.
    checked: Option<Instant>,
}

/// Sessions that were started elsewhere, by tenant.
#[derive(Debug, Default)]
struct Noted {
    by_tenant: HashMap<TenantId, IndexSet<SessionKey>>,
    n_keys: usize,
    n_forgotten: usize,
}

impl Noted {
    fn contains(&self, tenant: &TenantId, key: &SessionKey) -> bool {
        self.by_tenant.get(tenant).is_some_and(|keys| keys.contains(key))
    }

    fn insert(&mut self, session: &ChatSession) {
        let keys = self.by_tenant.entry(session.tenant.clone()).or_default();
        self.n_keys += usize::from(keys.insert(session.key.clone()));
    }

    fn remove(&mut self, tenant: &TenantId, key: &SessionKey) -> bool {
        let Some(keys) = self.by_tenant.get_mut(tenant) else { return false };
        let was_there = keys.swap_remove(key);
        self.n_keys -= usize::from(was_there);
        if keys.is_empty() {
            self.by_tenant.remove(tenant);
        }
        was_there
    }

    /// One to be forgotten before another one of this tenant is noted: its own, or where it has none, one of the tenant
    /// that has the most.
    fn superfluous(&mut self, tenant: &TenantId, limits: SessionLimits) -> Option<SessionKey> {
        let n_own = self.by_tenant.get(tenant).map_or(0, IndexSet::len);
        let n_left = limits.all.saturating_sub(self.n_keys);
        if n_left > 0 && n_own < limits.per_tenant && n_own <= n_left {
            return None;
        }
        let own = self.by_tenant.get(tenant);
        let keys = own.or_else(|| self.by_tenant.values().max_by_key(|keys| keys.len()))?;
        // Not one after the other by place, or the newest would go first: the last takes the place of one that went.
        self.n_forgotten = self.n_forgotten.wrapping_add(1);
        keys.get_index(self.n_forgotten.wrapping_mul(7_919) % keys.len()).cloned()
    }
}

impl Known {
    /// How many were started here.
    pub(super) fn n_started(&self) -> usize {
        self.by_key.len() - self.noted.n_keys
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many the tenant has started here.
    pub(super) fn n_of(&self, tenant: &TenantId) -> usize {
        self.n_by_tenant.get(tenant).copied().unwrap_or(0)
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<&ChatSession> {
        self.by_key.get(key)
    }

    /// The key of the tenant's session that `id` names: what was started with that id last, or else the
    /// session of this key.
    pub(super) fn resolve(&self, tenant: &TenantId, id: &SessionKey, oldest: Timestamp) -> Option<SessionKey> {
        let live = |key: &SessionKey| {
            let session = self.by_key.get(key)?;
            (session.tenant == *tenant && session.last_active >= oldest).then(|| session.key.clone())
        };
        let alias = self.aliases.get(&(tenant.clone(), id.clone()));
        alias.and_then(|alias| live(&alias.key)).or_else(|| live(id))
    }

    /// A session was started. Its id is its own from now on; gives the key of the one that had it before and
    /// has none now.
    pub(super) fn start(&mut self, session: ChatSession) -> Option<SessionKey> {
        let (tenant, key) = (session.tenant.clone(), session.key.clone());
        let id = session.alias.clone().unwrap_or_else(|| key.clone());
        self.insert(session);
        let former = match self.aliases.remove(&(tenant.clone(), id.clone())) {
            Some(former) if former.key != key => self.by_key.get_mut(&former.key).map(|session| {
                session.alias = None;
                former.key
            }),
            _ => None,
        };
        if id != key {
            self.aliases.insert((tenant, id), Alias { key, checked: None });
        }
        former
    }

    /// A shared store has said that this session is live. Whose its id is, it did not say. Those that were started
    /// elsewhere take nothing of the room of those that are started here: beyond limits of their own some other is
    /// forgotten.
    pub(super) fn note(&mut self, session: ChatSession, limits: SessionLimits) {
        let key = session.key.clone();
        if !self.by_key.contains_key(&key) {
            if let Some(other) = self.noted.superfluous(&session.tenant, limits) {
                self.remove(&other);
            }
            self.noted.insert(&session);
        }
        let alias = session.alias.clone().map(|alias| (session.tenant.clone(), alias));
        self.insert(session);
        self.checked.insert(key.clone(), Instant::now());
        if let Some(alias) = alias {
            self.aliases.entry(alias).or_insert(Alias { key, checked: None });
        }
    }

    /// A shared store has said that the tenant's id stands for this session, or for none.
    pub(super) fn note_alias(
        &mut self,
        tenant: &TenantId,
        alias: &SessionKey,
        session: Option<ChatSession>,
        limits: SessionLimits,
    ) {
        let name = (tenant.clone(), alias.clone());
        let Some(session) = session else {
            self.aliases.remove(&name);
            return;
        };
        let key = session.key.clone();
        self.note(session, limits);
        self.aliases.insert(name, Alias { key, checked: Some(Instant::now()) });
    }

    /// When a shared store last said what the tenant's id stands for, or that the session of this key is live.
    pub(super) fn checked_id(&self, tenant: &TenantId, id: &SessionKey) -> Option<Instant> {
        match self.aliases.get(&(tenant.clone(), id.clone())) {
            Some(alias) => alias.checked.filter(|_| self.by_key.contains_key(&alias.key)),
            None => self.checked_key(id),
        }
    }

    pub(super) fn checked_key(&self, key: &SessionKey) -> Option<Instant> {
        self.checked.get(key).copied()
    }

    fn insert(&mut self, session: ChatSession) {
        let is_noted = self.noted.contains(&session.tenant, &session.key);
        self.remove(&session.key);
        if is_noted {
            self.noted.insert(&session);
        } else {
            *self.n_by_tenant.entry(session.tenant.clone()).or_default() += 1;
        }
        self.by_key.insert(session.key.clone(), session);
    }

    pub(super) fn remove_of(&mut self, tenant: &TenantId, key: &SessionKey) {
        if self.by_key.get(key).is_some_and(|session| session.tenant == *tenant) {
            self.remove(key);
        }
    }

    pub(super) fn remove(&mut self, key: &SessionKey) {
        self.checked.remove(key);
        let Some(session) = self.by_key.swap_remove(key) else { return };
        if !self.noted.remove(&session.tenant, key)
            && let Entry::Occupied(mut entry) = self.n_by_tenant.entry(session.tenant.clone())
        {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        if let Some(alias) = session.alias
            && let Entry::Occupied(entry) = self.aliases.entry((session.tenant, alias))
            // The tenant's id may stand for a newer session by now.
            && entry.get().key == *key
        {
            entry.remove();
        }
    }

    /// The session was active.
    pub(super) fn touch(&mut self, key: &SessionKey, now: Timestamp) {
        if let Some(session) = self.by_key.get_mut(key) {
            session.last_active = now;
            self.touched.insert(key.clone(), now);
        }
    }

    pub(super) fn take_touched(&mut self) -> HashMap<SessionKey, Timestamp> {
        std::mem::take(&mut self.touched)
    }

    /// What could not be written down, unless there is newer.
    pub(super) fn touch_again(&mut self, seen: impl Iterator<Item = (SessionKey, Timestamp)>) {
        for (key, at) in seen {
            self.touched.entry(key).or_insert(at);
        }
    }

    /// Some sessions at places below this one, and the place to go on below. A walk from the end to 0 meets
    /// every session that is there throughout: what is removed meanwhile has its place taken by one from
    /// behind.
    pub(super) fn some_below(&self, below: usize, n_at_once: usize) -> (impl Iterator<Item = &ChatSession>, usize) {
        let end = below.min(self.by_key.len());
        let start = end.saturating_sub(n_at_once);
        (self.by_key[start..end].values(), start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(tenant: &str, key: usize) -> ChatSession {
        ChatSession {
            key: SessionKey::parse(&format!("{tenant}-{key}")).expect("a key"),
            tenant: TenantId::parse(tenant).expect("a tenant"),
            alias: None,
            last_active: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn what_other_nodes_started_is_bounded_and_takes_nothing_of_the_room_for_what_is_started_here() {
        let (mut known, limits) = (Known::default(), SessionLimits { all: 100, per_tenant: 60 });
        for n in 0..1_000 {
            known.note(session("busy", n), limits);
            assert!(known.get(&session("busy", n).key).is_some(), "the one that is asked for is there");
        }
        assert_eq!((known.len(), known.n_started()), (51, 0));
        for n in 0..5 {
            known.note(session("quiet", n), limits);
        }
        known.note(session("busy", 1_000), limits);
        assert!((0..5).all(|n| known.get(&session("quiet", n).key).is_some()), "a tenant forgets its own");
        known.start(session("busy", 2_000));
        // A look-up of what was started here leaves it among those.
        known.note(session("busy", 2_000), limits);
        assert_eq!((known.n_started(), known.n_of(&session("busy", 0).tenant)), (1, 1));
        while let Some(some) = known.by_key.keys().next().cloned() {
            known.remove(&some);
        }
        assert_eq!((known.n_started(), known.noted.n_keys, known.n_by_tenant.len()), (0, 0, 0));
    }
}
