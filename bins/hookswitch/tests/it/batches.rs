//! Publishing many at once, and publishing the same twice.

use hookswitch_testkit::Receiver;
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, event, expect_exactly};

fn numbered(n: u64) -> Value {
    json!({"type": "queue.stats", "payload": {"n": n}})
}

#[tokio::test]
async fn a_thousand_events_go_in_and_come_out_in_order() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    let ids = stage.service().publish(json!({"events": (0..1000).map(numbered).collect::<Vec<_>>()})).await;
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 1000, "one id each");
    for (n, id) in ids.iter().enumerate() {
        let got = agent.expect("queue.stats").await;
        assert_eq!((&got["payload"]["n"], &got["id"]), (&json!(n), &json!(id)));
    }
    agent.expect_silence().await;
}

#[tokio::test]
async fn more_than_a_thousand_are_refused() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    let answer = stage.service().try_publish(json!({"events": (0..1001).map(numbered).collect::<Vec<_>>()})).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("1000"), "names the limit: {}", answer.text());
    agent.expect_silence().await;
}

#[tokio::test]
async fn a_bad_entry_is_named_and_nothing_of_the_batch_is_accepted() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert", "call.ended"]).await;
    let mut agent = stage.agent(1).await;
    for (bad, field) in [
        (json!({"type": "Bad Type"}), "type"),
        (json!({"type": "alert", "user_id": 0}), "user_id"),
        (json!({"type": "alert", "payload": 7}), "payload"),
        (json!({"type": "ping"}), "type"),
        (json!("text"), "2"),
    ] {
        let batch = json!({"events": [event("alert"), event("alert"), bad, event("alert")]});
        let answer = stage.service().try_publish(batch).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = answer.json()["error"].to_string();
        assert!(error.contains('2') && error.contains(field), "names index 2 and {field}: {error}");
    }
    stage.service().publish(event("call.ended")).await;
    expect_exactly(&mut agent, &["call.ended"]).await;
    assert_eq!(receiver.wait_for(1).await[0].json()["event"], "call.ended");
}

#[tokio::test]
async fn an_id_repeated_with_the_same_content_has_one_effect() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert", "call.ended"]).await;
    let mut agent = stage.agent(1).await;
    let body = json!({"type": "alert", "id": "once", "payload": {"title": "x"}});
    for _ in 0..3 {
        assert_eq!(stage.service().publish(body.clone()).await, ["once"]);
    }
    let batch = json!({"events": [body, event("call.ended")]});
    assert_eq!(stage.service().publish(batch).await[0], "once");
    expect_exactly(&mut agent, &["alert", "call.ended"]).await;
    let events: Vec<_> = receiver.wait_for(2).await.iter().map(|r| r.json()["event"].clone()).collect();
    assert_eq!(events.len(), 2, "{events:?}");
}

#[tokio::test]
async fn an_id_repeated_with_other_content_is_a_conflict() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    stage.service().publish(json!({"type": "alert", "id": "once", "payload": {"title": "x"}})).await;
    for other in [
        json!({"type": "alert", "id": "once", "payload": {"title": "y"}}),
        json!({"type": "notification", "id": "once", "payload": {"title": "x"}}),
        json!({"type": "alert", "id": "once", "payload": {"title": "x"}, "user_id": 1}),
        json!({"events": [event("call.ended"), {"type": "alert", "id": "once"}]}),
    ] {
        stage.service().try_publish(other).await.expect_error(409, "conflict");
    }
    expect_exactly(&mut agent, &["alert"]).await;
}

#[tokio::test]
async fn ids_are_each_tenants_own_and_survive_a_crash() {
    let stage = Stage::start().await;
    let body = json!({"type": "alert", "id": "once", "payload": {"title": "x"}});
    stage.service().publish(body.clone()).await;
    let mut stranger = stage.agent_of(OTHER, 1).await;
    stage.service_of(OTHER).publish(json!({"type": "call.ended", "id": "once"})).await;
    expect_exactly(&mut stranger, &["call.ended"]).await;
    let stage = stage.crash_and_restart().await;
    let mut agent = stage.agent(1).await;
    stage.service().publish(body).await;
    stage.service().try_publish(json!({"type": "call.ended", "id": "once"})).await.expect_error(409, "conflict");
    expect_exactly(&mut agent, &[]).await;
}

#[tokio::test]
async fn the_same_id_twice_at_the_same_time_has_one_effect() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    let body = json!({"type": "alert", "id": "race", "payload": {}});
    let service = stage.service();
    let publishes = (0..8).map(|_| service.publish(body.clone()));
    futures_util::future::join_all(publishes).await;
    expect_exactly(&mut agent, &["alert"]).await;
}
