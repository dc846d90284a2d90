//! The life of a public chat session: known from its start to its end, across restarts, to one tenant.

use hookswitch_testkit::Answer;
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, event, expect_exactly};

fn start(key: &str) -> Value {
    json!({"type": "chat.session.started", "payload": {"session_id": key, "status": "open"}})
}

fn end(key: &str) -> Value {
    json!({"type": "chat.session.ended", "payload": {"session_id": key, "status": "closed"}})
}

async fn knock(stage: &Stage, key: &str) -> Answer {
    stage.node.api().upgrade(&format!("/ws/public/{key}"), &[]).await
}

#[tokio::test]
async fn both_start_events_make_a_session_known() {
    let stage = Stage::start().await;
    for (key, event_type) in [("a", "chat.session.started"), ("b", "chat.session.created")] {
        knock(&stage, key).await.expect_error(404, "unknown_session");
        stage.service().publish(json!({"type": event_type, "payload": {"session_id": key}})).await;
        stage.visitor(key).await.expect_silence().await;
    }
    stage.service().publish(json!({"type": "chat.message", "payload": {"session_id": "c"}})).await;
    knock(&stage, "c").await.expect_error(404, "unknown_session");
}

#[tokio::test]
async fn the_end_is_told_then_closes_with_4410_and_the_key_is_unknown() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    let (mut visitor, mut agent) = (stage.visitor("s").await, stage.agent(1).await);
    stage.service().publish(end("s")).await;
    visitor.expect("chat.session.ended").await;
    assert_eq!(visitor.close_code().await, 4410);
    expect_exactly(&mut agent, &["chat.session.ended"]).await;
    knock(&stage, "s").await.expect_error(404, "unknown_session");
}

#[tokio::test]
async fn sessions_survive_a_crash_and_stay_ended() {
    let stage = Stage::start().await;
    stage.start_chat("alive").await;
    stage.start_chat("over").await;
    stage.service().publish(end("over")).await;
    let stage = stage.crash_and_restart().await;
    let mut visitor = stage.visitor("alive").await;
    knock(&stage, "over").await.expect_error(404, "unknown_session");
    stage.service().publish(json!({"type": "chat.message", "payload": {"session_id": "alive"}})).await;
    visitor.expect("chat.message").await;
}

#[tokio::test]
async fn the_first_tenant_to_start_a_key_has_it() {
    let stage = Stage::start().await;
    stage.service().publish(start("key")).await;
    let mut thief = stage.agent_of(OTHER, 1).await;
    stage.service_of(OTHER).try_publish(start("key")).await.expect_error(409, "conflict");
    stage.service_of(OTHER).publish(event("alert")).await;
    expect_exactly(&mut thief, &["alert"]).await;
    // Its own tenant may say it again.
    stage.service().publish(start("key")).await;
    // Not even the end is another tenant's to say.
    stage.service_of(OTHER).try_publish(end("key")).await;
    stage.visitor("key").await.expect_silence().await;
}

#[tokio::test]
async fn an_ended_key_is_free_again() {
    let stage = Stage::start().await;
    stage.service().publish(start("key")).await;
    stage.service().publish(end("key")).await;
    stage.service_of(OTHER).publish(start("key")).await;
    let mut visitor = stage.visitor("key").await;
    let message = json!({"type": "chat.message", "payload": {"session_id": "key", "body": "whose?"}});
    stage.service().try_publish(message).await;
    stage.service_of(OTHER).publish(json!({"type": "chat.agent.joined", "payload": {"session_id": "key"}})).await;
    expect_exactly(&mut visitor, &["chat.agent.joined"]).await;
}

#[tokio::test]
async fn a_conflict_within_a_batch_refuses_the_whole_batch() {
    let stage = Stage::start().await;
    stage.service().publish(start("key")).await;
    let mut thief = stage.agent_of(OTHER, 1).await;
    let batch = json!({"events": [event("call.incoming"), start("key")]});
    let message = stage.service_of(OTHER).try_publish(batch).await.expect_error(409, "conflict");
    assert!(message.contains('1'), "names the entry: {message}");
    stage.service_of(OTHER).publish(event("alert")).await;
    expect_exactly(&mut thief, &["alert"]).await;
}

#[tokio::test]
async fn started_talked_and_ended_in_one_batch_is_in_order() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    let message = json!({"type": "chat.message", "payload": {"session_id": "quick"}});
    stage.service().publish(json!({"events": [start("quick"), message, end("quick")]})).await;
    expect_exactly(&mut agent, &["chat.session.started", "chat.message", "chat.session.ended"]).await;
    knock(&stage, "quick").await.expect_error(404, "unknown_session");
}
