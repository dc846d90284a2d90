//! Typing indicators: relayed to the others of the session, to nobody else, and never kept.

use hookswitch_testkit::Receiver;
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, event, expect_exactly};

fn typing(session: impl Into<Value>) -> Value {
    let payload =
        json!({"session_id": session.into(), "sender_type": "agent", "sender_name": "Ann", "is_typing": true});
    json!({"type": "chat.typing", "payload": payload})
}

#[tokio::test]
async fn an_agents_typing_reaches_colleagues_and_the_visitor() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    stage.start_chat("elsewhere").await;
    let (mut sender, mut colleague) = (stage.agent(1).await, stage.agent(2).await);
    let (mut visitor, mut neighbour) = (stage.visitor("s").await, stage.visitor("elsewhere").await);
    let mut stranger = stage.agent_of(OTHER, 1).await;
    sender.send_json(typing("s")).await;
    let got = visitor.expect("chat.typing").await;
    assert_eq!(got["payload"], typing("s")["payload"]);
    assert!(got["timestamp"].is_string() && got["tenant_id"].is_string(), "{got}");
    colleague.expect("chat.typing").await;
    sender.expect_silence().await;
    neighbour.expect_silence().await;
    stranger.expect_silence().await;
}

#[tokio::test]
async fn a_visitors_typing_is_always_a_visitors() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    let (mut visitor, mut tab) = (stage.visitor("s").await, stage.visitor("s").await);
    let mut agent = stage.agent(1).await;
    visitor.send_json(typing("s")).await;
    for client in [&mut agent, &mut tab] {
        let got = client.expect("chat.typing").await;
        assert_eq!((&got["payload"]["sender_type"], &got["payload"]["session_id"]), (&json!("visitor"), &json!("s")));
        assert_eq!(got["payload"]["sender_name"], "Ann");
    }
    visitor.expect_silence().await;
}

#[tokio::test]
async fn a_visitor_may_not_type_elsewhere() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    stage.start_chat("elsewhere").await;
    let (mut visitor, mut neighbour) = (stage.visitor("s").await, stage.visitor("elsewhere").await);
    let mut agent = stage.agent(1).await;
    visitor.send_json(typing("elsewhere")).await;
    visitor.expect("error").await;
    visitor.expect_silence().await;
    neighbour.expect_silence().await;
    agent.expect_silence().await;
}

#[tokio::test]
async fn an_unknown_foreign_or_ended_session_is_an_error() {
    let stage = Stage::start().await;
    stage.start_chat("ours").await;
    let foreign = json!({"type": "chat.session.started", "payload": {"session_id": "foreign"}});
    stage.service_of(OTHER).publish(foreign).await;
    stage.start_chat("over").await;
    stage.service().publish(json!({"type": "chat.session.ended", "payload": {"session_id": "over"}})).await;
    let mut agent = stage.agent(1).await;
    let mut foreign_visitor = stage.visitor("foreign").await;
    for session in ["nobody", "foreign", "over"] {
        agent.send_json(typing(session)).await;
        agent.expect_error("unknown_session").await;
    }
    agent.expect_silence().await;
    foreign_visitor.expect_silence().await;
}

#[tokio::test]
async fn typing_respects_subscriptions() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    let (mut sender, mut deaf, mut keen) = (stage.agent(1).await, stage.agent(2).await, stage.agent(3).await);
    deaf.subscribe(&["alert"]).await;
    keen.subscribe(&["chat.*"]).await;
    sender.send_json(typing("s")).await;
    keen.expect("chat.typing").await;
    deaf.expect_silence().await;
}

#[tokio::test]
async fn typing_goes_to_no_webhook() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.start_chat("s").await;
    stage.webhook(&receiver.url("/"), &["chat.typing", "alert"]).await;
    let (mut sender, mut colleague) = (stage.agent(1).await, stage.agent(2).await);
    sender.send_json(typing("s")).await;
    colleague.expect("chat.typing").await;
    stage.service().publish(event("alert")).await;
    assert_eq!(receiver.wait_for(1).await[0].json()["event"], "alert");
}

#[tokio::test]
async fn bad_typing_commands_are_told() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    for payload in [json!({}), json!({"session_id": []}), json!("s"), json!(null)] {
        agent.send_json(json!({"type": "chat.typing", "payload": payload})).await;
        agent.expect_error("invalid_field").await;
    }
    expect_exactly(&mut agent, &[]).await;
}

#[tokio::test]
async fn a_session_with_a_key_is_meant_by_its_id_as_well() {
    let stage = Stage::start().await;
    let start = json!({"session_id": 88, "session_key": "secret-key"});
    stage.service().publish(json!({"type": "chat.session.started", "payload": start})).await;
    let (mut visitor, mut agent) = (stage.visitor("secret-key").await, stage.agent(1).await);
    agent.send_json(typing(88)).await;
    assert_eq!(visitor.expect("chat.typing").await["payload"]["session_id"], 88);
    for known_as in [json!(88), json!("secret-key")] {
        visitor.send_json(typing(known_as)).await;
        assert_eq!(agent.expect("chat.typing").await["payload"]["sender_type"], "visitor");
    }
}
