//! WebSocket frames by hand (RFC 6455 §5), legal and illegal ones.

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A further piece of a message.
    Continuation,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// The end.
    Close,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// One the standard keeps for later.
    Reserved(u8),
}

impl Opcode {
    const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
            Self::Reserved(number) => number,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => Self::Reserved(other),
        }
    }
}

/// One frame, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: Opcode,
    /// Whether it ends its message.
    pub is_final: bool,
    /// Its bytes.
    pub payload: Bytes,
}

/// Length byte that says "the length follows in two bytes".
const LENGTH_16: u8 = 0x7e;
/// Length byte that says "the length follows in eight bytes".
const LENGTH_64: u8 = 0x7f;

impl Frame {
    /// A whole message in one frame.
    pub fn new(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self { opcode, is_final: true, payload: payload.into() }
    }

    /// The same as the first or a middle piece of a message.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// The code of a close frame.
    pub fn close_code(&self) -> Option<u16> {
        (self.opcode == Opcode::Close && self.payload.len() >= 2).then(|| (&self.payload[..2]).get_u16())
    }

    /// As a client must send it: masked (with a fixed mask, nobody here is fooled by it).
    pub fn masked(&self) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let mut out = self.head(0x80);
        out.extend_from_slice(&MASK);
        out.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    /// As only a server may send it.
    pub fn unmasked(&self) -> Vec<u8> {
        let mut out = self.head(0);
        out.extend_from_slice(&self.payload);
        out
    }

    fn head(&self, mask_bit: u8) -> Vec<u8> {
        let mut out = vec![self.opcode.number() | if self.is_final { 0x80 } else { 0 }];
        match self.payload.len() {
            n @ 0..=125 => out.push(n as u8 | mask_bit),
            n @ 126..=0xffff => {
                out.push(LENGTH_16 | mask_bit);
                out.extend_from_slice(&(n as u16).to_be_bytes());
            }
            n => {
                out.push(LENGTH_64 | mask_bit);
                out.extend_from_slice(&(n as u64).to_be_bytes());
            }
        }
        out
    }

    /// Takes one unmasked frame off the front of `buffer`, if it is there whole.
    pub(crate) fn take(buffer: &mut BytesMut) -> Option<Self> {
        let head = FrameHead::parse(buffer).filter(|head| head.frame_bytes() <= buffer.len())?;
        buffer.advance(head.head_bytes);
        let payload = buffer.split_to(head.payload_bytes).freeze();
        Some(Self { opcode: head.opcode, is_final: head.is_final, payload })
    }
}

/// What stands before a frame's payload, for whoever reads payloads where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether it ends its message.
    pub is_final: bool,
    /// What the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Length of the head.
    pub head_bytes: usize,
    /// Length of the payload.
    pub payload_bytes: usize,
}

impl FrameHead {
    /// Reads a head; `None` means that bytes are missing.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, second] = *bytes.first_chunk()?;
        let (payload_bytes, mut head_bytes) = match second & 0x7f {
            LENGTH_16 => (usize::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
            LENGTH_64 => (usize::try_from(u64::from_be_bytes(*bytes[2..].first_chunk()?)).unwrap_or(usize::MAX), 10),
            short => (usize::from(short), 2),
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            mask = Some(*bytes[head_bytes..].first_chunk()?);
            head_bytes += 4;
        }
        let (opcode, is_final) = (Opcode::from_number(first & 0x0f), first & 0x80 != 0);
        Some(Self { opcode, is_final, mask, head_bytes, payload_bytes })
    }

    /// The frame's length, head included.
    pub fn frame_bytes(&self) -> usize {
        self.head_bytes.saturating_add(self.payload_bytes)
    }

    /// The payload of the frame that `bytes` begin with, without its mask.
    ///
    /// # Panics
    /// When `bytes` do not hold the whole frame.
    pub fn unmasked(&self, bytes: &[u8]) -> Vec<u8> {
        let mask = self.mask.unwrap_or_default();
        let payload = &bytes[self.head_bytes..self.frame_bytes()];
        payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }
}

/// The `Sec-WebSocket-Accept` that belongs to a `Sec-WebSocket-Key`.
pub fn accept_key(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §5.7.
    #[test]
    fn hello_is_the_standards_hello() {
        let hello = Frame::new(Opcode::Text, "Hello");
        assert_eq!(hello.masked(), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(hello.unmasked(), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(Frame::new(Opcode::Text, "Hel").unfinished().unmasked()[0], 0x01);
    }

    /// RFC 6455 §1.3.
    #[test]
    fn the_accept_key_is_the_standards() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn heads_are_read_with_and_without_a_mask() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let frame = Frame::new(Opcode::Text, vec![b'x'; length]);
            for bytes in [frame.masked(), frame.unmasked()] {
                let head = FrameHead::parse(&bytes).expect("whole");
                assert_eq!((head.is_final, head.opcode, head.frame_bytes()), (true, Opcode::Text, bytes.len()));
                assert_eq!(head.unmasked(&bytes), frame.payload);
                assert!((0..head.head_bytes).all(|cut| FrameHead::parse(&bytes[..cut]).is_none()), "{length}");
            }
        }
    }

    #[test]
    fn every_length_is_read_back() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let frame = Frame::new(Opcode::Binary, vec![7; length]);
            let mut buffer = BytesMut::from(&frame.unmasked()[..]);
            let whole = buffer.split_to(buffer.len() - 1);
            let last = buffer;
            let mut buffer = whole;
            assert_eq!(Frame::take(&mut buffer), None, "{length} with a byte missing");
            buffer.unsplit(last);
            assert_eq!(Frame::take(&mut buffer), Some(frame), "{length}");
            assert!(buffer.is_empty());
        }
    }
}
