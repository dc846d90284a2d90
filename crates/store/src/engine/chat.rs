//! The chat sessions, kept in `chat_sessions`.

use hookswitch_hub::{BoxFuture, ChatSession, ChatSessionError, ChatSessionStore, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

use super::Store;
use super::queries::chat;

impl ChatSessionStore for Store {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        let session = session.clone();
        Box::pin(async move {
            let work = move |conn: &mut _| chat::start(conn, &session, silent_before);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.chat("start a chat session"))
        })
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| chat::end(conn, &tenant, &key);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.chat("end a chat session"))
        })
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| chat::touch(conn, &seen);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.chat("note chat activity"))
        })
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| chat::live(conn, silent_before);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.chat("list chat sessions"))
        })
    }
}
