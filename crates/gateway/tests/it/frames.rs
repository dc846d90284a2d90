//! Frames as odd clients send them.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_testkit::{Frame, Opcode, PATIENCE, RawSocket, eventually};
use serde_json::json;

use crate::rig::{Rig, check_gaps, publish_numbered, token};

async fn raw(rig: &Rig) -> RawSocket {
    let mut socket = RawSocket::connect(&rig.addr).await;
    socket.upgrade("/ws", &token("tenant-1", 1)).await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_frame_in_the_same_packet_as_the_request_is_served() {
    let rig = Rig::open().await;
    for _ in 0..20 {
        let mut socket = RawSocket::connect(&rig.addr).await;
        let authorization = format!("Authorization: Bearer {}\r\n", token("tenant-1", 1));
        let mut packet = RawSocket::upgrade_request("/ws", &authorization);
        packet.extend(Frame::new(Opcode::Text, r#"{"type":"ping"}"#).masked());
        socket.send(&packet).await;
        assert!(socket.read_head().await.starts_with("HTTP/1.1 101"));
        assert!(socket.read_text().await.starts_with(r#"{"type":"pong""#));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_may_come_byte_by_byte_and_in_fragments() {
    let rig = Rig::open().await;
    let mut socket = raw(&rig).await;
    for byte in Frame::new(Opcode::Text, r#"{"type":"ping"}"#).masked() {
        socket.send(&[byte]).await;
    }
    assert!(socket.read_text().await.contains("pong"));
    socket.send(&Frame::new(Opcode::Text, r#"{"type":"#).unfinished().masked()).await;
    socket.send(&Frame::new(Opcode::Ping, "between").masked()).await;
    let pong = socket.read_frame(PATIENCE).await.expect("a pong");
    assert_eq!((pong.opcode, &*pong.payload), (Opcode::Pong, &b"between"[..]));
    socket.send(&Frame::new(Opcode::Continuation, r#""ping"}"#).masked()).await;
    assert!(socket.read_text().await.contains("pong"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_is_not_in_its_shortest_form_is_1002_and_what_came_before_counts() {
    let rig = Rig::open().await;
    let ping = Frame::new(Opcode::Text, r#"{"type":"ping"}"#).masked();
    for header in [
        &[0x81, 0xFE, 0, 15][..],
        &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 15],
        &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
        &[0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 15],
        &[0x89, 0xFE, 0, 15],
    ] {
        let mut socket = raw(&rig).await;
        socket.send(&[&ping, header, &[1, 2, 3, 4]].concat()).await;
        assert!(socket.read_text().await.contains("pong"), "{header:?}");
        let close = socket.read_frame(PATIENCE).await.expect("a close");
        assert_eq!(close.close_code(), Some(1002), "{header:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commands_in_one_packet_are_answered_in_order() {
    let rig = Rig::open().await;
    let mut socket = raw(&rig).await;
    let mut packet = Vec::new();
    for n in 0..200 {
        packet.extend(Frame::new(Opcode::Text, format!(r#"{{"type":"odd-{n}"}}"#)).masked());
    }
    socket.send(&packet).await;
    for n in 0..200 {
        let text = socket.read_text().await;
        assert!(text.contains(&format!("odd-{n}\\\"")), "{n}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_frame_has_its_close_code() {
    let rig = Rig::open().await;
    let text = |bytes: Vec<u8>| Frame::new(Opcode::Text, bytes).masked();
    let huge = text(vec![b' '; 600 * 1024]);
    let mut fragments = Frame::new(Opcode::Text, vec![b' '; 400 * 1024]).unfinished().masked();
    fragments.extend(Frame::new(Opcode::Continuation, vec![b' '; 400 * 1024]).masked());
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (text(vec![0xff, 0xfe]), 1007),
        (huge, 1009),
        (fragments, 1009),
        (Frame::new(Opcode::Text, "{}").unmasked(), 1002),
        (Frame::new(Opcode::Reserved(3), "").masked(), 1002),
        (Frame::new(Opcode::Continuation, "x").masked(), 1002),
        (Frame::new(Opcode::Ping, vec![b'x'; 126]).masked(), 1002),
    ];
    for (bytes, code) in cases {
        let mut socket = raw(&rig).await;
        socket.send(&bytes).await;
        assert_eq!(socket.read_close().await, Some(code));
    }
    eventually("all are gone", PATIENCE, async || rig.hub.n_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_the_largest_size_passes() {
    let rig = Rig::open().await;
    let mut socket = raw(&rig).await;
    let mut text = r#"{"type":"ping"}"#.to_owned();
    text.push_str(&" ".repeat(512 * 1024 - text.len()));
    socket.send_text(&text).await;
    assert!(socket.read_text().await.contains("pong"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_messages_are_told_and_the_connection_stays() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    agent.send_binary(vec![1, 2, 3]).await;
    agent.expect_error("not_text").await;
    agent.send_text("{").await;
    agent.expect_error("invalid_json").await;
    agent.send_json(json!({"type": "dance"})).await;
    agent.expect_error("unknown_command").await;
    let many: Vec<String> = (0..10_000).map(|n| format!("type.{n}")).collect();
    agent.send_json(json!({"type": "subscribe", "payload": {"events": many}})).await;
    agent.expect_error("too_many_names").await;
    let half = |from: usize| (from..from + 200).map(|n| format!("type.{n}")).collect::<Vec<_>>();
    agent.send_json(json!({"type": "subscribe", "payload": {"events": half(0)}})).await;
    agent.send_json(json!({"type": "subscribe", "payload": {"events": half(200)}})).await;
    agent.expect_error("too_many_names").await;
    agent.sync().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_close_is_answered_and_the_socket_ended() {
    let rig = Rig::open().await;
    let mut socket = raw(&rig).await;
    socket.send(&Frame::new(Opcode::Close, Bytes::from_static(b"\x03\xe8bye")).masked()).await;
    assert_eq!(socket.read_close().await, Some(1000));
    assert!(socket.read_to_end().await.is_empty(), "nothing follows a close");
    eventually("it is gone", PATIENCE, async || rig.hub.n_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_leaves_the_tables() {
    let rig = Rig::open().await;
    let socket = raw(&rig).await;
    drop(socket);
    eventually("it is gone", PATIENCE, async || rig.hub.n_connections() == 0).await;
    // And one that leaves before it has read the 101.
    let mut socket = RawSocket::connect(&rig.addr).await;
    let authorization = format!("Authorization: Bearer {}\r\n", token("tenant-1", 1));
    socket.send(&RawSocket::upgrade_request("/ws", &authorization)).await;
    drop(socket);
    eventually("it is gone too", PATIENCE, async || rig.hub.n_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_told_what_it_missed_and_holds_up_nobody() {
    let rig = Rig::with(|_, hub| hub.outbox_bytes = 256 * 1024).await;
    let mut slow = RawSocket::connect_narrow(&rig.addr).await;
    slow.upgrade("/ws", &token("tenant-1", 1)).await;
    let mut quick = rig.agent("tenant-1", 2).await;
    publish_numbered(&rig, async |n| assert_eq!(quick.expect("alert").await["payload"]["n"], n)).await;
    check_gaps(async || {
        loop {
            let frame = slow.read_frame(Duration::from_secs(10)).await.expect("more comes");
            if frame.opcode == Opcode::Text {
                return serde_json::from_slice(&frame.payload).expect("whole JSON");
            }
        }
    })
    .await;
}
