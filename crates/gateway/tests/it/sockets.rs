//! A user's WebSocket: who gets what, how it opens and how it ends.
#![expect(clippy::disallowed_methods, reason = "tests run beside the node, outside its scopes")]

use std::time::Duration;

use hookswitch_testkit::{PATIENCE, Token, WsRequest, eventually};
use serde_json::json;

use crate::rig::{Rig, sign, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_whoever_may_see_it() {
    let rig = Rig::open().await;
    let mut everything = rig.agent("tenant-1", 1).await;
    let mut calls = rig.agent("tenant-1", 2).await;
    let mut queues = rig.agent("tenant-1", 3).await;
    let mut stranger = rig.agent("tenant-2", 1).await;
    calls.subscribe(&["call.*"]).await;
    queues.subscribe(&["queue.stats"]).await;
    calls.sync().await;
    queues.sync().await;
    let ids = rig.service("tenant-1").publish(json!({"type": "call.incoming", "payload": {"unique_id": "1.2"}})).await;
    for agent in [&mut everything, &mut calls] {
        let event = agent.expect("call.incoming").await;
        assert_eq!(event["payload"]["unique_id"], "1.2");
        assert_eq!((&event["tenant_id"], &event["id"]), (&json!("tenant-1"), &json!(ids[0])));
    }
    queues.expect_silence().await;
    stranger.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_in_the_url_is_in_force_from_the_first_event_on() {
    let rig = Rig::open().await;
    let open = async |path: &str| WsRequest::new(&rig.addr, path).bearer(&token("tenant-1", 1)).open().await;
    let mut calls = open("/ws?events=call.*,notification").await;
    let mut wall = open("/api/v1/ws?topics=wall&events=alert").await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "agent.login"})).await;
    service.publish(json!({"type": "alert"})).await;
    service.publish(json!({"type": "survey.done", "topic": "wall"})).await;
    service.publish(json!({"type": "call.incoming"})).await;
    calls.expect("call.incoming").await;
    wall.expect("alert").await;
    wall.expect("survey.done").await;
    let bearer = format!("Bearer {}", token("tenant-1", 1));
    let refused = async |query: &str| rig.api().upgrade(&format!("/ws?{query}"), &[("authorization", &bearer)]).await;
    refused("events=").await.expect_error(400, "invalid_field");
    refused("events=a%20b").await.expect_error(400, "invalid_field");
    let many = (0..257).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",");
    refused(&format!("topics={many}")).await.expect_error(400, "too_many_names");
    assert_eq!(refused("events=call.*&unknown=1").await.status, 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_targeted_event_reaches_all_connections_of_its_user_only() {
    let rig = Rig::open().await;
    let mut phone = rig.agent("tenant-1", 456).await;
    let mut desk = rig.agent("tenant-1", 456).await;
    let mut other = rig.agent("tenant-1", 457).await;
    rig.service("tenant-1").publish(json!({"type": "notification", "user_id": "456"})).await;
    for connection in [&mut phone, &mut desk] {
        assert_eq!(connection.expect("notification").await["user_id"], 456);
    }
    other.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_may_stand_in_three_places_under_two_prefixes() {
    let rig = Rig::open().await;
    let token = token("tenant-1", 1);
    for path in ["/ws", "/api/v1/ws", "/ws/"] {
        WsRequest::new(&rig.addr, path).bearer(&token).open().await;
        WsRequest::new(&rig.addr, &format!("{path}?token={token}")).open().await;
        let browser = WsRequest::new(&rig.addr, path).subprotocol(&token).open().await;
        assert_eq!(browser.protocol(), Some("bearer"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_tokens_are_refused_with_a_reason() {
    let rig = Rig::open().await;
    let agent = || Token::new("tenant-1", 1);
    let cases = [
        (String::new(), "unauthorized"),
        (agent().sign("another secret"), "unauthorized"),
        (sign(&agent().expires_in(-5)), "token_expired"),
        (sign(&agent().not_before_in(120)), "unauthorized"),
        (sign(&agent().claim("token_type", "refresh")), "unauthorized"),
        (sign(&agent().without("exp")), "unauthorized"),
        (agent().unsigned(), "unauthorized"),
    ];
    for (token, code) in cases {
        let bearer = format!("Bearer {token}");
        let answer = rig.api().upgrade("/ws", &[("authorization", &bearer)]).await;
        answer.expect_error(401, code);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(rig.hub.n_connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_with_its_token() {
    let rig = Rig::open().await;
    let token = sign(&Token::new("tenant-1", 1).expires_in(2));
    let mut agent = WsRequest::new(&rig.addr, "/ws").bearer(&token).open().await;
    assert_eq!(agent.close_code().await, 4401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_a_connection() {
    let rig = Rig::with(|_, hub| {
        hub.ping_interval = Duration::from_millis(200);
        hub.pong_timeout = Duration::from_millis(400);
    })
    .await;
    let mut socket = hookswitch_testkit::RawSocket::connect(&rig.addr).await;
    socket.upgrade("/ws", &token("tenant-1", 1)).await;
    assert_eq!(socket.read_close().await, Some(4408));
    eventually("the connection is gone", PATIENCE, async || rig.hub.n_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_answers_pings_stays() {
    let rig = Rig::with(|_, hub| {
        hub.ping_interval = Duration::from_millis(100);
        hub.pong_timeout = Duration::from_millis(300);
    })
    .await;
    let mut agent = rig.agent("tenant-1", 1).await;
    // Reading answers the server's pings; this lasts several timeouts.
    agent.expect_silence().await;
    agent.sync().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_presence_are_told() {
    let rig = Rig::open().await;
    let (first, _second) = (rig.agent("tenant-1", 123).await, rig.agent("tenant-1", 123).await);
    let _other = rig.agent("tenant-2", 5).await;
    let api = rig.role("tenant-1", "agent");
    for prefix in ["", "/api/v1"] {
        let stats = api.get(&format!("{prefix}/ws/stats")).await;
        assert_eq!(stats.json(), json!({"tenant_connections": 2, "total_connections": 3}));
        let online = api.get(&format!("{prefix}/ws/users/123/online")).await;
        assert_eq!(online.json(), json!({"user_id": 123, "is_online": true, "connection_count": 2}));
    }
    let foreign = api.get("/ws/users/5/online").await;
    assert_eq!(foreign.json(), json!({"user_id": 5, "is_online": false, "connection_count": 0}));
    assert_eq!(api.get("/api/v1/presence/online").await.data(), json!([123]));
    api.get("/ws/users/a%20b/online").await.expect_error(400, "invalid_field");
    rig.api().get("/ws/stats").await.expect_error(401, "unauthorized");
    first.close().await;
    eventually("one is gone", PATIENCE, async || rig.hub.n_connections() == 2).await;
    let online = api.get("/ws/users/123/online").await;
    assert_eq!(online.json()["is_online"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_tells_clients_to_come_back_and_refuses_new_ones() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let gateway = rig.gateway.clone();
    let drained = tokio::spawn(async move { gateway.drain().await });
    assert_eq!(agent.close_code().await, 1012);
    drop(agent);
    assert!(drained.await.expect("no panic"), "every connection is out");
    let bearer = format!("Bearer {}", token("tenant-1", 1));
    rig.api().upgrade("/ws", &[("authorization", &bearer)]).await.expect_error(503, "draining");
    assert_eq!(rig.api().get("/readyz").await.status, 503);
    assert_eq!(rig.api().get("/healthz").await.status, 200);
}
