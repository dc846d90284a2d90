//! One tenant's load and the others: counted in writes, not in time.

use std::time::Duration;

use hookswitch_hub::{GapScope, Hub, HubConfig, HubError};
use hookswitch_protocol::{Event, Payload};
use hookswitch_testkit::{PATIENCE, eventually};

use crate::rig::{Client, Rig, config, event, tenant};

/// Writes to a large tenant that may come before another tenant's, whatever waits.
const PATIENT_WRITES: usize = 2 * 256;

/// What comes in which order is the question here; a slow machine may take its time to answer it.
async fn one_shard() -> Rig {
    Rig::with(HubConfig { shards: 1, close_timeout: PATIENCE, ..config() }).await
}

async fn crowd(rig: &Rig, of: &str, n_connections: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(n_connections);
    for number in 0..n_connections {
        clients.push(rig.user(of, number as i64).await);
    }
    clients
}

#[tokio::test]
async fn a_large_tenants_event_does_not_delay_anothers() {
    let rig = one_shard().await;
    let mut crowd = crowd(&rig, "big", 10_000).await;
    let mut agent = rig.user("small", 7).await;
    let n_before = rig.n_flushes();
    let hold = agent.hold_shard().await;
    rig.publish([event("big", "queue.stats", "wallboard")]).await;
    rig.publish([event("small", "call.incoming", "ringing")]).await;
    drop(hold);
    agent.until("ringing").await;
    let n_between = agent.wire(|wire| wire.flushed_at) - n_before;
    assert!(n_between <= PATIENT_WRITES, "{n_between} writes came first");
    for client in &mut crowd {
        client.until("wallboard").await;
    }
}

#[tokio::test]
async fn nor_does_a_large_tenants_burst() {
    let rig = one_shard().await;
    let mut crowd = crowd(&rig, "big", 1_000).await;
    let mut agent = rig.user("small", 7).await;
    let hold = agent.hold_shard().await;
    // Types alternate, so that each event takes a walk of its own over all connections.
    let kinds = ["queue.stats", "agent.login"];
    rig.publish((0..64).map(|n| event("big", kinds[n % 2], &format!("e{n}")))).await;
    rig.publish([event("small", "call.incoming", "ringing")]).await;
    let (resume, gate) = std::sync::mpsc::channel();
    agent.wire(|wire| wire.gate = Some(gate));
    drop(hold);
    agent.until("ringing").await;
    // The shard stands still since it wrote that.
    let n_queued = rig.hub.metrics().messages_queued.get();
    drop(resume);
    assert!(n_queued < 64 * 1_000, "the burst was queued as a whole before the other tenant had a turn");
    for client in &mut crowd {
        assert_eq!(client.until("e63").await.len(), 64);
    }
}

#[tokio::test]
async fn clients_that_keep_asking_do_not_hold_up_their_tenants_events() {
    let rig = one_shard().await;
    // More than a slice: there is always somebody left to flush.
    let mut crowd = crowd(&rig, "t", 600).await;
    for client in &crowd {
        client.wire(|wire| wire.keeps_asking = true);
        client.answer("start").await;
    }
    for n in 0..5 {
        rig.publish([event("t", "alert", &format!("e{n}"))]).await;
    }
    for client in &mut crowd {
        client.until("e4").await;
        client.wire(|wire| wire.keeps_asking = false);
    }
    assert_eq!(rig.hub.metrics().messages_dropped.get(), 0);
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_opens_again() {
    let limits = HubConfig { shards: 1, mailbox_events: 10, publish_deadline: Duration::from_millis(20), ..config() };
    let rig = Rig::with(limits).await;
    let mut client = rig.user("t", 7).await;
    let hold = client.hold_shard().await;
    let unused = rig.hub.reserve(&tenant("t"), 4).await.expect("there is room");
    rig.publish((0..6).map(|n| event("t", "alert", &format!("e{n}")))).await;
    let refused = rig.hub.reserve(&tenant("t"), 1).await.expect_err("there is no room");
    assert!(matches!(refused, HubError::Overloaded { n_events: 1, .. }), "{refused:?}");
    let passing = std::sync::Arc::new(event("t", "chat.typing", "typing"));
    assert!(matches!(rig.hub.relay(passing, None).await, Err(HubError::Overloaded { .. })));
    assert_eq!(rig.hub.metrics().publish_refused.get(), 1);
    drop(unused);
    let again = rig.hub.reserve(&tenant("t"), 4).await.expect("room that is dropped is given back");
    drop((again, hold));
    assert_eq!(client.until("e5").await.len(), 6);
    eventually("room is given back when events are through", PATIENCE, async || {
        rig.hub.reserve(&tenant("t"), 10).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn events_for_nobody_take_no_room() {
    let limits = HubConfig { shards: 1, mailbox_events: 10, publish_deadline: Duration::from_millis(20), ..config() };
    let rig = Rig::with(limits).await;
    let client = rig.user("t", 7).await;
    let _hold = client.hold_shard().await;
    for n in 0..50 {
        rig.publish([event("nobody-here", "alert", &format!("e{n}"))]).await;
    }
    assert!(rig.hub.reserve(&tenant("t"), 10).await.is_ok());
}

#[tokio::test]
async fn a_tenant_that_publishes_more_than_can_be_delivered_waits_for_itself() {
    let limits =
        HubConfig { shards: 2, mailbox_events: 8_000, publish_deadline: Duration::from_millis(20), ..config() };
    let rig = Rig::with(limits).await;
    let mut near = rig.user("flood", 7).await;
    let _far = rig.user("flood", 7).await;
    let mut agent = rig.user("small", 7).await;
    let hold = near.hold_shard().await;
    for batch in 0..2 {
        rig.publish((0..1_000).map(|n| event("flood", "alert", &format!("e{batch}-{n}")))).await;
    }
    let refused = rig.hub.reserve(&tenant("flood"), 1).await.expect_err("its share is used up on one shard");
    assert!(matches!(refused, HubError::Overloaded { .. }), "{refused:?}");
    rig.publish([event("small", "call.incoming", "ringing")]).await;
    drop(hold);
    assert_eq!(agent.until("ringing").await, ["ringing"]);
    near.until("e1-999").await;
    eventually("the share is given back", PATIENCE, async || rig.hub.reserve(&tenant("flood"), 2_000).await.is_ok())
        .await;
}

/// An event of this many bytes.
fn large(of: &str, id: &str, n_bytes: usize) -> Event {
    let payload = Payload::parse(&format!("{{\"x\":\"{}\"}}", "x".repeat(n_bytes))).expect("an object");
    Event { payload, ..event(of, "alert", id) }
}

#[tokio::test]
async fn large_events_take_the_room_of_several() {
    let limits =
        HubConfig { shards: 1, mailbox_events: 8_000, publish_deadline: Duration::from_millis(20), ..config() };
    let rig = Rig::with(limits).await;
    let event = large("heavy", "e", 1024 * 1024);
    let mut held = Vec::new();
    let refused = loop {
        match rig.hub.reserve_for(&tenant("heavy"), std::iter::once(&event)).await {
            Ok(room) => held.push(room),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, HubError::Overloaded { n_events: 1, .. }), "{refused:?}");
    assert_eq!(held.len(), 30, "a quarter of 8,000 times 16 KiB");
    assert!(rig.hub.reserve(&tenant("other"), 1_000).await.is_ok(), "others have their own share");
    held.clear();
    let batch: Vec<Event> = (0..1_000).map(|n| large("heavy", &format!("e{n}"), 40 * 1024)).collect();
    assert!(rig.hub.reserve_for(&tenant("heavy"), batch.iter()).await.is_ok(), "more than all takes all");
}

#[tokio::test]
async fn a_gap_is_told_in_slices() {
    let rig = one_shard().await;
    let mut crowd = crowd(&rig, "big", 5_000).await;
    let mut agent = rig.user("small", 7).await;
    for scope in [GapScope::All, GapScope::Tenant(tenant("big"))] {
        let n_before = rig.hub.metrics().gap_notices.get();
        let (resume, gate) = std::sync::mpsc::channel();
        let hold = agent.hold_shard().await;
        rig.sink.on_gap(scope.clone(), None);
        rig.publish([event("small", "call.incoming", "ringing")]).await;
        agent.wire(|wire| wire.gate = Some(gate));
        drop(hold);
        agent.until("ringing").await;
        // The shard stands still since it wrote that.
        let n_told = rig.hub.metrics().gap_notices.get() - n_before;
        drop(resume);
        assert!(n_told <= 1_024, "{n_told} were told first");
        for client in &mut crowd {
            client.until("messages_dropped").await;
        }
        if scope == GapScope::All {
            agent.until("messages_dropped").await;
        }
    }
}

#[tokio::test]
async fn of_many_that_are_due_at_once_none_is_forgotten() {
    let quick = HubConfig { shards: 1, ping_interval: Duration::from_millis(100), ..config() };
    let rig = Rig::with(quick).await;
    for client in &mut crowd(&rig, "big", 600).await {
        client.pinged().await;
    }
}

/// Slices let others have a turn, the closing among them: it must not come before the rest.
#[tokio::test]
async fn when_the_node_goes_what_was_handed_over_comes_before_the_close() {
    let rig = one_shard().await;
    let mut crowd = crowd(&rig, "big", 300).await;
    let hold = crowd[0].hold_shard().await;
    let kinds = ["queue.stats", "agent.login"];
    rig.publish((0..200).map(|n| event("big", kinds[n % 2], &format!("e{n}")))).await;
    let (draining, ()) = tokio::join!(rig.hub.drain(), async {
        rig.until("draining has begun", Hub::is_draining).await;
        drop(hold);
    });
    assert!(draining, "all are out");
    let expected: Vec<String> = (0..200).map(|n| format!("e{n}")).chain(["close 1012".to_owned()]).collect();
    for client in &mut crowd {
        assert_eq!(client.until("close 1012").await, expected);
    }
}
