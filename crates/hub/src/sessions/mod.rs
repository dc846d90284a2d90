//! The live chat sessions, in memory, in step with their store.

mod shared;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{Chain, ErrorCode, Retry, SessionKey, TenantId};
use hookswitch_runtime::Clock;

use crate::seams::chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart};

/// How often last activities are written down. Losing a minute of them in a crash only lets a
/// silent session be forgotten a minute early.
const WRITE_INTERVAL: Duration = Duration::from_mins(1);

/// Which chat sessions visitors may connect to. Looking up touches memory only; starting and ending
/// are durable when they return.
pub struct ChatSessions {
    store: Arc<dyn ChatSessionStore>,
    clock: Clock,
    silence: Duration,
    max_sessions: usize,
    known: Mutex<Known>,
    /// One turn per key: what starts and ends at once must end alike in memory and in the store.
    key_locks: [tokio::sync::Mutex<()>; KEY_LOCKS],
    hasher: RandomState,
}

const KEY_LOCKS: usize = 32;

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<SessionKey, ChatSession>,
    /// A tenant's own session id, where it differs from the key.
    aliases: HashMap<(TenantId, SessionKey), SessionKey>,
    /// Sessions active since the last write-down.
    touched: HashMap<SessionKey, hookswitch_protocol::Timestamp>,
    /// When a shared store last said that the session is as it stands here.
    checked: HashMap<SessionKey, tokio::time::Instant>,
}

/// Why a session could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The key is live and belongs to another tenant.
    #[error("session_id is in use")]
    Taken,
    /// Too many sessions are live.
    #[error("{limit} chat sessions are live, no more can be started now")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// The store cannot keep it.
    #[error("chat session cannot be kept")]
    Store(#[from] ChatSessionError),
}

impl SessionError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Taken => Retry::Never,
            Self::TooMany { .. } => Retry::After(Duration::from_mins(1)),
            Self::Store(source) => source.retry(),
        }
    }

    /// The code told to clients.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Taken => ErrorCode::Conflict,
            Self::TooMany { .. } => ErrorCode::Overloaded,
            Self::Store(_) => ErrorCode::StorageUnavailable,
        }
    }
}

impl ChatSessions {
    /// Loads what the store knows.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn load(
        store: Arc<dyn ChatSessionStore>,
        clock: Clock,
        silence: Duration,
        max_sessions: usize,
    ) -> Result<Self, ChatSessionError> {
        let live = store.live(clock.now().before(silence)).await?;
        let mut known = Known::default();
        for session in live {
            known.insert(session);
        }
        Ok(Self {
            store,
            clock,
            silence,
            max_sessions,
            known: Mutex::new(known),
            key_locks: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            hasher: RandomState::new(),
        })
    }

    async fn turn(&self, key: &SessionKey) -> tokio::sync::MutexGuard<'_, ()> {
        self.key_locks[self.hasher.hash_one(key) as usize % KEY_LOCKS].lock().await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live session with this key as far as this node knows, of any tenant.
    pub fn find_known(&self, key: &SessionKey) -> Option<ChatSession> {
        let oldest = self.clock.now().before(self.silence);
        self.known().by_key.get(key).filter(|session| session.last_active >= oldest).cloned()
    }

    /// The key of the tenant's live session that `id` names, be it the key or the tenant's own id, as
    /// far as this node knows.
    pub fn resolve_known(&self, tenant: &TenantId, id: &SessionKey) -> Option<SessionKey> {
        let oldest = self.clock.now().before(self.silence);
        let known = self.known();
        let is_own = |s: &&ChatSession| s.tenant == *tenant && s.last_active >= oldest;
        if let Some(session) = known.by_key.get(id).filter(is_own) {
            return Some(session.key.clone());
        }
        let key = known.aliases.get(&(tenant.clone(), id.clone()))?;
        known.by_key.get(key).filter(is_own).map(|session| session.key.clone())
    }

    /// Makes a session known, or renews it. Not cancel safe: dropped midway, the store may know it
    /// before this node does.
    ///
    /// # Errors
    /// [`SessionError`]; nothing was changed.
    pub async fn start(
        &self,
        tenant: &TenantId,
        key: &SessionKey,
        alias: Option<&SessionKey>,
    ) -> Result<(), SessionError> {
        let _turn = self.turn(key).await;
        let now = self.clock.now();
        let (n_known, is_known) = {
            let known = self.known();
            (known.by_key.len(), known.by_key.contains_key(key))
        };
        if n_known >= self.max_sessions && !is_known {
            return Err(SessionError::TooMany { limit: self.max_sessions });
        }
        let alias = alias.filter(|alias| *alias != key).cloned();
        let session = ChatSession { key: key.clone(), tenant: tenant.clone(), alias, last_active: now };
        match self.store.start(&session, now.before(self.silence)).await? {
            SessionStart::Taken => Err(SessionError::Taken),
            SessionStart::Live => {
                self.known().insert(session);
                Ok(())
            }
        }
    }

    /// Whether a start by this tenant would be refused, as far as memory tells.
    pub fn is_taken(&self, tenant: &TenantId, key: &SessionKey) -> bool {
        self.find_known(key).is_some_and(|session| session.tenant != *tenant)
    }

    /// Forgets a session. Not cancel safe: dropped midway, the store may have forgotten it before
    /// this node does.
    ///
    /// # Errors
    /// What the store says; the session stays then.
    pub async fn end(&self, tenant: &TenantId, key: &SessionKey) -> Result<(), SessionError> {
        let _turn = self.turn(key).await;
        self.store.end(tenant, key).await?;
        let mut known = self.known();
        if known.by_key.get(key).is_some_and(|session| session.tenant == *tenant) {
            known.remove(key);
        }
        Ok(())
    }

    /// Notes an event of this session; written down within a minute.
    pub fn seen(&self, key: &SessionKey) {
        let now = self.clock.now();
        let mut known = self.known();
        if let Some(session) = known.by_key.get_mut(key) {
            session.last_active = now;
            known.touched.insert(key.clone(), now);
        }
    }

    /// Writes activities down and forgets silent sessions, until the task is ended.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut interval = tokio::time::interval(WRITE_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.write_down().await;
        }
    }

    async fn write_down(&self) {
        let oldest = self.clock.now().before(self.silence);
        let seen: Vec<_> = {
            let mut known = self.known();
            let silent: Vec<SessionKey> =
                known.by_key.values().filter(|s| s.last_active < oldest).map(|s| s.key.clone()).collect();
            for key in &silent {
                known.remove(key);
            }
            std::mem::take(&mut known.touched).into_iter().collect()
        };
        if seen.is_empty() {
            return;
        }
        if let Err(error) = self.store.touch(seen.clone()).await {
            tracing::warn!(error = %Chain(&error), "activity of chat sessions could not be written down, next try in a minute");
            let mut known = self.known();
            for (key, at) in seen {
                known.touched.entry(key).or_insert(at);
            }
        }
    }
}

impl Known {
    fn insert(&mut self, session: ChatSession) {
        self.remove(&session.key);
        if let Some(alias) = &session.alias {
            self.aliases.insert((session.tenant.clone(), alias.clone()), session.key.clone());
        }
        self.by_key.insert(session.key.clone(), session);
    }

    fn remove(&mut self, key: &SessionKey) {
        self.checked.remove(key);
        if let Some(session) = self.by_key.remove(key)
            && let Some(alias) = session.alias
            && let Entry::Occupied(entry) = self.aliases.entry((session.tenant, alias))
            // The tenant's id may stand for a newer session by now.
            && entry.get() == key
        {
            entry.remove();
        }
    }
}

impl std::fmt::Debug for ChatSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatSessions").field("n_known", &self.known().by_key.len()).finish_non_exhaustive()
    }
}
