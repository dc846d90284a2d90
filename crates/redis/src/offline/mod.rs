//! Offline messages in the lists of the contract, shared by all nodes.

mod claims;
mod envelope;
mod page;
mod scripts;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use hookswitch_hub::{
    BoxFuture, Claim, MessageNumber, OfflineError, OfflineLimits, OfflineMessage, OfflineStore, UserKey,
};
use hookswitch_protocol::Chain;
use hookswitch_runtime::Scope;
use tokio::time::MissedTickBehavior;

use self::claims::OpenClaims;
use self::scripts::{Scripts, Settlement};
use crate::link::Link;
use crate::metrics::OfflineMetrics;

/// Most messages in one call; a claim of more gets so many.
const MESSAGES_PER_CALL: usize = 1_000;

/// Bytes of envelopes after which a call gets no further message: in it Redis does nothing else.
const BYTES_PER_CALL: usize = 1024 * 1024;

/// Calls for different users at once.
const USERS_AT_ONCE: usize = 64;

/// Keeps offline messages in Redis. What lies beside the contract's list, and why, is told in
/// `docs/decisions/0009-offline-claims-beside-the-list.md`.
#[derive(Debug)]
pub struct RedisOffline {
    link: Link,
    limits: OfflineLimits,
    scripts: Scripts,
    open: Mutex<OpenClaims>,
    metrics: OfflineMetrics,
}

impl RedisOffline {
    /// Starts the keeper. Its claims are renewed until the scope's soft token; a lease is longer than
    /// a shutdown.
    pub fn start(link: Link, limits: OfflineLimits, scope: &Scope) -> Arc<Self> {
        let scripts = Scripts::new(link.clone(), limits);
        let store =
            Arc::new(Self { link, limits, scripts, open: Mutex::default(), metrics: OfflineMetrics::default() });
        let (renewing, soft) = (Arc::clone(&store), scope.soft().clone());
        scope.spawn("offline-claims", async move { soft.run_until_cancelled(renewing.keep_claims()).await });
        store
    }

    /// What it counts.
    pub fn metrics(&self) -> &OfflineMetrics {
        &self.metrics
    }

    fn open(&self) -> MutexGuard<'_, OpenClaims> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep_claims(&self) {
        let mut interval = tokio::time::interval(self.link.config().node_lease.renewal_interval());
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let users = self.open().users();
            self.renew(users).await;
        }
    }

    /// Some at once: one slow shard of a cluster does not let the claims on others run out.
    async fn renew(&self, users: Vec<UserKey>) {
        let renewals = futures_util::stream::iter(users).map(|user| async move { self.scripts.renew(&user).await });
        let failures = renewals.buffer_unordered(USERS_AT_ONCE).filter_map(|renewed| std::future::ready(renewed.err()));
        let failures: Vec<OfflineError> = failures.collect().await;
        if let Some(error) = failures.first() {
            let n_users = failures.len();
            tracing::warn!(n_users, error = %Chain(error), "claims of offline messages may run out: another node may bring the same again");
        }
    }

    async fn put_for(&self, user: UserKey, messages: Vec<OfflineMessage>) -> Result<(), OfflineError> {
        for some in in_steps(messages) {
            let put = self.scripts.put(&user, some).await?;
            self.metrics.kept.inc_by(put.n_kept);
            self.metrics.dropped.inc_by(put.n_dropped);
            self.metrics.taken_over.inc_by(put.n_freed);
        }
        Ok(())
    }

    async fn settle(
        &self,
        settlement: Settlement,
        user: &UserKey,
        messages: &[MessageNumber],
    ) -> Result<(), OfflineError> {
        for some in messages.chunks(MESSAGES_PER_CALL) {
            self.scripts.settle(settlement, user, some).await?;
            self.open().settled(user, some);
        }
        Ok(())
    }
}

impl OfflineStore for RedisOffline {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        Box::pin(async move {
            let puts = futures_util::stream::iter(by_user(messages)).map(|(user, some)| self.put_for(user, some));
            // Also after a failure the others are tried: each user's messages stand for themselves.
            let merge = async |all: Result<(), OfflineError>, one| all.and(one);
            puts.buffer_unordered(USERS_AT_ONCE).fold(Ok(()), merge).await
        })
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        Box::pin(self.claim_page(user, limit.min(MESSAGES_PER_CALL)))
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        Box::pin(self.settle(Settlement::Confirmed, user, messages))
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        Box::pin(self.settle(Settlement::GivenBack, user, messages))
    }
}

/// The messages of each call, in order.
fn in_steps(messages: Vec<OfflineMessage>) -> Vec<Vec<OfflineMessage>> {
    let mut steps: Vec<Vec<OfflineMessage>> = Vec::new();
    let mut n_bytes = BYTES_PER_CALL;
    for message in messages {
        if n_bytes >= BYTES_PER_CALL || steps.last().is_some_and(|step| step.len() >= MESSAGES_PER_CALL) {
            steps.push(Vec::new());
            n_bytes = 0;
        }
        n_bytes += message.envelope.len();
        if let Some(step) = steps.last_mut() {
            step.push(message);
        }
    }
    steps
}

/// Every user's messages, in order.
fn by_user(messages: Vec<OfflineMessage>) -> Vec<(UserKey, Vec<OfflineMessage>)> {
    let mut users: std::collections::HashMap<UserKey, Vec<OfflineMessage>> = std::collections::HashMap::new();
    for message in messages {
        users.entry(message.user.clone()).or_default().push(message);
    }
    users.into_iter().collect()
}
