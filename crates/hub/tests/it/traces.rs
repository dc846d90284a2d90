//! What is told of an event afterwards, for each connection of a user.

use hookswitch_hub::{ConnectionReport, EventTrace, HistoryLimits, HubConfig, Outcome, ResumeFrom, Subject};
use hookswitch_protocol::{EventId, UserId};

use crate::rig::{Rig, config, event, tenant, to_user, user};

async fn trace(rig: &Rig, id: &str, number: i64) -> EventTrace {
    let (id, user) = (EventId::parse(id).expect("legal"), UserId::from(number));
    rig.hub.inspect().local_trace(&tenant("t"), &id, Some(&user)).await
}

/// What became of the event for each connection of the user, open ones first.
async fn outcomes(rig: &Rig, id: &str, number: i64) -> Vec<Outcome> {
    rig.settle("t").await;
    trace(rig, id, number).await.connections.iter().filter_map(|connection| connection.outcome).collect()
}

#[tokio::test]
async fn what_came_as_it_was_and_what_was_not_wanted_is_told() {
    let rig = Rig::new().await;
    let _wants_all = rig.user("t", 7).await;
    let wants_calls = rig.user("t", 8).await;
    wants_calls.subscribe(&["call.*"]).await;
    rig.publish([event("t", "alert", "a"), to_user(event("t", "call.answered", "b"), 8)]).await;
    let _late = rig.user("t", 9).await;
    assert_eq!(outcomes(&rig, "a", 7).await, [Outcome::Written]);
    assert_eq!(outcomes(&rig, "b", 7).await, [Outcome::NotAddressed]);
    assert_eq!(outcomes(&rig, "a", 8).await, [Outcome::NotSubscribed]);
    assert_eq!(outcomes(&rig, "b", 8).await, [Outcome::Written]);
    assert_eq!(outcomes(&rig, "a", 9).await, [Outcome::NotConnected]);
    assert!(outcomes(&rig, "a", 10).await.is_empty());
    let traced = trace(&rig, "b", 8).await.event.expect("remembered");
    assert_eq!((traced.event_type.as_str(), traced.user, traced.is_own), ("call.answered", Some(8.into()), true));
    assert!(traced.position.is_some());
    let other = rig.hub.inspect().local_trace(&tenant("other"), &EventId::parse("b").expect("legal"), None).await;
    assert_eq!(other, EventTrace::default(), "another tenant's is unknown");
}

#[tokio::test]
async fn a_subscription_counts_as_it_was() {
    let rig = Rig::new().await;
    let client = rig.user("t", 7).await;
    rig.publish([event("t", "alert", "before")]).await;
    rig.settle("t").await;
    client.subscribe(&["call.*"]).await;
    rig.publish([event("t", "alert", "after")]).await;
    assert_eq!(outcomes(&rig, "before", 7).await, [Outcome::Written]);
    assert_eq!(outcomes(&rig, "after", 7).await, [Outcome::NotSubscribed]);
    client.subscribe(&["alert"]).await;
    assert_eq!(outcomes(&rig, "after", 7).await, [Outcome::Unknown]);
}

#[tokio::test]
async fn a_slow_client_waits_catches_up_or_lost_it() {
    let history = HistoryLimits { events: 20, ..HistoryLimits::default() };
    let rig = Rig::with(HubConfig { history, outbox_messages: 4, ..config() }).await;
    let mut slow = rig.user("t", 7).await;
    slow.stall_after(0);
    rig.publish([event("t", "alert", "e0")]).await;
    slow.until_wire("it is blocked", |wire| wire.is_blocked).await;
    assert_eq!(outcomes(&rig, "e0", 7).await, [Outcome::Waiting]);
    for n in 1..35 {
        rig.publish([event("t", "alert", &format!("e{n}"))]).await;
    }
    assert_eq!(outcomes(&rig, "e30", 7).await, [Outcome::Waiting]);
    slow.resume(None).await;
    slow.until("e34").await;
    assert_eq!(outcomes(&rig, "e30", 7).await, [Outcome::CaughtUp]);
    rig.publish([event("t", "alert", "live")]).await;
    slow.until("live").await;
    assert_eq!(outcomes(&rig, "live", 7).await, [Outcome::Written]);
    assert_eq!(outcomes(&rig, "e10", 7).await, [Outcome::Dropped], "history held it no longer");
}

#[tokio::test]
async fn a_closed_connection_is_remembered_and_one_that_resumed_has_it() {
    let rig = Rig::new().await;
    let mut first = rig.user("t", 7).await;
    rig.publish([event("t", "alert", "had")]).await;
    first.until("had").await;
    let position = first.position;
    first.leave().await;
    rig.until("it is gone", |hub| hub.n_user_connections(&user("t", 7)) == 0).await;
    rig.publish([event("t", "alert", "missed")]).await;
    assert_eq!(outcomes(&rig, "had", 7).await, [Outcome::Written]);
    assert_eq!(outcomes(&rig, "missed", 7).await, [Outcome::NotConnected]);
    let closed = trace(&rig, "had", 7).await.connections;
    assert!(matches!(&closed[..], [ConnectionReport { until: Some(_), .. }]), "{closed:?}");
    let mut second = rig.resuming("t", Subject::User(7.into()), ResumeFrom::After(position)).await;
    second.until("missed").await;
    assert_eq!(outcomes(&rig, "missed", 7).await, [Outcome::CaughtUp, Outcome::NotConnected]);
    assert_eq!(outcomes(&rig, "had", 7).await, [Outcome::NotConnected, Outcome::Written]);
}

#[tokio::test]
async fn what_was_in_front_of_a_client_that_went_away_was_not_sent() {
    let rig = Rig::new().await;
    let slow = rig.user("t", 7).await;
    rig.publish([event("t", "alert", "read")]).await;
    rig.settle("t").await;
    slow.stall_after(0);
    rig.publish([event("t", "alert", "unread")]).await;
    slow.until_wire("it is blocked", |wire| wire.is_blocked).await;
    slow.leave().await;
    rig.until("it is gone", |hub| hub.n_user_connections(&user("t", 7)) == 0).await;
    assert_eq!(outcomes(&rig, "read", 7).await, [Outcome::Written]);
    assert_eq!(outcomes(&rig, "unread", 7).await, [Outcome::Unsent]);
}

#[tokio::test]
async fn connections_are_told_without_an_event() {
    let rig = Rig::new().await;
    let (one, _other) = (rig.user("t", 7).await, rig.user("t", 8).await);
    let told = rig.hub.inspect().local_connections(&user("t", 7)).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].id, told[0].since, told[0].outcome), (&*one.id.to_string(), rig.clock.now(), None));
    assert!(rig.hub.inspect().local_connections(&user("other", 7)).await.is_empty());
}
