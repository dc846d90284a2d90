//! Server-sent events: keeping them alive, slow readers, and how a stream ends.
#![expect(clippy::disallowed_methods, reason = "tests run beside the node, outside its scopes")]

use std::time::Duration;

use hookswitch_hub::ConnectionCaps;
use hookswitch_testkit::{PATIENCE, Token, eventually};
use serde_json::json;
use tokio::time::Instant;

use crate::event_source::EventSource;
use crate::rig::{Rig, check_gaps, publish_numbered, sign, token};

const STREAM: &str = "/api/v1/events/stream";

async fn agent(rig: &Rig, tenant: &str, user: i64) -> EventSource {
    EventSource::with_token(&rig.addr, STREAM, &token(tenant, user)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_keep_a_quiet_stream_alive() {
    let rig = Rig::with(|_, hub| {
        hub.ping_interval = Duration::from_millis(50);
        hub.pong_timeout = Duration::from_millis(300);
    })
    .await;
    let mut source = agent(&rig, "tenant-1", 1).await;
    let started = Instant::now();
    let mut n_comments = 0;
    // Several times as long as a WebSocket may be silent.
    while started.elapsed() < Duration::from_millis(1_500) {
        n_comments += 1;
        source.expect_comments(n_comments).await;
    }
    rig.service("tenant-1").publish(json!({"type": "alert"})).await;
    source.expect("alert").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_token_and_has_no_content_when_it_comes_back() {
    let rig = Rig::open().await;
    let token = sign(&Token::new("tenant-1", 1).expires_in(2));
    let path = format!("{STREAM}?token={token}");
    let mut source = EventSource::open(&rig.addr, &path, &[]).await;
    let error = source.expect("error").await;
    assert_eq!(error["payload"]["code"], "token_expired");
    assert_eq!(error["payload"]["close_code"], 4401);
    assert!(error["timestamp"].is_string());
    source.expect_end().await;
    source.expect_close().await;
    let back = EventSource::open(&rig.addr, &path, &[]).await;
    assert_eq!((back.status(), back.header("content-type")), (204, None));
    eventually("it is counted out", PATIENCE, async || rig.hub.n_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_has_its_own_session_until_that_ends() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    for session in ["s-1", "s-2"] {
        service.publish(json!({"type": "chat.session.started", "payload": {"session_id": session}})).await;
    }
    let mut visitor = EventSource::open(&rig.addr, &format!("{STREAM}/public/s-1"), &[]).await;
    let mut other =
        EventSource::open(&rig.addr, &format!("{STREAM}/public?session_id=s-1&events=chat.message"), &[]).await;
    service.publish(json!({"type": "chat.message", "session_id": "s-2"})).await;
    service.publish(json!({"type": "call.incoming"})).await;
    service.publish(json!({"type": "chat.transferred", "session_id": "s-1"})).await;
    service.publish(json!({"type": "chat.message", "session_id": "s-1"})).await;
    visitor.expect("chat.transferred").await;
    visitor.expect("chat.message").await;
    other.expect("chat.message").await;
    service.publish(json!({"type": "chat.session.ended", "payload": {"session_id": "s-1"}})).await;
    visitor.expect("chat.session.ended").await;
    for source in [&mut visitor, &mut other] {
        let error = source.expect("error").await;
        assert_eq!(
            (&error["payload"]["code"], &error["payload"]["close_code"]),
            (&json!("unknown_session"), &json!(4410))
        );
        source.expect_end().await;
    }
    let path = format!("{STREAM}/public/s-1");
    let back = EventSource::open(&rig.addr, &path, &[("last-event-id", "")]).await;
    assert_eq!(back.status(), 204, "it stops coming back");
    let new = EventSource::open(&rig.addr, &path, &[]).await;
    assert_eq!(new.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_limit_a_stream_is_told_when_to_come_back() {
    let caps = ConnectionCaps { per_tenant: 10, per_user: 1, per_session: 1 };
    let rig = Rig::with(|_, hub| hub.connection_caps = caps).await;
    let _first = agent(&rig, "tenant-1", 1).await;
    let mut second = agent(&rig, "tenant-1", 1).await;
    assert_eq!((second.status(), second.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    second.expect_end().await;
    assert_eq!(second.n_comments, 1, "people are told why");
    assert!((10_000..=50_000).contains(&second.retry.expect("a moment")), "{:?}", second.retry);
    assert!(rig.api().get("/metrics").await.text().contains("hookswitch_refused_upgrades_total{limit=\"user\"} 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_sends_streams_away_one_by_one_and_refuses_new_ones() {
    let rig = Rig::open().await;
    let mut sources = Vec::new();
    for user in 1..=8 {
        sources.push(agent(&rig, "tenant-1", user).await);
    }
    let gateway = rig.gateway.clone();
    let drained = tokio::spawn(async move { gateway.drain().await });
    let mut moments = Vec::new();
    for mut source in sources {
        source.expect_end().await;
        moments.push(source.retry.expect("a moment"));
        source.expect_close().await;
    }
    assert!(drained.await.expect("no panic"), "every connection is out");
    assert!(moments.iter().all(|moment| (0..=5_000).contains(moment)), "{moments:?}");
    moments.sort_unstable();
    moments.dedup();
    assert_eq!(moments.len(), 8, "each has its own: {moments:?}");
    let mut late = agent(&rig, "tenant-1", 1).await;
    assert_eq!(late.status(), 200, "a browser would never come back after 503");
    late.expect_end().await;
    assert!(late.retry.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_told_what_it_missed_and_holds_up_nobody() {
    let rig = Rig::with(|_, hub| hub.outbox_bytes = 256 * 1024).await;
    let mut slow = EventSource::open_narrow(&rig.addr, &format!("{STREAM}?token={}", token("tenant-1", 1))).await;
    let mut quick = agent(&rig, "tenant-1", 2).await;
    publish_numbered(&rig, async |n| assert_eq!(quick.expect("alert").await["payload"]["n"], n)).await;
    check_gaps(async || slow.next().await.expect("more comes")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_reads_is_closed_as_silent() {
    let rig = Rig::with(|_, hub| {
        hub.outbox_bytes = 64 * 1024;
        hub.ping_interval = Duration::from_millis(100);
        hub.pong_timeout = Duration::from_millis(400);
        hub.close_timeout = Duration::from_millis(200);
    })
    .await;
    let _deaf = EventSource::open_narrow(&rig.addr, &format!("{STREAM}?token={}", token("tenant-1", 1))).await;
    let service = rig.service("tenant-1");
    let filler = "x".repeat(64 * 1024);
    let started = Instant::now();
    // Until the kernel's buffers are full, it looks alive.
    while rig.hub.n_connections() > 0 {
        assert!(started.elapsed() < PATIENCE, "it is closed in time");
        service.publish(json!({"type": "alert", "payload": {"filler": filler}})).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_talks_on_is_ended() {
    let rig = Rig::open().await;
    let mut chatty = hookswitch_testkit::RawSocket::connect(&rig.addr).await;
    let request = format!("GET {STREAM}?token={} HTTP/1.1\r\nHost: x\r\n\r\n", token("tenant-1", 1));
    chatty.send(request.as_bytes()).await;
    assert!(chatty.read_head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    chatty.send(&vec![b'x'; 32 * 1024]).await;
    assert_eq!(rig.hub.n_connections(), 1);
    // The node may hang up before it has all.
    let _ended = chatty.try_send(&vec![b'x'; 512 * 1024]).await;
    eventually("it is gone", PATIENCE, async || rig.hub.n_connections() == 0).await;
}
