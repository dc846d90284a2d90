//! The live chat sessions, in memory, in step with their store.

mod known;
pub(crate) mod limits;
mod refresh;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{Chain, ErrorCode, Retry, SessionKey, SessionName, TenantId};
use hookswitch_runtime::Clock;
use tokio::time::Instant;

use self::known::Known;
use self::limits::SessionLimits;
use crate::keyed_locks::KeyedLocks;
use crate::seams::chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart};
use crate::shared::Shared;

/// How often last activities are written down. Losing a minute of them in a crash only lets a
/// silent session be forgotten a minute early.
const WRITE_INTERVAL: Duration = Duration::from_mins(1);

/// Sessions looked at, or written down, at once: there may be a million, and others wait meanwhile.
const AT_ONCE: usize = 1_000;

/// Which chat sessions visitors may connect to. Looking up touches memory only; starting and ending
/// are durable when they return.
pub struct ChatSessions {
    store: Arc<dyn ChatSessionStore>,
    clock: Clock,
    silence: Duration,
    limits: SessionLimits,
    shared: Arc<Shared>,
    known: Mutex<Known>,
    /// One turn per key: what starts and ends at once must end alike in memory and in the store.
    key_locks: KeyedLocks<SessionKey>,
    /// When it was last logged that the shared store does not answer.
    last_logged: Mutex<Option<Instant>>,
}

/// Why a session could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The key is live and belongs to another tenant.
    #[error("session_id is in use")]
    Taken,
    /// Too many sessions are live on the node, or this tenant has its share of what is left.
    #[error(
        "too many chat sessions are live, of which this tenant has {n_live}; at most {limit} fit in all, and more can be started when some have ended"
    )]
    TooMany {
        /// How many are this tenant's.
        n_live: usize,
        /// The bound over all tenants.
        limit: usize,
    },
    /// The tenant has as many as one may have.
    #[error("this tenant has {limit} live chat sessions, more can be started when some of them have ended")]
    TooManyOfTenant {
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
            Self::TooMany { .. } | Self::TooManyOfTenant { .. } => Retry::After(Duration::from_mins(1)),
            Self::Store(source) => source.retry(),
        }
    }

    /// The code told to clients.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Taken => ErrorCode::Conflict,
            Self::TooMany { .. } | Self::TooManyOfTenant { .. } => ErrorCode::Overloaded,
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
        limits: SessionLimits,
        shared: Arc<Shared>,
    ) -> Result<Self, ChatSessionError> {
        let mut live = store.live(clock.now().before(silence)).await?;
        // Where two have the same id after a crash in between, it stands for the one that was active last.
        live.sort_by_key(|session| session.last_active);
        let mut known = Known::default();
        for session in live {
            known.start(session);
        }
        let (known, key_locks) = (Mutex::new(known), KeyedLocks::new());
        Ok(Self { store, clock, silence, limits, shared, known, key_locks, last_logged: Mutex::default() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions known to this node, silent ones included that were not forgotten yet.
    pub fn n_known(&self) -> usize {
        self.known().len()
    }

    /// The live session with this key as far as this node knows, of any tenant.
    pub fn find_known(&self, key: &SessionKey) -> Option<ChatSession> {
        let oldest = self.clock.now().before(self.silence);
        self.known().get(key).filter(|session| session.last_active >= oldest).cloned()
    }

    /// The key of the tenant's live session that `id` names, be it the tenant's own id or the key, as
    /// far as this node knows. An id stands for the session that was started with it last.
    pub fn resolve_known(&self, tenant: &TenantId, id: &SessionKey) -> Option<SessionKey> {
        let oldest = self.clock.now().before(self.silence);
        self.known().resolve(tenant, id, oldest)
    }

    /// The key of the tenant's live session of this name, as far as this node knows. A key is never taken for
    /// an id: that of a session which has ended names none, whatever its id stands for by now.
    pub fn named_known(&self, tenant: &TenantId, name: &SessionName) -> Option<SessionKey> {
        match name {
            SessionName::Key(key) => self.find_known(key).filter(|live| live.tenant == *tenant).map(|live| live.key),
            SessionName::Id(id) => self.resolve_known(tenant, id),
        }
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
        let turn = self.key_locks.lock(key).await;
        let now = self.clock.now();
        self.check_room(tenant, key)?;
        let alias = alias.filter(|alias| *alias != key).cloned();
        let session = ChatSession { key: key.clone(), tenant: tenant.clone(), alias, last_active: now };
        match self.store.start(&session, now.before(self.silence)).await? {
            SessionStart::Taken => Err(SessionError::Taken),
            SessionStart::Live => {
                let former = self.known().start(session);
                drop(turn);
                if let Some(former) = former {
                    self.write_without_alias(&former).await;
                }
                Ok(())
            }
        }
    }

    /// Every tenant has room for its first session while there is any, and for more as long as it has no
    /// more than are left.
    fn check_room(&self, tenant: &TenantId, key: &SessionKey) -> Result<(), SessionError> {
        let known = self.known();
        if known.get(key).is_some() {
            return Ok(());
        }
        let SessionLimits { all, per_tenant } = self.limits;
        let (n_live, n_left) = (known.n_of(tenant), all.saturating_sub(known.n_started()));
        let refused = if n_live >= per_tenant {
            SessionError::TooManyOfTenant { limit: per_tenant }
        } else if n_left == 0 || n_live > n_left {
            SessionError::TooMany { n_live, limit: all }
        } else {
            return Ok(());
        };
        self.shared.metrics.chat_sessions_refused.inc();
        Err(refused)
    }

    /// A session has lost its id to a newer one: after a restart too. What several nodes share knows by
    /// itself whose an id is.
    async fn write_without_alias(&self, key: &SessionKey) {
        if self.store.shared().is_some() {
            return;
        }
        let _turn = self.key_locks.lock(key).await;
        let Some(former) = self.find_known(key).filter(|session| session.alias.is_none()) else { return };
        if let Err(error) = self.store.start(&former, self.clock.now().before(self.silence)).await {
            tracing::warn!(tenant = %former.tenant, error = %Chain(&error), "two chat sessions are stored under one id");
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
        let _turn = self.key_locks.lock(key).await;
        self.store.end(tenant, key).await?;
        self.known().remove_of(tenant, key);
        Ok(())
    }

    /// Notes an event of this session; written down within a minute.
    pub fn seen(&self, key: &SessionKey) {
        let now = self.clock.now();
        self.known().touch(key, now);
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
        self.forget_silent().await;
        let mut seen = self.known().take_touched().into_iter();
        loop {
            let some: Vec<_> = seen.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            if let Err(error) = self.store.touch(some.clone()).await {
                tracing::warn!(error = %Chain(&error), "activity of chat sessions could not be written down, next try in a minute");
                return self.known().touch_again(some.into_iter().chain(seen));
            }
        }
    }

    async fn forget_silent(&self) {
        let oldest = self.clock.now().before(self.silence);
        let mut below = self.known().len();
        while below > 0 {
            {
                let mut known = self.known();
                let (sessions, next) = known.some_below(below, AT_ONCE);
                let silent: Vec<_> = sessions
                    .filter(|session| session.last_active < oldest)
                    .map(|session| session.key.clone())
                    .collect();
                for key in &silent {
                    known.remove(key);
                }
                below = next;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl std::fmt::Debug for ChatSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatSessions").field("n_known", &self.n_known()).finish_non_exhaustive()
    }
}
