//! Sessions that another node may have started or ended.

use std::time::Duration;

use hookswitch_protocol::{Chain, Event, SessionKey, SessionNames, TenantId};
use tokio::time::Instant;

use super::ChatSessions;
use crate::seams::chat::{ChatSession, ChatSessionError, SharedChatSessions};

/// How long what the shared store said of a session is taken for true without asking again. Ends are
/// heard of at once by every node that serves the tenant; this bounds what the others believe.
const FRESH: Duration = Duration::from_secs(1);

impl ChatSessions {
    /// The live session with this key, of any tenant: visitors name no tenant. Asks a shared store;
    /// when that cannot answer, what this node knows counts. Cancel safe.
    pub async fn find(&self, key: &SessionKey) -> Option<ChatSession> {
        if let Some(shared) = self.store.shared() {
            self.take_in(key, shared.find(key).await);
        }
        self.find_known(key)
    }

    /// The key of the tenant's live session that `id` names, on whichever node it was started.
    /// Cancel safe.
    pub async fn resolve(&self, tenant: &TenantId, id: &SessionKey) -> Option<SessionKey> {
        self.refresh(tenant, id).await;
        self.resolve_known(tenant, id)
    }

    /// Sees to it that what this node knows of the session that the tenant names so is what the
    /// shared store knows, or was a moment ago. Cancel safe.
    pub async fn refresh(&self, tenant: &TenantId, id: &SessionKey) {
        let Some(shared) = self.store.shared() else { return };
        if self.is_fresh(tenant, id) {
            return;
        }
        let found = shared.find(id).await;
        let is_own = matches!(&found, Ok(Some(session)) if session.tenant == *tenant);
        self.take_in(id, found);
        if !is_own {
            self.refresh_alias(shared, tenant, id).await;
        }
    }

    async fn refresh_alias(&self, shared: &dyn SharedChatSessions, tenant: &TenantId, alias: &SessionKey) {
        let found = shared.find_alias(tenant, alias).await;
        let now = found.as_ref().ok().and_then(Option::as_ref).map(|session| session.key.clone());
        // Without one, what went by this name before has ended.
        let before = || self.known().aliases.get(&(tenant.clone(), alias.clone())).cloned();
        if let Some(key) = now.or_else(before) {
            self.take_in(&key, found);
        }
    }

    fn is_fresh(&self, tenant: &TenantId, id: &SessionKey) -> bool {
        let known = self.known();
        let key = known.aliases.get(&(tenant.clone(), id.clone())).unwrap_or(id);
        known.checked.get(key).is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Notes what the shared store said of a key; a store that cannot answer changes nothing.
    fn take_in(&self, key: &SessionKey, said: Result<Option<ChatSession>, ChatSessionError>) {
        match said {
            Ok(Some(session)) => {
                let mut known = self.known();
                let key = session.key.clone();
                known.insert(session);
                known.checked.insert(key, Instant::now());
            }
            Ok(None) => self.known().remove(key),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "chat sessions are looked up in this node's memory only");
            }
        }
    }

    /// Another node's event: its end of a session is one here too.
    pub(crate) fn heard(&self, event: &Event) {
        if let Some(key) = event.session.as_ref().filter(|_| event.event_type.ends_session()) {
            let mut known = self.known();
            if known.by_key.get(key).is_some_and(|session| session.tenant == event.tenant) {
                known.remove(key);
            }
        }
    }

    /// The session of an event of a foreign program, which names it in the payload only.
    pub(crate) fn session_of(&self, event: &Event) -> Option<SessionKey> {
        let names = SessionNames::read(&event.payload);
        names.in_order().find_map(|name| self.resolve_known(&event.tenant, name))
    }

    /// Puts what this node knows back into a shared store that may have lost it.
    pub(crate) async fn restore(&self) {
        let Some(shared) = self.store.shared() else { return };
        let sessions = self.known().by_key.values().cloned().collect();
        if let Err(error) = shared.restore(sessions).await {
            tracing::warn!(error = %Chain(&error), "chat sessions could not be put back into the store");
        }
    }
}
