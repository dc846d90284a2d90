//! The chat sessions, kept in `chat_sessions`.

use std::sync::PoisonError;

use hookswitch_hub::{BoxFuture, ChatSession, ChatSessionError, ChatSessionStore, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

use super::Store;
use super::queries::chat;
use crate::error::Failure;
use crate::weight::{Caller, Weight};

/// Sessions read in one step when a node starts.
const LIVE_STEP: i64 = 5_000;

impl ChatSessionStore for Store {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        let session = session.clone();
        let turn = (Caller::Tenant(session.tenant.clone()), Weight::LIGHT);
        let work = move |conn: &mut _| chat::start(conn, &session, silent_before);
        self.inner.acceptance.call_as(Failure::chat, "start a chat session", turn, work)
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        let turn = (Caller::Tenant(tenant.clone()), Weight::LIGHT);
        let work = move |conn: &mut _| chat::end(conn, &tenant, &key);
        self.inner.acceptance.call_as(Failure::chat, "end a chat session", turn, work)
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        Box::pin(async move {
            for some in seen.chunks(chat::TOUCHED) {
                let turn = (Caller::Node, Weight::of_rows(some.len()));
                let some = some.to_vec();
                let touched = self.inner.dispatch.call(turn, move |conn| chat::touch(conn, &some)).await;
                touched.map_err(|failure| failure.chat("note chat activity"))?;
            }
            Ok(())
        })
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        Box::pin(async move {
            let silence = self.inner.clock.now().since(silent_before);
            *self.inner.chores.chat_silence.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(silence).filter(|silence| !silence.is_zero());
            let failed = |failure: Failure| failure.chat("list chat sessions");
            self.inner.forget_sessions(silent_before).await.map_err(failed)?;
            let (mut live, mut next) = (Vec::new(), Some(String::new()));
            while let Some(after) = next {
                let turn = (Caller::Node, Weight::of_rows(LIVE_STEP as usize));
                let step = move |conn: &mut _| chat::live(conn, silent_before, &after, LIVE_STEP);
                let (some, last) = self.inner.acceptance.call(turn, step).await.map_err(failed)?;
                live.extend(some);
                next = last;
            }
            Ok(live)
        })
    }
}
