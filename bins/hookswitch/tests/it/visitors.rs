//! Visitors of the chat widget: they hear their own session and nothing else.

use hookswitch_testkit::{Token, WsRequest};
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, TENANT, event, event_for, expect_exactly};

fn message(session: impl Into<Value>) -> Value {
    let payload = json!({"session_id": session.into(), "message_id": 1, "sender_type": "agent", "body": "hello"});
    json!({"type": "chat.message", "payload": payload})
}

#[tokio::test]
async fn a_visitor_gets_the_chat_events_of_its_own_session_only() {
    let stage = Stage::start().await;
    stage.start_chat("mine").await;
    stage.start_chat("theirs").await;
    let (mut visitor, mut neighbour) = (stage.visitor("mine").await, stage.visitor("theirs").await);
    let events = json!([
        event("call.incoming"),
        event("alert"),
        message("theirs"),
        {"type": "chat.agent.joined", "payload": {"session_id": "mine", "agent_id": 4}},
        {"type": "ticket.created", "payload": {"session_id": "mine"}},
        {"type": "chat.transferred", "payload": {}},
        message("mine"),
    ]);
    stage.service().publish(json!({"events": events})).await;
    expect_exactly(&mut visitor, &["chat.agent.joined", "chat.message"]).await;
    expect_exactly(&mut neighbour, &["chat.message"]).await;
}

#[tokio::test]
async fn both_ways_to_name_the_session_work_under_both_prefixes() {
    let stage = Stage::start().await;
    stage.start_chat("key-1").await;
    let mut visitors = Vec::new();
    for path in [
        "/ws/public/key-1",
        "/api/v1/ws/public/key-1",
        "/ws/public?session_id=key-1",
        "/api/v1/ws/public?session_id=key-1",
        "/ws/public?utm=x&session_id=key-1&theme=dark",
        "/ws/public/key-1?theme=dark",
    ] {
        visitors.push(WsRequest::new(stage.addr(), path).open().await);
    }
    stage.service().publish(message("key-1")).await;
    for visitor in &mut visitors {
        expect_exactly(visitor, &["chat.message"]).await;
    }
}

#[tokio::test]
async fn a_numeric_session_is_known_by_its_digits() {
    let stage = Stage::start().await;
    stage.start_chat(77).await;
    let mut visitor = stage.visitor("77").await;
    stage.service().publish(message(77)).await;
    assert_eq!(visitor.expect("chat.message").await["payload"]["session_id"], 77, "as it came");
    stage.service().publish(message("77")).await;
    assert_eq!(visitor.expect("chat.message").await["payload"]["session_id"], "77", "as it came");
}

#[tokio::test]
async fn the_session_key_wins_over_the_id_and_the_id_leads_to_it() {
    let stage = Stage::start().await;
    let payload = json!({"session_id": 88, "session_key": "secret-key", "status": "open"});
    stage.service().publish(json!({"type": "chat.session.created", "payload": payload})).await;
    let mut visitor = stage.visitor("secret-key").await;
    stage.node.api().upgrade("/ws/public/88", &[]).await.expect_error(404, "unknown_session");
    stage.service().publish(message(88)).await;
    visitor.expect("chat.message").await;
    let keyed = json!({"session_id": 88, "session_key": "secret-key", "body": "x"});
    stage.service().publish(json!({"type": "chat.message.new", "payload": keyed})).await;
    visitor.expect("chat.message.new").await;
    stage.service().publish(json!({"type": "chat.session.ended", "payload": {"session_id": 88}})).await;
    visitor.expect("chat.session.ended").await;
    assert_eq!(visitor.close_code().await, 4410);
}

#[tokio::test]
async fn a_top_level_session_id_is_short_for_the_payloads() {
    let stage = Stage::start().await;
    stage.start_chat("short").await;
    let mut visitor = stage.visitor("short").await;
    stage.service().publish(json!({"type": "chat.message", "session_id": "short", "payload": {"body": "hi"}})).await;
    assert_eq!(visitor.expect("chat.message").await["payload"]["body"], "hi");
}

#[tokio::test]
async fn a_visitors_subscription_narrows_and_never_widens() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    let mut visitor = stage.visitor("s").await;
    visitor.subscribe(&["chat.agent.joined", "call.*", "alert", "*"]).await;
    visitor.unsubscribe(&["*"]).await;
    let joined = json!({"type": "chat.agent.joined", "payload": {"session_id": "s"}});
    let events = json!([event("call.incoming"), event("alert"), message("s"), joined]);
    stage.service().publish(json!({"events": events})).await;
    expect_exactly(&mut visitor, &["chat.agent.joined"]).await;
}

#[tokio::test]
async fn a_targeted_chat_event_is_not_for_the_visitor() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    let mut visitor = stage.visitor("s").await;
    let mut targeted = event_for(4, "chat.message");
    targeted["session_id"] = json!("s");
    stage.service().publish(json!({"events": [targeted, message("s")]})).await;
    let got = visitor.expect("chat.message").await;
    assert_eq!(got["payload"]["body"], "hello", "{got}");
    visitor.expect_silence().await;
}

#[tokio::test]
async fn another_tenants_message_with_the_same_key_does_not_reach_the_visitor() {
    let stage = Stage::start().await;
    stage.start_chat("shared").await;
    let mut visitor = stage.visitor("shared").await;
    stage.service_of(OTHER).try_publish(message("shared")).await;
    stage.service().publish(json!({"type": "chat.agent.joined", "payload": {"session_id": "shared"}})).await;
    expect_exactly(&mut visitor, &["chat.agent.joined"]).await;
}

#[tokio::test]
async fn a_visitor_without_token_cannot_be_an_agent_and_an_agents_token_does_not_widen_a_visitor() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    let token = stage.sign(&Token::new(TENANT, 1));
    let mut visitor = WsRequest::new(stage.addr(), "/ws/public/s").bearer(&token).open().await;
    stage.service().publish(json!({"events": [event("alert"), message("s")]})).await;
    expect_exactly(&mut visitor, &["chat.message"]).await;
}
