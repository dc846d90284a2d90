//! The chat sessions, kept in `chat_sessions`.

use hookswitch_hub::{BoxFuture, ChatSession, ChatSessionError, ChatSessionStore, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

use super::Store;
use super::queries::chat;
use crate::error::Failure;

impl ChatSessionStore for Store {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        let session = session.clone();
        self.inner
            .acceptance
            .call_as(Failure::chat, "start a chat session", move |conn| chat::start(conn, &session, silent_before))
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.inner.acceptance.call_as(Failure::chat, "end a chat session", move |conn| chat::end(conn, &tenant, &key))
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        self.inner.acceptance.call_as(Failure::chat, "note chat activity", move |conn| chat::touch(conn, &seen))
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        self.inner.acceptance.call_as(Failure::chat, "list chat sessions", move |conn| chat::live(conn, silent_before))
    }
}
