//! Compressed messages from clients: inflated between the socket and the WebSocket library, which knows nothing of it.
//!
//! A compressed message becomes a message in pieces, each small, none with the mark of compression. So the library's own
//! bounds hold for what was inflated, and a frame that breaks the protocol is passed on for the library to refuse.

use flate2::{Decompress, FlushDecompress, Status};

use super::deflate::TAIL;
use super::frame_head::{FrameHead, FrameHeader};

/// What is inflated at once.
const PIECE_BYTES: usize = 8 * 1024;

const CONTINUATION: u8 = 0;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What a client sent that compresses nothing known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Frames of a client with compressed messages on their way to a reader who knows none. Takes in and gives out a little at
/// a time.
#[derive(Debug, Default)]
pub(crate) struct Inflater {
    /// What came in and was not looked at.
    input: Vec<u8>,
    n_looked_at: usize,
    header: FrameHeader,
    /// The frame whose payload comes in.
    frame: Option<Frame>,
    message: Option<Message>,
    output: Vec<u8>,
    n_given: usize,
    /// Bytes that came of inflating, beyond those that came in.
    n_gained: usize,
}

#[derive(Debug)]
struct Frame {
    head: FrameHead,
    n_left: u64,
    is_compressed: bool,
}

/// A compressed message under way.
#[derive(Debug)]
struct Message {
    inflate: Decompress,
    /// Unmasked, and not yet inflated.
    compressed: Vec<u8>,
    /// Nothing of it follows.
    is_whole: bool,
}

impl Inflater {
    /// Whether there is nothing to give and nothing to look at.
    pub(crate) fn is_empty(&self) -> bool {
        self.n_looked_at == self.input.len()
            && self.n_given == self.output.len()
            && self.message.as_ref().is_none_or(|message| !message.has_more())
    }

    /// Takes the next bytes of the client's. Everything before must have been given.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        debug_assert!(self.is_empty(), "first all that is there is given");
        self.input.clear();
        self.input.extend_from_slice(bytes);
        self.n_looked_at = 0;
    }

    /// Gives the next bytes for the reader; 0 when more must be fed first.
    ///
    /// # Errors
    /// When a message cannot be inflated.
    pub(crate) fn give(&mut self, buffer: &mut [u8]) -> Result<usize, Malformed> {
        while self.n_given == self.output.len() {
            self.output.clear();
            self.n_given = 0;
            if !self.work()? {
                return Ok(0);
            }
        }
        let rest = &self.output[self.n_given..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.n_given += n;
        Ok(n)
    }

    /// How many bytes came of inflating since this was last asked.
    pub(crate) fn take_gain(&mut self) -> usize {
        std::mem::take(&mut self.n_gained)
    }

    /// One step; whether there was anything to do.
    fn work(&mut self) -> Result<bool, Malformed> {
        if let Some(message) = &mut self.message
            && message.has_more()
        {
            let n_before = message.compressed.len();
            let is_last = message.inflate_piece(&mut self.output)?;
            self.n_gained += self.output.len().saturating_sub(n_before);
            if is_last {
                self.message = None;
            }
            return Ok(true);
        }
        if self.n_looked_at == self.input.len() {
            return Ok(false);
        }
        match &self.frame {
            None => self.read_header(),
            Some(_) => self.read_payload(),
        }
        Ok(true)
    }

    fn read_header(&mut self) {
        let byte = self.input[self.n_looked_at];
        self.n_looked_at += 1;
        let Some(head) = self.header.push(byte) else { return };
        let begins = head.is_compressed_start() && self.message.is_none();
        let is_compressed = begins || (head.is_continuation() && self.message.is_some());
        if begins {
            // A piece without a byte: from here on the reader knows of a message that is not whole.
            self.output.extend_from_slice(&[head.opcode(), MASKED, 0, 0, 0, 0]);
            self.message = Some(Message { inflate: Decompress::new(false), compressed: Vec::new(), is_whole: false });
        } else if !is_compressed {
            self.output.extend_from_slice(self.header.bytes());
        }
        self.header = FrameHeader::default();
        self.frame = Some(Frame { n_left: head.n_payload, head, is_compressed });
        if head.n_payload == 0 {
            self.end_frame();
        }
    }

    fn read_payload(&mut self) {
        let Some(frame) = &mut self.frame else { return };
        let rest = &self.input[self.n_looked_at..];
        let n_left = usize::try_from(frame.n_left).unwrap_or(usize::MAX);
        let bytes = &rest[..rest.len().min(n_left).min(PIECE_BYTES)];
        if frame.is_compressed
            && let Some(message) = &mut self.message
        {
            let n_before = (frame.head.n_payload - frame.n_left) as usize;
            let mask = frame.head.mask.iter().cycle().skip(n_before % frame.head.mask.len());
            message.compressed.extend(bytes.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        } else {
            self.output.extend_from_slice(bytes);
        }
        frame.n_left -= bytes.len() as u64;
        self.n_looked_at += bytes.len();
        if frame.n_left == 0 {
            self.end_frame();
        }
    }

    fn end_frame(&mut self) {
        if let Some(frame) = self.frame.take()
            && frame.is_compressed
            && frame.head.is_final()
            && let Some(message) = &mut self.message
        {
            message.compressed.extend_from_slice(&TAIL);
            message.is_whole = true;
        }
    }
}

impl Message {
    fn has_more(&self) -> bool {
        self.is_whole || !self.compressed.is_empty()
    }

    /// Inflates the next piece and appends it as a frame; whether it is the last of the message.
    fn inflate_piece(&mut self, output: &mut Vec<u8>) -> Result<bool, Malformed> {
        let mut piece = [0; PIECE_BYTES];
        let (mut n_read, mut n_piece, mut has_stalled) = (0, 0, false);
        while n_piece < PIECE_BYTES && !has_stalled {
            let (input, room) = (&self.compressed[n_read..], &mut piece[n_piece..]);
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, room, FlushDecompress::Sync).map_err(|_| Malformed)?;
            let n_in = (self.inflate.total_in() - before.0) as usize;
            let n_out = (self.inflate.total_out() - before.1) as usize;
            n_read += n_in;
            n_piece += n_out;
            has_stalled = n_in == 0 && n_out == 0;
            if status == Status::StreamEnd {
                // Some end a message with a last block, after which others may begin.
                self.inflate.reset(false);
                has_stalled = n_read == self.compressed.len();
            }
        }
        self.compressed.drain(..n_read);
        let is_over = self.is_whole && has_stalled;
        if has_stalled && !self.compressed.is_empty() {
            return Err(Malformed);
        }
        put_frame(if is_over { FIN | CONTINUATION } else { CONTINUATION }, &piece[..n_piece], output);
        Ok(is_over)
    }
}

/// Appends a client's frame, as good as unmasked.
fn put_frame(first: u8, payload: &[u8], output: &mut Vec<u8>) {
    output.push(first);
    if payload.len() < 126 {
        output.push(MASKED | payload.len() as u8);
    } else {
        output.push(MASKED | 126);
        output.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    output.extend_from_slice(&[0; 4]);
    output.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};
    use hookswitch_testkit::{Frame, FrameHead, Opcode};
    use proptest::prelude::*;

    use super::*;

    const RSV1: u8 = 0x40;

    fn deflate(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 1_024);
        let mut compress = Compress::new(Compression::best(), false);
        compress.compress_vec(bytes, &mut out, flush).expect("it compresses");
        if flush == FlushCompress::Sync {
            assert!(out.ends_with(&TAIL));
            out.truncate(out.len() - TAIL.len());
        }
        out
    }

    /// A message as a client sends it that compresses, in frames of so many bytes.
    fn frames(opcode: Opcode, compressed: &[u8], n_bytes: usize) -> Vec<Vec<u8>> {
        let n_pieces = compressed.len().div_ceil(n_bytes).max(1);
        let piece = |at: usize| {
            let payload = compressed[at * n_bytes..].iter().take(n_bytes).copied().collect::<Vec<u8>>();
            let frame = Frame::new(if at == 0 { opcode } else { Opcode::Continuation }, payload);
            let mut bytes = if at + 1 == n_pieces { frame.masked() } else { frame.unfinished().masked() };
            if at == 0 {
                bytes[0] |= RSV1;
            }
            bytes
        };
        (0..n_pieces).map(piece).collect()
    }

    /// All that comes out, fed and taken in steps.
    fn inflated(inflater: &mut Inflater, bytes: &[u8], step: usize) -> Result<Vec<u8>, Malformed> {
        let (mut out, mut buffer) = (Vec::new(), vec![0; step]);
        for piece in bytes.chunks(step) {
            inflater.feed(piece);
            loop {
                assert!(inflater.output.len() <= PIECE_BYTES + 64, "no more at once than a piece");
                match inflater.give(&mut buffer)? {
                    0 => break,
                    n => out.extend_from_slice(&buffer[..n]),
                }
            }
            assert!(inflater.is_empty());
        }
        Ok(out)
    }

    /// The messages and control frames that these frames make.
    fn messages(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
        let mut open: Option<(Opcode, Vec<u8>)> = None;
        let mut whole = Vec::new();
        while let Some(head) = FrameHead::parse(bytes) {
            assert_eq!(bytes[0] & 0x70, 0, "nothing marked as compressed");
            let mask = head.mask.expect("as a client's");
            let payload = &bytes[head.head_bytes..head.frame_bytes()];
            let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            match head.opcode {
                Opcode::Ping | Opcode::Pong | Opcode::Close => whole.push((head.opcode, payload)),
                Opcode::Continuation => open.as_mut().expect("a message to go on with").1.extend(payload),
                opcode => assert_eq!(open.replace((opcode, payload)), None, "one message at a time"),
            }
            if head.is_final && matches!(head.opcode, Opcode::Continuation | Opcode::Text | Opcode::Binary) {
                whole.push(open.take().expect("a message"));
            }
            bytes = &bytes[head.frame_bytes()..];
        }
        assert!(bytes.is_empty() && open.is_none(), "all of it is whole");
        whole
    }

    fn read(bytes: &[u8]) -> Result<Vec<(Opcode, Vec<u8>)>, Malformed> {
        inflated(&mut Inflater::default(), bytes, 1_024).map(|out| messages(&out))
    }

    #[test]
    fn the_standards_own_examples_are_read() {
        // RFC 7692, section 7.2.3: "Hello" in one frame, in two, uncompressed, and in a last block.
        let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
        let stored = [0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00];
        let last = [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00];
        let two_blocks = [0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00];
        for (compressed, n_bytes) in [
            (&hello[..], 99),
            (&hello[..], 3),
            (&stored[..], 99),
            (&last[..], 99),
            (&last[..], 1),
            (&two_blocks[..], 4),
        ] {
            let bytes = frames(Opcode::Text, compressed, n_bytes).concat();
            assert_eq!(read(&bytes), Ok(vec![(Opcode::Text, b"Hello".to_vec())]), "{compressed:?}");
        }
    }

    #[test]
    fn what_is_not_compressed_passes_as_it_is() {
        let mut bytes = Frame::new(Opcode::Text, "plain").masked();
        bytes.extend(Frame::new(Opcode::Text, "a").unfinished().masked());
        bytes.extend(Frame::new(Opcode::Ping, "p").masked());
        bytes.extend(Frame::new(Opcode::Continuation, vec![b'x'; 70_000]).masked());
        bytes.extend(Frame::new(Opcode::Close, "").masked());
        for step in [1, 7, 100_000] {
            assert_eq!(inflated(&mut Inflater::default(), &bytes, step).as_deref(), Ok(&bytes[..]), "{step}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_left_for_the_reader_to_refuse() {
        let compressed = deflate(b"a message in two pieces", FlushCompress::Sync);
        let pieces = frames(Opcode::Text, &compressed, compressed.len() - 3);
        let marked = |frame: Frame| {
            let mut bytes = frame.masked();
            bytes[0] |= RSV1;
            bytes
        };
        for wrong in [
            marked(Frame::new(Opcode::Continuation, "x")),
            marked(Frame::new(Opcode::Ping, "x")),
            marked(Frame::new(Opcode::Text, "x")),
            Frame::new(Opcode::Text, "x").masked(),
            Frame::new(Opcode::Continuation, "x").unmasked(),
        ] {
            let out = inflated(&mut Inflater::default(), &[&pieces[0][..], &wrong].concat(), 64).expect("it passes");
            assert!(out.ends_with(&wrong), "{wrong:?}");
            assert_eq!(out[0], 1, "after the begin of a message that is not whole");
        }
    }

    #[test]
    fn what_inflates_to_nothing_sensible_is_malformed() {
        for garbage in [&[0xFF; 40][..], &[0x07, 0x07], &[0x01, 0x05, 0x00, 0x00, 0x00]] {
            let bytes = frames(Opcode::Text, garbage, 99).concat();
            assert_eq!(read(&bytes), Err(Malformed), "{garbage:?}");
        }
    }

    #[test]
    fn a_bomb_goes_off_in_small_pieces() {
        let bomb = deflate(&vec![b'x'; 4 * 1024 * 1024], FlushCompress::Sync);
        assert!(bomb.len() < 16 * 1024);
        let bytes = frames(Opcode::Text, &bomb, bomb.len()).concat();
        let mut inflater = Inflater::default();
        inflater.feed(&bytes);
        let (mut n_given, mut buffer) = (0, [0; 1_024]);
        // The reader gives up at its bound.
        while n_given < 600 * 1024 {
            n_given += inflater.give(&mut buffer).expect("it goes on");
            assert!(inflater.output.capacity() <= 4 * PIECE_BYTES, "{}", inflater.output.capacity());
        }
        let unread = inflater.message.map_or(0, |message| message.compressed.len());
        assert!(unread <= PIECE_BYTES, "{unread}");
    }

    fn any_message() -> impl Strategy<Value = Vec<u8>> {
        let repeated = (prop::collection::vec(any::<u8>(), 1..9), 0usize..5_000).prop_map(|(part, n)| part.repeat(n));
        prop_oneof![repeated, prop::collection::vec(any::<u8>(), 0..2_000)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_message_comes_out_as_it_went_in(
            sent in prop::collection::vec((any_message(), any::<bool>(), any::<bool>(), 1usize..3_000), 1..4),
            step in 1usize..5_000,
        ) {
            let (mut bytes, mut wanted) = (Vec::new(), Vec::new());
            for (message, is_compressed, has_last_block, n_bytes) in sent {
                if is_compressed {
                    let flush = if has_last_block { FlushCompress::Finish } else { FlushCompress::Sync };
                    let mut compressed = deflate(&message, flush);
                    if has_last_block {
                        compressed.push(0);
                    }
                    let pieces = frames(Opcode::Binary, &compressed, n_bytes);
                    let n_pieces = pieces.len();
                    for (at, piece) in pieces.into_iter().enumerate() {
                        bytes.extend(piece);
                        if at + 1 < n_pieces && at % 7 == 0 {
                            bytes.extend(Frame::new(Opcode::Ping, "between").masked());
                            wanted.push((Opcode::Ping, b"between".to_vec()));
                        }
                    }
                } else {
                    bytes.extend(Frame::new(Opcode::Binary, message.clone()).masked());
                }
                wanted.push((Opcode::Binary, message));
            }
            let out = inflated(&mut Inflater::default(), &bytes, step);
            prop_assert_eq!(out.map(|out| messages(&out)), Ok(wanted));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1usize..100) {
            let mut marked = bytes.clone();
            if let [first, second, ..] = &mut marked[..] {
                *first = 0x41;
                *second |= 0x80;
            }
            for bytes in [bytes, marked] {
                let _either = inflated(&mut Inflater::default(), &bytes, step);
            }
        }
    }
}
