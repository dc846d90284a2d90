//! Connections inside the process: `MemoryTransport`, the embedder's.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::memory::{Inbox, MemoryTransport};
use hookswitch_hub::{Admission, Attachment, Hub, HubBuilder, HubConfig, OfflineMessage, Publication, Subject};
use hookswitch_protocol::Event;
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{PATIENCE, eventually};

use crate::rig::{config, event, tenant, to_user, user};

struct Embedded {
    scope: Scope,
    hub: Hub,
    admission: Admission,
}

impl Embedded {
    async fn new(config: HubConfig) -> Self {
        let scope = Scope::root("embedded");
        let (hub, admission) = HubBuilder::in_memory(config, Clock::system(), &scope).await.expect("it starts");
        Self { scope, hub, admission }
    }

    async fn attach(&self, capacity: usize) -> Inbox {
        let who = Attachment::new(tenant("t"), Subject::User(7.into()));
        let (open, inbox) = MemoryTransport::pair(capacity);
        self.admission.attach(who, MemoryTransport::FORM).await.expect("taken in").open(open).await;
        inbox
    }

    async fn publish(&self, events: impl IntoIterator<Item = Event>) {
        let events: Vec<_> = events.into_iter().map(|event| Publication::new(std::sync::Arc::new(event))).collect();
        let room = self.hub.reserve(&tenant("t"), events.len()).await.expect("there is room");
        self.hub.publish(room, &events).await;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.scope.hard().cancel();
    }
}

async fn next(inbox: &mut Inbox) -> Option<String> {
    let text = tokio::time::timeout(PATIENCE, inbox.next()).await.expect("something comes")?;
    let message: serde_json::Value = serde_json::from_str(&text).expect("one JSON object per message");
    Some(message["id"].as_str().or(message["payload"]["code"].as_str()).unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_inbox_with_the_smallest_capacity_that_is_read_gets_a_whole_batch() {
    let node = Embedded::new(config()).await;
    let mut inbox = node.attach(1).await;
    node.publish((0..1_000).map(|n| event("t", "alert", &format!("e{n}")))).await;
    for n in 0..1_000 {
        assert_eq!(next(&mut inbox).await, Some(format!("e{n}")));
    }
}

#[tokio::test]
async fn an_inbox_that_is_not_read_is_bounded_and_told() {
    let node = Embedded::new(config()).await;
    let mut inbox = node.attach(1).await;
    for n in 0..2_000 {
        node.publish([event("t", "alert", &format!("e{n}"))]).await;
    }
    let mut got = Vec::new();
    while got.last().is_none_or(|id| id != "messages_dropped") {
        got.push(next(&mut inbox).await.expect("open"));
    }
    got.pop();
    let wanted: Vec<String> = (0..got.len()).map(|n| format!("e{n}")).collect();
    assert_eq!(got, wanted, "no hole before the notice");
    assert!(got.len() < 300, "{}", got.len());
    for n in 1_000..2_000 {
        assert_eq!(next(&mut inbox).await, Some(format!("e{n}")), "the last thousand are kept");
    }
}

#[tokio::test]
async fn one_that_takes_its_messages_is_not_silent_and_one_that_does_not_is() {
    let quick = HubConfig {
        ping_interval: Duration::from_millis(50),
        pong_timeout: Duration::from_millis(600),
        close_timeout: Duration::from_millis(100),
        ..config()
    };
    let node = Embedded::new(quick).await;
    let mut inbox = node.attach(16).await;
    let _unread = node.attach(1).await;
    let reading = async {
        // Pings are taken too; no message ever comes.
        tokio::time::timeout(Duration::from_millis(1_800), inbox.next()).await.expect_err("nothing comes")
    };
    reading.await;
    assert_eq!(node.hub.n_connections(), 1, "the one that is not read is gone, the other is not");
    node.publish([event("t", "alert", "still-there")]).await;
    assert_eq!(next(&mut inbox).await.as_deref(), Some("still-there"));
}

#[tokio::test]
async fn a_dropped_inbox_detaches_and_the_scopes_end_ends_the_inbox() {
    let node = Embedded::new(config()).await;
    let inbox = node.attach(1).await;
    drop(inbox);
    eventually("it is counted out", PATIENCE, async || node.hub.n_connections() == 0).await;
    let mut inbox = node.attach(1).await;
    node.scope.hard().cancel();
    assert_eq!(next(&mut inbox).await, None);
}

#[tokio::test]
async fn a_drain_closes_the_inbox() {
    let node = Embedded::new(config()).await;
    let mut inbox = node.attach(4).await;
    assert!(node.hub.drain().await);
    let told = tokio::time::timeout(PATIENCE, inbox.next()).await.expect("in time").expect("one more message");
    assert!(told.contains(r#""type":"reconnect","payload":{"after_ms":"#), "{told}");
    assert_eq!(next(&mut inbox).await, None);
}

#[tokio::test]
async fn a_backlog_needs_no_pong_there() {
    let node = Embedded::new(config()).await;
    let message = |id: &str| {
        let event = to_user(event("t", "notification", id), 7);
        let (event_id, envelope) = (event.id.clone(), Bytes::from(event.encode()));
        OfflineMessage { user: user("t", 7), event_id, envelope, at: Clock::system().now() }
    };
    node.hub.keep_offline(vec![message("m0"), message("m1")]).await.expect("kept");
    let mut inbox = node.attach(4).await;
    node.publish([to_user(event("t", "alert", "newer"), 7)]).await;
    for id in ["m0", "m1", "newer"] {
        assert_eq!(next(&mut inbox).await.as_deref(), Some(id));
    }
    eventually("it is confirmed", PATIENCE, async || node.hub.metrics().offline_delivered.get() == 2).await;
}

/// A client that takes one message for each that is published: what waits for it never gets less.
#[tokio::test]
async fn a_backlog_needs_no_moment_at_which_nothing_waits() {
    let node = Embedded::new(config()).await;
    let mut inbox = node.attach(1).await;
    node.publish((0..8).map(|n| event("t", "alert", &format!("a{n}")))).await;
    eventually("it is all queued", PATIENCE, async || node.hub.metrics().messages_queued.get() == 8).await;
    let kept = to_user(event("t", "notification", "m0"), 7);
    let (event_id, envelope, at) = (kept.id.clone(), Bytes::from(kept.encode()), Clock::system().now());
    let message = OfflineMessage { user: user("t", 7), event_id, envelope, at };
    node.hub.keep_offline(vec![message]).await.expect("kept");
    node.hub.backlog_arrived(&user("t", 7)).taken().await;
    let mut n_read = 0;
    while node.hub.metrics().offline_delivered.get() == 0 {
        assert!(n_read < 200, "it is never proven");
        node.publish([event("t", "alert", &format!("b{n_read}"))]).await;
        eventually("it is queued", PATIENCE, async || node.hub.metrics().messages_queued.get() == 9 + n_read).await;
        next(&mut inbox).await.expect("open");
        n_read += 1;
    }
}
