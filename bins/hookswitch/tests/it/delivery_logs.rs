//! Logs, statistics and the failed list: rows of attempts, one truth for all three.

use hookswitch_testkit::{Behaviour, Receiver};
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, event};

/// One webhook with two good and one failed delivery, another with a failure that later succeeded.
async fn played() -> (Stage, i64, i64) {
    let stage = Stage::start().await;
    let mixed =
        Receiver::start([Behaviour::json(200, "fine"), Behaviour::json(400, "no"), Behaviour::status(200)]).await;
    let late = Receiver::start([Behaviour::status(500), Behaviour::status(200)]).await;
    let mixed_id = stage.webhook(&mixed.url("/"), &["alert"]).await;
    let late_id = stage.webhook(&late.url("/"), &["call.ended"]).await;
    for n in 1..=3 {
        stage.service().publish(event("alert")).await;
        mixed.wait_for(n).await;
        stage.log_rows(mixed_id, n).await;
    }
    stage.service().publish(event("call.ended")).await;
    late.wait_for(2).await;
    stage.log_rows(late_id, 2).await;
    (stage, mixed_id, late_id)
}

async fn rows(stage: &Stage, path: &str) -> Vec<Value> {
    stage.service().get(&format!("/api/v1/webhooks{path}")).await.data().as_array().cloned().expect("an array")
}

#[tokio::test]
async fn a_log_row_has_the_contracts_fields() {
    let (stage, mixed, _) = played().await;
    let rows = rows(&stage, &format!("/{mixed}/logs")).await;
    assert_eq!(rows.len(), 3);
    let fine = rows.iter().find(|row| row["response_body"] == "fine").expect("the first delivery's row");
    for field in [
        "id",
        "webhook_id",
        "event",
        "payload",
        "response_code",
        "response_body",
        "error",
        "duration_ms",
        "attempt",
        "created_at",
    ] {
        assert!(fine.get(field).is_some(), "{field} is missing: {fine}");
    }
    assert_eq!((&fine["webhook_id"], &fine["event"]), (&json!(mixed), &json!("alert")));
    assert_eq!((&fine["response_code"], &fine["attempt"], &fine["error"]), (&json!(200), &json!(1), &Value::Null));
    assert!(fine["duration_ms"].is_u64(), "{fine}");
    let payload = match &fine["payload"] {
        Value::String(text) => serde_json::from_str(text).expect("JSON"),
        other => other.clone(),
    };
    assert_eq!((&payload["event"], &payload["data"]), (&json!("alert"), &event("alert")["payload"]), "the body sent");
}

#[tokio::test]
async fn logs_are_limited_and_newest_first() {
    let (stage, mixed, _) = played().await;
    let all = rows(&stage, &format!("/{mixed}/logs")).await;
    let ids: Vec<_> = all.iter().map(|row| row["id"].as_i64().expect("an integer")).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    let newest = rows(&stage, &format!("/{mixed}/logs?limit=1")).await;
    assert_eq!(newest, all[..1]);
    let answer = stage.service().get(&format!("/api/v1/webhooks/{mixed}/logs?limit=1")).await;
    assert!(answer.meta().is_object(), "paging stands in meta: {}", answer.text());
}

#[tokio::test]
async fn statistics_count_rows() {
    let (stage, mixed, late) = played().await;
    let stats = async |id: i64| stage.service().get(&format!("/api/v1/webhooks/{id}/stats")).await.data();
    let mixed = stats(mixed).await;
    assert_eq!((&mixed["total_deliveries"], &mixed["successful_count"]), (&json!(3), &json!(2)));
    assert_eq!(mixed["failed_count"], json!(1));
    let rate = mixed["success_rate"].as_f64().expect("percent");
    assert!((rate - 66.67).abs() < 0.1, "{rate}");
    assert!(mixed["avg_latency_ms"].is_number(), "{mixed}");
    let late = stats(late).await;
    assert_eq!((&late["total_deliveries"], &late["successful_count"]), (&json!(2), &json!(1)), "rows, not deliveries");
    let future = stage.service().get("/api/v1/webhooks/1/stats?since=2099-01-01T00:00:00Z").await.data();
    assert_eq!((&future["total_deliveries"], &future["failed_count"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn the_failed_list_has_the_tenants_rows_without_success() {
    let (stage, mixed, late) = played().await;
    let dead = stage
        .webhook_with(json!({"name": "x", "url": "http://127.0.0.1:9/", "events": ["queue.left"], "retry_count": 0}));
    let dead = dead.await;
    stage.service().publish(event("queue.left")).await;
    stage.log_rows(dead, 1).await;
    let failed = rows(&stage, "/failed").await;
    let webhooks: Vec<_> = failed.iter().map(|row| row["webhook_id"].as_i64().expect("an id")).collect();
    assert_eq!(webhooks, [dead, late, mixed], "newest first, also unanswered ones and ones that later succeeded");
    assert!(failed.iter().all(|row| !row["response_code"].as_u64().is_some_and(|c| (200..300).contains(&c))));
    assert_eq!(rows(&stage, "/failed?since=2099-01-01T00:00:00Z").await, [] as [Value; 0]);
    let stranger = stage.service_of(OTHER).get("/api/v1/webhooks/failed").await;
    assert_eq!(stranger.data(), json!([]));
}

#[tokio::test]
async fn logs_survive_a_crash() {
    let (stage, mixed, _) = played().await;
    let stage = stage.crash_and_restart().await;
    assert_eq!(rows(&stage, &format!("/{mixed}/logs")).await.len(), 3);
}

#[tokio::test]
async fn many_rows_can_be_paged_through() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    let id = stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.service().publish(json!({"events": vec![event("alert"); 120]})).await;
    receiver.wait_for(120).await;
    stage.log_rows(id, 100).await;
    assert_eq!(rows(&stage, &format!("/{id}/logs")).await.len(), 50, "the default limit");
    assert_eq!(rows(&stage, &format!("/{id}/logs?limit=10")).await.len(), 10);
}
