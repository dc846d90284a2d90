//! As much of WebSocket framing as the load client and the floors need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// Frames of one whole text message.
pub(crate) const TEXT: u8 = 1;
/// The closing frame.
pub(crate) const CLOSE: u8 = 8;
/// Asks for a [`PONG`].
pub(crate) const PING: u8 = 9;
/// Answers a [`PING`].
pub(crate) const PONG: u8 = 10;

/// RFC 6455's constant, hashed together with the client's key.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Any mask is a legal one; a fixed one keeps runs alike.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Length codes: two, or eight, bytes of length follow.
const MEDIUM: u8 = 0x7e;
const LONG: u8 = 0x7f;

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) last: bool,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) head_bytes: usize,
    pub(crate) payload_bytes: usize,
}

impl FrameHead {
    /// Reads a head; `None` means that bytes are missing.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, second] = *bytes.first_chunk()?;
        let (payload_bytes, mut head_bytes) = match second & 0x7f {
            MEDIUM => (usize::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
            LONG => (usize::try_from(u64::from_be_bytes(*bytes[2..].first_chunk()?)).unwrap_or(usize::MAX), 10),
            short => (usize::from(short), 2),
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            head_bytes += 4;
            Some(*bytes.get(head_bytes - 4..)?.first_chunk()?)
        };
        Some(Self { last: first & 0x80 != 0, opcode: first & 0x0f, mask, head_bytes, payload_bytes })
    }

    /// The frame's length, head included.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.head_bytes.saturating_add(self.payload_bytes)
    }
}

/// Appends a frame as a server sends it.
pub(crate) fn push_server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// Appends a frame as a client sends it: masked.
pub(crate) fn push_client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Takes the mask off.
pub(crate) fn unmasked(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask = mask.unwrap_or_default();
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// The `Sec-WebSocket-Accept` that belongs to a `Sec-WebSocket-Key`.
pub(crate) fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(ACCEPT_SALT);
    STANDARD.encode(hash.finalize())
}

fn push_head(out: &mut Vec<u8>, opcode: u8, length: usize, mask_bit: u8) {
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < MEDIUM => out.push(mask_bit | short),
        (_, Ok(medium)) => {
            out.push(mask_bit | MEDIUM);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(mask_bit | LONG);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_the_one_of_the_rfc() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn frames_of_every_length_are_read_as_they_were_written() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let (mut server, mut client) = (Vec::new(), Vec::new());
            push_server_frame(&mut server, TEXT, &payload);
            push_client_frame(&mut client, TEXT, &payload);
            for frame in [&server, &client] {
                let head = FrameHead::parse(frame).unwrap();
                assert_eq!((head.last, head.opcode, head.frame_bytes()), (true, TEXT, frame.len()));
                assert_eq!(unmasked(&frame[head.head_bytes..], head.mask), payload);
                assert!((0..head.head_bytes).all(|cut| FrameHead::parse(&frame[..cut]).is_none()), "{length}");
            }
        }
    }
}
