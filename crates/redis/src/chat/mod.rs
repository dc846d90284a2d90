//! Public chat sessions that every node knows.

mod scripts;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use hookswitch_hub::{
    BoxFuture, BrokerSink, ChatSession, ChatSessionError, ChatSessionStore, SessionStart, SharedChatSessions,
};
use hookswitch_protocol::{Chain, SessionKey, TenantId, Timestamp};
use hookswitch_runtime::Scope;

use tokio::time::MissedTickBehavior;

use self::scripts::{Scripts, Stored};
use crate::link::Link;
use crate::metrics::ChatMetrics;

/// Calls for different sessions at once.
const SESSIONS_AT_ONCE: usize = 64;

/// After so much silence a session is unknown (contract), until a start says otherwise.
const SILENCE: Duration = Duration::from_hours(24);

/// Keeps chat sessions in Redis: a hash per session, and a string per name that a tenant gives one.
/// Both expire after the silence; the name may outlive the session and then stands for none.
///
/// The two lie in different slots. A start that fails between them leaves the session known without
/// its name; repeating it mends that.
#[derive(Debug)]
pub struct RedisChatSessions {
    link: Link,
    scripts: Scripts,
    /// The silence of the last start, in milliseconds.
    silence: AtomicU64,
    /// The servers' epochs when they were first met, or last brought up to date; none before the first.
    epochs: Mutex<Vec<Option<String>>>,
    metrics: ChatMetrics,
}

impl RedisChatSessions {
    /// Starts a keeper over this link. Until the scope's soft token it looks whether a server has lost what was
    /// kept there, as one does that is emptied without a connection having broken; the sink is told.
    pub fn start(link: Link, sink: Arc<dyn BrokerSink>, scope: &Scope) -> Arc<Self> {
        let scripts = Scripts::new(link.clone());
        let silence = AtomicU64::new(SILENCE.as_millis() as u64);
        let epochs = Mutex::default();
        let store = Arc::new(Self { link, scripts, silence, epochs, metrics: ChatMetrics::default() });
        let (looking, soft) = (Arc::clone(&store), scope.soft().clone());
        scope.spawn("chat-epochs", async move {
            // Ended midway, nothing was changed.
            let _ended = soft.run_until_cancelled(looking.look_for_losses(sink)).await;
        });
        store
    }

    /// What it counts.
    pub fn metrics(&self) -> &ChatMetrics {
        &self.metrics
    }

    fn known_epochs(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any of these is another than the known one.
    fn is_lost(&self, epochs: &[Option<String>]) -> bool {
        let known = self.known_epochs();
        known.iter().zip(epochs).any(|(known, now)| known.is_some() && now.is_some() && known != now)
    }

    /// Those that could not be asked stay as they are.
    fn remember(&self, epochs: Vec<Option<String>>) {
        let mut known = self.known_epochs();
        known.resize(epochs.len(), None);
        for (known, now) in known.iter_mut().zip(epochs) {
            *known = now.or(known.take());
        }
    }

    /// Before this node knows of any session: else a loss could not be noticed later.
    async fn meet(&self) -> Result<(), ChatSessionError> {
        if self.known_epochs().is_empty() {
            self.remember(self.scripts.epochs().await?);
        }
        Ok(())
    }

    async fn look_for_losses(&self, sink: Arc<dyn BrokerSink>) {
        let mut interval = tokio::time::interval(self.link.config().node_lease.renewal_interval());
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if !self.link.is_up() {
                continue;
            }
            match self.scripts.epochs().await {
                Ok(epochs) if self.is_lost(&epochs) => {
                    tracing::warn!("Redis has lost what it held, chat sessions are put back");
                    sink.on_store_lost();
                }
                Ok(epochs) => self.remember(epochs),
                Err(error) => tracing::debug!(error = %Chain(&error), "whether Redis has lost anything is not known"),
            }
        }
    }

    async fn start_session(
        &self,
        session: &ChatSession,
        silent_before: Timestamp,
    ) -> Result<SessionStart, ChatSessionError> {
        self.meet().await?;
        let silence = session.last_active.since(silent_before);
        self.silence.store(silence.as_millis() as u64, Ordering::Relaxed);
        if !self.scripts.start(session, silence).await? {
            return Ok(SessionStart::Taken);
        }
        self.scripts.set_alias(session, silence).await?;
        Ok(SessionStart::Live)
    }

    async fn touch_one(&self, key: SessionKey, at: Timestamp) -> Result<(), ChatSessionError> {
        match self.scripts.touch(&key, at).await? {
            Some(stored) => self.scripts.keep_alias(&stored.session, stored.silence).await,
            None => Ok(()),
        }
    }

    async fn find_live(&self, key: &SessionKey) -> Result<Option<ChatSession>, ChatSessionError> {
        self.meet().await?;
        let now = self.link.clock().now();
        // The server forgets by its own clock, and only about then.
        let is_live = |stored: &Stored| stored.session.last_active >= now.before(stored.silence);
        Ok(self.scripts.find(key).await?.filter(is_live).map(|stored| stored.session))
    }

    async fn find_named(&self, tenant: &TenantId, alias: &SessionKey) -> Result<Option<ChatSession>, ChatSessionError> {
        let Some(key) = self.scripts.find_alias(tenant, alias).await? else { return Ok(None) };
        let found = self.find_live(&key).await?;
        // The key may have come to another tenant, or the session be started again without the name.
        Ok(found.filter(|session| session.tenant == *tenant && session.alias.as_ref() == Some(alias)))
    }

    async fn restore_lost(&self, sessions: Vec<ChatSession>) -> Result<(), ChatSessionError> {
        let epochs = self.scripts.epochs().await?;
        if self.is_lost(&epochs) {
            all(sessions.into_iter().map(|session| self.put_back(session))).await?;
        }
        // Only now: what failed midway is to be done again.
        self.remember(epochs);
        Ok(())
    }

    async fn put_back(&self, session: ChatSession) -> Result<(), ChatSessionError> {
        let silence = Duration::from_millis(self.silence.load(Ordering::Relaxed));
        let left = session.last_active.after(silence).since(self.link.clock().now());
        if left.is_zero() || !self.scripts.restore(&session, silence, left).await? {
            return Ok(());
        }
        self.metrics.restored.inc();
        self.scripts.keep_alias(&session, left).await
    }
}

/// Tries all of them, some at once, also after a failure; then tells of the first one.
async fn all(
    calls: impl Iterator<Item = impl Future<Output = Result<(), ChatSessionError>>>,
) -> Result<(), ChatSessionError> {
    let merge = async |all: Result<(), ChatSessionError>, one| all.and(one);
    futures_util::stream::iter(calls).buffer_unordered(SESSIONS_AT_ONCE).fold(Ok(()), merge).await
}

impl ChatSessionStore for RedisChatSessions {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        Box::pin(self.start_session(session, silent_before))
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        Box::pin(self.scripts.end(tenant, key))
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        Box::pin(all(seen.into_iter().map(|(key, at)| self.touch_one(key, at))))
    }

    /// None: every session can be looked up, and a node needs to know only its own visitors'.
    fn live(&self, _silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn shared(&self) -> Option<&dyn SharedChatSessions> {
        Some(self)
    }
}

impl SharedChatSessions for RedisChatSessions {
    fn find<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>> {
        Box::pin(self.find_live(key))
    }

    fn find_alias<'a>(
        &'a self,
        tenant: &'a TenantId,
        alias: &'a SessionKey,
    ) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>> {
        Box::pin(self.find_named(tenant, alias))
    }

    fn may_have_lost(&self) -> BoxFuture<'_, Result<bool, ChatSessionError>> {
        Box::pin(async move {
            let epochs = self.scripts.epochs().await?;
            let has_lost = self.is_lost(&epochs);
            if !has_lost {
                self.remember(epochs);
            }
            Ok(has_lost)
        })
    }

    fn restore(&self, sessions: Vec<ChatSession>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        Box::pin(self.restore_lost(sessions))
    }
}
