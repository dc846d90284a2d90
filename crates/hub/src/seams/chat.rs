//! The seam for public chat sessions: which keys visitors may connect with.

use hookswitch_protocol::{Retry, SessionKey, TenantId, Timestamp};

use hookswitch_runtime::BoxFuture;

/// Keeps the live chat sessions over restarts.
///
/// A key belongs to the first tenant that starts it, until it ends or is silent for 24 h. Every call
/// is atomic; a dropped future leaves the call done or not done.
pub trait ChatSessionStore: Send + Sync {
    /// Makes the session known; for the owner a repeated start renews it. Returns when it survives
    /// a crash of the process (where the store does at all).
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>>;

    /// Forgets the session of this tenant. Idempotent.
    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>>;

    /// Writes down the last activity of many sessions at once; unknown keys are ignored.
    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>>;

    /// Every session last active at or after `silent_before`; forgets the older ones. A shared store
    /// may leave out what can be looked up.
    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>>;

    /// What else a store can do that several nodes share: what this node does not know, another
    /// one may have started.
    fn shared(&self) -> Option<&dyn SharedChatSessions> {
        None
    }
}

/// What only a store that several nodes share can answer.
pub trait SharedChatSessions: Send + Sync {
    /// The live session with this key, of any tenant.
    fn find<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>>;

    /// The live session that the tenant calls so.
    fn find_alias<'a>(
        &'a self,
        tenant: &'a TenantId,
        alias: &'a SessionKey,
    ) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>>;

    /// Whether [`Self::restore`] may have anything to put back. Asked first: a node may know a million sessions.
    fn may_have_lost(&self) -> BoxFuture<'_, Result<bool, ChatSessionError>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Puts back sessions that a store which came back empty has lost; one that another tenant has
    /// meanwhile started under the same key stays that tenant's.
    fn restore(&self, sessions: Vec<ChatSession>) -> BoxFuture<'_, Result<(), ChatSessionError>>;
}

/// One public chat session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatSession {
    /// What visitors connect with; unique over all tenants.
    pub key: SessionKey,
    /// Whose it is.
    pub tenant: TenantId,
    /// The tenant's own `session_id`, when it differs from the key: later events may name only this.
    pub alias: Option<SessionKey>,
    /// The last event of this session.
    pub last_active: Timestamp,
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStart {
    /// The session is live and belongs to the tenant.
    Live,
    /// The key is live and belongs to another tenant; nothing was changed.
    Taken,
}

/// Why chat sessions could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ChatSessionError {
    /// The store is down or did not answer in time; nothing was changed.
    #[error("chat session store is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ChatSessionError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(std::time::Duration::from_secs(1)),
        }
    }
}
