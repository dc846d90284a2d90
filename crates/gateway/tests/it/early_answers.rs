//! Answers to clients that are still sending, that send what cannot be read, or that do not read.

use std::num::NonZeroU32;
use std::time::Duration;

use hookswitch_testkit::{PATIENCE, RawSocket, Token, WsRequest, eventually};
use tokio::time::Instant;

use crate::rig::{Rig, sign, token};

const MIB: usize = 1024 * 1024;

/// A client that sends all it has before it reads, as most do; its answer's head.
async fn send_then_read(rig: &Rig, line: &str, headers: &str, n_bytes: usize) -> String {
    let mut socket = RawSocket::connect(&rig.addr).await;
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {n_bytes}\r\n\r\n");
    socket.send(head.as_bytes()).await;
    for _ in 0..n_bytes / MIB {
        socket.send(&vec![b'x'; MIB]).await;
    }
    socket.read_head().await
}

fn bearer(token: &Token) -> String {
    format!("Authorization: Bearer {}\r\n", sign(token))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let rig = Rig::with(|config, _| config.tenant_rate_limit = NonZeroU32::new(1)).await;
    let (service, agent) = (bearer(&Token::service("tenant-1")), bearer(&Token::new("tenant-1", 1)));
    let origin = "Origin: https://evil.example\r\n";
    for (line, headers, status) in [
        ("POST /api/v1/events", "", 401),
        ("POST /api/v1/events", agent.as_str(), 403),
        ("OPTIONS /api/v1/events", origin, 403),
        ("POST /nope", service.as_str(), 404),
        ("PATCH /api/v1/events", service.as_str(), 405),
        ("POST /ws", service.as_str(), 405),
        ("POST /api/v1/events", service.as_str(), 413),
        ("POST /api/v1/webhooks", service.as_str(), 413),
        // By now the tenant has made its request of this second, or makes it here.
        ("POST /api/v1/events", service.as_str(), 429),
    ] {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let head = send_then_read(&rig, line, headers, 4 * MIB).await;
            if head.starts_with(&format!("HTTP/1.1 {status}")) {
                break;
            }
            let is_other = [413, 429].map(|other| head.starts_with(&format!("HTTP/1.1 {other}"))).contains(&true);
            assert!([413, 429].contains(&status) && is_other, "{line} {status}: {head}");
            assert!(Instant::now() < deadline, "{line} {status}: {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_goes_on_after_an_early_refusal() {
    let rig = Rig::open().await;
    let mut socket = RawSocket::connect(&rig.addr).await;
    for _ in 0..3 {
        let head = format!("POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: {MIB}\r\n\r\n");
        socket.send(&[head.as_bytes(), &vec![b'x'; MIB]].concat()).await;
        let head = socket.read_head().await;
        assert!(head.contains("HTTP/1.1 404") && !head.contains("connection: close"), "{head}");
        socket.read_exactly(length(&head)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_leave_to_send_is_spared_the_sending() {
    let rig = Rig::open().await;
    let mut socket = RawSocket::connect(&rig.addr).await;
    let head =
        format!("POST /api/v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {MIB}\r\n\r\n");
    socket.send(head.as_bytes()).await;
    let head = socket.read_head().await;
    assert!(head.starts_with("HTTP/1.1 401") && head.contains("connection: close"), "{head}");
    // Who sends all the same is read from, and finds the answer.
    socket.send(&vec![b'x'; MIB]).await;
    assert!(!socket.read_to_end().await.is_empty(), "the answer's body");
}

/// What `Content-Length` says.
fn length(head: &str) -> usize {
    let head = head.to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    line.trim().parse().expect("a number")
}

async fn json_after(socket: &mut RawSocket, head: &str) -> serde_json::Value {
    serde_json::from_slice(&socket.read_exactly(length(head)).await).expect("JSON")
}

async fn upgrade_with(rig: &Rig, headers: &str) -> (RawSocket, String) {
    let mut socket = RawSocket::connect(&rig.addr).await;
    let headers = format!("Authorization: Bearer {}\r\n{headers}", token("tenant-1", 1));
    socket.send(&RawSocket::upgrade_request("/ws", &headers)).await;
    let head = socket.read_head().await;
    (socket, head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_cookies_are_taken_and_too_many_are_told_so() {
    let rig = Rig::open().await;
    let cookies = |n_bytes: usize| format!("Cookie: {}\r\n", "c".repeat(n_bytes));
    let lines = |n: usize| "X-Line: 1\r\n".repeat(n);
    for taken in [cookies(20 * 1024), cookies(30 * 1024), lines(200)] {
        let (_socket, head) = upgrade_with(&rig, &taken).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    }
    for refused in [cookies(40 * 1024), lines(300), cookies(200 * 1024)] {
        let (mut socket, head) = upgrade_with(&rig, &refused).await;
        assert!(head.starts_with("HTTP/1.1 431"), "{head}");
        let answer = json_after(&mut socket, &head).await;
        assert_eq!(answer["error"]["code"], "invalid_request");
        let message = answer["error"]["message"].as_str().expect("words");
        assert!(message.contains("larger than 32768 bytes or has more than 256 lines"), "{message}");
        assert!(answer["request_id"].is_string() && answer["timestamp"].is_string(), "{answer}");
    }
    eventually("they are counted", PATIENCE, async || {
        let metrics = rig.api().get("/metrics").await.text();
        metrics.contains("hookswitch_http_connections_cut_total{reason=\"head_too_large\"} 3")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_gets_an_answer_with_a_body() {
    let rig = Rig::open().await;
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET / HTTP/3.7\r\n\r\n", b"G\0T / HTTP/1.1\r\n\r\n"]
    {
        let mut socket = RawSocket::connect(&rig.addr).await;
        socket.send(bytes).await;
        let head = socket.read_head().await;
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        assert_eq!(json_after(&mut socket, &head).await["error"]["code"], "invalid_request");
    }
    let mut http_2 = RawSocket::connect(&rig.addr).await;
    http_2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    http_2.read_to_end().await;
    eventually("all are counted", PATIENCE, async || {
        let metrics = rig.api().get("/metrics").await.text();
        metrics.contains("hookswitch_http_connections_cut_total{reason=\"no_http\"} 4")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_kept_as_long_as_its_answers_say() {
    let rig = Rig::open().await;
    let answer = rig.api().get("/healthz").await;
    assert_eq!(answer.header("keep-alive"), "timeout=75");
    let rig = Rig::with(|config, _| {
        config.idle_timeout = Duration::from_secs(1);
        config.header_deadline = Duration::from_secs(30);
    })
    .await;
    let mut socket = RawSocket::connect(&rig.addr).await;
    socket.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let head = socket.read_head().await;
    assert!(head.contains("keep-alive: timeout=1"), "{head}");
    socket.read_exactly(length(&head)).await;
    let start = Instant::now();
    assert!(socket.read_to_end().await.is_empty());
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

/// A client that asks for more than the buffers between hold, and reads nothing.
async fn unread(rig: &Rig) -> RawSocket {
    let mut socket = RawSocket::connect_narrow(&rig.addr).await;
    let asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    // Ends when the node does not read any more, because it cannot write.
    while tokio::time::timeout(Duration::from_millis(500), socket.try_send(&asked)).await.is_ok_and(|sent| sent.is_ok())
    {
    }
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_reads_is_given_up() {
    let rig = Rig::with(|config, _| config.write_deadline = Duration::from_millis(300)).await;
    let _socket = unread(&rig).await;
    eventually("the connection is cut", PATIENCE, async || {
        let metrics = rig.api().get("/metrics").await.text();
        metrics.contains("hookswitch_http_connections_cut_total{reason=\"answer_not_read\"} 1")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_does_not_read_or_send_holds_up_the_end() {
    let rig = Rig::open().await;
    let _unread = unread(&rig).await;
    let mut half_a_head = RawSocket::connect(&rig.addr).await;
    half_a_head.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await;
    let mut half_a_body = RawSocket::connect(&rig.addr).await;
    let service = bearer(&Token::service("tenant-1"));
    let head = format!("POST /api/v1/events HTTP/1.1\r\nHost: x\r\n{service}Content-Length: 100\r\n\r\n{{");
    half_a_body.send(head.as_bytes()).await;
    eventually("all are there", PATIENCE, async || {
        rig.api().get("/metrics").await.text().lines().any(|line| line == "hookswitch_http_connections 4")
    })
    .await;
    let start = Instant::now();
    assert!(rig.scope.shut_down(PATIENCE).await, "every task ended by itself");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(half_a_body.read_head().await.starts_with("HTTP/1.1 503"), "and was told so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_get_upgrades_and_the_subprotocol_may_be_written_large() {
    let rig = Rig::open().await;
    let mut socket = RawSocket::connect(&rig.addr).await;
    let head = format!("HEAD /ws HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer(&Token::new("tenant-1", 1)));
    socket.send(head.as_bytes()).await;
    let head = socket.read_head().await;
    assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: GET, OPTIONS"), "{head}");
    for word in ["bearer", "Bearer", "BEARER"] {
        let offered = format!("{word}, {}", token("tenant-1", 1));
        let socket = WsRequest::new(&rig.addr, "/ws").header("sec-websocket-protocol", &offered).open().await;
        assert_eq!(socket.protocol(), Some(word));
    }
}
