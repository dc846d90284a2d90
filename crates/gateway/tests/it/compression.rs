//! Compressed messages, to clients and from them.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use hookswitch_testkit::{Frame, Opcode, PATIENCE, RawSocket, eventually};
use serde_json::{Value, json};

use crate::rig::{Rig, token};

const RSV1: u8 = 0x40;
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];
const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// A client that offers this, and what the node answers to it.
async fn open(rig: &Rig, user: i64, offer: &str) -> (RawSocket, Option<String>) {
    let mut socket = RawSocket::connect(&rig.addr).await;
    let headers = format!("Authorization: Bearer {}\r\nSec-WebSocket-Extensions: {offer}\r\n", token("tenant-1", user));
    socket.send(&RawSocket::upgrade_request("/ws", &headers)).await;
    let head = socket.read_head().await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let answer = head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: ")).map(str::to_owned);
    (socket, answer)
}

async fn compressing(rig: &Rig, user: i64) -> RawSocket {
    let (socket, answer) = open(rig, user, OFFER).await;
    assert_eq!(answer.as_deref(), Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"));
    socket
}

/// The first byte of the next frame, and its payload as it came.
async fn raw_frame(socket: &mut RawSocket) -> (u8, Bytes) {
    let head = socket.read_exactly(2).await;
    let n_payload = match head[1] {
        126 => usize::from(u16::from_be_bytes(*socket.read_exactly(2).await.first_chunk().expect("two bytes"))),
        127 => u64::from_be_bytes(*socket.read_exactly(8).await.first_chunk().expect("eight bytes")) as usize,
        short => usize::from(short),
    };
    (head[0], socket.read_exactly(n_payload).await)
}

/// The next message, and whether it was compressed.
async fn message(socket: &mut RawSocket) -> (Value, bool) {
    let (first, payload) = raw_frame(socket).await;
    assert_eq!(first & !RSV1, 0x81, "one text frame");
    let is_compressed = first & RSV1 != 0;
    let text = if is_compressed { inflate(&payload) } else { payload.to_vec() };
    (serde_json::from_slice(&text).expect("whole JSON"), is_compressed)
}

fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * 1024 * 1024);
    let bytes = [payload, &TAIL].concat();
    Decompress::new(false).decompress_vec(&bytes, &mut out, FlushDecompress::Sync).expect("it inflates");
    out
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1_024);
    Compress::new(Compression::best(), false).compress_vec(text, &mut out, FlushCompress::Sync).expect("it compresses");
    out.truncate(out.len() - TAIL.len());
    out
}

/// A frame of a client's, marked as compressed.
fn marked(frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.masked();
    bytes[0] |= RSV1;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_come_compressed_to_those_who_took_it_and_plain_to_others() {
    let rig = Rig::open().await;
    let (mut first, mut second) = (compressing(&rig, 1).await, compressing(&rig, 2).await);
    let (mut plain, answer) = open(&rig, 3, "permessage-deflate; server_max_window_bits=8").await;
    assert_eq!(answer, None, "declined, and the connection is there");
    let service = rig.service("tenant-1");
    for (n_lines, is_compressed) in [(1, false), (40, true), (600, true), (5_000, true), (20_000, false)] {
        let lines = vec!["a line of some words that come again"; n_lines];
        service.publish(json!({"type": "alert", "payload": {"lines": lines}})).await;
        let (event, was_compressed) = message(&mut plain).await;
        assert!(!was_compressed);
        assert_eq!(event["payload"]["lines"].as_array().map(Vec::len), Some(n_lines));
        for socket in [&mut first, &mut second] {
            assert_eq!(message(socket).await, (event.clone(), is_compressed), "{n_lines}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_so_declines() {
    let rig = Rig::with(|config, _| config.compression_from = None).await;
    let (mut socket, answer) = open(&rig, 1, OFFER).await;
    assert_eq!(answer, None);
    socket.send(&marked(&Frame::new(Opcode::Text, deflate(br#"{"type":"ping"}"#)))).await;
    assert_eq!(socket.read_close().await, Some(1002), "nothing was agreed on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_commands_are_read_in_order_in_one_frame_or_many() {
    let rig = Rig::open().await;
    let mut socket = compressing(&rig, 1).await;
    let mut packet = Vec::new();
    for n in 0..100 {
        let text = format!("{{\"type\":\"odd-{n}\",\"payload\":{:?}}}", "x".repeat(n * 20));
        let bytes = if n % 3 == 0 { text.into_bytes() } else { deflate(text.as_bytes()) };
        let mark = if n % 3 == 0 { Frame::masked } else { marked };
        if n % 2 == 0 {
            packet.extend(mark(&Frame::new(Opcode::Text, bytes)));
        } else {
            let (front, back) = bytes.split_at(bytes.len() / 2);
            packet.extend(mark(&Frame::new(Opcode::Text, front.to_vec()).unfinished()));
            packet.extend(Frame::new(Opcode::Continuation, back.to_vec()).masked());
        }
    }
    socket.send(&packet).await;
    for n in 0..100 {
        let (answer, _) = message(&mut socket).await;
        assert!(answer["payload"]["message"].as_str().expect("text").contains(&format!("odd-{n}\"")), "{answer}");
    }
    // And byte by byte, with a control frame between two pieces.
    let (ping, mut slow) = (deflate(br#"{"type":"ping"}"#), Vec::new());
    slow.extend(marked(&Frame::new(Opcode::Text, ping[..5].to_vec()).unfinished()));
    slow.extend(Frame::new(Opcode::Ping, "between").masked());
    slow.extend(Frame::new(Opcode::Continuation, ping[5..].to_vec()).masked());
    for byte in slow {
        socket.send(&[byte]).await;
    }
    let (first, payload) = raw_frame(&mut socket).await;
    assert_eq!((first, &*payload), (0x8A, &b"between"[..]));
    assert_eq!(message(&mut socket).await.0["type"], "pong");
    let largest = format!("{}{}", r#"{"type":"ping"}"#, " ".repeat(512 * 1024 - 15));
    socket.send(&marked(&Frame::new(Opcode::Text, deflate(largest.as_bytes())))).await;
    // So large a message uses up the client's pace, which it is told.
    while message(&mut socket).await.0["type"] != "pong" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_compressed_message_has_its_close_code() {
    let rig = Rig::open().await;
    let bomb = deflate(&vec![b' '; 16 * 1024 * 1024]);
    assert!(bomb.len() < 20 * 1024, "{}", bomb.len());
    let hello = deflate(b"hello");
    let begun = marked(&Frame::new(Opcode::Text, hello[..3].to_vec()).unfinished());
    let then = |frame: Vec<u8>| [&begun[..], &frame].concat();
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (marked(&Frame::new(Opcode::Text, bomb.clone())), 1009),
        ([&marked(&Frame::new(Opcode::Text, bomb.clone()).unfinished())[..], &[0x80; 6]].concat(), 1009),
        (marked(&Frame::new(Opcode::Text, vec![0xFF; 50])), 1002),
        (marked(&Frame::new(Opcode::Text, deflate(&[0xFF, 0xFE]))), 1007),
        (marked(&Frame::new(Opcode::Ping, "x")), 1002),
        (marked(&Frame::new(Opcode::Close, "")), 1002),
        (marked(&Frame::new(Opcode::Continuation, hello.clone())), 1002),
        (then(marked(&Frame::new(Opcode::Continuation, hello[3..].to_vec()))), 1002),
        (then(marked(&Frame::new(Opcode::Text, hello.clone()))), 1002),
        (then(Frame::new(Opcode::Text, "{}").masked()), 1002),
        (vec![0xC1, 5, 1, 2, 3, 4, 5], 1002),
    ];
    for (at, (bytes, code)) in cases.into_iter().enumerate() {
        let mut socket = compressing(&rig, 1).await;
        socket.send(&bytes).await;
        assert_eq!(socket.read_close().await, Some(code), "case {at}");
    }
    eventually("all are gone", PATIENCE, async || rig.hub.n_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_messages_come_compressed_and_are_confirmed() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let text = "kept while away, ".repeat(200);
    for n in 0..5 {
        service.publish(json!({"type": "notification", "user_id": 1, "payload": {"n": n, "text": text}})).await;
    }
    let mut socket = compressing(&rig, 1).await;
    for n in 0..5 {
        let (event, is_compressed) = message(&mut socket).await;
        assert_eq!((event["payload"]["n"].as_i64(), is_compressed), (Some(n), true));
    }
    let (first, payload) = raw_frame(&mut socket).await;
    assert_eq!(first, 0x89, "a ping asks for the proof");
    socket.send(&Frame::new(Opcode::Pong, payload).masked()).await;
    eventually("it is confirmed", PATIENCE, async || rig.hub.metrics().offline_delivered.get() == 5).await;
}
