//! Publishing one event over HTTP: what is accepted, and how each mistake is told.

use hookswitch_testkit::{RawSocket, Token};
use serde_json::{Value, json};

use crate::stage::{Stage, TENANT, event, expect_exactly};

#[tokio::test]
async fn an_event_is_accepted_with_its_id() {
    let stage = Stage::start().await;
    let answer = stage.service().try_publish(event("call.incoming")).await;
    assert_eq!(answer.status, 202);
    let data = answer.data();
    let ids = data["ids"].as_array().expect("an array");
    assert!(ids.len() == 1 && ids[0].as_str().is_some_and(|id| !id.is_empty()), "{data}");
    let own = json!({"type": "alert", "id": "my-id-1"});
    assert_eq!(stage.service().publish(own).await, ["my-id-1"]);
}

#[tokio::test]
async fn the_smallest_event_has_an_empty_payload() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    stage.service().publish(json!({"type": "survey.completed"})).await;
    assert_eq!(agent.expect("survey.completed").await["payload"], json!({}));
}

#[tokio::test]
async fn a_payload_is_not_validated_against_its_type() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    stage.service().publish(json!({"type": "call.incoming", "payload": {"unique_id": [1], "extra": null}})).await;
    assert_eq!(agent.expect("call.incoming").await["payload"], json!({"unique_id": [1], "extra": null}));
}

/// Each is refused with 400 and a message that names the field.
#[tokio::test]
async fn each_mistake_is_named_by_its_field() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    let long = "x".repeat(101);
    let cases: Vec<(Value, &str)> = vec![
        (json!({}), "type"),
        (json!({"payload": {}}), "type"),
        (json!({"type": 5}), "type"),
        (json!({"type": ""}), "type"),
        (json!({"type": "Call.Incoming"}), "type"),
        (json!({"type": "call incoming"}), "type"),
        (json!({"type": long}), "type"),
        (json!({"type": "alert", "payload": []}), "payload"),
        (json!({"type": "alert", "payload": "text"}), "payload"),
        (json!({"type": "alert", "payload": 1}), "payload"),
        (json!({"type": "alert", "user_id": 0}), "user_id"),
        (json!({"type": "alert", "user_id": "0"}), "user_id"),
        (json!({"type": "alert", "user_id": ""}), "user_id"),
        (json!({"type": "alert", "user_id": "a b"}), "user_id"),
        (json!({"type": "alert", "user_id": 1.5}), "user_id"),
        (json!({"type": "alert", "user_id": []}), "user_id"),
        (json!({"type": "alert", "user_id": "u".repeat(65)}), "user_id"),
        (json!({"type": "chat.message", "session_id": "a", "payload": {"session_id": "b"}}), "session_id"),
        (json!({"type": "chat.message", "session_id": {}}), "session_id"),
        (json!({"type": "alert", "topic": "a b"}), "topic"),
        (json!({"type": "alert", "topic": 5}), "topic"),
        (json!({"type": "alert", "id": "a b"}), "id"),
        (json!({"type": "alert", "id": 5}), "id"),
        (json!({"events": {}}), "events"),
        (json!({"events": "x"}), "events"),
    ];
    for (body, field) in cases {
        let answer = stage.service().try_publish(body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.text().contains(field), "{body} should name {field}: {}", answer.text());
        assert_eq!(answer.json()["success"], false);
    }
    agent.expect_silence().await;
}

#[tokio::test]
async fn equal_session_ids_are_no_contradiction() {
    let stage = Stage::start().await;
    for (outer, inner) in [(json!("a"), json!("a")), (json!(7), json!(7)), (json!("7"), json!(7))] {
        let body = json!({"type": "chat.message", "session_id": outer, "payload": {"session_id": inner}});
        stage.service().publish(body).await;
    }
}

#[tokio::test]
async fn reserved_types_are_the_servers() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    for reserved in
        ["ping", "pong", "error", "subscribe", "unsubscribe", "webhook.test", "presence.changed", "webhook.disabled"]
    {
        let message = stage.service().try_publish(event(reserved)).await.expect_error(400, "reserved_type");
        assert!(message.contains(reserved), "{message}");
    }
    agent.expect_silence().await;
}

#[tokio::test]
async fn broken_json_is_told_apart_from_wrong_json() {
    let stage = Stage::start().await;
    for body in ["", "{", "{\"type\":\"alert\"", "nonsense", "{\"type\":\"alert\"} trailing", "\u{feff}{}"] {
        stage.service().post_text("/api/v1/events", body).await.expect_error(400, "invalid_json");
    }
    for body in ["[]", "5", "null", "\"alert\""] {
        assert_eq!(stage.service().post_text("/api/v1/events", body).await.status, 400, "{body}");
    }
    let not_utf8 = b"{\"type\":\"alert\",\"payload\":{\"a\":\"\xff\"}}".to_vec();
    assert_eq!(stage.service().post_text("/api/v1/events", not_utf8).await.status, 400);
}

fn nested(levels: usize) -> String {
    let arrays = levels - 2;
    format!(r#"{{"type":"alert","payload":{{"a":{}{}}}}}"#, "[".repeat(arrays), "]".repeat(arrays))
}

#[tokio::test]
async fn sixty_four_levels_are_deep_enough() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    assert_eq!(stage.service().post_text("/api/v1/events", nested(64)).await.status, 202);
    agent.expect("alert").await;
    for levels in [65, 66, 1_000, 200_000] {
        let answer = stage.service().post_text("/api/v1/events", nested(levels)).await;
        assert_eq!(answer.status, 400, "{levels}: {}", answer.text());
    }
    expect_exactly(&mut agent, &[]).await;
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte() {
    let stage = Stage::start().await;
    let body = |size: usize| {
        let frame = r#"{"type":"alert","payload":{"a":""}}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(size - frame.len())))
    };
    assert_eq!(stage.service().post_text("/api/v1/events", body(1024 * 1024)).await.status, 202);
    stage.service().post_text("/api/v1/events", body(1024 * 1024 + 1)).await.expect_error(413, "too_large");
    stage.service().post_text("/api/v1/events", body(8 * 1024 * 1024)).await.expect_error(413, "too_large");
    stage.service().publish(event("alert")).await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_limit_too() {
    let stage = Stage::start().await;
    let mut socket = RawSocket::connect(stage.addr()).await;
    let token = stage.sign(&Token::service(TENANT));
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    socket.send(head.as_bytes()).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..17 {
        socket.send(chunk.as_bytes()).await;
    }
    socket.send(b"0\r\n\r\n").await;
    assert!(socket.read_head().await.starts_with("HTTP/1.1 413"));
}
