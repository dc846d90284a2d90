//! Chat sessions that end with the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

use crate::seams::chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart};
use hookswitch_runtime::BoxFuture;

/// Keeps sessions in a map.
#[derive(Debug, Default)]
pub struct MemoryChatSessions(Mutex<HashMap<SessionKey, ChatSession>>);

impl ChatSessionStore for MemoryChatSessions {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_taken = sessions
            .get(&session.key)
            .is_some_and(|live| live.tenant != session.tenant && live.last_active >= silent_before);
        let start = if is_taken {
            SessionStart::Taken
        } else {
            sessions.insert(session.key.clone(), session.clone());
            SessionStart::Live
        };
        Box::pin(std::future::ready(Ok(start)))
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.get(key).is_some_and(|session| session.tenant == *tenant) {
            sessions.remove(key);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in seen {
            if let Some(session) = sessions.get_mut(&key) {
                session.last_active = session.last_active.max(at);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.last_active >= silent_before);
        let live = sessions.values().cloned().collect();
        Box::pin(std::future::ready(Ok(live)))
    }
}
