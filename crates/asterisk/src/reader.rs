//! Bytes in, messages out.

use memchr::memchr;

use crate::message::{END_OF_COMMAND, Message};

/// What a PBX may send at most, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Of one line.
    pub line: usize,
    /// Of one message, with all its lines.
    pub message: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { line: 64 * 1024, message: 256 * 1024 }
    }
}

/// Why a stream cannot be read on. The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The first line is not that of a Manager Interface.
    #[error("the first line is not \"Asterisk Call Manager/…\"")]
    NoBanner,
    /// A line is longer than allowed.
    #[error("a line is longer than {0} bytes")]
    LineTooLong(usize),
    /// A message is longer than allowed.
    #[error("a message is longer than {0} bytes")]
    MessageTooLong(usize),
}

/// Puts messages together from pieces of any size. Holds at most one message that is not whole, and one piece.
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Where the message that is being read begins.
    start: usize,
    /// Where its line that is not yet whole begins.
    line: usize,
    /// As far as was looked for the end of that line.
    seen: usize,
    banner: Option<String>,
    follows: Follows,
    limits: ReadLimits,
}

/// Output of a command without headers (before version 14) may have empty lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    No,
    Output,
    /// An empty line may be the message's end: it is one if a message begins after it. Holds where it ends.
    Blank(usize),
    Ended,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(ReadLimits::default())
    }
}

impl Reader {
    /// A reader of one connection, from its first byte.
    pub fn new(limits: ReadLimits) -> Self {
        Self { buffer: Vec::new(), start: 0, line: 0, seen: 0, banner: None, follows: Follows::No, limits }
    }

    /// What the PBX said first, without the line's end.
    pub fn banner(&self) -> Option<&str> {
        self.banner.as_deref()
    }

    /// Bytes that wait for the rest of their message.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Takes a piece. Call [`next`](Self::next) until it has no more before the next one.
    pub fn push(&mut self, piece: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.line -= self.start;
            self.seen -= self.start;
            if let Follows::Blank(end) = &mut self.follows {
                *end -= self.start;
            }
            self.start = 0;
        }
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole message, or `None` until more bytes come.
    #[expect(clippy::should_implement_trait, reason = "a message borrows the reader, an iterator's item cannot")]
    pub fn next(&mut self) -> Result<Option<Message<'_>>, ReadError> {
        match self.advance()? {
            Some((from, to)) => Ok(Some(Message::new(&self.buffer[from..to]))),
            None => Ok(None),
        }
    }

    fn advance(&mut self) -> Result<Option<(usize, usize)>, ReadError> {
        while let Some(end) = memchr(b'\n', &self.buffer[self.seen..]) {
            let (from, to) = (self.line, self.seen + end);
            self.within(to - from, to - self.start)?;
            if let Some(found) = self.take_line(from, to)? {
                return Ok(Some(found));
            }
        }
        self.seen = self.buffer.len();
        self.within(self.seen - self.line, self.seen - self.start)?;
        Ok(None)
    }

    fn within(&self, line: usize, message: usize) -> Result<(), ReadError> {
        if line > self.limits.line {
            return Err(ReadError::LineTooLong(self.limits.line));
        }
        if message > self.limits.message {
            return Err(ReadError::MessageTooLong(self.limits.message));
        }
        Ok(())
    }

    /// One whole line: perhaps the last of a message.
    fn take_line(&mut self, from: usize, to: usize) -> Result<Option<(usize, usize)>, ReadError> {
        let line = &self.buffer[from..to];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.banner.is_none() {
            if !line.starts_with(b"Asterisk Call Manager/") {
                return Err(ReadError::NoBanner);
            }
            self.banner = Some(String::from_utf8_lossy(line).into_owned());
            self.skip_to(to + 1);
            return Ok(None);
        }
        if let Follows::Blank(end) = self.follows
            && (line.starts_with(b"Event: ") || line.starts_with(b"Response: "))
        {
            let found = (self.start, end);
            self.skip_to(end);
            return Ok(Some(found));
        }
        let first = from == self.start;
        let empty = line.is_empty();
        self.follows = self.following(line, first, to + 1);
        self.line = to + 1;
        self.seen = to + 1;
        if !empty {
            return Ok(None);
        }
        if first {
            self.skip_to(to + 1);
            return Ok(None);
        }
        if matches!(self.follows, Follows::Output | Follows::Blank(_)) {
            return Ok(None);
        }
        let found = (self.start, to + 1);
        self.skip_to(to + 1);
        Ok(Some(found))
    }

    fn following(&self, line: &[u8], first: bool, end: usize) -> Follows {
        match self.follows {
            Follows::No if first && line == b"Response: Follows" => Follows::Output,
            Follows::Output | Follows::Blank(_) if line.ends_with(END_OF_COMMAND) => Follows::Ended,
            Follows::Output | Follows::Blank(_) if line.is_empty() => Follows::Blank(end),
            Follows::Blank(_) => Follows::Output,
            same => same,
        }
    }

    fn skip_to(&mut self, place: usize) {
        self.start = place;
        self.line = place;
        self.seen = place;
        self.follows = Follows::No;
    }
}
