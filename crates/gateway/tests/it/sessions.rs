//! Public chat sessions: visitors get their own and nothing else.

use hookswitch_testkit::{RawSocket, WsRequest};
use serde_json::json;

use crate::rig::Rig;

async fn start(rig: &Rig, session: &str) {
    let payload = json!({"session_id": session, "status": "open"});
    rig.service("tenant-1").publish(json!({"type": "chat.session.started", "payload": payload})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_gets_only_its_own_session() {
    let rig = Rig::open().await;
    start(&rig, "s-1").await;
    start(&rig, "s-2").await;
    let mut visitor = rig.visitor("s-1").await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "chat.message", "payload": {"session_id": "s-2", "body": "not yours"}})).await;
    service.publish(json!({"type": "call.incoming", "payload": {}})).await;
    service.publish(json!({"type": "chat.message", "session_id": "s-1", "payload": {"body": "yours"}})).await;
    assert_eq!(visitor.expect("chat.message").await["payload"]["body"], "yours");
    visitor.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_or_ended_session_is_404_before_the_upgrade() {
    let rig = Rig::open().await;
    rig.api().upgrade("/ws/public/nobody", &[]).await.expect_error(404, "unknown_session");
    rig.api().get("/ws/public/nobody").await.expect_error(404, "unknown_session");
    rig.api().get("/ws/public").await.expect_error(404, "unknown_session");
    start(&rig, "s-1").await;
    for path in ["/ws/public/s-1", "/ws/public?session_id=s-1&utm=x", "/api/v1/ws/public/s-1", "/ws/public/s%2D1"] {
        assert_eq!(rig.api().upgrade(path, &[]).await.status, 101, "{path}");
    }
    let mut visitor = rig.visitor("s-1").await;
    rig.service("tenant-1").publish(json!({"type": "chat.session.ended", "payload": {"session_id": "s-1"}})).await;
    assert_eq!(visitor.close_code().await, 4410);
    rig.api().upgrade("/ws/public/s-1", &[]).await.expect_error(404, "unknown_session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plus_in_a_key_and_a_space_are_found_however_they_are_written() {
    let rig = Rig::open().await;
    start(&rig, "a+b").await;
    start(&rig, "c d").await;
    let status = async |path: &str| rig.api().upgrade(path, &[]).await.status;
    for path in [
        "/ws/public?session_id=a+b",
        "/ws/public?session_id=a%2Bb",
        "/ws/public/a+b",
        "/ws/public/a%2Bb",
        "/ws/public?session_id=c+d",
        "/ws/public?session_id=c%20d",
        "/ws/public/c+d",
        "/ws/public/c%20d",
    ] {
        assert_eq!(status(path).await, 101, "{path}");
    }
    assert_eq!(status("/ws/public?session_id=a%20b").await, 404);
    // Where both live, each reading is what the standard says.
    start(&rig, "a b").await;
    let mut form = WsRequest::new(&rig.addr, "/ws/public?session_id=a+b").open().await;
    let mut path = rig.visitor("a+b").await;
    rig.service("tenant-1").publish(json!({"type": "chat.message", "session_id": "a b"})).await;
    rig.service("tenant-1").publish(json!({"type": "chat.message", "session_id": "a+b"})).await;
    assert_eq!(form.expect("chat.message").await["payload"]["session_id"], "a b");
    assert_eq!(path.expect("chat.message").await["payload"]["session_id"], "a+b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_null_in_the_payload_is_no_session() {
    let rig = Rig::open().await;
    start(&rig, "s1").await;
    let mut visitor = RawSocket::connect(&rig.addr).await;
    visitor.upgrade("/ws/public/s1", "").await;
    let event = json!({"type": "chat.message", "session_id": "s1", "payload": {"session_id": null, "body": "hi"}});
    rig.service("tenant-1").publish(event).await;
    let text = visitor.read_text().await;
    assert!(text.contains(r#""payload":{"session_id":"s1","body":"hi"}"#), "{text}");
    assert_eq!(text.matches("session_id").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_key_belongs_to_its_tenant() {
    let rig = Rig::open().await;
    start(&rig, "s-1").await;
    let thief = json!({"type": "chat.session.started", "payload": {"session_id": "s-1"}});
    rig.service("tenant-2").try_publish(thief).await.expect_error(409, "conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_reaches_the_others_of_the_session_only() {
    let rig = Rig::open().await;
    start(&rig, "s-1").await;
    start(&rig, "s-2").await;
    let mut visitor = rig.visitor("s-1").await;
    let mut bystander = rig.visitor("s-2").await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let mut colleague = rig.agent("tenant-1", 2).await;
    let typing = |sender: &str| {
        json!({"type": "chat.typing", "payload":
            {"session_id": "s-1", "sender_type": sender, "sender_name": "Ada", "is_typing": true}})
    };
    agent.send_json(typing("agent")).await;
    for other in [&mut visitor, &mut colleague] {
        let event = other.expect("chat.typing").await;
        assert_eq!((&event["payload"]["sender_type"], &event["tenant_id"]), (&json!("agent"), &json!("tenant-1")));
    }
    visitor.send_json(typing("agent")).await;
    for other in [&mut agent, &mut colleague] {
        assert_eq!(other.expect("chat.typing").await["payload"]["sender_type"], "visitor");
    }
    bystander.send_json(typing("visitor")).await;
    bystander.expect_error("forbidden").await;
    agent.send_json(json!({"type": "chat.typing", "payload": {"session_id": "nobody"}})).await;
    agent.expect_error("unknown_session").await;
    agent.expect_silence().await;
    visitor.expect_silence().await;
    bystander.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitors_subscription_narrows_and_never_widens() {
    let rig = Rig::open().await;
    start(&rig, "s-1").await;
    let mut visitor = rig.visitor("s-1").await;
    visitor.subscribe(&["chat.message", "call.*"]).await;
    visitor.sync().await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "call.incoming"})).await;
    service.publish(json!({"type": "chat.agent.joined", "session_id": "s-1"})).await;
    service.publish(json!({"type": "chat.message", "session_id": "s-1"})).await;
    visitor.expect("chat.message").await;
    visitor.expect_silence().await;
}
