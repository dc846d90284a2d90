//! Plain HTTP: publishing, errors, limits, pages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_testkit::{PATIENCE, RawSocket};
use http::Method;
use serde_json::json;

use crate::rig::{Rig, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_answers_202_with_ids_and_keeps_order() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let service = rig.service("tenant-1");
    let events: Vec<_> = (0..500).map(|n| json!({"type": "alert", "payload": {"n": n}})).collect();
    let ids = service.publish(json!({ "events": events })).await;
    assert_eq!(ids.len(), 500);
    for (n, id) in ids.iter().enumerate() {
        let event = agent.expect("alert").await;
        assert_eq!((&event["payload"]["n"], &event["id"]), (&json!(n), &json!(id)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_counts_once_and_a_conflict_is_409() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let service = rig.service("tenant-1");
    let event = json!({"type": "alert", "payload": {"n": 1}, "id": "e-1"});
    assert_eq!(service.publish(event.clone()).await, ["e-1"]);
    assert_eq!(service.publish(event).await, ["e-1"]);
    let other = json!({"events": [{"type": "alert"}, {"type": "alert", "payload": {"n": 2}, "id": "e-1"}]});
    let message = service.try_publish(other).await.expect_error(409, "conflict");
    assert!(message.starts_with("events[1].id"), "{message}");
    agent.expect("alert").await;
    agent.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_bad_request_is_accepted() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let service = rig.service("tenant-1");
    let bad = json!({"events": [{"type": "alert"}, {"type": "alert", "user_id": 0}]});
    let answer = service.try_publish(bad).await;
    assert!(answer.expect_error(400, "invalid_field").starts_with("events[1].user_id"));
    assert_eq!(answer.json()["error"]["details"], json!({"index": 1, "field": "user_id"}));
    service.try_publish(json!({"type": "ping"})).await.expect_error(400, "reserved_type");
    service.post_text("/api/v1/events", "{").await.expect_error(400, "invalid_json");
    service.post_text("/api/v1/events", "").await.expect_error(400, "invalid_json");
    let deep = format!(r#"{{"type":"alert","payload":{{"a":{}{}}}}}"#, "[".repeat(70), "]".repeat(70));
    service.post_text("/api/v1/events", deep).await.expect_error(400, "invalid_field");
    let clash = json!({"type": "chat.message", "session_id": "a", "payload": {"session_id": "b"}});
    service.try_publish(clash).await.expect_error(400, "invalid_field");
    agent.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_413_whichever_way_its_length_is_told() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let body = format!(r#"{{"type":"alert","payload":{{"x":"{}"}}}}"#, "x".repeat(1024 * 1024));
    service.post_text("/api/v1/events", body).await.expect_error(413, "too_large");
    let fits = format!(r#"{{"type":"alert","payload":{{"x":"{}"}}}}"#, "x".repeat(1024 * 1024 - 60));
    assert_eq!(service.post_text("/api/v1/events", fits).await.status, 202);
    let mut socket = RawSocket::connect(&rig.addr).await;
    let token = hookswitch_testkit::Token::service("tenant-1");
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        crate::rig::sign(&token)
    );
    socket.send(head.as_bytes()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 600_000, "x".repeat(600_000));
    socket.send(chunk.repeat(2).as_bytes()).await;
    socket.send(b"0\r\n\r\n").await;
    assert!(socket.read_head().await.starts_with("HTTP/1.1 413"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_408() {
    let rig = Rig::with(|config, _| config.body_deadline = Duration::from_millis(300)).await;
    let mut socket = RawSocket::connect(&rig.addr).await;
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{",
        crate::rig::sign(&hookswitch_testkit::Token::service("tenant-1"))
    );
    socket.send(head.as_bytes()).await;
    assert!(socket.read_head().await.starts_with("HTTP/1.1 408"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let token = crate::rig::sign(&hookswitch_testkit::Token::service("tenant-1"));
    let request = |n: usize| {
        let body = format!(r#"{{"type":"alert","payload":{{"n":{n}}}}}"#);
        let length = body.len();
        format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nX-Request-ID: r-{n}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let packet: String = (0..8).map(request).collect();
    let mut socket = RawSocket::connect(&rig.addr).await;
    socket.send(packet.as_bytes()).await;
    for n in 0..8 {
        // The head is preceded by the body of the answer before it.
        assert!(socket.read_head().await.contains("HTTP/1.1 202"), "{n}");
        assert_eq!(agent.expect("alert").await["payload"]["n"], n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_json_everywhere() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    service.get("/nope").await.expect_error(404, "not_found");
    let answer = service.send(Method::PATCH, "/api/v1/events", Bytes::new(), &[]).await;
    answer.expect_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST, GET, HEAD, OPTIONS");
    rig.api().post("/api/v1/events", json!({"type": "alert"})).await.expect_error(401, "unauthorized");
    for role in ["agent", "supervisor", "wizard"] {
        let answer = rig.role("tenant-1", role).try_publish(json!({"type": "alert"})).await;
        answer.expect_error(403, "forbidden");
    }
    assert_eq!(rig.role("tenant-1", "admin").try_publish(json!({"type": "alert"})).await.status, 202);
    let answer = service.send(Method::GET, "/nope", Bytes::new(), &[("x-request-id", "mine-1")]).await;
    assert_eq!(answer.json()["request_id"], "mine-1");
    let plain = rig.role("tenant-1", "agent").get("/ws").await;
    plain.expect_error(426, "upgrade_required");
    assert_eq!(plain.header("sec-websocket-version"), "13");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_the_store() {
    let rig = Rig::with(|config, _| config.probe_interval = Duration::ZERO).await;
    let page = rig.api().get("/readyz").await;
    assert_eq!((page.status, &page.json()["mode"]), (200, &json!("single-node")));
    rig.is_store_well.store(false, Ordering::Relaxed);
    let page = rig.api().get("/readyz").await;
    assert_eq!((page.status, &page.json()["checks"]["store"]), (503, &json!("locked")));
    assert_eq!(rig.api().get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_happened() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    rig.service("tenant-1").publish(json!({"type": "alert"})).await;
    agent.expect("alert").await;
    rig.api().get("/ws/stats").await;
    let text = rig.api().get("/metrics").await.text();
    for line in [
        "hookswitch_connections 1",
        "hookswitch_events_accepted_total 1",
        "hookswitch_messages_queued_total 1",
        "hookswitch_refused_tokens_total{reason=\"missing\"} 1",
        "hookswitch_http_answers_total{class=\"2xx\"} 1",
        "hookswitch_http_answers_total{class=\"4xx\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let wish = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let openmetrics = rig.api().send(Method::GET, "/metrics", Bytes::new(), &[("accept", wish)]).await;
    assert!(openmetrics.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(openmetrics.text().ends_with("# EOF\n"));
    assert!(!text.contains("tenant-1"), "no tenant is named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_told_so() {
    let rig = Rig::with(|config, _| config.max_connections = 1).await;
    let mut first = RawSocket::connect(&rig.addr).await;
    first.upgrade("/ws", &token("tenant-1", 1)).await;
    let mut second = RawSocket::connect(&rig.addr).await;
    let answer = second.read_to_end().await;
    assert!(answer.starts_with(b"HTTP/1.1 503"), "{answer:?}");
    // Also to one that has sent its whole request by then.
    for _ in 0..20 {
        let mut sending = RawSocket::connect(&rig.addr).await;
        let head = "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
        sending.send(&[head.as_bytes(), &vec![b'x'; 1_048_576]].concat()).await;
        assert!(sending.read_head().await.starts_with("HTTP/1.1 503"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_end_and_one_too_large_are_refused() {
    let rig = Rig::with(|config, _| config.header_deadline = Duration::from_millis(300)).await;
    let mut slow = RawSocket::connect(&rig.addr).await;
    slow.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await;
    assert!(slow.read_head().await.starts_with("HTTP/1.1 408"));
    assert!(tokio::time::timeout(PATIENCE, slow.read_to_end()).await.is_ok(), "closed");
    let mut large = RawSocket::connect(&rig.addr).await;
    let head = format!("{:x<32768}", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: ");
    large.send(head.as_bytes()).await;
    assert!(large.read_head().await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_ends_the_server_and_its_idle_connections() {
    let rig = Rig::open().await;
    assert_eq!(rig.api().get("/healthz").await.status, 200);
    let mut idle = RawSocket::connect(&rig.addr).await;
    idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(idle.read_head().await.starts_with("HTTP/1.1 200"));
    assert!(rig.scope.shut_down(PATIENCE).await, "every task ended by itself");
}
