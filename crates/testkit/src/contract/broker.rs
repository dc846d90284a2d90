//! What every `Broker` promises.

use std::sync::{Arc, Mutex, PoisonError};

use hookswitch_hub::{Broker, BrokerSink, GapScope, Origin, Publication, Received, UserKey};
use hookswitch_protocol::{Event, EventId, EventType, Payload, Position, TenantId, Timestamp, UserId};

use crate::wait::{PATIENCE, eventually};

/// Tries every sentence of the promise, each on a transport of its own made by `open`; `join` gives
/// another node's broker on it, for the hub with this sink.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check<T, B: Broker>(open: impl AsyncFn() -> T, join: impl AsyncFn(&T, Arc<dyn BrokerSink>) -> Arc<B>) {
    let pair = async || {
        let transport = open().await;
        let (here, there) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        let nodes = (join(&transport, here.clone()).await, join(&transport, there.clone()).await);
        Pair { here: nodes.0, there: nodes.1, received_here: here, received_there: there, _transport: transport }
    };
    watched_events_arrive_in_order(&pair().await).await;
    own_events_come_back_with_positions_or_not_at_all(&pair().await).await;
    positions_are_one_dense_order_for_all(&pair().await).await;
    only_watched_tenants_arrive(&pair().await).await;
    watching_and_unwatching_are_idempotent(&pair().await).await;
    an_event_arrives_as_it_was(&pair().await).await;
    a_kept_message_is_told_where_its_tenant_is_watched(&pair().await).await;
}

/// Two nodes on one transport.
struct Pair<T, B> {
    here: Arc<B>,
    there: Arc<B>,
    received_here: Arc<Heard>,
    received_there: Arc<Heard>,
    /// Ends after the brokers.
    _transport: T,
}

/// A sink that remembers.
#[derive(Debug, Default)]
struct Heard {
    events: Mutex<Vec<Received>>,
    gaps: Mutex<Vec<GapScope>>,
    backlogs: Mutex<Vec<UserKey>>,
}

impl BrokerSink for Heard {
    fn on_events(&self, _tenant: &TenantId, received: Vec<Received>) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(received);
    }

    fn on_gap(&self, scope: GapScope, _n_missed: Option<u64>) {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).push(scope);
    }

    fn on_backlog(&self, user: UserKey) {
        self.backlogs.lock().unwrap_or_else(PoisonError::into_inner).push(user);
    }
}

impl Heard {
    fn ids(&self) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|received| received.event.id.as_str().to_owned()).collect()
    }

    fn places(&self) -> Vec<(String, Option<Position>)> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|received| (received.event.id.as_str().to_owned(), received.position)).collect()
    }

    fn n_gaps(&self) -> usize {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits for an event, so that everything published before it has had its chance to arrive.
    async fn until(&self, id: &str) -> Vec<String> {
        eventually(&format!("event {id} arrives"), PATIENCE, async || self.ids().iter().any(|got| got == id)).await;
        self.ids()
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal tenant")
}

fn event(of: &str, id: &str) -> Arc<Event> {
    Arc::new(Event {
        id: EventId::parse(id).expect("legal id"),
        event_type: EventType::CALL_INCOMING,
        tenant: tenant(of),
        user: None,
        session: None,
        topic: None,
        payload: Payload::parse(r#"{"unique_id":"1.2","b": 2.50}"#).expect("legal payload"),
        timestamp: Timestamp::from_millis(1_761_393_600_123),
    })
}

async fn publish<B: Broker>(broker: &B, of: &str, id: &str) {
    broker.publish(&[Publication::new(event(of, id))]).await.expect("publish");
}

async fn watch<B: Broker>(broker: &B, of: &str) {
    broker.watch(&tenant(of)).await.expect("watch");
}

async fn watched_events_arrive_in_order<T, B: Broker>(pair: &Pair<T, B>) {
    watch(&*pair.there, "tenant-1").await;
    let ids: Vec<String> = (0..200).map(|n| format!("e{n}")).collect();
    for id in &ids {
        publish(&*pair.here, "tenant-1", id).await;
    }
    let got = pair.received_there.until("e199").await;
    assert_eq!(got, ids, "events of one tenant published through one node arrive in that order, from the watch on");
    assert_eq!(pair.received_there.n_gaps(), 0, "nothing was missing");
}

async fn own_events_come_back_with_positions_or_not_at_all<T, B: Broker>(pair: &Pair<T, B>) {
    watch(&*pair.here, "tenant-1").await;
    watch(&*pair.there, "tenant-1").await;
    publish(&*pair.here, "tenant-1", "from-here").await;
    publish(&*pair.there, "tenant-1", "from-there").await;
    if pair.here.gives_positions() {
        assert_eq!(pair.received_here.until("from-there").await, ["from-here", "from-there"], "its own, and in order");
        assert_eq!(pair.received_there.until("from-there").await, ["from-here", "from-there"], "once each");
        let heard = pair.received_here.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(matches!(heard[0].origin, Origin::Own(_)) && matches!(heard[1].origin, Origin::Node { .. }));
        return;
    }
    assert_eq!(pair.received_here.until("from-there").await, ["from-there"], "a node's own events do not come back");
    assert_eq!(pair.received_there.until("from-here").await, ["from-here"], "a node's own events do not come back");
}

async fn positions_are_one_dense_order_for_all<T, B: Broker>(pair: &Pair<T, B>) {
    watch(&*pair.here, "tenant-1").await;
    watch(&*pair.there, "tenant-1").await;
    if !pair.here.gives_positions() {
        return;
    }
    let many = async |broker: &B, name: &str| {
        for n in 0..100 {
            publish(broker, "tenant-1", &format!("{name}{n}")).await;
        }
    };
    tokio::join!(many(&pair.here, "here"), many(&pair.there, "there"));
    let heard = [&pair.received_here, &pair.received_there];
    for heard in heard {
        eventually("all arrive", PATIENCE, async || heard.ids().len() >= 200).await;
    }
    let [here, there] = heard.map(|heard| heard.places());
    assert_eq!(here, there, "every node sees one order, and the same positions");
    let positions: Vec<Position> = here.iter().map(|(_, at)| at.expect("a position")).collect();
    let is_dense = |pair: &[Position]| pair[0].epoch == pair[1].epoch && pair[0].offset + 1 == pair[1].offset;
    assert!(positions.windows(2).all(is_dense), "each has the next offset: {positions:?}");
    for name in ["here", "there"] {
        let ids = here.iter().map(|(id, _)| id).filter(|id| id.starts_with(name));
        let wanted = (0..100).map(|n| format!("{name}{n}"));
        assert!(ids.cloned().eq(wanted), "in the order in which one node published them");
    }
}

async fn only_watched_tenants_arrive<T, B: Broker>(pair: &Pair<T, B>) {
    watch(&*pair.there, "tenant-1").await;
    watch(&*pair.there, "tenant-2").await;
    publish(&*pair.here, "tenant-3", "unwatched").await;
    publish(&*pair.here, "tenant-2", "other").await;
    pair.received_there.until("other").await;
    pair.there.unwatch(&tenant("tenant-2")).await.expect("unwatch");
    publish(&*pair.here, "tenant-2", "after").await;
    publish(&*pair.here, "tenant-1", "last").await;
    assert_eq!(pair.received_there.until("last").await, ["other", "last"], "only watched tenants' events arrive");
    assert!(pair.received_here.ids().is_empty(), "a node that watches nothing receives nothing");
}

async fn watching_and_unwatching_are_idempotent<T, B: Broker>(pair: &Pair<T, B>) {
    pair.there.unwatch(&tenant("tenant-1")).await.expect("unwatching what is not watched");
    watch(&*pair.there, "tenant-1").await;
    watch(&*pair.there, "tenant-1").await;
    watch(&*pair.there, "tenant-2").await;
    publish(&*pair.here, "tenant-1", "once").await;
    pair.received_there.until("once").await;
    pair.there.unwatch(&tenant("tenant-1")).await.expect("unwatch");
    publish(&*pair.here, "tenant-1", "never").await;
    publish(&*pair.here, "tenant-2", "last").await;
    let got = pair.received_there.until("last").await;
    assert_eq!(got, ["once", "last"], "watched twice arrives once, unwatched once is unwatched");
}

async fn an_event_arrives_as_it_was<T, B: Broker>(pair: &Pair<T, B>) {
    watch(&*pair.there, "tenant-1").await;
    let plain = event("tenant-1", "plain");
    let full = Arc::new(Event {
        user: Some(hookswitch_protocol::UserId::from(456)),
        session: Some(hookswitch_protocol::SessionKey::parse("s 1").expect("legal session")),
        topic: Some(hookswitch_protocol::Topic::parse("wallboard").expect("legal topic")),
        ..Event::clone(&event("tenant-1", "full"))
    });
    let both = [&plain, &full].map(|event| Publication::new(Arc::clone(event)));
    pair.here.publish(&both).await.expect("publish");
    pair.received_there.until("full").await;
    let got = pair.received_there.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let got: Vec<_> = got.into_iter().map(|received| (Arc::clone(received.event.event()), received.origin)).collect();
    let from_a_node = |event| (event, Origin::Node { answerable_with: None });
    assert_eq!(got, [plain, full].map(from_a_node), "an event arrives with everything it left with");
}

async fn a_kept_message_is_told_where_its_tenant_is_watched<T, B: Broker>(pair: &Pair<T, B>) {
    let user = |tenant_id: &str| UserKey { tenant: tenant(tenant_id), user: UserId::from(7) };
    watch(&*pair.there, "tenant-1").await;
    for of in ["tenant-2", "tenant-1"] {
        pair.here.backlog_kept(&user(of)).await.expect("told");
    }
    let told = || pair.received_there.backlogs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    eventually("the notice arrives", PATIENCE, async || !told().is_empty()).await;
    assert_eq!(told(), [user("tenant-1")], "kept messages are told to nodes that watch the tenant");
}
