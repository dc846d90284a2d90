//! Server-sent events: who gets what, and how a stream begins.

use hookswitch_gateway::AllowedOrigins;
use hookswitch_testkit::{PATIENCE, Token, WsClient, WsRequest, eventually};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::event_source::EventSource;
use crate::rig::{Rig, sign, token};

const STREAM: &str = "/api/v1/events/stream";

async fn agent(rig: &Rig, tenant: &str, user: i64) -> EventSource {
    EventSource::with_token(&rig.addr, STREAM, &token(tenant, user)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_with_its_head_and_has_every_event_from_then_on() {
    let rig = Rig::open().await;
    let token = token("tenant-1", 1);
    let mut by_header = EventSource::with_token(&rig.addr, STREAM, &token).await;
    let mut by_query = EventSource::open(&rig.addr, &format!("{STREAM}/?token={token}"), &[]).await;
    let mut socket = rig.agent("tenant-1", 1).await;
    for source in [&by_header, &by_query] {
        assert_eq!(source.status(), 200);
        assert_eq!(source.header("content-type"), Some("text/event-stream; charset=utf-8"));
        assert_eq!(source.header("cache-control"), Some("no-store"));
        assert_eq!(source.header("x-accel-buffering"), Some("no"));
        assert_eq!(source.header("connection"), Some("close"));
        assert_eq!(source.header("transfer-encoding"), Some("chunked"));
        assert!(source.header("date").is_some_and(|date| date.ends_with(" gmt")), "{}", source.head);
    }
    assert_eq!(rig.hub.n_connections(), 3);
    let ids = rig.service("tenant-1").publish(json!({"type": "call.incoming", "payload": {"unique_id": "1.2"}})).await;
    let event = socket.expect("call.incoming").await;
    assert_eq!(event["id"], ids[0]);
    for source in [&mut by_header, &mut by_query] {
        assert_eq!(source.expect("call.incoming").await, event, "the same as over a WebSocket");
        assert!(source.retry.is_some_and(|millis| (1_000..=5_000).contains(&millis)), "{:?}", source.retry);
    }
    let online = rig.role("tenant-1", "agent").get("/ws/users/1/online").await;
    assert_eq!(online.json(), json!({"user_id": 1, "is_online": true, "connection_count": 3}));
    drop((by_header, by_query));
    eventually("they are gone", PATIENCE, async || rig.hub.n_connections() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_0_has_it_without_chunks() {
    let rig = Rig::open().await;
    let mut source = EventSource::open_http_10(&rig.addr, &format!("{STREAM}?token={}", token("tenant-1", 1))).await;
    assert!(source.head.starts_with("http/1.0 200 "), "{}", source.head);
    assert_eq!(source.header("transfer-encoding"), None);
    rig.service("tenant-1").publish(json!({"type": "alert"})).await;
    source.expect("alert").await;
    rig.gateway.drain().await;
    source.expect_end().await;
    assert!(source.retry.is_some());
}

/// The ids of what comes up to the fence.
async fn ids_of_socket(socket: &mut WsClient) -> Vec<Value> {
    let mut ids = Vec::new();
    loop {
        let event = socket.next_event(PATIENCE).await;
        match event["type"].as_str() {
            Some("test.fence") => return ids,
            // Who came earlier hears of more of them.
            Some("presence.changed") => {}
            _ => ids.push(event["id"].clone()),
        }
    }
}

async fn ids_of_stream(source: &mut EventSource) -> Vec<Value> {
    let mut ids = Vec::new();
    loop {
        let event = source.next().await.expect("an event before the end");
        match event["type"].as_str() {
            Some("test.fence") => return ids,
            // Who came earlier hears of more of them.
            Some("presence.changed") => {}
            _ => ids.push(event["id"].clone()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_shows_is_what_a_websocket_of_the_same_token_shows() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "chat.session.started", "payload": {"session_id": "s-1"}})).await;
    let admin = sign(&Token::new("tenant-1", 3).role("admin"));
    let mut pairs = Vec::new();
    for (token, query) in [
        (token("tenant-1", 1), ""),
        (token("tenant-1", 2), ""),
        (token("tenant-1", 1), "events=call.*,test.fence"),
        (token("tenant-1", 1), "topics=wall,test.fence&events=notification"),
        (token("tenant-1", 2), "events=presence.*,webhook.disabled,test.fence"),
        (admin, "events=*"),
        (token("tenant-2", 1), ""),
    ] {
        let socket = WsRequest::new(&rig.addr, &format!("/ws?{query}")).bearer(&token).open().await;
        let source = EventSource::with_token(&rig.addr, &format!("{STREAM}?{query}"), &token).await;
        pairs.push((query, socket, source));
    }
    for event in [
        json!({"type": "call.incoming"}),
        json!({"type": "notification", "user_id": 1}),
        json!({"type": "notification", "user_id": 2}),
        json!({"type": "survey.done", "topic": "wall"}),
        json!({"type": "chat.message", "session_id": "s-1"}),
        json!({"type": "call.recorded"}),
        json!({"type": "call.ended"}),
    ] {
        service.publish(event).await;
    }
    rig.service("tenant-2").publish(json!({"type": "alert"})).await;
    for tenant in ["tenant-1", "tenant-2"] {
        rig.service(tenant).publish(json!({"type": "test.fence"})).await;
    }
    let mut n_seen = Vec::new();
    for (query, socket, source) in &mut pairs {
        let (by_socket, by_stream) = (ids_of_socket(socket).await, ids_of_stream(source).await);
        assert_eq!(by_socket, by_stream, "{query}");
        n_seen.push(by_stream.len());
    }
    assert_eq!(n_seen[..4], [5, 5, 3, 2], "the test means something");
    assert_eq!(n_seen[6], 1, "another tenant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_with_line_breaks_stays_one_event() {
    let rig = Rig::open().await;
    let mut source = agent(&rig, "tenant-1", 1).await;
    for (breaks, text) in [("\n", "a\\nb"), ("\r\n", "\\r\\n"), ("\r", "data: x\\n\\n")] {
        let body = format!(
            "{{\"type\":\"alert\",{breaks}\"payload\":{{{breaks}{breaks}\"a\":{breaks}1,\"b\":[{breaks}],\"text\":\"{text}\"{breaks}}}}}"
        );
        let answer = rig.service("tenant-1").post_text("/api/v1/events", body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let event = source.expect("alert").await;
        let wanted: Value = serde_json::from_str(&format!("{{\"a\":1,\"b\":[],\"text\":\"{text}\"}}")).expect("JSON");
        assert_eq!(event["payload"], wanted, "{breaks:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_refused_as_for_a_websocket() {
    let rig = Rig::open().await;
    rig.api().get(STREAM).await.expect_error(401, "unauthorized");
    let api = rig.role("tenant-1", "agent");
    api.get(&format!("{STREAM}?events=")).await.expect_error(400, "invalid_field");
    let many = (0..257).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",");
    api.get(&format!("{STREAM}?topics={many}")).await.expect_error(400, "too_many_names");
    api.get(&format!("{STREAM}/public/nobody")).await.expect_error(404, "unknown_session");
    api.post(STREAM, json!({})).await.expect_error(405, "method_not_allowed");
    let origin = ("origin", "https://evil.example");
    let bearer = format!("Bearer {}", token("tenant-1", 1));
    let refused = EventSource::open(&rig.addr, STREAM, &[origin, ("authorization", &bearer)]).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(rig.hub.n_connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_may_read_it_where_they_may_open_a_websocket() {
    let rig = Rig::with(|config, _| {
        config.origins = AllowedOrigins::parse("https://app.example").expect("legal");
    })
    .await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "chat.session.started", "payload": {"session_id": "s-1"}})).await;
    let token = token("tenant-1", 1);
    let own = [("origin", "https://app.example"), ("cookie", "a=b")];
    let source = EventSource::open(&rig.addr, &format!("{STREAM}?token={token}"), &own).await;
    assert_eq!(source.header("access-control-allow-origin"), Some("https://app.example"));
    let anybody = [("origin", "https://shop.example")];
    let widget = EventSource::open(&rig.addr, &format!("{STREAM}/public/s-1"), &anybody).await;
    assert_eq!((widget.status(), widget.header("access-control-allow-origin")), (200, Some("https://shop.example")));
    let preflight = rig.api().options(&format!("{STREAM}/public/s-1"), &anybody).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, "GET, OPTIONS"));
    rig.api().options(STREAM, &anybody).await.expect_error(403, "origin_refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_for_an_absent_user_comes_once() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    for n in 0..20 {
        service.publish(json!({"type": "notification", "user_id": 1, "payload": {"n": n}})).await;
    }
    let mut source = agent(&rig, "tenant-1", 1).await;
    for n in 0..20 {
        assert_eq!(source.expect("notification").await["payload"]["n"], n);
    }
    eventually("it is confirmed", PATIENCE, async || rig.hub.metrics().offline_delivered.get() == 20).await;
    let mut second = agent(&rig, "tenant-1", 1).await;
    service.publish(json!({"type": "alert"})).await;
    source.expect("alert").await;
    second.expect("alert").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_clients_system_did_not_take_stays_kept() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let filler = "x".repeat(4_000);
    for n in 0..200 {
        service.publish(json!({"type": "notification", "user_id": 1, "payload": {"n": n, "filler": filler}})).await;
    }
    let path = format!("{STREAM}?token={}", token("tenant-1", 1));
    let deaf = EventSource::open_narrow(&rig.addr, &path).await;
    // The node's own system takes all that it is given; the client's takes a few messages and no more.
    service.publish(json!({"type": "alert"})).await;
    let mut watcher = agent(&rig, "tenant-1", 2).await;
    service.publish(json!({"type": "alert"})).await;
    watcher.expect("alert").await;
    assert_eq!(rig.hub.n_connections(), 2);
    drop(deaf);
    eventually("it is gone", PATIENCE, async || rig.hub.n_connections() == 1).await;
    let mut source = agent(&rig, "tenant-1", 1).await;
    let mut next = None;
    while next != Some(200) {
        let event = source.next().await.expect("more comes");
        if event["type"] == "notification" {
            let n = event["payload"]["n"].as_i64().expect("a number");
            assert!(next.is_none_or(|next| next == n) && (next.is_some() || n < 32), "{n} after {next:?}");
            next = Some(n + 1);
        }
    }
    eventually("all is confirmed", PATIENCE, async || rig.hub.metrics().offline_delivered.get() == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_published_may_become_a_stream() {
    let rig = Rig::open().await;
    let mut watcher = rig.agent("tenant-1", 9).await;
    let mut stream = TcpStream::connect(&rig.addr).await.expect("the node accepts");
    let bearer = sign(&Token::service("tenant-1"));
    let publish = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\nContent-Length: 16\r\n\r\n{{\"type\":\"alert\"}}"
    );
    let mut answers = vec![0; 16 * 1024];
    // More than make it move to the shard's thread.
    for _ in 0..80 {
        stream.write_all(publish.as_bytes()).await.expect("the node reads");
        let n_read = tokio::io::AsyncReadExt::read(&mut stream, &mut answers).await.expect("an answer");
        assert!(answers[..n_read].starts_with(b"HTTP/1.1 202 "));
        watcher.expect("alert").await;
    }
    let get = format!("GET {STREAM} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n\r\n");
    // The answer to the first of the two comes whole, before the stream takes the connection.
    stream.write_all(format!("{publish}{get}").as_bytes()).await.expect("the node reads");
    let first = EventSource::on(stream).await;
    assert_eq!(first.status(), 202);
    let mut source = first.next_answer().await;
    assert_eq!(source.header("content-type"), Some("text/event-stream; charset=utf-8"));
    rig.service("tenant-1").publish(json!({"type": "notification"})).await;
    let mut event = source.next().await.expect("an event");
    if event["type"] == "alert" {
        // Accepted before, delivered after the stream was there.
        event = source.next().await.expect("another event");
    }
    assert_eq!(event["type"], "notification");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_comes_back_is_given_what_it_missed() {
    let rig = Rig::open().await;
    let token = token("tenant-1", 1);
    let mut source = EventSource::with_token(&rig.addr, STREAM, &token).await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "call.incoming"})).await;
    let first = source.expect("call.incoming").await;
    assert_eq!(first["position"], source.last_event_id, "the position is the id");
    let seen = source.last_event_id.clone();
    drop(source);
    service.publish(json!({"type": "call.answered"})).await;
    let headers = [("authorization", format!("Bearer {token}")), ("last-event-id", seen)];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    // What the URL says is older: browsers keep asking for the one they were given.
    let mut again = EventSource::open(&rig.addr, &format!("{STREAM}?resume=1:1"), &headers).await;
    again.expect("call.answered").await;
    let resumed = again.expect("resumed").await;
    assert_eq!((&resumed["payload"]["recovered"], &resumed["payload"]["replayed"]), (&json!(true), &json!(1)));
    let mut other = EventSource::with_token(&rig.addr, &format!("{STREAM}?resume=1:1"), &token).await;
    assert_eq!(other.expect("resumed").await["payload"]["reason"], "epoch");
}
