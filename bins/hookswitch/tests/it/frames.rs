//! Odd and broken input on a WebSocket: each gets its error or close code, and nobody else notices.

use hookswitch_testkit::{Frame, Opcode, PATIENCE, RawSocket, Token};
use serde_json::json;

use crate::stage::{Stage, TENANT, event, expect_exactly};

async fn raw(stage: &Stage) -> RawSocket {
    let mut socket = RawSocket::connect(stage.addr()).await;
    socket.upgrade("/ws", &stage.sign(&Token::new(TENANT, 9))).await;
    socket
}

#[tokio::test]
async fn bad_commands_are_told_and_the_connection_stays() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    for (text, code) in [
        ("{", "invalid_json"),
        ("", "invalid_json"),
        ("nonsense", "invalid_json"),
        ("{}", "invalid_field"),
        ("[]", "invalid_field"),
        (r#"["ping",null]"#, "invalid_field"),
        (r#"{"type":5}"#, "invalid_field"),
        (r#"{"type":"publish","payload":{}}"#, "unknown_command"),
        (r#"{"type":"pong"}"#, "unknown_command"),
        (r#"{"type":"subscribe"}"#, "invalid_field"),
        (r#"{"type":"subscribe","payload":{"events":"call.*"}}"#, "invalid_field"),
        (r#"{"type":"subscribe","payload":{"events":[1]}}"#, "invalid_field"),
        (r#"{"type":"subscribe","payload":{"events":["a b"]}}"#, "invalid_field"),
        (r#"{"type":"unsubscribe","payload":[]}"#, "invalid_field"),
    ] {
        agent.send_text(text).await;
        let message = agent.expect_error(code).await;
        assert!(!message.is_empty(), "{text}");
    }
    agent.send_text("[".repeat(100_000)).await;
    agent.expect("error").await;
    stage.service().publish(event("alert")).await;
    expect_exactly(&mut agent, &["alert"]).await;
}

#[tokio::test]
async fn a_binary_message_is_an_error_and_the_connection_stays() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.send_binary(br#"{"type":"ping"}"#.to_vec()).await;
    agent.expect_error("not_text").await;
    agent.expect_silence().await;
}

#[tokio::test]
async fn invalid_utf8_closes_with_1007() {
    let stage = Stage::start().await;
    let mut bystander = stage.agent(1).await;
    let mut socket = raw(&stage).await;
    socket.send(&Frame::new(Opcode::Text, &b"{\"type\":\"\xff\xfe\"}"[..]).masked()).await;
    assert_eq!(socket.read_close().await, Some(1007));
    bystander.expect_silence().await;
}

#[tokio::test]
async fn a_message_above_512_kib_closes_with_1009() {
    let stage = Stage::start().await;
    let mut bystander = stage.agent(1).await;
    let mut agent = stage.agent(2).await;
    agent.send_text("x".repeat(512 * 1024)).await;
    agent.expect_error("invalid_json").await;
    agent.expect_silence().await;
    let mut socket = raw(&stage).await;
    // The head alone tells the size; nobody should wait for, or keep, the rest.
    let head = Frame::new(Opcode::Text, vec![b'x'; 600 * 1024]).masked()[..14].to_vec();
    socket.send(&head).await;
    assert_eq!(socket.read_close().await, Some(1009));
    bystander.expect_silence().await;
}

#[tokio::test]
async fn many_small_pieces_are_counted_together() {
    let stage = Stage::start().await;
    let mut socket = raw(&stage).await;
    let piece = vec![b'x'; 100 * 1024];
    socket.send(&Frame::new(Opcode::Text, piece.clone()).unfinished().masked()).await;
    for _ in 0..5 {
        socket.send(&Frame::new(Opcode::Continuation, piece.clone()).unfinished().masked()).await;
    }
    assert_eq!(socket.read_close().await, Some(1009));
}

#[tokio::test]
async fn a_message_in_pieces_with_a_ping_between_is_one_message() {
    let stage = Stage::start().await;
    let mut socket = raw(&stage).await;
    socket.send(&Frame::new(Opcode::Text, r#"{"type":"#).unfinished().masked()).await;
    socket.send(&Frame::new(Opcode::Ping, "are you there").masked()).await;
    let pong = socket.read_frame(PATIENCE).await.expect("a pong");
    assert_eq!((pong.opcode, pong.payload.as_ref()), (Opcode::Pong, b"are you there".as_slice()));
    socket.send(&Frame::new(Opcode::Continuation, r#""ping"}"#).masked()).await;
    assert!(socket.read_text().await.contains(r#""type":"pong""#));
}

#[tokio::test]
async fn frames_that_break_the_protocol_close_with_1002() {
    let stage = Stage::start().await;
    for (what, bytes) in [
        ("not masked", Frame::new(Opcode::Text, r#"{"type":"ping"}"#).unmasked()),
        ("a reserved opcode", Frame::new(Opcode::Reserved(3), "x").masked()),
        ("a continuation of nothing", Frame::new(Opcode::Continuation, "x").masked()),
        ("a ping in pieces", Frame::new(Opcode::Ping, "x").unfinished().masked()),
        ("a ping too long", Frame::new(Opcode::Ping, vec![b'x'; 126]).masked()),
    ] {
        let mut socket = raw(&stage).await;
        socket.send(&bytes).await;
        assert_eq!(socket.read_close().await, Some(1002), "{what}");
    }
    stage.agent(1).await.expect_silence().await;
}

#[tokio::test]
async fn a_good_bye_is_answered() {
    let stage = Stage::start().await;
    let mut socket = raw(&stage).await;
    socket.send(&Frame::new(Opcode::Close, &b"\x03\xe8bye"[..]).masked()).await;
    assert_eq!(socket.read_close().await, Some(1000));
    assert!(socket.read_to_end().await.is_empty());
}

#[tokio::test]
async fn many_commands_in_one_packet_take_effect_in_order() {
    let stage = Stage::start().await;
    let mut socket = raw(&stage).await;
    let commands = [
        json!({"type": "subscribe", "payload": {"events": ["alert"]}}),
        json!({"type": "nonsense"}),
        json!({"type": "ping"}),
    ];
    let bytes: Vec<u8> = commands.iter().flat_map(|c| Frame::new(Opcode::Text, c.to_string()).masked()).collect();
    socket.send(&bytes).await;
    assert!(socket.read_text().await.contains("unknown_command"));
    assert!(socket.read_text().await.contains(r#""type":"pong""#));
    stage.service().publish(json!({"events": [event("call.ended"), event("alert")]})).await;
    assert!(socket.read_text().await.contains(r#""type":"alert""#));
}

#[tokio::test]
async fn the_server_pings_and_closes_the_silent() {
    let stage = Stage::with(&[("WS_PING_INTERVAL", "1s"), ("WS_PONG_TIMEOUT", "3s")]).await;
    let mut polite = stage.agent(1).await;
    let mut socket = raw(&stage).await;
    let ping = socket.read_frame(PATIENCE).await.expect("a ping");
    assert_eq!(ping.opcode, Opcode::Ping);
    let code = async { socket.read_close().await };
    // The polite client answers pings by reading.
    let reading = async {
        let silence = tokio::time::timeout(std::time::Duration::from_secs(6), polite.next_event(PATIENCE)).await;
        assert!(silence.is_err(), "{silence:?}");
        polite.expect_silence().await;
    };
    let (code, ()) = tokio::join!(code, reading);
    assert_eq!(code, Some(4408));
}
