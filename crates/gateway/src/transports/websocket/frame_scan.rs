//! Follows frame boundaries in the incoming bytes without keeping them.
//!
//! The reader asks two things of it: whether the connection is at rest, so that the WebSocket
//! reader and its buffer can be given back until the next byte comes, and whether the client's
//! close frame has gone by while everything else is being thrown away. It also sees what the WebSocket
//! library lets pass: a length that is not written in its shortest form (RFC 6455, section 5.2).

use super::frame_head::{FrameHead, FrameHeader};

const OPCODE_CLOSE: u8 = 0x8;

/// Where in the stream of frames the last byte lay.
#[derive(Debug, Default)]
pub(crate) struct FrameScan {
    header: FrameHeader,
    is_message_open: bool,
    is_close: bool,
    end: End,
    n_payload_left: u64,
}

/// Whether anything that comes still counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    /// A whole close frame has gone by.
    Closed,
    /// A frame came whose length breaks the protocol.
    Malformed,
}

impl FrameScan {
    /// Takes the next bytes of the stream; how many there are before the first malformed frame. What follows
    /// that is not looked at, now or later.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let (n_all, mut bytes) = (bytes.len(), bytes);
        let mut n_good = 0;
        while !bytes.is_empty() && self.end != End::Malformed {
            if self.header.is_empty() {
                n_good = n_all - bytes.len();
            }
            if self.n_payload_left > 0 {
                let n = usize::try_from(self.n_payload_left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[n..];
                self.n_payload_left -= n as u64;
                self.close_if_whole();
                continue;
            }
            let head = self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some(head) = head {
                self.start_frame(head);
            }
        }
        if self.is_malformed() { n_good } else { n_all }
    }

    /// A frame came whose length breaks the protocol.
    pub(crate) fn is_malformed(&self) -> bool {
        self.end == End::Malformed
    }

    /// No frame and no fragmented message is under way.
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.header.is_empty() && self.n_payload_left == 0 && !self.is_message_open
    }

    /// A whole close frame has gone by.
    pub(crate) fn has_closed(&self) -> bool {
        self.end == End::Closed
    }

    fn close_if_whole(&mut self) {
        if self.is_close && self.n_payload_left == 0 && self.end == End::No {
            self.end = End::Closed;
        }
    }

    fn start_frame(&mut self, head: FrameHead) {
        if head.opcode() < OPCODE_CLOSE {
            self.is_message_open = !head.is_final();
        }
        // What fits into fewer bytes must be written so, and the highest bit must be 0.
        if !head.has_shortest_length() && self.end == End::No {
            self.end = End::Malformed;
        }
        self.n_payload_left = head.n_payload;
        self.is_close = head.opcode() == OPCODE_CLOSE;
        self.close_if_whole();
        self.header = FrameHeader::default();
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_testkit::{Frame, Opcode};
    use proptest::prelude::*;

    use super::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        let opcode = prop_oneof![Just(Opcode::Text), Just(Opcode::Binary), Just(Opcode::Ping), Just(Opcode::Pong)];
        (opcode, prop_oneof![0usize..130, Just(65_536)]).prop_map(|(opcode, n)| Frame::new(opcode, vec![b'x'; n]))
    }

    #[test]
    fn a_fragmented_message_is_no_rest() {
        let mut scan = FrameScan::default();
        scan.feed(&Frame::new(Opcode::Text, "a").unfinished().masked());
        assert!(!scan.is_at_rest());
        scan.feed(&Frame::new(Opcode::Ping, "p").masked());
        assert!(!scan.is_at_rest(), "a control frame in between changes nothing");
        scan.feed(&Frame::new(Opcode::Continuation, "b").masked());
        assert!(scan.is_at_rest());
    }

    #[test]
    fn a_close_is_seen_when_it_is_whole() {
        for payload in [&b""[..], b"\x03\xe8bye"] {
            let frame = Frame::new(Opcode::Close, payload.to_vec()).masked();
            let mut scan = FrameScan::default();
            scan.feed(&frame[..frame.len() - 1]);
            assert!(!scan.has_closed());
            scan.feed(&frame[frame.len() - 1..]);
            assert!(scan.has_closed());
        }
    }

    #[test]
    fn a_length_that_could_be_shorter_or_is_negative_is_malformed() {
        let good = Frame::new(Opcode::Text, "ping").masked();
        for (header, is_malformed) in [
            (&[0x81, 0xFE, 0, 125][..], true),
            (&[0x81, 0xFE, 0, 126], false),
            (&[0x81, 0xFE, 0, 0], true),
            (&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], true),
            (&[0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0], false),
            (&[0x81, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0], true),
            (&[0x89, 0xFE, 0, 5], true),
        ] {
            let bytes = [&good, header, &[1, 2, 3, 4], b"rest"].concat();
            let mut scan = FrameScan::default();
            assert_eq!(scan.feed(&bytes), if is_malformed { good.len() } else { bytes.len() }, "{header:?}");
            assert_eq!(scan.is_malformed(), is_malformed, "{header:?}");
            let mut scan = FrameScan::default();
            let n_good: usize = bytes.chunks(1).map(|byte| scan.feed(byte)).sum();
            assert!(!is_malformed || (good.len()..good.len() + header.len() + 4).contains(&n_good), "{n_good}");
        }
    }

    proptest! {
        #[test]
        fn rest_is_exactly_at_frame_boundaries(frames in prop::collection::vec(any_frame(), 1..6), step in 1usize..200) {
            let mut scan = FrameScan::default();
            for frame in frames {
                let bytes = frame.masked();
                let mut n_fed = 0;
                for piece in bytes.chunks(step) {
                    scan.feed(piece);
                    n_fed += piece.len();
                    prop_assert_eq!(scan.is_at_rest(), n_fed == bytes.len());
                }
            }
            prop_assert!(!scan.has_closed());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            FrameScan::default().feed(&bytes);
        }
    }
}
