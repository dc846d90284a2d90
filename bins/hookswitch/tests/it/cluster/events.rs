//! Events from node to node.

use hookswitch_testkit::WsRequest;
use serde_json::json;

use super::{Cluster, numbers};
use crate::stage::{OTHER, TENANT, event, event_for, expect_exactly};

#[tokio::test]
async fn what_is_published_at_one_node_reaches_clients_at_the_other_in_order_and_once() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let (mut near, mut far) = (here.agent(1).await, there.agent(2).await);
    let mut stranger = there.agent_of(OTHER, 3).await;
    for n in 0..200 {
        let kind = ["call.incoming", "alert", "queue.stats", "agent.login"][n % 4];
        here.service().publish(json!({"type": kind, "payload": {"n": n}})).await;
    }
    let wanted: Vec<u64> = (0..200).collect();
    assert_eq!(numbers(&mut near, 200).await, wanted);
    assert_eq!(numbers(&mut far, 200).await, wanted);
    near.expect_silence().await;
    far.expect_silence().await;
    stranger.expect_silence().await;
}

#[tokio::test]
async fn subscriptions_targets_and_topics_hold_across_nodes() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let (mut phone, mut desktop) = (here.agent(7).await, there.agent(7).await);
    let mut colleague = there.agent(8).await;
    let mut wall = there.agent(9).await;
    wall.subscribe(&["wallboard"]).await;
    colleague.subscribe(&["call.*"]).await;
    here.service().publish(event_for(7, "notification")).await;
    here.service().publish(json!({"type": "wall.update", "topic": "wallboard"})).await;
    here.service().publish(event("call.incoming")).await;
    expect_exactly(&mut phone, &["notification", "call.incoming"]).await;
    expect_exactly(&mut desktop, &["notification", "call.incoming"]).await;
    expect_exactly(&mut colleague, &["call.incoming"]).await;
    expect_exactly(&mut wall, &["wall.update"]).await;
}

#[tokio::test]
async fn foreign_programs_reach_the_right_clients_and_nobody_else() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let (mut one, mut other) = (here.agent(456).await, there.agent(8).await);
    let mut stranger = there.agent_of(OTHER, 456).await;
    let publish = async |channel: &str, message: &str| cluster.redis.cli(&["PUBLISH", channel, message]).await;
    let wrapped =
        format!(r#"{{"TenantID":"{TENANT}","UserID":456,"Message":{{"type":"notification","payload":{{}}}}}}"#);
    publish("callcenter:events", &wrapped).await;
    publish(&format!("callcenter:calls:{TENANT}"), r#"{"type":"call.incoming","payload":{"unique_id":"1"}}"#).await;
    assert!(one.expect("notification").await["id"].is_string());
    let call = one.expect("call.incoming").await;
    assert_eq!((&call["tenant_id"], &call["payload"]), (&json!(TENANT), &json!({"unique_id": "1"})));
    assert!(call["timestamp"].is_string() && call.get("hookswitch").is_none());
    expect_exactly(&mut other, &["call.incoming"]).await;
    stranger.expect_silence().await;
}

#[tokio::test]
async fn a_client_that_was_just_let_in_misses_nothing() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    for n in 0..20 {
        // A tenant that the other node has not served before.
        let tenant = format!("fresh-{n}");
        let token = there.sign(&hookswitch_testkit::Token::new(&tenant, 1));
        let mut client = WsRequest::new(there.addr(), "/ws").bearer(&token).open().await;
        here.service_of(&tenant).publish(event("call.incoming")).await;
        client.expect("call.incoming").await;
    }
}
