//! Health, metrics, and the envelope of every error.

use hookswitch_testkit::Receiver;
use serde_json::json;

use crate::stage::{Stage, event};

#[tokio::test]
async fn a_healthy_node_says_so_to_anybody() {
    let stage = Stage::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = stage.node.api().get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    let mut agent = stage.agent(1).await;
    stage.service().publish(event("alert")).await;
    agent.expect("alert").await;
    receiver.wait_for(1).await;
    let answer = stage.node.api().get("/metrics").await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text();
    assert!(text.contains("# TYPE hookswitch_events_total counter\n") && !text.contains("# EOF"), "{text}");
    let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(!samples.is_empty(), "{text}");
    for sample in &samples {
        let value = sample.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok(), "not a sample: {sample}");
    }
    assert!(samples.iter().any(|s| s.contains("connection") && !s.ends_with(" 0")), "connections are counted: {text}");
    assert!(!text.contains("tenant-123"), "no tenant in a label: {text}");
}

#[tokio::test]
async fn every_refused_publishing_call_is_counted_by_code() {
    let stage = Stage::start().await;
    let service = stage.service();
    service.try_publish(event("ping")).await.expect_error(400, "reserved_type");
    service.try_publish(json!({"events": [event("alert"), event("alert!")]})).await.expect_error(400, "invalid_field");
    service.publish(json!({"type": "alert", "id": "e1"})).await;
    service.try_publish(json!({"type": "call.ended", "id": "e1"})).await.expect_error(409, "conflict");
    let text = stage.node.api().get("/metrics").await.text();
    for code in ["reserved_type", "invalid_field", "conflict"] {
        let line = format!("hookswitch_events_refused_total{{code=\"{code}\"}} 1\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[tokio::test]
async fn every_error_has_the_envelope_and_a_request_id_of_its_own() {
    let stage = Stage::start().await;
    let service = stage.service();
    for path in ["/nowhere", "/api/v1/nowhere", "/", "/console", "/api", "/ws/nowhere"] {
        service.get(path).await.expect_error(404, "not_found");
    }
    service.delete("/api/v1/events").await.expect_error(405, "method_not_allowed");
    service.delete("/api/v1/webhooks").await.expect_error(405, "method_not_allowed");
    service.post("/ws/stats", json!({})).await.expect_error(405, "method_not_allowed");
    let (first, second) = (service.get("/nowhere").await, service.get("/nowhere").await);
    assert_ne!(first.json()["request_id"], second.json()["request_id"]);
}

#[tokio::test]
async fn a_method_not_allowed_says_which_are() {
    let stage = Stage::start().await;
    let answer = stage.service().delete("/api/v1/events").await;
    assert_eq!((answer.status, answer.header("allow").contains("POST")), (405, true), "{:?}", answer.headers);
    let answer = stage.service().post("/ws/stats", json!({})).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn a_success_has_the_envelope_too() {
    let stage = Stage::start().await;
    let answer = stage.service().get("/api/v1/webhooks").await;
    assert_eq!((answer.status, answer.data()), (200, json!([])));
}

#[tokio::test]
async fn an_error_tells_nothing_of_the_inside() {
    let stage = Stage::start().await;
    for path in ["/api/v1/webhooks/1%27%20OR%201=1", "/api/v1/webhooks/99999999999999999999", "/api/v1/webhooks/-1"] {
        let answer = stage.service().get(path).await;
        assert!(answer.status == 400 || answer.status == 404, "{path}: {}", answer.status);
        for leak in ["sqlite", "SELECT", "diesel", "panicked", ".rs"] {
            assert!(!answer.text().contains(leak), "{path}: {}", answer.text());
        }
    }
}
