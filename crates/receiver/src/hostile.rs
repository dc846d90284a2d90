//! Answers that no server library would send, by name.

use std::time::Duration;

use crate::Step;

const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const HALF_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-len";
const HALF_BODY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
/// An empty SETTINGS frame and a GOAWAY.
const HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\x01";
/// Packed; unpacked it is 160 times as much.
const GZIP_BYTES: usize = 60_000;
const BYTE_EVERY: Duration = Duration::from_secs(1);
/// So much at least is written at once where there is no end.
const FLOOD_BYTES: usize = 4096;

/// The script of one way to misbehave, by its name for `hookswitch receiver --mode`; nothing for any other name.
pub fn hostile_script(name: &str) -> Option<Vec<Step>> {
    Some(match name {
        "silent" => vec![Step::Read],
        "slowloris" => {
            let head = "HTTP/1.1 200 OK\r\nx-slow: ".into();
            vec![Step::Read, Step::Drip(head, BYTE_EVERY), Step::RepeatEvery(b"a".to_vec(), BYTE_EVERY)]
        }
        "endless" => {
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            vec![Step::Read, Step::send(CHUNKED), flood(&chunk)]
        }
        "endless-head" => vec![Step::Read, Step::send("HTTP/1.1 200 OK\r\nx-endless: "), flood("a")],
        "continue-flood" => vec![Step::Read, flood(CONTINUE)],
        "giant-header" => {
            let value = "a".repeat(1024 * 1024);
            vec![Step::Read, Step::send(&format!("HTTP/1.1 200 OK\r\nx-giant: {value}\r\ncontent-length: 0\r\n\r\n"))]
        }
        "broken-header" => vec![Step::Read, Step::send(BROKEN)],
        "http2" => vec![Step::Read, Step::Send(HTTP2.to_vec())],
        "gzip-bomb" => vec![Step::Read, Step::Send(gzip_bomb())],
        "close" => vec![Step::Read, Step::send(EMPTY), Step::Close],
        "reset:accept" => vec![Step::Reset],
        "reset:request" => vec![Step::Read, Step::Reset],
        "reset:head" => vec![Step::Read, Step::send(HALF_HEAD), Step::Reset],
        "reset:body" => vec![Step::Read, Step::send(HALF_BODY), Step::Reset],
        _ => return None,
    })
}

fn flood(unit: &str) -> Step {
    Step::Repeat(unit.repeat(1 + FLOOD_BYTES / unit.len()).into_bytes())
}

/// One block of deflate: a zero, and then again and again "258 times the byte before", 13 bits each.
/// Its end never comes, as befits a bomb.
fn gzip_bomb() -> Vec<u8> {
    // Bits in the order of the stream: last block, fixed codes, the literal 0.
    const START: [u8; 11] = [1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    // Length 258 is 11000101, distance 1 is 00000.
    const AGAIN: [u8; 13] = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let bits: Vec<u8> = START.into_iter().chain(AGAIN.into_iter().cycle()).take(8 * GZIP_BYTES).collect();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", GZIP_BYTES + 10)
            .into_bytes();
    answer.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    answer.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit)));
    answer
}
