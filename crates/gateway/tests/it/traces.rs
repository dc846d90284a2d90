//! What became of an event, as an operator asks for it.

use hookswitch_testkit::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::rig::Rig;

fn path(id: &str, user: Option<&str>) -> String {
    let user = user.map(|user| format!("?user_id={user}")).unwrap_or_default();
    format!("/api/v1/events/{id}/trace{user}")
}

async fn publish(rig: &Rig, event: Value) -> String {
    let answer = rig.service("tenant-1").post("/api/v1/events", event).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.data()["ids"][0].as_str().expect("an id").to_owned()
}

async fn trace(rig: &Rig, id: &str, user: Option<&str>) -> Value {
    let answer = rig.service("tenant-1").get(&path(id, user)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.data()
}

/// The outcomes for the user's connections.
async fn outcomes(rig: &Rig, id: &str, user: &str) -> Vec<String> {
    let told = trace(rig, id, Some(user)).await;
    let connections = told["user"]["connections"].as_array().expect("a list").iter();
    connections.map(|connection| connection["outcome"].as_str().expect("one").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_events_way_to_a_users_connections_is_told() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 7).await;
    let id = publish(&rig, json!({"type": "alert", "payload": {"n": 1}})).await;
    let received = agent.expect("alert").await;
    assert_eq!(received["id"], *id);
    eventually("it is written", PATIENCE, async || outcomes(&rig, &id, "7").await == ["written"]).await;
    let told = trace(&rig, &id, Some("7")).await;
    assert_eq!((&told["event"]["type"], &told["event"]["position"]), (&json!("alert"), &received["position"]));
    assert_eq!(told["event"]["accepted_at"], received["timestamp"]);
    assert_eq!((&told["partial"], &told["kept"], &told["webhooks"]), (&json!(false), &json!([]), &json!([])));
    let connection = &told["user"]["connections"][0];
    assert_eq!((&connection["address"], &connection["transport"]), (&json!("127.0.0.1"), &json!("websocket")));
    assert!(outcomes(&rig, &id, "8").await.is_empty(), "not connected");
    assert!(trace(&rig, &id, None).await.get("user").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_event_and_one_for_a_webhook_are_told() {
    let rig = Rig::with_receivers().await;
    let service = rig.service("tenant-1");
    let hook = json!({"name": "CRM", "url": "https://127.0.0.1:9/", "events": ["call.incoming"], "retry_count": 0});
    let webhook = service.post("/api/v1/webhooks", hook).await.data()["id"].clone();
    let kept = publish(&rig, json!({"type": "notification", "user_id": 9, "payload": {}})).await;
    let told = trace(&rig, &kept, Some("9")).await;
    assert_eq!((&told["kept"][0]["user_id"], &told["user"]["connections"]), (&json!(9), &json!([])));
    let sent = publish(&rig, json!({"type": "call.incoming", "payload": {}})).await;
    eventually("the attempt is told", PATIENCE, async || {
        trace(&rig, &sent, None).await["webhooks"][0]["state"] == "failed"
    })
    .await;
    let delivery = trace(&rig, &sent, None).await["webhooks"][0].clone();
    assert_eq!((&delivery["webhook_id"], &delivery["attempts"][0]["attempt"]), (&webhook, &json!(1)));
    assert!(delivery["attempts"][0]["error"].is_string(), "{delivery}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_for_services_and_administrators_of_the_tenant() {
    let rig = Rig::open().await;
    let id = publish(&rig, json!({"type": "alert", "payload": {}})).await;
    for (role, status) in [("agent", 403), ("supervisor", 403), ("admin", 200), ("service", 200)] {
        assert_eq!(rig.role("tenant-1", role).get(&path(&id, None)).await.status, status, "{role}");
    }
    assert_eq!(rig.api().get(&path(&id, None)).await.status, 401);
    rig.service("tenant-2").get(&path(&id, None)).await.expect_error(404, "not_found");
    for unknown in ["0199", "%20", "a%00b"] {
        rig.service("tenant-1").get(&path(unknown, None)).await.expect_error(404, "not_found");
    }
    let bad = "x".repeat(65);
    rig.service("tenant-1").get(&path(&id, Some(&bad))).await.expect_error(400, "invalid_field");
}
