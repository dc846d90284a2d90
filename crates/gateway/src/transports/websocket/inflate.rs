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
const LENGTH_IN_TWO_BYTES: u8 = 0x7E;

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
        output.push(MASKED | LENGTH_IN_TWO_BYTES);
        output.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    }
    output.extend_from_slice(&[0; 4]);
    output.extend_from_slice(payload);
}

#[cfg(test)]
mod tests;
