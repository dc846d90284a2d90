//! Keepers that fail when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_hub::memory::{MemoryOffline, MemoryPresence};
use hookswitch_hub::{
    BoxFuture, Claim, MessageNumber, OfflineError, OfflineLimits, OfflineMessage, OfflineStore, PresenceChange,
    PresenceError, PresenceStore, UserKey, UserPresence,
};
use hookswitch_protocol::{NodeId, TenantId, UserId};
use hookswitch_runtime::Clock;
use tokio::sync::Semaphore;

/// How many of the next calls fail.
#[derive(Debug, Default)]
pub(crate) struct Failing(AtomicUsize);

impl Failing {
    pub(crate) fn next(&self, n_calls: usize) {
        self.0.store(n_calls, Ordering::SeqCst);
    }

    pub(crate) fn left(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn fails(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
    }
}

/// Offline messages in memory, behind a store that fails at times.
pub(crate) struct FailingOffline {
    pub(crate) memory: MemoryOffline,
    pub(crate) claims: Arc<Failing>,
    pub(crate) settlements: Arc<Failing>,
    /// How many more claims are answered; what they found was looked up before.
    pub(crate) answers: Arc<Semaphore>,
    pub(crate) n_claims: Arc<AtomicUsize>,
    /// How many more puts are answered.
    pub(crate) puts: Arc<Semaphore>,
    pub(crate) n_puts: Arc<AtomicUsize>,
}

impl FailingOffline {
    /// A store that works.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            memory: MemoryOffline::new(OfflineLimits::default(), clock),
            claims: Arc::default(),
            settlements: Arc::default(),
            answers: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            n_claims: Arc::default(),
            puts: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            n_puts: Arc::default(),
        }
    }
}

fn offline_error() -> OfflineError {
    OfflineError::Unavailable { operation: "do as told", source: "the test says so".into() }
}

impl OfflineStore for FailingOffline {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        Box::pin(async move {
            self.n_puts.fetch_add(1, Ordering::SeqCst);
            self.puts.acquire().await.expect("never closed").forget();
            self.memory.put(messages).await
        })
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        if self.claims.fails() {
            return Box::pin(std::future::ready(Err(offline_error())));
        }
        let claim = self.memory.claim(user, limit);
        self.n_claims.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.answers.acquire().await.expect("never closed").forget();
            claim.await
        })
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        if self.settlements.fails() {
            return Box::pin(std::future::ready(Err(offline_error())));
        }
        self.memory.confirm(user, messages)
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        if self.settlements.fails() {
            return Box::pin(std::future::ready(Err(offline_error())));
        }
        self.memory.give_back(user, messages)
    }
}

/// Presence in memory, behind a store that fails when told to.
pub(crate) struct FailingPresence {
    pub(crate) memory: MemoryPresence,
    pub(crate) calls: Arc<Failing>,
}

impl FailingPresence {
    fn write<'a>(
        &'a self,
        call: impl FnOnce() -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        Box::pin(async move {
            if self.calls.fails() {
                return Err(PresenceError::Unavailable { operation: "do as told", source: "the test says so".into() });
            }
            call().await
        })
    }
}

impl PresenceStore for FailingPresence {
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.write(move || self.memory.touch(user, n_connections))
    }

    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        self.write(move || self.memory.leave(user))
    }

    fn other_holders<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>> {
        self.memory.other_holders(user)
    }

    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>> {
        self.memory.state(user)
    }

    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>> {
        self.memory.online_users(tenant)
    }
}
