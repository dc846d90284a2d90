//! Which connections a user has, and how the nodes are.

use hookswitch_testkit::{PATIENCE, eventually};
use serde_json::json;

use crate::rig::Rig;

const NODES: &str = "/api/v1/nodes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_connections_are_told_with_their_way() {
    let rig = Rig::open().await;
    let (_phone, _desktop, _other) =
        (rig.agent("tenant-1", 7).await, rig.agent("tenant-1", 7).await, rig.agent("tenant-2", 7).await);
    let service = rig.service("tenant-1");
    let told = service.get("/api/v1/presence/7/connections").await.data();
    assert_eq!((&told["user_id"], &told["partial"]), (&json!(7), &json!(false)));
    let connections = told["connections"].as_array().expect("a list");
    assert_eq!(connections.len(), 2, "and not another tenant's: {told}");
    for connection in connections {
        assert_eq!((&connection["address"], &connection["transport"]), (&json!("127.0.0.1"), &json!("websocket")));
        assert!(connection["since"].is_string() && connection["node"].is_string());
        assert!(connection.get("outcome").is_none() && connection.get("until").is_none());
    }
    assert_eq!(service.get("/api/v1/presence/8/connections").await.data()["connections"], json!([]));
    service.get("/api/v1/presence/0/connections").await.expect_error(400, "invalid_field");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_how_it_is() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 7).await;
    rig.service("tenant-1").publish(json!({"type": "alert", "payload": {}})).await;
    agent.expect("alert").await;
    let report = async || {
        let told = rig.service("tenant-1").get(NODES).await.data();
        assert_eq!((&told["partial"], &told["silent"]), (&json!(false), &json!([])));
        told["nodes"][0]["report"].clone()
    };
    let told = report().await;
    assert_eq!((&told["connections"], &told["deliveries"], &told["drops"]), (&json!(1), &json!(1), &json!(0)));
    let is_counted = |count: &serde_json::Value| count.as_u64().is_some_and(|n| n >= 1);
    assert!(is_counted(&told["events"]) && is_counted(&told["history"]["events"]), "{told}");
    assert_eq!((&told["status"], &told["checks"]["accepting"]), (&json!("ready"), &json!("ok")));
    assert_eq!(told["history"]["shortest_reach"], json!(600));
    let queue = told["queues"].as_array().expect("a list").iter().find(|queue| queue["name"] == "connections");
    assert_eq!(queue.expect("it is there")["used"], json!(1));
    assert!(told["version"].is_string() && told["started_at"].is_string());
    eventually("its rate is told", PATIENCE, async || {
        rig.service("tenant-1").publish(json!({"type": "alert", "payload": {}})).await;
        report().await["per_second"]["events"].as_f64().is_some_and(|rate| rate > 0.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_are_for_those_who_supervise() {
    let rig = Rig::open().await;
    for path in [NODES, "/api/v1/presence/7/connections"] {
        for (role, status) in [("agent", 403), ("supervisor", 200), ("admin", 200), ("service", 200)] {
            assert_eq!(rig.role("tenant-1", role).get(path).await.status, status, "{role} {path}");
        }
        assert_eq!(rig.api().get(path).await.status, 401, "{path}");
    }
}
