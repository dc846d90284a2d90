//! Encode once: an event becomes one WebSocket frame, header and JSON, shared by all receivers.
//!
//! Frames of a server are unmasked (RFC 6455, section 5.2), so the same bytes suit everybody.

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, ErrorCode, Event, EventType, TenantId, Timestamp, control_message};
use serde::Serialize;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// Longest header a server frame can have.
const HEADER_BYTES: usize = 10;

/// One text message in one frame.
pub fn text_frame(text: &[u8]) -> Bytes {
    frame(TEXT, text)
}

#[derive(Serialize)]
struct Missed<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

/// Tells a client how many events it will never see, where that is known, and why.
pub(crate) fn missed_frame(message: &str, dropped: Option<u64>, now: Timestamp, tenant: &TenantId) -> Bytes {
    let missed = Missed { code: ErrorCode::MessagesDropped.as_str(), message, dropped };
    text_frame(&control_message(&EventType::ERROR, missed, now, Some(tenant)))
}

/// A ping; `payload` at most 125 bytes.
pub fn ping_frame(payload: &[u8]) -> Bytes {
    debug_assert!(payload.len() <= 125, "control frames carry at most 125 bytes");
    frame(PING, payload)
}

/// A close with its reason.
pub fn close_frame(code: CloseCode) -> Bytes {
    let mut payload = Vec::with_capacity(2 + code.reason().len());
    payload.extend_from_slice(&code.number().to_be_bytes());
    payload.extend_from_slice(code.reason().as_bytes());
    frame(CLOSE, &payload)
}

/// The event's envelope in one text frame. The header is written in front of the JSON after the
/// JSON's length is known, in the same buffer.
pub fn event_frame(event: &Event) -> Bytes {
    let mut buffer = Vec::with_capacity(HEADER_BYTES + event.payload.as_str().len() + 200);
    buffer.resize(HEADER_BYTES, 0);
    event.encode_into(&mut buffer);
    let (header, n_header) = header(TEXT, buffer.len() - HEADER_BYTES);
    let start = HEADER_BYTES - n_header;
    buffer[start..HEADER_BYTES].copy_from_slice(&header[..n_header]);
    Bytes::from(buffer).slice(start..)
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let (header, n_header) = header(opcode, payload.len());
    let mut buffer = Vec::with_capacity(n_header + payload.len());
    buffer.extend_from_slice(&header[..n_header]);
    buffer.extend_from_slice(payload);
    Bytes::from(buffer)
}

fn header(opcode: u8, n_payload: usize) -> ([u8; HEADER_BYTES], usize) {
    let mut header = [0; HEADER_BYTES];
    header[0] = FIN | opcode;
    if n_payload < 126 {
        header[1] = n_payload as u8;
        (header, 2)
    } else if let Ok(length) = u16::try_from(n_payload) {
        header[1] = 126;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        (header, 4)
    } else {
        header[1] = 127;
        header[2..10].copy_from_slice(&(n_payload as u64).to_be_bytes());
        (header, 10)
    }
}

/// The JSON inside a text frame of ours; `None` for any other frame.
pub fn text_of(frame: &[u8]) -> Option<&[u8]> {
    if *frame.first()? != FIN | TEXT {
        return None;
    }
    let n_header = match *frame.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frame.get(n_header..)
}

/// The length of the frame of ours that `bytes` start with; `None` when it is not whole.
pub fn frame_length(bytes: &[u8]) -> Option<usize> {
    let (n_header, n_payload) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    Some(n_header + n_payload).filter(|n_frame| *n_frame <= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_its_shortest_form() {
        for (n, n_header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let text = vec![b'x'; n];
            let frame = text_frame(&text);
            assert_eq!(frame.len(), n + n_header, "{n}");
            assert_eq!(text_of(&frame), Some(&text[..]), "{n}");
        }
    }

    #[test]
    fn a_close_carries_number_and_reason() {
        let frame = close_frame(CloseCode::SessionEnded);
        assert_eq!(&frame[..4], &[0x88, 20, 0x11, 0x3A]);
        assert_eq!(&frame[4..], b"chat session ended");
    }
}
