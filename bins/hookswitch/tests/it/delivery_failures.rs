//! What counts as a failure, what is tried again, and what an unfriendly receiver can do to us: little.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, Receiver};
use serde_json::{Value, json};

use crate::stage::{Stage, event};

async fn webhook(stage: &Stage, receiver: &Receiver, retry_count: u32, timeout: u32) -> i64 {
    let body = json!({"name": "x", "url": receiver.url("/"), "events": ["alert"],
                      "retry_count": retry_count, "timeout": timeout});
    stage.webhook_with(body).await
}

fn outcome(row: &Value) -> (Value, bool) {
    (row["response_code"].clone(), row["error"].is_string())
}

#[tokio::test]
async fn answers_of_the_receivers_own_making_are_final() {
    let stage = Stage::start().await;
    let mut receivers = Vec::new();
    for status in [200, 204, 301, 400, 404, 410, 429] {
        let receiver = Receiver::start([Behaviour::status(status)]).await;
        receivers.push((status, webhook(&stage, &receiver, 3, 5).await, receiver));
    }
    let sentinel = Receiver::start([Behaviour::status(500), Behaviour::status(200)]).await;
    let id = webhook(&stage, &sentinel, 3, 5).await;
    stage.service().publish(event("alert")).await;
    // Once the retry of the sentinel has come, a retry of the others would have come as well.
    sentinel.wait_for(2).await;
    stage.log_rows(id, 2).await;
    for (status, id, receiver) in receivers {
        let rows = stage.log_rows(id, 1).await;
        assert_eq!((receiver.count(), rows.len(), &rows[0]["response_code"]), (1, 1, &json!(status)));
    }
}

#[tokio::test]
async fn a_reset_a_timeout_and_a_refusal_are_tried_again() {
    let stage = Stage::start().await;
    let reset = Receiver::start([Behaviour::Reset, Behaviour::status(200)]).await;
    let slow = Receiver::start([Behaviour::Hang, Behaviour::status(200)]).await;
    let (reset_id, slow_id) = (webhook(&stage, &reset, 1, 5).await, webhook(&stage, &slow, 1, 1).await);
    stage.service().publish(event("alert")).await;
    for (id, receiver) in [(reset_id, &reset), (slow_id, &slow)] {
        let requests = receiver.wait_for(2).await;
        assert_eq!(requests[0].delivery_id(), requests[1].delivery_id());
        let rows = stage.log_rows(id, 2).await;
        assert_eq!(outcome(&rows[0]), (Value::Null, true), "{rows:?}");
        assert_eq!(outcome(&rows[1]), (json!(200), false), "{rows:?}");
    }
}

#[tokio::test]
async fn no_retries_means_one_attempt() {
    let stage = Stage::start().await;
    let receiver = Receiver::start([Behaviour::status(503)]).await;
    let sentinel = Receiver::start([Behaviour::status(503), Behaviour::status(200)]).await;
    let id = webhook(&stage, &receiver, 0, 5).await;
    webhook(&stage, &sentinel, 1, 5).await;
    stage.service().publish(event("alert")).await;
    sentinel.wait_for(2).await;
    assert_eq!((receiver.count(), stage.log_rows(id, 1).await.len()), (1, 1));
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let stage = Stage::start().await;
    let receiver = Receiver::start([Behaviour::EndlessBody]).await;
    let id = webhook(&stage, &receiver, 0, 2).await;
    let before = stage.node.resident_bytes();
    stage.service().publish(event("alert")).await;
    let rows = stage.log_rows(id, 1).await;
    let body = rows[0]["response_body"].as_str().unwrap_or_default();
    assert!(body.len() <= 64 * 1024, "{} bytes of an endless body are kept", body.len());
    assert!(stage.node.resident_bytes() < before + 64 * 1024 * 1024);
}

#[tokio::test]
async fn one_deadline_covers_the_whole_exchange() {
    let stage = Stage::start().await;
    let receiver = Receiver::start([Behaviour::After(Duration::from_secs(4))]).await;
    let id = webhook(&stage, &receiver, 0, 1).await;
    stage.service().publish(event("alert")).await;
    let rows = stage.log_rows(id, 1).await;
    assert_eq!(outcome(&rows[0]), (Value::Null, true));
    let took = rows[0]["duration_ms"].as_u64().expect("a number");
    assert!((900..3000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_strange_body_is_logged_without_harm() {
    let stage = Stage::start().await;
    let strange = "<script>\u{0}\u{fffd}\"' ; DROP TABLE webhooks; -- 😀".repeat(3);
    let receiver = Receiver::start([Behaviour::json(400, &strange)]).await;
    let id = webhook(&stage, &receiver, 0, 5).await;
    stage.service().publish(event("alert")).await;
    let rows = stage.log_rows(id, 1).await;
    let body = rows[0]["response_body"].as_str().expect("kept");
    assert!(body.contains("DROP TABLE") && body.contains('😀'), "{body}");
    assert_eq!(stage.service().get(&format!("/api/v1/webhooks/{id}")).await.status, 200);
}
