//! What became of an event, asked of another node than the one that knows.

use hookswitch_testkit::{PATIENCE, eventually};
use serde_json::{Value, json};

use super::Cluster;
use crate::stage::{OTHER, Stage};

async fn trace(of: &Stage, id: &Value, user: i64) -> Value {
    let id = id.as_str().expect("an id");
    of.service().get(&format!("/api/v1/events/{id}/trace?user_id={user}")).await.data()
}

/// Each connection's outcome, in order.
fn outcomes(told: &Value) -> Vec<&str> {
    let mut outcomes: Vec<&str> = told["user"]["connections"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|connection| connection["outcome"].as_str())
        .collect();
    outcomes.sort_unstable();
    outcomes
}

#[tokio::test]
async fn every_node_tells_of_its_own_connections_and_a_silent_one_is_named() {
    let cluster = Cluster::start(3).await;
    let (here, there) = cluster.pair();
    let (mut phone, mut desktop) = (here.agent(7).await, there.agent(7).await);
    desktop.subscribe(&["call.*"]).await;
    desktop.sync().await;
    there.service().publish(json!({"type": "alert", "payload": {}})).await;
    let id = phone.expect("alert").await["id"].clone();
    let third = &cluster.nodes[2];
    eventually("both are told of", PATIENCE, async || {
        outcomes(&trace(third, &id, 7).await) == ["not_subscribed", "written"]
    })
    .await;
    let told = trace(third, &id, 7).await;
    assert_eq!(told["partial"], json!(false), "{told}");
    let by_outcome = |wanted: &str| {
        let connections = told["user"]["connections"].as_array().expect("a list").clone();
        connections.into_iter().find(|connection| connection["outcome"] == wanted).expect(wanted)
    };
    let (written, left_out) = (by_outcome("written"), by_outcome("not_subscribed"));
    assert_eq!(told["event"]["node"], left_out["node"], "where it was accepted");
    assert_ne!(written["node"], left_out["node"]);
    let stranger = third.service_of(OTHER).get(&format!("/api/v1/events/{}/trace", id.as_str().expect("an id"))).await;
    assert_eq!(stranger.status, 404);
    // Whoever hangs counts as alive for the time of its lease.
    cluster.nodes[1].node.suspend();
    let told = trace(&cluster.nodes[2], &id, 7).await;
    assert_eq!((&told["partial"], &told["silent"]), (&json!(true), &json!([left_out["node"]])), "{told}");
    assert_eq!(outcomes(&told), ["written"]);
}
