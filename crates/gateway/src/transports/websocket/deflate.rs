//! Compressed messages to clients (RFC 7692): a second form of WebSocket frames, shared by all who took the extension.

use bytes::{Bytes, BytesMut};
use flate2::{Compress, Compression, FlushCompress};
use hookswitch_hub::{Message, WireForm};
use hookswitch_protocol::{CloseCode, Position, Timestamp};

use super::wire_form::{COMPRESSED, TEXT, WebSocketForm, header};

/// The window in which repetitions are looked for, as a power of two. Events are hardly larger; some libraries offer
/// no larger one; and clients need as much memory.
pub(super) const WINDOW_BITS: u8 = 12;

/// What the standard has both sides leave out: the empty block at the end of each message.
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// From 1 to 9. Level 6 makes messages smaller by a third and costs two to three times as much.
const LEVEL: u32 = 1;

/// Longer messages are not compressed: a shard's thread does nothing else meanwhile, 5 µs per KiB, and others' events
/// would wait.
const MOST_BYTES: usize = 256 * 1024;

/// Text frames, compressed from so many bytes on where that makes them smaller.
#[derive(Debug)]
pub(crate) struct DeflateForm {
    from_bytes: usize,
}

impl DeflateForm {
    /// The form. It is kept for as long as the process lasts, since forms are constants to the hub; one per gateway.
    pub(crate) fn leaked(from_bytes: usize) -> &'static Self {
        Box::leak(Box::new(Self { from_bytes }))
    }
}

impl WireForm for DeflateForm {
    fn name(&self) -> &'static str {
        "websocket-deflate"
    }

    fn message(&self, message: Message<'_>, out: &mut BytesMut) {
        let n_bytes = message.n_bytes();
        match if self.is_costly(n_bytes) { deflate(message.parts(), n_bytes) } else { None } {
            Some(compressed) => {
                header(COMPRESSED | TEXT, compressed.len(), out);
                out.extend_from_slice(&compressed);
            }
            None => WebSocketForm.message(message, out),
        }
    }

    fn is_costly(&self, n_bytes: usize) -> bool {
        (self.from_bytes..=MOST_BYTES).contains(&n_bytes)
    }

    fn close(&self, code: CloseCode, now: Timestamp) -> Bytes {
        WebSocketForm.close(code, now)
    }

    fn ping(&self, served: Option<Position>) -> Bytes {
        WebSocketForm.ping(served)
    }

    fn receipt_request(&self, number: u64) -> Option<Bytes> {
        WebSocketForm.receipt_request(number)
    }
}

/// The text compressed by itself; `None` where that is not smaller.
fn deflate([head, tail]: [&[u8]; 2], n_bytes: usize) -> Option<Vec<u8>> {
    let mut compress = Compress::new_with_window_bits(Compression::new(LEVEL), false, WINDOW_BITS);
    let mut out = Vec::with_capacity(n_bytes);
    compress.compress_vec(head, &mut out, FlushCompress::None).ok()?;
    if compress.total_in() != head.len() as u64 {
        return None;
    }
    compress.compress_vec(tail, &mut out, FlushCompress::Sync).ok()?;
    // Where room is left everything is written.
    if out.len() == out.capacity() || !out.ends_with(&TAIL) {
        return None;
    }
    out.truncate(out.len() - TAIL.len());
    Some(out)
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
    use proptest::prelude::*;

    use super::*;

    const FORM: DeflateForm = DeflateForm { from_bytes: 100 };

    fn message(json: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        FORM.message(json.into(), &mut out);
        out
    }

    /// The payload of a frame of less than 64 KiB.
    fn payload(frame: &[u8]) -> &[u8] {
        if frame[1] == 126 { &frame[4..] } else { &frame[2..] }
    }

    /// As a client reads that was promised the smallest window.
    fn inflate(compressed: &[u8], n_bytes: usize) -> Vec<u8> {
        let mut inflate = Decompress::new_with_window_bits(false, WINDOW_BITS);
        let mut out = Vec::with_capacity(n_bytes + 64);
        let bytes = [compressed, &TAIL].concat();
        inflate.decompress_vec(&bytes, &mut out, FlushDecompress::Sync).expect("it inflates");
        out
    }

    #[test]
    fn only_what_is_long_and_gets_smaller_is_compressed() {
        let text = r#"{"type":"alert","payload":{"text":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}"#;
        let frame = message(text.as_bytes());
        assert_eq!(frame[0], 0xC1, "final, compressed, text");
        assert!(frame.len() < 80, "{}", frame.len());
        assert_eq!(inflate(payload(&frame), text.len()), text.as_bytes());
        assert_eq!(message(&text.as_bytes()[..99])[0], 0x81, "below the bound");
        assert_eq!(message(&vec![b'x'; MOST_BYTES])[0], 0xC1);
        assert_eq!(message(&vec![b'x'; MOST_BYTES + 1])[0], 0x81, "others would wait");
        let noise: Vec<u8> = (0..200u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let frame = message(&noise);
        assert_eq!((frame[0], payload(&frame)), (0x81, &noise[..]), "it would not get smaller");
    }

    #[test]
    fn control_frames_are_never_compressed() {
        let now = Timestamp::from_millis(0);
        assert_eq!(FORM.close(CloseCode::Restarting, now), WebSocketForm.close(CloseCode::Restarting, now));
        assert_eq!(FORM.ping(None), WebSocketForm.ping(None));
        assert_eq!(FORM.receipt_request(7), WebSocketForm.receipt_request(7));
        assert_ne!(FORM.name(), WebSocketForm.name());
    }

    proptest! {
        #[test]
        fn any_message_is_read_back_with_the_promised_window(
            parts in prop::collection::vec(("[a-z]{1,40}", 1usize..40), 1..60),
            noise in prop::collection::vec(any::<u8>(), 0..3_000),
        ) {
            let mut json = noise;
            for (part, n) in &parts {
                json.extend(part.repeat(*n).bytes());
            }
            // Whatever lies far back comes again.
            json.extend_from_within(..);
            let json = &json[..json.len().min(60_000)];
            let frame = message(json);
            let read = if frame[0] == 0xC1 { inflate(payload(&frame), json.len()) } else { payload(&frame).to_vec() };
            prop_assert_eq!(read, json);
        }
    }
}
