//! The chat sessions that this node knows of, by every name.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hookswitch_protocol::{SessionKey, TenantId, Timestamp};
use indexmap::IndexMap;
use tokio::time::Instant;

use crate::seams::chat::ChatSession;

/// Sessions by key, and what their tenants call them.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By place too, so that a walk over all of them can be made in steps.
    by_key: IndexMap<SessionKey, ChatSession>,
    /// A tenant's own session id, where it differs from the key.
    aliases: HashMap<(TenantId, SessionKey), Alias>,
    n_by_tenant: HashMap<TenantId, usize>,
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

impl Known {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

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

    /// A shared store has said that this session is live. Whose its id is, it did not say.
    pub(super) fn note(&mut self, session: ChatSession) {
        let key = session.key.clone();
        let alias = session.alias.clone().map(|alias| (session.tenant.clone(), alias));
        self.insert(session);
        self.checked.insert(key.clone(), Instant::now());
        if let Some(alias) = alias {
            self.aliases.entry(alias).or_insert(Alias { key, checked: None });
        }
    }

    /// A shared store has said that the tenant's id stands for this session, or for none.
    pub(super) fn note_alias(&mut self, tenant: &TenantId, alias: &SessionKey, session: Option<ChatSession>) {
        let name = (tenant.clone(), alias.clone());
        let Some(session) = session else {
            self.aliases.remove(&name);
            return;
        };
        let key = session.key.clone();
        self.note(session);
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
        self.remove(&session.key);
        *self.n_by_tenant.entry(session.tenant.clone()).or_default() += 1;
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
        if let Entry::Occupied(mut entry) = self.n_by_tenant.entry(session.tenant.clone()) {
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
