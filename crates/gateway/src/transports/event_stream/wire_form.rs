//! What the hub says, as server-sent events (WHATWG HTML, section 9.2).
//!
//! The answer has no length. To HTTP/1.1 it is sent in chunks, one for each thing that is said; what is older is sent
//! the bytes as they are, and the end of the connection is the end of the answer.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use hookswitch_hub::{Message, WireForm};
use hookswitch_protocol::{CloseCode, ErrorCode, EventType, Position, Reconnect, Timestamp, control_message};
use http::Version;
use serde::Serialize;

const DATA: &[u8] = b"data: ";
const END_OF_EVENT: &[u8] = b"\n\n";
/// A comment: it keeps proxies from closing a connection that looks idle.
const KEEP_ALIVE: &[u8] = b":\n\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Proxies close what is silent for 30 to 60 seconds.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Who is sent away comes back after this long at least, and at most so much later: not all at once.
const RETURN_AFTER: Duration = Duration::from_secs(1);
const RETURN_SPREAD: Duration = Duration::from_secs(4);

/// One message in one event of one `data` line, without a name. A drained outbox is the proof that it arrived.
#[derive(Debug)]
pub(crate) struct EventStreamForm {
    name: &'static str,
    is_chunked: bool,
    n_sent_away: AtomicU32,
}

static CHUNKED: EventStreamForm =
    EventStreamForm { name: "event-stream", is_chunked: true, n_sent_away: AtomicU32::new(0) };
static UNCHUNKED: EventStreamForm =
    EventStreamForm { name: "event-stream-unchunked", is_chunked: false, n_sent_away: AtomicU32::new(0) };

#[derive(Serialize)]
struct Stopped {
    code: &'static str,
    message: &'static str,
    close_code: u16,
}

impl EventStreamForm {
    /// The form for answers to requests of this version.
    pub(crate) fn of(version: Version) -> &'static Self {
        if version == Version::HTTP_11 { &CHUNKED } else { &UNCHUNKED }
    }

    pub(crate) const fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    /// When the next one that is sent away may come back: a moment of its own.
    pub(crate) fn retry(&self) -> Duration {
        let n = self.n_sent_away.fetch_add(1, Ordering::Relaxed);
        // Steps of the golden ratio lie far from all before them, however many there are.
        let part = f64::from(n.wrapping_mul(0x9E37_79B9)) / f64::from(u32::MAX);
        RETURN_AFTER + RETURN_SPREAD.mul_f64(part)
    }

    /// What a stream begins with: when to come back, should the node go without a word. Each is told a moment of its own, or
    /// all clients of a node that died would come back at once.
    pub(super) fn greeting(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.text(retry_line(self.retry()).as_bytes(), &mut out);
        out.freeze()
    }

    /// Appends `n_bytes` that `put` writes, as one chunk.
    fn chunk(&self, n_bytes: usize, out: &mut BytesMut, put: impl FnOnce(&mut BytesMut)) {
        if self.is_chunked {
            write!(out, "{n_bytes:x}\r\n").expect("memory takes what is written");
        }
        let start = out.len();
        put(out);
        debug_assert_eq!(out.len() - start, n_bytes, "a chunk is as long as it says");
        if self.is_chunked {
            out.put_slice(b"\r\n");
        }
    }

    fn text(&self, text: &[u8], out: &mut BytesMut) {
        self.chunk(text.len(), out, |out| out.put_slice(text));
    }
}

/// The line that names when a client without a word of its own comes back.
pub(super) fn retry_line(after: Duration) -> String {
    format!("retry: {}\n\n", after.as_millis())
}

/// Appends the fields of one event.
fn put_event(id: &str, json: [&[u8]; 2], out: &mut BytesMut) {
    out.put_slice(id.as_bytes());
    out.put_slice(DATA);
    let start = out.len();
    for part in json {
        out.put_slice(part);
    }
    // The payload is as its publisher wrote it. In JSON a line can end between tokens only, where a space
    // means the same.
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.put_slice(END_OF_EVENT);
}

/// The line that tells a browser where it is: what it says when it comes back.
fn id_line(position: Option<Position>) -> String {
    position.map_or_else(String::new, |position| format!("id: {position}\n"))
}

/// What the client is told that had better not come back as it is.
fn stopped(code: CloseCode, now: Timestamp) -> Vec<u8> {
    let error = match code {
        CloseCode::TokenExpired => ErrorCode::TokenExpired,
        CloseCode::SessionEnded => ErrorCode::UnknownSession,
        _ => ErrorCode::InvalidRequest,
    };
    let payload = Stopped { code: error.as_str(), message: code.reason(), close_code: code.number() };
    control_message(&EventType::ERROR, payload, now, None)
}

impl WireForm for EventStreamForm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn message(&self, message: Message<'_>, out: &mut BytesMut) {
        let id = id_line(message.position());
        let n_bytes = id.len() + DATA.len() + message.n_bytes() + END_OF_EVENT.len();
        self.chunk(n_bytes, out, |out| put_event(&id, message.parts(), out));
    }

    /// The end of the answer: a browser comes back by itself, when it is told to.
    fn close(&self, code: CloseCode, now: Timestamp) -> Bytes {
        let mut out = BytesMut::new();
        match code.reconnect() {
            Reconnect::Yes => self.text(retry_line(self.retry()).as_bytes(), &mut out),
            Reconnect::WithNewToken | Reconnect::No => self.message(stopped(code, now).as_slice().into(), &mut out),
        }
        if self.is_chunked {
            out.put_slice(LAST_CHUNK);
        }
        out.freeze()
    }

    /// Browsers come back by themselves, after the time they are told.
    fn send_away(&self, _reconnect: Message<'_>, after: Duration, _code: CloseCode, _now: Timestamp) -> Bytes {
        let mut out = BytesMut::new();
        self.text(retry_line(after).as_bytes(), &mut out);
        if self.is_chunked {
            out.put_slice(LAST_CHUNK);
        }
        out.freeze()
    }

    /// The client answers nothing; that it takes it is the sign. Where it is, is told on the way.
    fn ping(&self, served: Option<Position>) -> Bytes {
        let mut out = BytesMut::new();
        match served {
            Some(_) => self.text(format!("{}\n", id_line(served)).as_bytes(), &mut out),
            None => self.text(KEEP_ALIVE, &mut out),
        }
        out.freeze()
    }

    fn ping_interval(&self) -> Option<Duration> {
        Some(PING_INTERVAL)
    }

    fn receipt_request(&self, _number: u64) -> Option<Bytes> {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(form: &EventStreamForm, json: &str) -> String {
        let mut out = BytesMut::new();
        form.message(json.as_bytes().into(), &mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    /// The bytes of whole chunks, without what chunks are marked by.
    fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
            let n = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("text"), 16).expect("a length");
            out.extend_from_slice(&bytes[end + 2..end + 2 + n]);
            assert_eq!(&bytes[end + 2 + n..end + 4 + n], b"\r\n");
            bytes = &bytes[end + 4 + n..];
        }
        assert_eq!(bytes, b"", "whole chunks");
        out
    }

    #[test]
    fn a_message_is_one_line_of_data_in_one_chunk() {
        assert_eq!(message(&CHUNKED, r#"{"a":1}"#), "f\r\ndata: {\"a\":1}\n\n\r\n");
        assert_eq!(message(&UNCHUNKED, r#"{"a":1}"#), "data: {\"a\":1}\n\n");
        assert_eq!(message(&UNCHUNKED, "{\"a\":\r\n1,\n\"b\":\r2}"), "data: {\"a\":  1, \"b\": 2}\n\n");
    }

    #[test]
    fn stop_codes_are_told_in_the_contracts_envelope_and_others_say_when_to_return() {
        let close = |code| CHUNKED.close(code, Timestamp::from_millis(0));
        let expired = unchunked(close(CloseCode::TokenExpired).strip_suffix(LAST_CHUNK).expect("the end"));
        assert_eq!(
            String::from_utf8(expired).expect("UTF-8"),
            concat!(
                r#"data: {"type":"error","payload":{"code":"token_expired","message":"token expired, reconnect with a new one","close_code":4401},"timestamp":"1970-01-01T00:00:00.000Z"}"#,
                "\n\n"
            )
        );
        let ended = close(CloseCode::SessionEnded);
        assert!(ended.windows(10).any(|at| at == b"code\":4410"), "{ended:?}");
        for code in [CloseCode::Restarting, CloseCode::Silent] {
            let text = unchunked(close(code).strip_suffix(LAST_CHUNK).expect("the end"));
            let text = String::from_utf8(text).expect("UTF-8");
            let millis = text.strip_prefix("retry: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("one line");
            assert!((1_000..=5_000).contains(&millis.parse::<u64>().expect("a number")), "{text}");
        }
        assert!(!UNCHUNKED.close(CloseCode::Restarting, Timestamp::from_millis(0)).ends_with(LAST_CHUNK));
    }

    #[test]
    fn those_sent_away_at_once_come_back_spread_out() {
        let form = EventStreamForm { name: "test", is_chunked: false, n_sent_away: AtomicU32::new(7) };
        let mut moments: Vec<u128> = (0..400).map(|_| form.retry().as_millis()).collect();
        moments.sort_unstable();
        let widest = moments.windows(2).map(|pair| pair[1] - pair[0]).max().expect("some");
        assert!(widest < 40, "400 in 4 s, and a hole of {widest} ms");
        assert!(moments[0] < 1_040 && moments[399] > 4_960);
    }

    #[test]
    fn a_sign_of_life_is_a_comment() {
        assert_eq!(&*CHUNKED.ping(None), b"3\r\n:\n\n\r\n");
        assert_eq!(&*UNCHUNKED.ping(None), b":\n\n");
        assert_eq!(&*UNCHUNKED.ping(Some(Position { epoch: 17, offset: 4 })), b"id: 17:4\n\n");
        assert_eq!(CHUNKED.ping_interval(), Some(Duration::from_secs(15)));
    }

    proptest! {
        #[test]
        fn any_message_stays_one_event(json in "[ -~\r\n]{0,80}") {
            let mut out = BytesMut::new();
            CHUNKED.message(json.as_bytes().into(), &mut out);
            let text = String::from_utf8(unchunked(&out)).expect("UTF-8");
            let line = text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).expect("one event");
            prop_assert_eq!(line, json.replace(['\r', '\n'], " "));
        }
    }
}
