//! `hookswitch dev`: no configuration, and something to see at once.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hookswitch_testkit::{NodeProcess, NodeSpec, Receiver, WsRequest};
use serde_json::json;

/// Nothing is configured; a free port, because tests run side by side.
fn unconfigured() -> NodeSpec {
    ["JWT_SECRET", "SERVER_HOST", "SERVER_PORT", "DATABASE_URL"]
        .iter()
        .fold(NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")), |spec, name| spec.without_env(name))
}

async fn token(node: &NodeProcess, args: &[&str]) -> String {
    let output = node.spec().clone().args(&[&["token"], args].concat()).run().await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout.trim().to_owned()
}

#[tokio::test]
async fn a_newcomer_sees_a_call_centre_at_once() {
    let node = unconfigured().args(&["dev", "--port", "0", "--rate", "50"]).start().await;
    let mut agent = WsRequest::new(node.addr(), "/ws").bearer(&token(&node, &[]).await).open().await;
    agent.send_json(json!({"type": "subscribe", "payload": {"events": ["call.*"]}})).await;
    let mut seen = std::collections::HashSet::new();
    while !["call.incoming", "call.answered", "call.ended"].iter().all(|t| seen.contains(*t)) {
        let event = agent.next_event(Duration::from_mins(1)).await;
        assert_eq!(event["tenant_id"], "demo");
        seen.insert(event["type"].as_str().expect("a type").to_owned());
    }
    let (log, link) = (node.log(), format!("http://{}/console#token=", node.addr()));
    let token = log.split_once(&link).expect("a link that signs in").1.lines().next().expect("a token");
    assert_eq!(node.api().get("/").await.status, 200);
    assert_eq!(node.api().with_token(token).get("/api/v1/webhooks").await.status, 200, "as an administrator");
    assert!(node.log().contains("curl"), "says how to publish:\n{}", node.log());
}

#[tokio::test]
async fn a_silent_one_can_be_published_to_and_calls_local_webhooks() {
    let node = unconfigured().args(&["dev", "--port", "0", "--no-simulate"]).start().await;
    let service = node.api().with_token(token(&node, &["--role", "service"]).await);
    let receiver = Receiver::healthy().await;
    let webhook = json!({"name": "local", "url": receiver.url("/"), "events": ["alert"]});
    assert_eq!(service.post("/api/v1/webhooks", webhook).await.status, 201);
    let mut agent = WsRequest::new(node.addr(), "/ws").bearer(&token(&node, &["--user", "7"]).await).open().await;
    agent.expect_silence().await;
    service.publish(json!({"type": "alert", "payload": {"title": "hello"}})).await;
    assert_eq!(agent.expect("alert").await["payload"]["title"], "hello");
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn it_is_a_single_node_whatever_redis_there_is() {
    let spec = unconfigured().env("REDIS_URL", "redis://:hunter2@redis.example");
    let node = spec.args(&["dev", "--port", "0", "--no-simulate"]).start().await;
    let log = node.logged("REDIS_URL has no effect: `hookswitch dev` is always a single node").await;
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn it_keeps_its_secret_to_itself_and_its_data_over_a_restart() {
    let node = unconfigured().args(&["dev", "--port", "0", "--no-simulate"]).start().await;
    let kept = node.spec().dir().join(".hookswitch-dev");
    for entry in std::fs::read_dir(kept).expect("its directory") {
        let entry = entry.expect("an entry");
        if entry.file_name().to_string_lossy().contains("secret") {
            assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600);
        }
    }
    let old = token(&node, &["--role", "service"]).await;
    let service = node.api().with_token(&old);
    service.publish(json!({"type": "notification", "user_id": 7})).await;
    let node = node.restart().await;
    assert_eq!(token(&node, &["--role", "service"]).await.split('.').count(), 3);
    assert_eq!(node.api().with_token(&old).get("/ws/stats").await.status, 200, "the secret is the same");
    let agent = token(&node, &["--user", "7"]).await;
    WsRequest::new(node.addr(), "/ws").bearer(&agent).open().await.expect("notification").await;
}
