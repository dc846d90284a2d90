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

#[tokio::test]
async fn a_users_connections_and_the_nodes_are_told_by_any_of_them() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let (_phone, _desktop) = (here.agent(7).await, there.agent(7).await);
    let told = here.service().get("/api/v1/presence/7/connections").await.data();
    let connections = told["connections"].as_array().expect("a list");
    let mut nodes: Vec<&Value> = connections.iter().map(|connection| &connection["node"]).collect();
    nodes.sort_by_key(ToString::to_string);
    nodes.dedup();
    assert_eq!((connections.len(), nodes.len(), &told["partial"]), (2, 2, &json!(false)), "{told}");
    let told = there.service().get("/api/v1/nodes").await.data();
    let of_nodes = told["nodes"].as_array().expect("a list");
    assert_eq!((of_nodes.len(), &told["partial"]), (2, &json!(false)), "{told}");
    for node in of_nodes {
        assert_eq!((&node["report"]["connections"], &node["report"]["checks"]["redis"]), (&json!(1), &json!("ok")));
    }
    cluster.nodes[1].node.suspend();
    let told = here.service().get("/api/v1/nodes").await.data();
    assert_eq!((told["nodes"].as_array().map(Vec::len), &told["partial"]), (Some(1), &json!(true)), "{told}");
    assert_eq!(told["silent"], json!([of_nodes[0]["node"]]), "the one that answered itself before");
}
