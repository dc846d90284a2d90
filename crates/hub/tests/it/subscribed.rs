//! What a subscription does to kept messages, and one that is in force from the start.

use bytes::Bytes;
use hookswitch_hub::{Attachment, HubConfig, HubError, OfflineMessage, Subject};
use hookswitch_protocol::ErrorCode;

use crate::rig::{Client, Rig, ScriptedForm, config, event, name, tenant, to_user, user};

async fn keep(rig: &Rig, kind: &str, id: &str) {
    let event = to_user(event("t", kind, id), 7);
    let envelope = Bytes::from(event.encode());
    let message = OfflineMessage { user: user("t", 7), event_id: event.id.clone(), envelope, at: rig.clock.now() };
    rig.hub.keep_offline(vec![message]).await.expect("kept");
}

/// A connection that subscribed before it was opened, whose client proves what arrived.
async fn subscribed(rig: &Rig, names: &[&str]) -> Client {
    let pending = rig.subscribed("t", 7, names).await;
    rig.open_answering(pending).await
}

/// Waits until what was kept has been looked at: live events for the user come behind that.
async fn looked_at(rig: &Rig, client: &mut Client, id: &str) -> Vec<String> {
    rig.publish([to_user(event("t", "call.incoming", id), 7)]).await;
    client.until(id).await
}

#[tokio::test]
async fn a_subscription_is_in_force_from_the_first_event_on() {
    let rig = Rig::new().await;
    let pending = rig.subscribed("t", 7, &["call.*", "wall"]).await;
    rig.publish([
        event("t", "alert", "unwanted"),
        event("t", "call.incoming", "call"),
        crate::rig::topic(event("t", "alert", "on-wall"), "wall"),
        to_user(event("t", "notification", "unwanted-too"), 7),
    ])
    .await;
    let mut client = rig.open(pending).await;
    assert_eq!(rig.ids("t", &mut client).await, ["call", "on-wall"]);
    client.subscribe(&["alert"]).await;
    rig.publish([event("t", "alert", "wanted-now")]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["wanted-now"], "further names add to it");
}

#[tokio::test]
async fn a_subscription_from_the_start_has_the_usual_bound() {
    let rig = Rig::new().await;
    let who = Attachment {
        subscription: Some((0..257).map(|n| name(&format!("t{n}"))).collect()),
        ..Attachment::new(tenant("t"), Subject::User(7.into()))
    };
    let refused = rig.admission.attach(who, &ScriptedForm).await.expect_err("too many");
    assert!(matches!(refused, HubError::TooManyNames(_)), "{refused:?}");
    assert_eq!(refused.code(), ErrorCode::TooManyNames);
    assert_eq!(rig.hub.n_connections(), 0);
}

#[tokio::test]
async fn kept_messages_that_a_subscription_leaves_out_stay_kept() {
    let rig = Rig::new().await;
    keep(&rig, "notification", "m0").await;
    keep(&rig, "call.ended", "m1").await;
    keep(&rig, "notification", "m2").await;
    let mut client = subscribed(&rig, &["call.*"]).await;
    assert_eq!(looked_at(&rig, &mut client, "live").await, ["m1", "live"]);
    rig.until("what arrived is confirmed", |hub| hub.metrics().offline_delivered.get() == 1).await;
    // As soon as it wants them, without connecting again.
    client.subscribe(&["notification"]).await;
    assert_eq!(client.until("m2").await, ["m0", "m2"]);
    rig.until("these too", |hub| hub.metrics().offline_delivered.get() == 3).await;
    assert!(rig.hub.take_offline(&user("t", 7), 10).await.expect("memory").is_empty());
}

#[tokio::test]
async fn they_go_to_a_connection_that_wants_them() {
    let rig = Rig::new().await;
    let mut narrow = subscribed(&rig, &["call.*"]).await;
    let mut broad = rig.user("t", 7).await;
    broad.wire(|wire| wire.answers_pings = true);
    for round in 0..5 {
        let id = format!("m{round}");
        keep(&rig, "notification", &id).await;
        rig.hub.backlog_arrived(&user("t", 7));
        assert_eq!(broad.until(&id).await, [id]);
    }
    assert_eq!(looked_at(&rig, &mut narrow, "live").await, ["live"]);
}

#[tokio::test]
async fn more_than_a_page_of_unwanted_ones_hides_nothing() {
    let rig = Rig::new().await;
    for n in 0..450 {
        keep(&rig, "notification", &format!("n{n}")).await;
    }
    keep(&rig, "call.ended", "wanted").await;
    let mut client = subscribed(&rig, &["call.*"]).await;
    assert_eq!(looked_at(&rig, &mut client, "live").await, ["wanted", "live"]);
    let mut next = rig.user("t", 7).await;
    next.wire(|wire| wire.answers_pings = true);
    client.leave().await;
    rig.hub.backlog_arrived(&user("t", 7));
    assert_eq!(next.until("n449").await.len(), 450, "all of them are still there, in order");
}

/// What waits behind kept messages is filtered by the subscription that is in force when its turn comes.
#[tokio::test]
async fn an_event_that_was_held_back_does_not_come_after_the_subscription_that_leaves_it_out() {
    let rig = Rig::new().await;
    keep(&rig, "notification", "m0").await;
    let mut client = rig.user("t", 7).await;
    client.until("m0").await;
    rig.publish([
        to_user(event("t", "notification", "held-notification"), 7),
        to_user(event("t", "call.incoming", "held-call"), 7),
    ])
    .await;
    assert_eq!(rig.ids("t", &mut client).await, [""; 0], "held back");
    client.subscribe(&["call.*"]).await;
    client.wire(|wire| wire.answers_pings = true);
    client.pong(&1u64.to_be_bytes()).await;
    assert_eq!(client.until("held-call").await, ["held-call"]);
}

#[tokio::test]
async fn what_waits_behind_kept_messages_comes_in_pages() {
    let rig = Rig::with(HubConfig { outbox_bytes: 50 * 1024, ..config() }).await;
    keep(&rig, "notification", "m0").await;
    let mut client = rig.user("t", 7).await;
    client.until("m0").await;
    let payload = hookswitch_protocol::Payload::parse(&format!("{{\"x\":\"{}\"}}", "x".repeat(10 * 1024)));
    let payload = payload.expect("an object");
    for n in 0..9 {
        let large = hookswitch_protocol::Event { payload: payload.clone(), ..event("t", "alert", &format!("e{n}")) };
        rig.publish([to_user(large, 7)]).await;
    }
    assert_eq!(rig.ids("t", &mut client).await, [""; 0], "held back");
    client.pong(&1u64.to_be_bytes()).await;
    let got = client.until("e8").await;
    assert_eq!(got[..9], ["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"]);
}

#[tokio::test]
async fn of_two_that_chose_the_one_that_wants_a_kept_message_gets_it() {
    let rig = Rig::new().await;
    let mut calls = subscribed(&rig, &["call.*"]).await;
    let mut alerts = subscribed(&rig, &["alert"]).await;
    keep(&rig, "alert", "kept").await;
    rig.hub.backlog_arrived(&user("t", 7)).taken().await;
    assert_eq!(alerts.until("kept").await, ["kept"]);
    assert_eq!(looked_at(&rig, &mut calls, "live").await, ["live"]);
}
