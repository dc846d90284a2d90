//! Sessions that another node may have started or ended.

use std::sync::PoisonError;
use std::time::Duration;

use hookswitch_protocol::{Chain, Event, SessionKey, SessionName, SessionNames, TenantId};
use tokio::time::Instant;

use super::{AT_ONCE, ChatSessions};
use crate::seams::chat::{ChatSession, ChatSessionError, SharedChatSessions};

/// How long what the shared store said of a session is taken for true without asking again. Ends are
/// heard of at once by every node that serves the tenant; this bounds what the others believe.
const FRESH: Duration = Duration::from_secs(1);

/// How long it is not logged again that the shared store does not answer.
const QUIET: Duration = Duration::from_mins(1);

impl ChatSessions {
    /// The live session with this key, of any tenant: visitors name no tenant. Asks a shared store;
    /// when that cannot answer, what this node knows counts. Cancel safe.
    pub async fn find(&self, key: &SessionKey) -> Option<ChatSession> {
        if let Some(shared) = self.store.shared() {
            let said = self.take_in(key, shared.find(key).await);
            self.log_failed(said);
        }
        self.find_known(key)
    }

    /// The key of the tenant's live session that `id` names, on whichever node it was started.
    /// Cancel safe.
    pub async fn resolve(&self, tenant: &TenantId, id: &SessionKey) -> Option<SessionKey> {
        self.named(tenant, &SessionName::Id(id.clone())).await
    }

    /// The key of the tenant's live session of this name, on whichever node it was started. Cancel safe.
    pub async fn named(&self, tenant: &TenantId, name: &SessionName) -> Option<SessionKey> {
        let refreshed = self.refresh(tenant, name).await;
        self.log_failed(refreshed);
        self.named_known(tenant, name)
    }

    /// Sees to it that what this node knows of the session that the tenant names so is what the
    /// shared store knows, or was a moment ago. Cancel safe.
    ///
    /// # Errors
    /// When the shared store does not answer. What this node knows stands then; a name that it does not
    /// know may be that of a live session all the same.
    pub async fn refresh(&self, tenant: &TenantId, name: &SessionName) -> Result<(), ChatSessionError> {
        let Some(shared) = self.store.shared() else { return Ok(()) };
        let is_fresh = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < FRESH);
        match name {
            SessionName::Key(key) if !is_fresh(self.known().checked_key(key)) => {
                self.take_in(key, shared.find(key).await)
            }
            SessionName::Id(id) if !is_fresh(self.known().checked_id(tenant, id)) => {
                self.refresh_id(shared, tenant, id).await
            }
            SessionName::Key(_) | SessionName::Id(_) => Ok(()),
        }
    }

    /// Nearly always an id is either a key or the name of one session: both are asked for at once.
    async fn refresh_id(
        &self,
        shared: &dyn SharedChatSessions,
        tenant: &TenantId,
        id: &SessionKey,
    ) -> Result<(), ChatSessionError> {
        let (named, found) = tokio::join!(shared.find_alias(tenant, id), shared.find(id));
        let found = self.take_in(id, found);
        self.known().note_alias(tenant, id, named?, self.limits);
        found
    }

    /// Notes what the shared store said of a key; a store that cannot answer changes nothing.
    fn take_in(
        &self,
        key: &SessionKey,
        said: Result<Option<ChatSession>, ChatSessionError>,
    ) -> Result<(), ChatSessionError> {
        match said? {
            Some(session) => self.known().note(session, self.limits),
            None => self.known().remove(key),
        }
        Ok(())
    }

    fn log_failed(&self, asked: Result<(), ChatSessionError>) {
        if let Err(error) = asked {
            self.log_unanswered(&error);
        }
    }

    /// Logs that the shared store did not answer, once for a while: every event of a chat asks it.
    pub fn log_unanswered(&self, error: &ChatSessionError) {
        let mut last = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= QUIET) {
            *last = Some(Instant::now());
            tracing::warn!(error = %Chain(error), "chat sessions are looked up in this node's memory only");
        }
    }

    /// Another node's event: its end of a session is one here too.
    pub(crate) fn heard(&self, event: &Event) {
        if let Some(key) = event.session.as_ref().filter(|_| event.event_type.ends_session()) {
            self.known().remove_of(&event.tenant, key);
        }
    }

    /// The session of an event of a foreign program, which names it in the payload only.
    pub(crate) fn session_of(&self, event: &Event) -> Option<SessionKey> {
        self.named_known(&event.tenant, &SessionNames::read(&event.payload).name()?)
    }

    /// Puts what this node knows back into a shared store that may have lost it.
    pub(crate) async fn restore(&self) {
        let Some(shared) = self.store.shared() else { return };
        // What cannot be told is tried.
        if !shared.may_have_lost().await.unwrap_or(true) {
            return;
        }
        let mut below = self.known().len();
        let mut sessions = Vec::with_capacity(below);
        while below > 0 {
            below = {
                let known = self.known();
                let (some, next) = known.some_below(below, AT_ONCE);
                sessions.extend(some.cloned());
                next
            };
            tokio::task::yield_now().await;
        }
        if let Err(error) = shared.restore(sessions).await {
            tracing::warn!(error = %Chain(&error), "chat sessions could not be put back into the store");
        }
    }
}
