//! What the tests share: nodes on a Redis, sinks that remember, events with short names.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookswitch_hub::{BrokerSink, GapScope, OfflineLimits, Past, Publication, Received, UserKey};
use hookswitch_protocol::{Event, EventId, EventType, NodeId, Payload, TenantId};
use hookswitch_redis::{RedisConfig, RedisKeepers};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{PATIENCE, eventually};

/// A sink that remembers.
#[derive(Debug, Default)]
pub(crate) struct RecordingSink {
    pub(crate) events: Mutex<Vec<Received>>,
    pub(crate) gaps: Mutex<Vec<(GapScope, Option<u64>)>>,
    pub(crate) backlogs: Mutex<Vec<UserKey>>,
    pub(crate) pasts: Mutex<Vec<Past>>,
    pub(crate) n_losses: AtomicUsize,
}

impl BrokerSink for RecordingSink {
    fn on_events(&self, _tenant: &TenantId, received: Vec<Received>) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(received);
    }

    fn on_gap(&self, scope: GapScope, n_missed: Option<u64>) {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).push((scope, n_missed));
    }

    fn on_backlog(&self, user: UserKey) {
        self.backlogs.lock().unwrap_or_else(PoisonError::into_inner).push(user);
    }

    fn on_past(&self, _tenant: &TenantId, past: Past) {
        self.pasts.lock().unwrap_or_else(PoisonError::into_inner).push(past);
    }

    fn on_store_lost(&self) {
        self.n_losses.fetch_add(1, Ordering::Relaxed);
    }
}

impl RecordingSink {
    pub(crate) fn ids(&self) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|received| received.event.id.as_str().to_owned()).collect()
    }

    pub(crate) fn ids_of(&self, of: &str) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = events.iter().filter(|received| received.event.tenant.as_str() == of);
        of_tenant.map(|received| received.event.id.as_str().to_owned()).collect()
    }

    pub(crate) fn gaps(&self) -> Vec<(GapScope, Option<u64>)> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn backlogs(&self) -> Vec<UserKey> {
        self.backlogs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for an event; gives all ids up to now.
    pub(crate) async fn until(&self, id: &str) -> Vec<String> {
        eventually(&format!("event {id} arrives"), PATIENCE, async || self.ids().iter().any(|got| got == id)).await;
        self.ids()
    }

    pub(crate) async fn until_some(&self, what: &str, holds: impl Fn(&Received) -> bool) -> Received {
        let find = || {
            let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.iter().find(|received| holds(received)).cloned()
        };
        eventually(what, PATIENCE, async || find().is_some()).await;
        find().expect("it was there")
    }
}

/// One node's keepers; ended when dropped, as by `kill -9`.
pub(crate) struct Node {
    pub(crate) keepers: RedisKeepers,
    pub(crate) heard: Arc<RecordingSink>,
    pub(crate) name: NodeId,
    scope: Scope,
}

impl Node {
    /// One that hangs together with the others.
    pub(crate) async fn start(url: &str) -> Self {
        Self::with(RedisConfig::parse_url(url).expect(url)).await
    }

    /// The same with these settings.
    pub(crate) async fn with(config: RedisConfig) -> Self {
        let node = Self::without_redis(config).await;
        node.until_up().await;
        node
    }

    /// One that starts while Redis is away.
    pub(crate) async fn without_redis(config: RedisConfig) -> Self {
        let heard = Arc::<RecordingSink>::default();
        let name = NodeId::generate(Clock::system().now());
        let (keepers, scope) = keepers_of(&name, config, heard.clone()).await;
        Self { keepers, heard, name, scope }
    }

    pub(crate) async fn until_up(&self) {
        until_up(&self.keepers).await;
    }

    pub(crate) async fn until_down(&self) {
        eventually("the link is closed", PATIENCE, async || self.keepers.link.check().is_err()).await;
    }

    /// Ends in order; whether within this time.
    pub(crate) async fn shut_down(&self, grace: Duration) -> bool {
        self.scope.shut_down(grace).await
    }

    pub(crate) async fn watch(&self, of: &str) {
        use hookswitch_hub::Broker as _;
        self.keepers.broker.watch(&tenant(of)).await.expect("watch");
    }

    pub(crate) async fn publish(&self, events: impl IntoIterator<Item = Event>) {
        use hookswitch_hub::Broker as _;
        let publications: Vec<_> = events.into_iter().map(|event| Publication::new(Arc::new(event))).collect();
        self.keepers.broker.publish(&publications).await.expect("publish");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.scope.hard().cancel();
    }
}

pub(crate) async fn keepers(config: RedisConfig, sink: Arc<dyn BrokerSink>) -> (RedisKeepers, Scope) {
    keepers_of(&NodeId::generate(Clock::system().now()), config, sink).await
}

async fn keepers_of(node: &NodeId, config: RedisConfig, sink: Arc<dyn BrokerSink>) -> (RedisKeepers, Scope) {
    let (clock, scope) = (Clock::system(), Scope::root("redis-test"));
    let limits = OfflineLimits::default();
    let keepers = RedisKeepers::start(config, node.clone(), limits, sink, clock, scope.clone()).await;
    (keepers.expect("the settings are good"), scope)
}

/// Starting waits only a moment for Redis; on a busy machine the link opens later.
pub(crate) async fn until_up(keepers: &RedisKeepers) {
    eventually("the link is open", PATIENCE, async || keepers.link.check().is_ok()).await;
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal tenant")
}

pub(crate) fn event(of: &str, kind: &str, id: &str) -> Event {
    Event {
        id: EventId::parse(id).expect("legal id"),
        event_type: EventType::parse(kind).expect("legal type"),
        tenant: tenant(of),
        user: None,
        session: None,
        topic: None,
        payload: Payload::parse(r#"{"unique_id":"1.2","b": 2.50}"#).expect("legal payload"),
        timestamp: Clock::system().now(),
    }
}
