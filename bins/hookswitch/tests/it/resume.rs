//! Clients that lose their connection and come back to where they were.

use std::time::Duration;

use hookswitch_testkit::{Token, WsClient, WsRequest};
use serde_json::{Value, json};

use crate::stage::{Stage, TENANT, event};

async fn back(stage: &Stage, user: i64, query: &str) -> WsClient {
    let token = stage.sign(&Token::new(TENANT, user));
    WsRequest::new(stage.addr(), &format!("/ws?{query}")).bearer(&token).open().await
}

async fn publish(stage: &Stage, range: std::ops::Range<usize>) {
    for n in range {
        stage.service().publish(json!({"type": "alert", "payload": {"n": n}})).await;
    }
}

/// The number of an event and its position.
fn read(event: &Value) -> (u64, String) {
    (event["payload"]["n"].as_u64().expect("a number"), event["position"].as_str().expect("a position").to_owned())
}

#[tokio::test]
async fn a_page_that_lost_its_connection_misses_nothing() {
    let stage = Stage::start().await;
    let mut client = stage.agent(7).await;
    publish(&stage, 0..2).await;
    client.expect("alert").await;
    let (_, position) = read(&client.expect("alert").await);
    drop(client);
    publish(&stage, 2..5).await;
    let mut client = back(&stage, 7, &format!("resume={position}")).await;
    for n in 2..5 {
        assert_eq!(read(&client.expect("alert").await).0, n);
    }
    let resumed = client.expect("resumed").await;
    let payload = &resumed["payload"];
    assert_eq!((&payload["recovered"], &payload["replayed"]), (&json!(true), &json!(3)), "{resumed}");
    assert!(payload["position"].is_string() && payload.get("reason").is_none(), "{resumed}");
    publish(&stage, 5..6).await;
    assert_eq!(read(&client.expect("alert").await).0, 5);
    client.send_json(json!({"type": "position"})).await;
    let answer = client.expect("position").await;
    client.send_json(json!({"type": "ping"})).await;
    let pong = client.expect("pong").await;
    assert_eq!((pong["payload"].clone(), &pong["position"]), (json!({}), &answer["position"]));
}

#[tokio::test]
async fn a_command_says_where_the_client_was_and_what_it_wants() {
    let stage = Stage::start().await;
    let mut client = back(&stage, 7, "resume=").await;
    let here = client.expect("resumed").await;
    assert_eq!((&here["payload"]["recovered"], &here["payload"]["replayed"]), (&json!(true), &json!(0)));
    publish(&stage, 0..2).await;
    stage.service().publish(event("call.incoming")).await;
    let mut client = back(&stage, 7, "resume=wait").await;
    let resume = json!({"position": here["payload"]["position"], "events": ["call.*"]});
    client.send_json(json!({"type": "resume", "payload": resume})).await;
    client.expect("call.incoming").await;
    assert_eq!(client.expect("resumed").await["payload"]["replayed"], 1);
    client.send_json(json!({"type": "resume", "payload": {"position": "1:1"}})).await;
    let told = client.expect_error("invalid_field").await;
    assert!(told.contains("first command"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_given_is_told_with_its_reason() {
    let stage = Stage::with(&[("HISTORY_EVENTS", "2")]).await;
    let mut client = stage.agent(7).await;
    publish(&stage, 0..1).await;
    let (_, position) = read(&client.expect("alert").await);
    publish(&stage, 1..4).await;
    for (asked, reason) in [(position.as_str(), "expired"), ("1:1", "epoch"), ("yesterday", "epoch")] {
        let mut again = back(&stage, 7, &format!("resume={asked}")).await;
        let resumed = again.expect("resumed").await;
        let payload = &resumed["payload"];
        assert_eq!((&payload["recovered"], &payload["reason"]), (&json!(false), &json!(reason)), "{resumed}");
        let mut from_there = back(&stage, 7, &format!("resume={}", payload["position"].as_str().expect("one"))).await;
        assert_eq!(from_there.expect("resumed").await["payload"]["recovered"], true);
    }
}

#[tokio::test]
async fn a_visitor_resumes_its_session() {
    let stage = Stage::start().await;
    let mut agent = back(&stage, 7, "resume=").await;
    let position = agent.expect("resumed").await["payload"]["position"].as_str().expect("one").to_owned();
    publish(&stage, 0..1).await;
    stage.start_chat("s-1").await;
    stage.service().publish(json!({"type": "chat.message", "session_id": "s-1"})).await;
    let mut visitor = WsRequest::new(stage.addr(), &format!("/ws/public/s-1?resume={position}")).open().await;
    visitor.expect("chat.session.started").await;
    visitor.expect("chat.message").await;
    assert_eq!(visitor.expect("resumed").await["payload"]["replayed"], 2);
}

#[tokio::test]
async fn after_a_crash_positions_are_of_another_time() {
    let stage = Stage::start().await;
    let mut client = stage.agent(7).await;
    publish(&stage, 0..1).await;
    let (_, position) = read(&client.expect("alert").await);
    let stage = stage.crash_and_restart().await;
    let mut again = back(&stage, 7, &format!("resume={position}")).await;
    assert_eq!(again.expect("resumed").await["payload"]["reason"], "epoch");
}

#[tokio::test]
async fn a_restart_in_order_is_no_new_epoch() {
    let mut stage = Stage::start().await;
    let mut client = stage.agent(7).await;
    publish(&stage, 0..1).await;
    let (_, position) = read(&client.expect("alert").await);
    drop(client);
    publish(&stage, 1..4).await;
    stage.node.terminate();
    assert!(stage.node.wait(Duration::from_secs(15)).await.success());
    let stage = stage.crash_and_restart().await;
    publish(&stage, 4..5).await;
    let mut again = back(&stage, 7, &format!("resume={position}")).await;
    for n in 1..5 {
        assert_eq!(read(&again.expect("alert").await).0, n);
    }
    let resumed = again.expect("resumed").await;
    assert_eq!((&resumed["payload"]["recovered"], &resumed["payload"]["replayed"]), (&json!(true), &json!(4)));
    // What was saved is gone on from once: after a crash it is of another time.
    let (_, position) = {
        publish(&stage, 5..6).await;
        read(&again.expect("alert").await)
    };
    let stage = stage.crash_and_restart().await;
    let mut again = back(&stage, 7, &format!("resume={position}")).await;
    assert_eq!(again.expect("resumed").await["payload"]["reason"], "epoch");
}
