//! Keepers that write down each call, and fail or wait when told to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hookswitch_hub::memory::{MemoryBroker, MemoryChatSessions, MemoryOffline};
use hookswitch_hub::{
    BoxFuture, Broker, BrokerError, ChatSession, ChatSessionError, ChatSessionStore, Claim, MessageNumber,
    OfflineError, OfflineMessage, OfflineStore, Publication, SessionStart, SharedChatSessions, UserKey,
};
use hookswitch_protocol::{EventId, NodeId, SessionKey, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    Attempted, Backlog, DeliveryLedger, DisableRule, EventDelivery, Fingerprint, Lease, LeaseRequest, LeasedDelivery,
    LedgerError, MemoryWebhooks, NewDeliveries, Requeue, Requeued, Retention, Seen, Settled, Sweep, Swept,
};
use tokio::runtime::{self, Handle};
use tokio::sync::watch;

/// What the keepers share.
#[derive(Default)]
pub(crate) struct Script {
    calls: Mutex<Vec<String>>,
    /// How often each still goes well.
    failing: Mutex<HashMap<&'static str, usize>>,
    held: Mutex<HashMap<&'static str, watch::Sender<bool>>>,
    /// On which runtime each call was made.
    places: Mutex<Vec<(&'static str, runtime::Id)>>,
    /// Whether other nodes share the store of chat sessions.
    is_shared: AtomicBool,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Script {
    /// The calls so far, which are forgotten by this.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().expect("not poisoned"))
    }

    pub(crate) fn has_call(&self, start: &str) -> bool {
        self.calls.lock().expect("not poisoned").iter().any(|call| call.starts_with(start))
    }

    pub(crate) fn n_calls(&self, start: &str) -> usize {
        self.calls.lock().expect("not poisoned").iter().filter(|call| call.starts_with(start)).count()
    }

    /// From now on this call fails, or no longer.
    pub(crate) fn fail(&self, call: &'static str) {
        self.fail_after(call, 0);
    }

    /// It goes well so many times more, and then fails.
    pub(crate) fn fail_after(&self, call: &'static str, n_good: usize) {
        self.failing.lock().expect("not poisoned").insert(call, n_good);
    }

    pub(crate) fn heal(&self, call: &'static str) {
        self.failing.lock().expect("not poisoned").remove(call);
    }

    /// From now on other nodes share the store of chat sessions, so that it is asked.
    pub(crate) fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    /// From now on this call, or this call about this only, waits until released.
    pub(crate) fn hold(&self, call: &'static str) {
        self.held.lock().expect("not poisoned").insert(call, watch::channel(true).0);
    }

    pub(crate) fn release(&self, call: &'static str) {
        let held = self.held.lock().expect("not poisoned").remove(call).expect("was held");
        held.send_replace(false);
    }

    /// The calls so far and the runtimes on which they were made; forgotten by this.
    pub(crate) fn take_places(&self) -> Vec<(&'static str, runtime::Id)> {
        std::mem::take(&mut self.places.lock().expect("not poisoned"))
    }

    fn write(&self, call: String) {
        self.calls.lock().expect("not poisoned").push(call);
    }

    async fn enter(&self, call: &'static str, about: String) -> Result<(), Cause> {
        let about = format!("{call} {about}");
        self.write(about.clone());
        self.places.lock().expect("not poisoned").push((call, Handle::current().id()));
        let held = {
            let held = self.held.lock().expect("not poisoned");
            held.get(call).or_else(|| held.get(about.as_str())).map(watch::Sender::subscribe)
        };
        if let Some(mut held) = held {
            held.wait_for(|is_held| !is_held).await.expect("released, not dropped");
        }
        let is_failing = match self.failing.lock().expect("not poisoned").get_mut(call) {
            Some(0) => true,
            Some(n_good) => {
                *n_good -= 1;
                false
            }
            None => false,
        };
        if is_failing { Err("on purpose".into()) } else { Ok(()) }
    }
}

/// Writes down live publications: the hub hands each event to the broker after its own connections.
pub(crate) struct ScriptedBroker(pub(crate) Arc<Script>, pub(crate) MemoryBroker);

impl Broker for ScriptedBroker {
    fn watch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.1.watch(tenant)
    }

    fn unwatch<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.1.unwatch(tenant)
    }

    fn publish<'a>(&'a self, publications: &'a [Publication]) -> BoxFuture<'a, Result<(), BrokerError>> {
        // Who comes and goes is told by the hub itself; what is written down is what was accepted.
        let accepted = publications.iter().map(|publication| &publication.event.event_type);
        let accepted: Vec<_> = accepted.filter(|event_type| !event_type.is_opt_in()).collect();
        Box::pin(async move {
            for event_type in accepted {
                let entered = self.0.enter("live", event_type.to_string()).await;
                entered.map_err(|source| BrokerError::Unavailable { operation: "publish", source })?;
            }
            Ok(())
        })
    }

    fn backlog_kept<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.1.backlog_kept(user)
    }
}

pub(crate) struct ScriptedChat(pub(crate) Arc<Script>, pub(crate) MemoryChatSessions);

impl ChatSessionStore for ScriptedChat {
    fn start<'a>(
        &'a self,
        session: &'a ChatSession,
        silent_before: Timestamp,
    ) -> BoxFuture<'a, Result<SessionStart, ChatSessionError>> {
        Box::pin(async move {
            let entered = self.0.enter("chat.start", session.key.to_string()).await;
            entered.map_err(|source| ChatSessionError::Unavailable { operation: "start", source })?;
            self.1.start(session, silent_before).await
        })
    }

    fn end<'a>(&'a self, tenant: &'a TenantId, key: &'a SessionKey) -> BoxFuture<'a, Result<(), ChatSessionError>> {
        Box::pin(async move {
            let entered = self.0.enter("chat.end", key.to_string()).await;
            entered.map_err(|source| ChatSessionError::Unavailable { operation: "end", source })?;
            self.1.end(tenant, key).await
        })
    }

    fn touch(&self, seen: Vec<(SessionKey, Timestamp)>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        self.1.touch(seen)
    }

    fn live(&self, silent_before: Timestamp) -> BoxFuture<'_, Result<Vec<ChatSession>, ChatSessionError>> {
        self.1.live(silent_before)
    }

    fn shared(&self) -> Option<&dyn SharedChatSessions> {
        self.0.is_shared.load(Ordering::Relaxed).then_some(self)
    }
}

impl SharedChatSessions for ScriptedChat {
    fn find<'a>(&'a self, key: &'a SessionKey) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>> {
        Box::pin(async move {
            let entered = self.0.enter("chat.find", key.to_string()).await;
            entered.map_err(|source| ChatSessionError::Unavailable { operation: "find", source })?;
            Ok(self.1.live(Timestamp::from_millis(0)).await?.into_iter().find(|session| session.key == *key))
        })
    }

    fn find_alias<'a>(
        &'a self,
        tenant: &'a TenantId,
        alias: &'a SessionKey,
    ) -> BoxFuture<'a, Result<Option<ChatSession>, ChatSessionError>> {
        Box::pin(async move {
            let entered = self.0.enter("chat.find_alias", alias.to_string()).await;
            entered.map_err(|source| ChatSessionError::Unavailable { operation: "find", source })?;
            let live = self.1.live(Timestamp::from_millis(0)).await?.into_iter();
            Ok(live.into_iter().find(|session| session.tenant == *tenant && session.alias.as_ref() == Some(alias)))
        })
    }

    fn restore(&self, _sessions: Vec<ChatSession>) -> BoxFuture<'_, Result<(), ChatSessionError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

pub(crate) struct ScriptedOffline(pub(crate) Arc<Script>, pub(crate) MemoryOffline);

impl OfflineStore for ScriptedOffline {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        Box::pin(async move {
            let entered = self.0.enter("offline.put", messages.len().to_string()).await;
            entered.map_err(|source| OfflineError::Unavailable { operation: "put", source })?;
            self.1.put(messages).await
        })
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        self.1.claim(user, limit)
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        self.1.confirm(user, messages)
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        self.1.give_back(user, messages)
    }

    fn may_have(&self, user: &UserKey) -> bool {
        self.1.may_have(user)
    }
}

pub(crate) struct ScriptedLedger(pub(crate) Arc<Script>, pub(crate) Arc<MemoryWebhooks>);

impl ScriptedLedger {
    async fn enter(&self, call: &'static str, about: String) -> Result<(), LedgerError> {
        self.0.enter(call, about).await.map_err(|source| LedgerError::Unavailable { operation: call, source })
    }
}

impl DeliveryLedger for ScriptedLedger {
    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        ids: &'a [(EventId, Fingerprint)],
    ) -> BoxFuture<'a, Result<Vec<Seen>, LedgerError>> {
        Box::pin(async move {
            self.enter("ledger.look_up", ids.len().to_string()).await?;
            self.1.look_up(tenant, ids).await
        })
    }

    fn deliveries_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        event: &'a EventId,
        accepted_at: Option<Timestamp>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<EventDelivery>, LedgerError>> {
        self.1.deliveries_of(tenant, event, accepted_at, limit)
    }

    fn enqueue(&self, batch: Vec<NewDeliveries>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>> {
        Box::pin(async move {
            let n_deliveries: usize = batch.iter().map(|duty| duty.targets.len()).sum();
            self.enter("ledger.enqueue", format!("{} to {n_deliveries}", batch.len())).await?;
            self.1.enqueue(batch).await
        })
    }

    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>> {
        self.1.backlog(now)
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>> {
        self.1.lease(request)
    }

    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>> {
        self.1.finish(results, rule)
    }

    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>> {
        DeliveryLedger::requeue(&*self.1, webhook, which, now, limit)
    }

    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>> {
        DeliveryLedger::give_back(&*self.1, leases)
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>> {
        self.1.sweep(sweep)
    }

    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>> {
        self.1.reclaim(node)
    }

    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>> {
        self.1.purge(retention)
    }
}
