//! Presence of a node on its own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::payloads::{PresenceCause, PresenceWord};
use hookswitch_protocol::{NodeId, TenantId, Timestamp, UserId};
use hookswitch_runtime::Clock;

use crate::seams::presence::{PresenceChange, PresenceError, PresenceState, PresenceStore, UserPresence};
use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// Knows one node only, whose connections it hears of at once: nobody is ever away.
#[derive(Debug)]
pub struct MemoryPresence {
    clock: Clock,
    tenants: Mutex<HashMap<TenantId, Users>>,
}

/// Connections of each user, and when that was last said.
type Users = HashMap<UserId, (u32, Timestamp)>;

impl MemoryPresence {
    /// With nobody present.
    pub fn new(clock: Clock) -> Self {
        Self { clock, tenants: Mutex::default() }
    }
}

impl PresenceStore for MemoryPresence {
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        let now = self.clock.now();
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let users = tenants.entry(user.tenant.clone()).or_default();
        let is_new = users.insert(user.user.clone(), (n_connections, now)).is_none();
        let change = is_new.then(|| change(user, PresenceWord::Online, PresenceCause::Connected));
        Box::pin(std::future::ready(Ok(change)))
    }

    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let mut was_there = false;
        if let Some(users) = tenants.get_mut(&user.tenant) {
            was_there = users.remove(&user.user).is_some();
            if users.is_empty() {
                tenants.remove(&user.tenant);
            }
        }
        let change = was_there.then(|| change(user, PresenceWord::Offline, PresenceCause::Disconnected));
        Box::pin(std::future::ready(Ok(change)))
    }

    fn other_holders<'a>(&'a self, _user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>> {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tenants.get(&user.tenant).and_then(|users| users.get(&user.user)).copied();
        let presence = known.map_or(UserPresence::OFFLINE, |(n_connections, since)| UserPresence {
            state: PresenceState::Online,
            n_connections,
            last_seen: Some(since),
        });
        Box::pin(std::future::ready(Ok(presence)))
    }

    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>> {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let users = tenants.get(tenant).map(|users| users.keys().cloned().collect()).unwrap_or_default();
        Box::pin(std::future::ready(Ok(users)))
    }
}

fn change(user: &UserKey, state: PresenceWord, cause: PresenceCause) -> PresenceChange {
    PresenceChange { user: user.clone(), state, cause }
}
