//! Answers that no server library would send. Requests are read by hand, for what follows.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::mode::Trick;
use super::report::Report;

/// The largest head and the largest body that are read.
const HEAD_BYTES: usize = 64 * 1024;
const BODY_BYTES: usize = 16 * 1024 * 1024;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const HALF_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-len";
const HALF_BODY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it";
const SLOW: &[u8] =
    b"HTTP/1.1 200 OK\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const BROKEN: &[u8] = b"HTTP/1.1 200 OK\r\nthis is no header\r\n\r\n";
/// An empty SETTINGS frame and a GOAWAY.
const HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\x01";
/// Packed; unpacked it is 160 times as much.
const GZIP_BYTES: usize = 60_000;
const BYTE_EVERY: Duration = Duration::from_secs(1);

/// Plays the trick on one connection until either side ends it.
pub(super) async fn serve(mut stream: TcpStream, trick: Trick, report: &Report) -> io::Result<()> {
    if trick == Trick::ResetAccept {
        return stream.set_zero_linger();
    }
    let mut buffer = BytesMut::new();
    while read_request(&mut stream, &mut buffer, report).await? {
        match trick {
            Trick::ResetAccept | Trick::ResetRequest => return stream.set_zero_linger(),
            Trick::ResetHead => return reset_after(stream, HALF_HEAD).await,
            Trick::ResetBody => return reset_after(stream, HALF_BODY).await,
            Trick::Close => return stream.write_all(EMPTY).await,
            Trick::Silent => {}
            Trick::Slowloris => return drip(stream).await,
            Trick::BrokenHeader => stream.write_all(BROKEN).await?,
            Trick::Http2 => stream.write_all(HTTP2).await?,
            Trick::GzipBomb => stream.write_all(&gzip_bomb()).await?,
            Trick::GiantHeader => stream.write_all(&giant_header()).await?,
            Trick::Endless => return flood(stream, CHUNKED, b"1000\r\n", Some(0x1000)).await,
            Trick::EndlessHead => return flood(stream, b"HTTP/1.1 200 OK\r\nx-endless: ", b"a", None).await,
            Trick::ContinueFlood => return flood(stream, b"", b"HTTP/1.1 100 Continue\r\n\r\n", None).await,
        }
    }
    Ok(())
}

async fn reset_after(mut stream: TcpStream, start: &[u8]) -> io::Result<()> {
    stream.write_all(start).await?;
    // The client acknowledges what it read by closing, or it is what the kernel still delivers.
    stream.set_zero_linger()
}

async fn drip(mut stream: TcpStream) -> io::Result<()> {
    for byte in SLOW.iter().cycle() {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(BYTE_EVERY).await;
    }
    Ok(())
}

/// The start, then the unit without end; with `chunk`, each unit is followed by that many bytes and a line end.
async fn flood(mut stream: TcpStream, start: &[u8], unit: &[u8], chunk: Option<usize>) -> io::Result<()> {
    stream.write_all(start).await?;
    let mut unit = unit.to_vec();
    if let Some(n) = chunk {
        unit.extend(std::iter::repeat_n(b'x', n));
        unit.extend_from_slice(b"\r\n");
    }
    let units = unit.repeat(1 + 4096 / unit.len());
    loop {
        stream.write_all(&units).await?;
    }
}

fn giant_header() -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nx-giant: ".to_vec();
    answer.extend(std::iter::repeat_n(b'a', 1024 * 1024));
    answer.extend_from_slice(b"\r\ncontent-length: 0\r\n\r\n");
    answer
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

/// Reads and notes one request with a `content-length`; false at the end of the stream.
async fn read_request(stream: &mut TcpStream, buffer: &mut BytesMut, report: &Report) -> io::Result<bool> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if buffer.len() > HEAD_BYTES || stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(head_end)).into_owned();
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if length > BODY_BYTES || stream.read_buf(buffer).await? == 0 {
            return Ok(false);
        }
    }
    report.note(&headers, &buffer.split_to(length));
    Ok(true)
}
