//! What a browser is told of a refused upgrade, and a token that is replaced without one.

use std::time::Duration;

use hookswitch_gateway::AllowedOrigins;
use hookswitch_hub::ConnectionCaps;
use hookswitch_testkit::{Opcode, PATIENCE, RawSocket, Token, WsRequest, eventually};
use serde_json::json;

use crate::rig::{Rig, sign, token};

/// Asks for a WebSocket as a client of `hookswitch.v1` does; the close that comes, and the head before it.
async fn refused(rig: &Rig, path: &str, subprotocols: &str, headers: &str) -> (u16, String) {
    let mut socket = RawSocket::connect(&rig.addr).await;
    let headers = format!("Sec-WebSocket-Protocol: {subprotocols}\r\n{headers}");
    socket.send(&RawSocket::upgrade_request(path, &headers)).await;
    let head = socket.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-protocol: hookswitch.v1\r\n"), "{head}");
    let frame = socket.read_frame(PATIENCE).await.expect("a close frame");
    assert_eq!(frame.opcode, Opcode::Close);
    let reason = String::from_utf8(frame.payload[2..].to_vec()).expect("text");
    assert!(socket.read_to_end().await.is_empty(), "nothing follows");
    (frame.close_code().expect("a code"), reason)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_is_told_by_a_close_where_that_is_asked_for() {
    let rig = Rig::with(|config, hub| {
        config.origins = AllowedOrigins::parse("https://app.example").expect("legal");
        hub.connection_caps = ConnectionCaps { per_user: 1, ..ConnectionCaps::default() };
    })
    .await;
    let good = token("tenant-1", 1);
    let old = sign(&Token::new("tenant-1", 1).expires_in(-5));
    let tell = async |path: &str, offered: &str, headers: &str| refused(&rig, path, offered, headers).await;
    assert_eq!(
        tell("/ws", &format!("hookswitch.v1, bearer, {old}"), "").await,
        (4401, "token_expired: token has expired".to_owned())
    );
    let (code, reason) = tell("/api/v1/ws", "hookswitch.v1", "").await;
    assert!(code == 4401 && reason.starts_with("unauthorized: a token is required"), "{code} {reason}");
    let bearer = format!("bearer, {good}, hookswitch.v1");
    let (code, reason) = tell("/ws", &bearer, "Origin: https://evil.example\r\n").await;
    let expected = "origin_refused: the page's origin https://evil.example is not in WS_ALLOWED_ORIGINS";
    assert_eq!((code, reason.as_str()), (4413, expected));
    let (code, reason) = tell("/ws/public/nobodys", "hookswitch.v1", "").await;
    assert!(code == 4414 && reason.starts_with("unknown_session: "), "{code} {reason}");
    let (code, reason) = tell("/ws?events=a%20b", &bearer, "").await;
    assert!(code == 4412 && reason.starts_with("invalid_field: events "), "{code} {reason}");
    let _first = rig.agent("tenant-1", 1).await;
    let (code, reason) = tell("/ws", &bearer, "").await;
    assert!(code == 1013 && reason.starts_with("too_many_connections: the user has 1"), "{code} {reason}");
    rig.hub.refuse_newcomers();
    let (code, reason) = tell("/ws", &bearer, "").await;
    assert!(code == 1013 && reason.starts_with("draining: "), "{code} {reason}");
    eventually("no refused one is left", PATIENCE, async || rig.hub.n_connections() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_ask_for_it_is_told_by_http() {
    let rig = Rig::open().await;
    for offered in ["bearer, x.y.z", "hookswitch.v2", "chat"] {
        let answer = rig.api().upgrade("/ws", &[("sec-websocket-protocol", offered)]).await;
        answer.expect_error(401, "unauthorized");
    }
    // No handshake at all: there is nothing to close.
    let answer = rig.api().get("/ws").await;
    answer.expect_error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_let_in_is_answered_with_the_subprotocol_it_offered() {
    let rig = Rig::open().await;
    let offered = format!("hookswitch.v1, bearer, {}", token("tenant-1", 1));
    let mut agent = WsRequest::new(&rig.addr, "/ws").header("sec-websocket-protocol", &offered).open().await;
    assert_eq!(agent.protocol(), Some("hookswitch.v1"));
    agent.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_given_in_time_prolongs_the_connection() {
    let rig = Rig::open().await;
    let brief = sign(&Token::new("tenant-1", 1).expires_in(2));
    let (mut renewed, mut other) = (
        WsRequest::new(&rig.addr, "/ws").bearer(&brief).open().await,
        WsRequest::new(&rig.addr, "/ws").bearer(&brief).open().await,
    );
    renewed.send_json(json!({"type": "token", "payload": {"token": token("tenant-1", 1)}})).await;
    renewed.expect_silence().await;
    assert_eq!(other.close_code().await, 4401, "the old token has ended");
    renewed.expect_silence().await;
    // And it ends with the new one.
    let next = sign(&Token::new("tenant-1", 1).expires_in(1));
    renewed.send_json(json!({"type": "token", "payload": {"token": next}})).await;
    assert_eq!(renewed.close_code_within(Duration::from_secs(10)).await, 4401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_this_connections_changes_nothing() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let cases = [
        (token("tenant-1", 2), "forbidden"),
        (token("tenant-2", 1), "forbidden"),
        (sign(&Token::new("tenant-1", 1).role("admin")), "forbidden"),
        (sign(&Token::new("tenant-1", 1).expires_in(-5)), "token_expired"),
        (Token::new("tenant-1", 1).sign("another secret"), "unauthorized"),
    ];
    for (token, code) in cases {
        agent.send_json(json!({"type": "token", "payload": {"token": token}})).await;
        let told = agent.expect_error(code).await;
        assert!(!told.contains(&token), "{told}");
    }
    agent.expect_silence().await;
    let metrics = rig.api().get("/metrics").await.text();
    assert!(metrics.contains("hookswitch_refused_tokens_total{reason=\"expired\"} 1"), "{metrics}");
}
