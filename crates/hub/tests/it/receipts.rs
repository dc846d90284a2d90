//! What a publisher hears of an event for one user: whether anybody was there to take it.

use std::sync::Arc;

use hookswitch_hub::{PresenceState, Publication, UserLocation};
use hookswitch_protocol::{CloseCode, Event};
use hookswitch_testkit::{PATIENCE, eventually};

use crate::rig::{Rig, event, tenant, to_user, user};

/// Publishes one batch and gives the ids of what received nobody.
async fn missed(rig: &Rig, events: Vec<Event>) -> Vec<String> {
    let events: Vec<_> = events.into_iter().map(|event| Publication::new(Arc::new(event))).collect();
    let room = rig.hub.reserve(&tenant("t"), events.len()).await.expect("there is room");
    rig.hub.publish(room, &events).await.iter().map(|event| event.id.to_string()).collect()
}

#[tokio::test]
async fn an_event_for_somebody_who_is_there_is_not_missed() {
    let rig = Rig::new().await;
    let _phone = rig.user("t", 7).await;
    let _desktop = rig.user("t", 7).await;
    assert!(missed(&rig, vec![to_user(event("t", "alert", "e1"), 7)]).await.is_empty());
}

#[tokio::test]
async fn an_event_for_nobody_is_missed_and_others_of_the_batch_are_not() {
    let rig = Rig::new().await;
    let events = vec![
        to_user(event("t", "alert", "e1"), 7),
        event("t", "alert", "e2"),
        to_user(event("t", "alert", "e3"), 8),
        to_user(event("t", "alert", "e4"), 7),
    ];
    assert_eq!(missed(&rig, events.clone()).await, ["e1", "e3", "e4"], "no connection of the tenant at all");
    let mut client = rig.user("t", 8).await;
    assert_eq!(missed(&rig, events).await, ["e1", "e4"]);
    assert_eq!(rig.ids("t", &mut client).await, ["e2", "e3"]);
}

#[tokio::test]
async fn a_connection_that_is_closing_takes_nothing_any_more() {
    let rig = Rig::new().await;
    let client = rig.user("t", 7).await;
    // The socket takes nothing, so the close stays queued and the connection counts as present.
    client.stall_after(0);
    client.call(|line| line.close(CloseCode::Normal)).await;
    assert_eq!(rig.hub.n_connections(), 1, "still on its way out");
    let who = user("t", 7);
    assert_eq!(rig.hub.n_user_connections(&who), 0);
    // Had it counted as here, nobody would have looked where else the user is.
    assert_eq!(rig.hub.user_location(&who).await.ok(), Some(UserLocation::Away));
    let is_offline = async || rig.hub.presence(&who).await.expect("memory").state == PresenceState::Offline;
    eventually("presence says so too", PATIENCE, is_offline).await;
    assert_eq!(rig.hub.is_online(&who).await.ok(), Some(false));
    assert_eq!(missed(&rig, vec![to_user(event("t", "alert", "e1"), 7)]).await, ["e1"]);
}

#[tokio::test]
async fn what_a_subscription_leaves_out_is_not_missed() {
    let rig = Rig::new().await;
    let client = rig.user("t", 7).await;
    client.subscribe(&["call.*"]).await;
    assert!(missed(&rig, vec![to_user(event("t", "alert", "e1"), 7)]).await.is_empty());
}

#[tokio::test]
async fn a_user_who_closes_one_of_two_connections_is_counted_out_once() {
    let rig = Rig::new().await;
    let _stays = rig.user("t", 7).await;
    let closing = rig.user("t", 7).await;
    closing.stall_after(0);
    closing.call(|line| line.close(CloseCode::Normal)).await;
    assert_eq!(rig.hub.n_user_connections(&user("t", 7)), 1);
    closing.leave().await;
    rig.until("it is gone", |hub| hub.n_connections() == 1).await;
    assert_eq!(rig.hub.n_user_connections(&user("t", 7)), 1);
}
