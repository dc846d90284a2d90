//! The offline messages and chat sessions that one node keeps, as one object for the contract suites.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hookswitch_hub::{
    BoxFuture, BrokerSink, ChatSession, ChatSessionError, ChatSessionStore, Claim, GapScope, MessageNumber,
    OfflineError, OfflineLimits, OfflineMessage, OfflineStore, Received, SessionStart, SharedChatSessions, UserKey,
};
use hookswitch_protocol::{NodeId, SessionKey, TenantId, Timestamp, UserId};
use hookswitch_redis::{RedisConfig, RedisKeepers};
use hookswitch_runtime::{Clock, Scope};

use crate::rig::until_up;

/// How to start a node's stores.
pub(crate) struct StoresSpec {
    pub(crate) config: RedisConfig,
    pub(crate) limits: OfflineLimits,
    pub(crate) clock: Clock,
}

/// A node's keepers; they end when it is dropped.
pub(crate) struct Stores {
    pub(crate) keepers: RedisKeepers,
    scope: Scope,
}

/// Hears nothing.
struct NullSink;

impl BrokerSink for NullSink {
    fn on_events(&self, _tenant: &TenantId, _received: Vec<Received>) {}

    fn on_gap(&self, _scope: GapScope, _n_missed: Option<u64>) {}

    fn on_backlog(&self, _user: UserKey) {}
}

impl StoresSpec {
    pub(crate) fn new(url: &str) -> Self {
        let mut config = RedisConfig::parse_url(url).expect("a legal address");
        // The cores may be shared with a compiler.
        config.command_timeout = Duration::from_secs(10);
        Self { config, limits: OfflineLimits::default(), clock: Clock::system() }
    }

    /// The same with a prefix that no other node of this process has.
    pub(crate) fn apart(mut self) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        self.config.prefix = format!("apart{}", LAST.fetch_add(1, Ordering::Relaxed));
        self
    }

    pub(crate) async fn start(&self) -> Stores {
        let scope = Scope::root("test");
        let node = NodeId::generate(self.clock.now());
        let (config, clock) = (self.config.clone(), self.clock.clone());
        let keepers = RedisKeepers::start(config, node, self.limits, Arc::new(NullSink), clock, scope.clone());
        let keepers = keepers.await.expect("the settings are legal");
        until_up(&keepers).await;
        Stores { keepers, scope }
    }
}

impl Stores {
    /// Ends the node's tasks, as its death would.
    pub(crate) async fn die(self) {
        self.scope.shut_down(Duration::from_secs(5)).await;
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        self.scope.soft().cancel();
        self.scope.hard().cancel();
    }
}

impl OfflineStore for Stores {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        self.keepers.offline.put(messages)
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        self.keepers.offline.claim(user, limit)
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        self.keepers.offline.confirm(user, messages)
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        self.keepers.offline.give_back(user, messages)
    }

    fn may_have(&self, user: &UserKey) -> bool {
        self.keepers.offline.may_have(user)
    }
}

impl ChatSessionStore for Stores {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        self.keepers.chat.start(session, silent_before)
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        self.keepers.chat.end(tenant, key)
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        self.keepers.chat.touch(seen)
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        self.keepers.chat.live(silent_before)
    }

    fn shared(&self) -> Option<&dyn SharedChatSessions> {
        self.keepers.chat.shared()
    }
}

pub(crate) fn agent() -> UserKey {
    UserKey { tenant: TenantId::parse("tenant-123").expect("legal"), user: UserId::from(456) }
}

pub(crate) fn numbers(claim: &Claim) -> Vec<MessageNumber> {
    claim.messages.iter().map(|message| message.number).collect()
}
