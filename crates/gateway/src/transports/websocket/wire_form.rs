//! WebSocket frames: how the hub's words are written for browsers.
//!
//! Frames of a server are unmasked (RFC 6455, section 5.2), so the same bytes suit everybody.

use bytes::{BufMut as _, Bytes, BytesMut};
use hookswitch_hub::{Message, WireForm};
use hookswitch_protocol::{CloseCode, Position, Timestamp};

const FIN: u8 = 0x80;
/// The mark of a compressed message, RSV1.
pub(super) const COMPRESSED: u8 = 0x40;
pub(super) const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// Room for words in a close, beside its number.
const REASON_BYTES: usize = 123;

/// What the payload of a ping begins with that asks for a receipt; its number follows.
const RECEIPT: &str = "page-";

/// One message in one text frame, a receipt asked for by a ping and given by its pong.
#[derive(Debug)]
pub(crate) struct WebSocketForm;

impl WebSocketForm {
    /// The number of the receipt that a pong with this payload gives, if it gives one.
    pub(crate) fn receipt(pong: &[u8]) -> Option<u64> {
        std::str::from_utf8(pong).ok()?.strip_prefix(RECEIPT)?.parse().ok()
    }
}

impl WireForm for WebSocketForm {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn message(&self, message: Message<'_>, out: &mut BytesMut) {
        header(TEXT, message.n_bytes(), out);
        message.parts().into_iter().for_each(|part| out.put_slice(part));
    }

    fn close(&self, code: CloseCode, _now: Timestamp) -> Bytes {
        close_frame(code.number(), code.reason())
    }

    fn ping(&self, _served: Option<Position>) -> Bytes {
        control_frame(PING, b"")
    }

    fn receipt_request(&self, number: u64) -> Option<Bytes> {
        Some(control_frame(PING, format!("{RECEIPT}{number}").as_bytes()))
    }
}

/// A close with so much of the reason as there is room for.
pub(super) fn close_frame(number: u16, reason: &str) -> Bytes {
    let end = (0..=reason.len().min(REASON_BYTES)).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&number.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    control_frame(CLOSE, &payload)
}

/// A frame by itself; control frames carry at most 125 bytes.
fn control_frame(opcode: u8, payload: &[u8]) -> Bytes {
    debug_assert!(payload.len() <= 125, "control frames carry at most 125 bytes");
    let mut out = BytesMut::with_capacity(2 + payload.len());
    header(opcode, payload.len(), &mut out);
    out.put_slice(payload);
    out.freeze()
}

/// What stands before a frame's payload of so many bytes; `first` is its opcode and marks.
pub(super) fn header(first: u8, n_payload: usize, out: &mut BytesMut) {
    out.put_u8(FIN | first);
    if n_payload < 126 {
        out.put_u8(n_payload as u8);
    } else if let Ok(length) = u16::try_from(n_payload) {
        out.put_u8(126);
        out.put_u16(length);
    } else {
        out.put_u8(127);
        out.put_u64(n_payload as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_its_shortest_form() {
        for (n, header) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xFF, 0xFF]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = vec![b'x'; n];
            let mut frame = BytesMut::new();
            WebSocketForm.message(text.as_slice().into(), &mut frame);
            assert_eq!(frame[..], [header, &text].concat(), "{n}");
        }
    }

    #[test]
    fn a_close_carries_number_and_reason() {
        let frame = WebSocketForm.close(CloseCode::SessionEnded, Timestamp::from_millis(0));
        assert_eq!(&frame[..4], &[0x88, 20, 0x11, 0x3A]);
        assert_eq!(&frame[4..], b"chat session ended");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close_frame(4413, &format!("{}ü and more", "x".repeat(122)));
        assert_eq!(frame[..4], [0x88, 2 + 122, 0x11, 0x3D]);
        assert!(frame[4..].iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn a_receipt_is_the_number_asked_for() {
        let ping = WebSocketForm.receipt_request(17).expect("pongs are receipts");
        assert_eq!(WebSocketForm::receipt(&ping[2..]), Some(17));
        for other in [&b""[..], b"page-", b"page-x", b"17", b"\xFF"] {
            assert_eq!(WebSocketForm::receipt(other), None, "{other:?}");
        }
    }
}
