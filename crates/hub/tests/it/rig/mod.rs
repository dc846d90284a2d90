//! What the hub's tests share: a hub, scripted connections, events with short names.

mod client;
mod events;
mod form;
mod stores;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_hub::memory::MemoryBroker;
use hookswitch_hub::{
    Admission, Attachment, Broker, BrokerSink, Clearance, Hub, HubBuilder, HubConfig, PendingConnection, Publication,
    ResumeFrom, Seams, Subject,
};
use hookswitch_protocol::{Event, Timestamp, UserId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{PATIENCE, eventually};
use tokio::sync::Mutex;

pub(crate) use client::{Client, Frame};
pub(crate) use events::{event, in_session, key, name, tenant, to_user, topic, user};
pub(crate) use form::ScriptedForm;
pub(crate) use stores::{Failing, FailingOffline, FailingPresence};
pub(crate) use transport::Scripted;

use transport::Wire;

/// Tells that everything published before has gone through a shard.
const FENCE: &str = "test.fence";

/// A hub whose connections are scripted.
pub(crate) struct Rig {
    pub(crate) scope: Scope,
    pub(crate) clock: Clock,
    pub(crate) hub: Hub,
    pub(crate) admission: Admission,
    /// Where other nodes' events come in.
    pub(crate) sink: Arc<dyn BrokerSink>,
    n_shards: usize,
    /// Counts every flush of every connection of this rig.
    flushes: Arc<AtomicUsize>,
    /// Per tenant one connection on each shard that gets the fences.
    observers: Mutex<Vec<(String, Vec<Client>)>>,
    n_fences: AtomicUsize,
}

pub(crate) fn config() -> HubConfig {
    HubConfig {
        shards: 2,
        // Spread from the first connection on, so that all of it is tried with more than one shard.
        home_connections: 0,
        unwatch_after: std::time::Duration::from_millis(5),
        // A busy machine has all the time for what was handed over.
        drain_close_timeout: HubConfig::default().close_timeout,
        ..HubConfig::default()
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: HubConfig) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_761_393_600_000));
        let seams = Seams::memory(&clock);
        Self::assemble(config, clock, |_| seams).await
    }

    /// A hub with a place on the bus.
    pub(crate) async fn on_bus(bus: &MemoryBroker) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_761_393_600_000));
        let memory = Seams::memory(&clock);
        let broker = |sink| Arc::new(bus.join(sink)) as Arc<dyn Broker>;
        Self::assemble(config(), clock, |sink| Seams { broker: broker(sink), ..memory }).await
    }

    pub(crate) async fn assemble(
        config: HubConfig,
        clock: Clock,
        seams: impl FnOnce(Arc<dyn BrokerSink>) -> Seams,
    ) -> Self {
        let scope = Scope::root("hub-test");
        let n_shards = config.shards;
        let prepared = HubBuilder::new(config, clock.clone(), &scope).expect("threads start");
        let sink = prepared.sink();
        let seams = seams(Arc::clone(&sink));
        let (hub, admission) = prepared.start(seams).await.expect("the hub starts");
        let (flushes, observers) = (Arc::default(), Mutex::default());
        Self { scope, clock, hub, admission, sink, n_shards, flushes, observers, n_fences: AtomicUsize::new(0) }
    }

    /// A connection in the tables that waits for its socket.
    pub(crate) async fn pending(&self, of: &str, subject: Subject) -> PendingConnection {
        let who = Attachment::new(tenant(of), subject);
        self.admission.attach(who, &ScriptedForm).await.expect("connections are taken in")
    }

    /// The same with a subscription from the start.
    pub(crate) async fn subscribed(&self, of: &str, number: i64, names: &[&str]) -> PendingConnection {
        let subject = Subject::User(UserId::from(number));
        let subscription = Some(names.iter().map(|text| name(text)).collect());
        let who = Attachment { subscription, ..Attachment::new(tenant(of), subject) };
        self.admission.attach(who, &ScriptedForm).await.expect("connections are taken in")
    }

    /// One whose client says where it was.
    pub(crate) async fn resuming(&self, of: &str, subject: Subject, resume: ResumeFrom) -> Client {
        let who = Attachment { resume: Some(resume), ..Attachment::new(tenant(of), subject) };
        let pending = self.admission.attach(who, &ScriptedForm).await.expect("connections are taken in");
        self.open(pending).await
    }

    pub(crate) async fn open(&self, pending: PendingConnection) -> Client {
        self.open_as(pending, |_| ()).await
    }

    /// One whose client answers every ping from the first on.
    pub(crate) async fn open_answering(&self, pending: PendingConnection) -> Client {
        self.open_as(pending, |wire| wire.answers_pings = true).await
    }

    async fn open_as(&self, pending: PendingConnection, prepare: impl FnOnce(&mut Wire)) -> Client {
        let (ticket, client) = Client::pair(pending.id(), Arc::clone(&self.flushes));
        client.wire(prepare);
        pending.open(|handle| Scripted::open(ticket, &handle)).await;
        client.turn_over().await;
        client
    }

    pub(crate) async fn user(&self, of: &str, number: i64) -> Client {
        let pending = self.pending(of, Subject::User(UserId::from(number))).await;
        self.open(pending).await
    }

    /// A user who may see what is for administrators only.
    pub(crate) async fn admin(&self, of: &str, number: i64) -> Client {
        let subject = Subject::User(UserId::from(number));
        let who = Attachment { clearance: Clearance::Admin, ..Attachment::new(tenant(of), subject) };
        let pending = self.admission.attach(who, &ScriptedForm).await.expect("connections are taken in");
        self.open(pending).await
    }

    pub(crate) async fn visitor(&self, of: &str, session: &str) -> Client {
        let pending = self.pending(of, Subject::Visitor(key(session))).await;
        self.open(pending).await
    }

    /// Publishes as one batch.
    pub(crate) async fn publish(&self, events: impl IntoIterator<Item = Event>) {
        let events: Vec<_> = events.into_iter().map(|event| Publication::new(Arc::new(event))).collect();
        let Some(first) = events.first() else { return };
        let room = self.hub.reserve(&first.event.tenant, events.len()).await.expect("there is room");
        self.hub.publish(room, &events).await;
    }

    /// Waits until everything published for this tenant so far was appended and flushed.
    pub(crate) async fn settle(&self, of: &str) {
        let mut observers = self.observers.lock().await;
        if !observers.iter().any(|(tenant, _)| tenant == of) {
            let mut fresh = Vec::new();
            for at in 0..self.n_shards {
                let observer = self.user(of, -1 - at as i64).await;
                observer.subscribe(&[FENCE]).await;
                fresh.push(observer);
            }
            observers.push((of.to_owned(), fresh));
        }
        let fence = format!("fence-{}", self.n_fences.fetch_add(1, Ordering::Relaxed));
        self.publish([event(of, FENCE, &fence)]).await;
        for (_, clients) in observers.iter_mut().filter(|(tenant, _)| tenant == of) {
            for client in clients {
                client.until(&fence).await;
            }
        }
    }

    /// The ids this client got since it was last asked, once everything published has settled.
    pub(crate) async fn ids(&self, of: &str, client: &mut Client) -> Vec<String> {
        self.settle(of).await;
        client.turn_over().await;
        client.ids().into_iter().filter(|id| !id.starts_with("fence-")).collect()
    }

    /// Flushes so far, over all connections.
    pub(crate) fn n_flushes(&self) -> usize {
        self.flushes.load(Ordering::Relaxed)
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Hub) -> bool) {
        eventually(what, PATIENCE, || std::future::ready(holds(&self.hub))).await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.scope.hard().cancel();
    }
}
