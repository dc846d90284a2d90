//! How a connection comes about: where the token stands, which paths there are, how a refusal looks.

use std::time::Duration;

use hookswitch_testkit::{PATIENCE, RawSocket, Token, WsRequest};

use crate::stage::{Stage, TENANT, event};

#[tokio::test]
async fn a_token_may_stand_in_the_header_the_query_or_the_subprotocol() {
    let stage = Stage::start().await;
    let token = stage.sign(&Token::new(TENANT, 1));
    for path in ["/ws", "/api/v1/ws"] {
        let by_header = WsRequest::new(stage.addr(), path).bearer(&token).open().await;
        let by_query = WsRequest::new(stage.addr(), &format!("{path}?token={token}")).open().await;
        let by_protocol = WsRequest::new(stage.addr(), path).subprotocol(&token).open().await;
        assert_eq!(by_protocol.protocol(), Some("bearer"));
        stage.service().publish(event("alert")).await;
        for mut client in [by_header, by_query, by_protocol] {
            client.expect("alert").await;
        }
    }
}

#[tokio::test]
async fn tokens_never_reach_the_log() {
    let mut stage = Stage::with(&[("RUST_LOG", "trace")]).await;
    let token = stage.sign(&Token::new(TENANT, 1));
    let bad = stage.sign(&Token::new(TENANT, 1).expires_in(-3600));
    WsRequest::new(stage.addr(), &format!("/ws?token={token}")).open().await.expect_silence().await;
    stage.node.api().upgrade(&format!("/ws?token={bad}"), &[]).await;
    stage.node.api().get(&format!("/nowhere?token={token}")).await;
    // All that was logged is written when it has ended.
    stage.node.terminate();
    assert_eq!(stage.node.wait(PATIENCE).await.code(), Some(0));
    let log = stage.node.log();
    for secret in [token.as_str(), bad.as_str(), stage.node.secret()] {
        assert!(!log.contains(secret), "a secret is in the log:\n{log}");
    }
}

#[tokio::test]
async fn refusals_say_why() {
    let stage = Stage::start().await;
    let api = stage.node.api();
    for path in ["/ws", "/api/v1/ws", "/ws?token=nonsense"] {
        api.upgrade(path, &[]).await.expect_error(401, "unauthorized");
    }
    for path in ["/ws/public/nobody", "/api/v1/ws/public/nobody", "/ws/public?session_id=nobody"] {
        api.upgrade(path, &[]).await.expect_error(404, "unknown_session");
    }
    let token = stage.sign(&Token::new(TENANT, 1));
    let evil = [("origin", "https://evil.example")];
    api.clone().with_token(&token).upgrade("/ws", &evil).await.expect_error(403, "origin_refused");
    api.with_token(token).get("/ws").await.expect_error(426, "upgrade_required");
}

#[tokio::test]
async fn a_first_frame_in_the_same_packet_as_the_upgrade_is_served() {
    let stage = Stage::start().await;
    let authorization = format!("Authorization: Bearer {}\r\n", stage.sign(&Token::new(TENANT, 1)));
    let mut bytes = RawSocket::upgrade_request("/ws", &authorization);
    bytes.extend(hookswitch_testkit::Frame::new(hookswitch_testkit::Opcode::Text, r#"{"type":"ping"}"#).masked());
    let mut socket = RawSocket::connect(stage.addr()).await;
    socket.send(&bytes).await;
    assert!(socket.read_head().await.starts_with("HTTP/1.1 101"));
    assert!(socket.read_text().await.contains(r#""type":"pong""#));
}

#[tokio::test]
async fn an_expired_token_ends_the_connection_with_its_own_code() {
    let stage = Stage::start().await;
    let token = stage.sign(&Token::new(TENANT, 1).expires_in(2));
    let mut client = WsRequest::new(stage.addr(), "/ws").bearer(&token).open().await;
    client.expect_silence().await;
    // The leeway is at most 60 s.
    assert_eq!(client.close_code_within(Duration::from_secs(65)).await, 4401);
    let refused = WsRequest::new(stage.addr(), "/ws").bearer(&token).connect().await;
    assert_eq!(refused.expect_err("the token has expired").status, 401);
}

#[tokio::test]
async fn a_half_sent_handshake_does_not_hold_up_others() {
    let stage = Stage::start().await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut socket = RawSocket::connect(stage.addr()).await;
        socket.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgr").await;
        slow.push(socket);
    }
    stage.agent(1).await.expect_silence().await;
}

#[tokio::test]
async fn spellings_that_clients_use_are_understood() {
    let stage = Stage::start().await;
    let token = stage.sign(&Token::new(TENANT, 1));
    let lower_case = format!("bearer {token}");
    WsRequest::new(stage.addr(), "/ws").header("authorization", &lower_case).open().await.expect_silence().await;
    let only_protocol = format!("bearer,{token}");
    let client = WsRequest::new(stage.addr(), "/ws").header("sec-websocket-protocol", &only_protocol).open().await;
    assert_eq!(client.protocol(), Some("bearer"));
    let browser = "keep-alive, Upgrade";
    WsRequest::new(stage.addr(), "/ws")
        .bearer(&token)
        .header("connection", browser)
        .open()
        .await
        .expect_silence()
        .await;
    // Offered by browsers and not taken up: the answer may not claim it.
    let compression = "permessage-deflate; client_max_window_bits";
    let offering = WsRequest::new(stage.addr(), "/ws").bearer(&token).header("sec-websocket-extensions", compression);
    offering.open().await.expect_silence().await;
}

#[tokio::test]
async fn odd_addresses_are_refused_in_words() {
    let stage = Stage::start().await;
    let api = stage.node.api();
    for path in ["/ws/public/a%20b", "/ws/public/%00", "/ws/public/a%2Fb", "/ws/public?session_id=%ff", "/ws/public"] {
        let answer = api.upgrade(path, &[]).await;
        assert!(answer.status == 400 || answer.status == 404, "{path}: {}", answer.text());
        assert_eq!(answer.json()["success"], false);
    }
    let long = "u".repeat(65);
    let known = api.with_token(stage.sign(&Token::new(TENANT, 1)));
    assert_eq!(known.get(&format!("/ws/users/{long}/online")).await.status, 400);
    let authorization = format!("Authorization: Bearer {}\r\n", stage.sign(&Token::new(TENANT, 1)));
    let request = String::from_utf8(RawSocket::upgrade_request("/ws", &authorization)).expect("text");
    for broken in [request.replace("Version: 13", "Version: 8"), request.replace("dGhlIHNhbXBsZSBub25jZQ==", "short")] {
        let mut socket = RawSocket::connect(stage.addr()).await;
        socket.send(broken.as_bytes()).await;
        let head = socket.read_head().await;
        assert!(head.starts_with("HTTP/1.1 426") || head.starts_with("HTTP/1.1 400"), "{head}");
    }
}
