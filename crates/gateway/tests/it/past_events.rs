//! What happened, for programs that compare it with what they know.

use hookswitch_hub::HistoryLimits;
use serde_json::{Value, json};

use crate::rig::Rig;

const EVENTS: &str = "/api/v1/events";

async fn data(rig: &Rig, query: &str) -> Value {
    let answer = rig.service("tenant-1").get(&format!("{EVENTS}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()["data"].clone()
}

fn numbers(data: &Value) -> Vec<i64> {
    data["events"].as_array().expect("a list").iter().filter_map(|event| event["payload"]["n"].as_i64()).collect()
}

fn position(data: &Value) -> String {
    data["position"].as_str().expect("a position").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_given_page_by_page() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let begin = data(&rig, "").await;
    assert_eq!((numbers(&begin), &begin["has_more"]), (vec![], &json!(false)), "where to begin");
    for n in 0..5 {
        let user = if n == 2 { json!(7) } else { Value::Null };
        service.publish(json!({"type": "alert", "user_id": user, "payload": {"n": n}})).await;
    }
    rig.service("tenant-2").publish(json!({"type": "alert", "payload": {"n": 99}})).await;
    let first = data(&rig, &format!("after={}&limit=3", position(&begin))).await;
    assert_eq!((numbers(&first), &first["has_more"]), (vec![0, 1, 2], &json!(true)), "also what is kept for somebody");
    let last_of_it = first["events"][2]["position"].as_str().expect("each has its own");
    assert_eq!(last_of_it, position(&first));
    let rest = data(&rig, &format!("after={}", position(&first))).await;
    assert_eq!((numbers(&rest), &rest["has_more"]), (vec![3, 4], &json!(false)));
    let none = data(&rig, &format!("after={}", position(&rest))).await;
    assert_eq!((numbers(&none), position(&none)), (vec![], position(&rest)));
    assert_eq!(position(&data(&rig, "after=").await), position(&rest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_bounded_in_bytes_and_one_event_always_comes() {
    let rig =
        Rig::with(|_, hub| hub.history = HistoryLimits { bytes: 16 * 1024 * 1024, ..HistoryLimits::default() }).await;
    let begin = data(&rig, "").await;
    let filler = "x".repeat(400 * 1024);
    for n in 0..3 {
        rig.service("tenant-1").publish(json!({"type": "alert", "payload": {"n": n, "filler": filler}})).await;
    }
    let first = data(&rig, &format!("after={}", position(&begin))).await;
    assert_eq!((numbers(&first), &first["has_more"]), (vec![0, 1], &json!(true)));
    assert_eq!(numbers(&data(&rig, &format!("after={}", position(&first))).await), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_given_is_410_with_the_reason() {
    let rig = Rig::with(|_, hub| hub.history = HistoryLimits { events: 2, ..HistoryLimits::default() }).await;
    let service = rig.service("tenant-1");
    let begin = position(&data(&rig, "").await);
    for n in 0..4 {
        service.publish(json!({"type": "alert", "payload": {"n": n}})).await;
    }
    let newest = position(&data(&rig, "").await);
    for (after, reason) in [(begin.as_str(), "expired"), ("1:1", "epoch"), ("yesterday", "epoch")] {
        let answer = service.get(&format!("{EVENTS}?after={after}")).await;
        answer.expect_error(410, "not_recovered");
        let details = answer.json()["error"]["details"].clone();
        assert_eq!(details, json!({"reason": reason, "position": newest}), "{after}");
    }
    for bad in ["limit=0", "limit=1001", "limit=x"] {
        assert_eq!(service.get(&format!("{EVENTS}?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_for_services_and_administrators() {
    let rig = Rig::open().await;
    for (role, status) in [("agent", 403), ("supervisor", 403), ("admin", 200), ("service", 200)] {
        assert_eq!(rig.role("tenant-1", role).get(EVENTS).await.status, status, "{role}");
    }
    assert_eq!(rig.api().get(EVENTS).await.status, 401);
}
