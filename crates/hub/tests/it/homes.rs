//! Small tenants live on one shard, and an event leaves alone the shards where nobody wants it.

use std::time::Duration;

use hookswitch_hub::{HubConfig, Subject};
use hookswitch_protocol::{EventType, NewEvent, Payload, Topic, UserId};
use hookswitch_runtime::Scope;

use crate::rig::{Client, Rig, config, event, in_session, tenant, to_user};

/// The shard stands in the upper bits of a connection's id.
async fn shard_of_next(rig: &Rig, of: &str, number: i64) -> (u64, Client) {
    let pending = rig.pending(of, Subject::User(UserId::from(number))).await;
    (pending.id().get() >> 56, rig.open(pending).await)
}

#[tokio::test]
async fn the_first_connections_of_a_tenant_share_a_shard_and_further_ones_are_spread() {
    let rig = Rig::with(HubConfig { shards: 4, home_connections: 8, ..config() }).await;
    for of in ["t", "u"] {
        let (mut shards, mut clients) = (Vec::new(), Vec::new());
        for number in 0..16 {
            let (shard, client) = shard_of_next(&rig, of, number).await;
            shards.push(shard);
            clients.push(client);
        }
        assert!(shards[..8].iter().all(|shard| *shard == shards[0]), "{shards:?}");
        for shard in 0..4 {
            assert!(shards[8..].contains(&shard), "{shard} has none of {shards:?}");
        }
    }
}

/// Two shards, one with a client that subscribed to `far`; the other's gets what stands in `near`.
async fn apart(near: &str, far: &str) -> (Rig, Client, Client) {
    let limits = HubConfig { mailbox_events: 10, publish_deadline: Duration::from_millis(20), ..config() };
    let rig = Rig::with(limits).await;
    let (here, near_client) = shard_of_next(&rig, "t", 1).await;
    let (there, far_client) = shard_of_next(&rig, "t", 2).await;
    assert_ne!(here, there);
    near_client.subscribe(&[near]).await;
    far_client.subscribe(&[far]).await;
    (rig, near_client, far_client)
}

#[tokio::test]
async fn who_publishes_belongs_beside_the_only_shard_that_hears_it() {
    let (rig, _near, far) = apart("alert", "call.*").await;
    far.subscribe(&["queue.stats"]).await;
    far.unsubscribe(&["call.*"]).await;
    let kind = |kind: &str| NewEvent::new(EventType::parse(kind).expect(kind), Payload::empty());
    // Starting may have kept the shards busy for longer than a publisher likes.
    let beside = async |event_type: &str| {
        let taken_in = async {
            loop {
                if let Some(shard) = rig.hub.assign_place(&tenant("t"), &kind(event_type), None) {
                    break shard;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), taken_in).await.expect("the shard has time")
    };
    let (near, far) = (beside("alert").await, beside("queue.stats").await);
    assert_ne!(near, far);
    let place = |event: NewEvent, now| rig.hub.assign_place(&tenant("t"), &event, now);
    assert_eq!(place(kind("call.ended"), None), None, "nobody hears it");
    assert_eq!(place(kind("alert").to_user(UserId::from(1)), None), None, "where that user is, is not looked up");
    let to_topic = |event: NewEvent| NewEvent { topic: Some(Topic::parse("wall").expect("legal")), ..event };
    assert_eq!(place(to_topic(kind("alert")), None), None, "a topic is heard by those who named it");
    assert_ne!(rig.hub.runtime_beside(near).id(), rig.hub.runtime_beside(far).id());
    let name = async { std::thread::current().name().map(str::to_owned) };
    let ran = Scope::root("test").spawn_contained_on(rig.hub.runtime_beside(far), "test", name).await;
    assert!(ran.is_ok_and(|name| name.flatten().is_some_and(|name| name.starts_with("hub-shard-"))));
}

#[tokio::test]
async fn a_shard_where_nobody_wants_an_event_is_left_alone() {
    let (rig, mut near, far) = apart("alert", "call.*").await;
    // A pattern is not looked into; without it only the exact name is left.
    far.subscribe(&["queue.stats"]).await;
    far.unsubscribe(&["call.*"]).await;
    let _hold = far.hold_shard().await;
    for n in 0..50 {
        let id = format!("e{n}");
        rig.publish([event("t", "alert", &id)]).await;
        near.until(&id).await;
    }
    assert!(rig.hub.reserve(&tenant("t"), 10).await.is_ok(), "the held shard's mailbox is empty");
}

#[tokio::test]
async fn whoever_may_want_an_event_gets_it() {
    let (rig, mut near, mut far) = apart("alert", "call.*").await;
    rig.publish([event("t", "alert", "e1"), event("t", "call.ended", "e2")]).await;
    rig.publish([to_user(event("t", "call.incoming", "e3"), 2)]).await;
    rig.publish([in_session(event("t", "call.ended", "e4"), "s")]).await;
    far.subscribe(&["alert"]).await;
    rig.publish([event("t", "alert", "e5")]).await;
    assert_eq!(far.until("e5").await, ["e2", "e3", "e4", "e5"]);
    assert_eq!(near.until("e5").await, ["e1", "e5"]);
    far.unsubscribe(&["call.*", "alert"]).await;
    rig.publish([event("t", "alert", "e6")]).await;
    assert_eq!(near.until("e6").await, ["e6"]);
    assert_eq!(rig.ids("t", &mut far).await, Vec::<String>::new());
}
