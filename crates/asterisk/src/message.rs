//! One message of the Manager Interface, as it lies in the reader's buffer.

use std::borrow::Cow;

use memchr::memchr;

/// A message: an event, or an answer to an action. Nothing of it is copied before somebody asks.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    raw: &'a [u8],
}

impl<'a> Message<'a> {
    /// `raw`: the lines of the message, with or without the empty line at its end.
    pub fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The bytes as they came.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The headers in their order, also those that repeat. A line without a colon is none.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        Lines { rest: self.raw }.filter_map(split)
    }

    /// The value of a header, of repeated ones the first. Names are compared without regard to case.
    pub fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let name = name.as_bytes();
        Lines { rest: self.raw }.find_map(|line| {
            let fits = line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name);
            fits.then(|| value(&line[name.len() + 1..]))
        })
    }

    /// A header as text; bytes that are no UTF-8 are replaced. Empty when it is absent.
    pub fn text(&self, name: &str) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes(name).unwrap_or_default())
    }

    /// A header as a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        std::str::from_utf8(self.bytes(name)?).ok()?.trim().parse().ok()
    }

    /// The event's name; `None` for an answer.
    pub fn event(&self) -> Option<&'a str> {
        self.first("Event")
    }

    /// What an answer says (`Success`, `Error`, `Follows`, `Goodbye`); `None` for an event.
    pub fn response(&self) -> Option<&'a str> {
        self.first("Response")
    }

    /// Whether a PBX sent this event unasked: its second line says for whom it is. A message that a caller's
    /// name with line breaks forged into the stream has no such line.
    pub fn is_broadcast(&self) -> bool {
        let second = Lines { rest: self.raw }.nth(1).unwrap_or_default();
        [&b"Privilege:"[..], b"SystemName:", b"Timestamp:"].iter().any(|known| second.starts_with(known))
    }

    /// The lines of a command's output, whether each is an `Output:` header or all stand bare before
    /// `--END COMMAND--`.
    pub fn output(&self) -> Vec<Cow<'a, str>> {
        if self.response() != Some("Follows") {
            let lines = self.headers().filter(|(name, _)| name.eq_ignore_ascii_case(b"Output"));
            return lines.map(|(_, line)| String::from_utf8_lossy(line)).collect();
        }
        let head =
            |line: &&[u8]| [&b"Response:"[..], b"Privilege:", b"ActionID:"].iter().any(|name| line.starts_with(name));
        let body = Lines { rest: self.raw }.skip_while(head).take_while(|line| !line.ends_with(END_OF_COMMAND));
        body.map(String::from_utf8_lossy).collect()
    }

    fn first(&self, name: &str) -> Option<&'a str> {
        let line = Lines { rest: self.raw }.next()?;
        let rest = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        std::str::from_utf8(value(rest)).ok()
    }
}

/// What ends the output of a command, before version 14.
pub(crate) const END_OF_COMMAND: &[u8] = b"--END COMMAND--";

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    Some((&line[..colon], value(&line[colon + 1..])))
}

/// One blank after the colon belongs to the wire, others to the value.
fn value(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// Lines end with LF; a CR before it belongs to the end.
pub(crate) struct Lines<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &self.rest[self.rest.len()..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}
