//! The header of a client's frame (RFC 6455, section 5.2), as its bytes come in.

/// Longest header of a client frame: two bytes, eight of length, four of mask.
const HEADER_BYTES: usize = 14;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;

/// A header that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct FrameHeader {
    bytes: [u8; HEADER_BYTES],
    n_bytes: u8,
}

/// What a header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHead {
    first: u8,
    is_masked: bool,
    /// How many bytes said how long the payload is, beside the second.
    n_length: usize,
    /// Zeros where the frame is not masked.
    pub(super) mask: [u8; 4],
    pub(super) n_payload: u64,
}

impl FrameHeader {
    /// Takes the next byte; the header, when it is the last.
    pub(super) fn push(&mut self, byte: u8) -> Option<FrameHead> {
        self.bytes[usize::from(self.n_bytes)] = byte;
        self.n_bytes += 1;
        (usize::from(self.n_bytes) == self.len()).then(|| self.parse())
    }

    /// Whether no byte of it has come.
    pub(super) const fn is_empty(&self) -> bool {
        self.n_bytes == 0
    }

    /// The bytes so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.n_bytes)]
    }

    /// How long it is, as far as its bytes tell yet.
    fn len(&self) -> usize {
        if self.n_bytes < 2 {
            return 2;
        }
        let n_mask = if self.bytes[1] & MASKED == 0 { 0 } else { 4 };
        2 + self.n_length() + n_mask
    }

    /// How many bytes of a longer length follow the second.
    fn n_length(&self) -> usize {
        match self.bytes[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn parse(&self) -> FrameHead {
        let (first, second, n_length) = (self.bytes[0], self.bytes[1], self.n_length());
        let n_payload = match n_length {
            0 => u64::from(second & !MASKED),
            _ => self.bytes[2..2 + n_length].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let (is_masked, mut mask) = (second & MASKED != 0, [0; 4]);
        if is_masked {
            mask.copy_from_slice(&self.bytes[2 + n_length..6 + n_length]);
        }
        FrameHead { first, is_masked, n_length, mask, n_payload }
    }
}

impl FrameHead {
    pub(super) const fn opcode(&self) -> u8 {
        self.first & 0x0F
    }

    /// Whether the length is written in as few bytes as can be, and is none beyond what the standard knows.
    pub(super) const fn has_shortest_length(&self) -> bool {
        let least = match self.n_length {
            0 => 0,
            2 => 126,
            _ => 1 << 16,
        };
        self.n_payload >= least && self.n_payload >> 63 == 0
    }

    pub(super) const fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    /// Whether a compressed message begins, by the rules.
    pub(super) const fn is_compressed_start(&self) -> bool {
        matches!(self.opcode(), 1 | 2) && self.first & RSV == COMPRESSED && self.is_masked
    }

    /// Whether a message goes on, by the rules.
    pub(super) const fn is_continuation(&self) -> bool {
        self.opcode() == 0 && self.first & RSV == 0 && self.is_masked
    }
}
