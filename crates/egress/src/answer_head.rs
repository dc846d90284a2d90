//! The heads of answers, made readable for the HTTP library, which counts lines and knows no patience.
//!
//! A receiver's status decides, so nothing around it may hide it: a warning that a script printed before the status
//! line is left out, and of more header lines than the library reads only those that matter are passed on. What is
//! counted is bytes.

/// The longest head, what comes before the status line included.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// As many header lines as the HTTP library reads.
const MOST_LINES: usize = 100;

/// Of more lines than that so many are passed on, and beside them those that [`MATTERING`] names.
const KEPT_LINES: usize = 50;

/// What decides where an answer ends, and when to try again.
const MATTERING: [&str; 4] = ["content-length", "transfer-encoding", "connection", "retry-after"];

/// What every status line begins with.
const VERSION: &[u8] = b"HTTP/";

/// How servers of other protocols greet: SSH, HTTP/2, POP3, IMAP, VNC, Redis. (SMTP and FTP begin with a number.) None
/// of them will say more before we do.
const GREETINGS: [&[u8]; 6] = [b"SSH-", b"PRI * ", b"+OK", b"* OK", b"RFB ", b"-ERR"];

/// A head that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the head of the answer is longer than {HEAD_BYTES} bytes")]
pub(crate) struct HeadTooLong;

/// Reads what comes over one connection: heads are held until they are whole, all else is passed on.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    state: State,
    /// The beginning of a head.
    held: Vec<u8>,
    /// Up to where it was looked for what is being looked for.
    n_searched: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the status line, where something else may stand.
    #[default]
    Before,
    /// Within a head.
    Head,
    /// After it.
    Through,
}

impl AnswerReader {
    /// A request begins: what comes next is its answer.
    pub(crate) fn expect_answer(&mut self) {
        if self.state == State::Through {
            self.begin(State::Before);
        }
    }

    /// Whether what comes may be passed on as it is.
    pub(crate) fn is_through(&self) -> bool {
        self.state == State::Through
    }

    /// Whether something came that is no status line, and nothing since.
    pub(crate) fn waits_for_status(&self) -> bool {
        self.state == State::Before && !self.held.is_empty()
    }

    /// Takes what was read, and appends to `out` what may be passed on.
    pub(crate) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), HeadTooLong> {
        self.held.extend_from_slice(bytes);
        while self.step(out) {}
        if self.held.len() > HEAD_BYTES { Err(HeadTooLong) } else { Ok(()) }
    }

    /// Nothing more is waited for: what is held is passed on as it is.
    pub(crate) fn give_up(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.begin(State::Through);
    }

    fn begin(&mut self, state: State) {
        (self.state, self.n_searched) = (state, 0);
    }

    /// Whether there is more to do with what is held.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        match self.state {
            State::Before => self.find_status_line(out),
            State::Head => self.find_end(out),
            State::Through => {
                out.append(&mut self.held);
                // A kept connection needs no room until its next answer.
                self.held = Vec::new();
                false
            }
        }
    }

    fn find_status_line(&mut self, out: &mut Vec<u8>) -> bool {
        loop {
            let line = &self.held[self.n_searched..];
            if line.starts_with(VERSION) {
                self.held.drain(..self.n_searched);
                self.begin(State::Head);
                return true;
            }
            let end = line.iter().position(|byte| *byte == b'\n');
            if !line[..end.unwrap_or(line.len())].iter().all(|byte| is_text(*byte)) {
                // No script prints this. It is not HTTP at all, and the library says so.
                self.give_up(out);
                return false;
            }
            let Some(end) = end else { return false };
            if is_greeting(&line[..end]) {
                self.give_up(out);
                return false;
            }
            self.n_searched += end + 1;
        }
    }

    fn find_end(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(end) = end_of_head(&self.held, self.n_searched) else {
            // The end may be three bytes long, and these be its first two.
            self.n_searched = self.held.len().saturating_sub(3);
            return false;
        };
        if end > HEAD_BYTES {
            return false;
        }
        let head = &self.held[..end];
        let is_informational = status(head).is_some_and(|status| status[0] == b'1' && status != b"101");
        pass_on(head, out);
        self.held.drain(..end);
        // Behind an informational answer comes another; no script gets to print between them.
        self.begin(if is_informational { State::Head } else { State::Through });
        !self.held.is_empty()
    }
}

/// What a script's warning is made of: anything but control characters, though with colours.
fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || matches!(byte, b'\t' | b'\r' | b'\n' | 0x1B)
}

/// Whether this is how a server of another protocol begins.
fn is_greeting(line: &[u8]) -> bool {
    let is_number = matches!(line, [a, b, c, b' ' | b'-', ..] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()));
    is_number || GREETINGS.iter().any(|greeting| line.starts_with(greeting))
}

/// Behind the empty line that ends a head; lines may end without a carriage return.
pub(crate) fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find_map(|i| match bytes[i..] {
        [b'\n', b'\n', ..] => Some(i + 2),
        [b'\n', b'\r', b'\n', ..] => Some(i + 3),
        _ => None,
    })
}

/// The three digits of the status.
pub(crate) fn status(head: &[u8]) -> Option<&[u8]> {
    let rest = &head[head.iter().position(|byte| *byte == b' ')? + 1..];
    rest.get(..3)
}

fn pass_on(head: &[u8], out: &mut Vec<u8>) {
    // The status line, the empty line and nothing after it are no header lines.
    if head.split(|byte| *byte == b'\n').count() <= MOST_LINES + 3 {
        return out.extend_from_slice(head);
    }
    let (mut n_lines, mut is_kept) = (0, true);
    for (i, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // A folded line goes with the one before it.
        if i > 0 && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            is_kept = n_lines < KEPT_LINES || matters(line);
            n_lines += 1;
        }
        if is_kept {
            out.extend_from_slice(line);
        }
    }
}

/// Whether a line must be passed on: also where it is no header, which is for the library to refuse.
fn matters(line: &[u8]) -> bool {
    let name = line.iter().position(|byte| *byte == b':').map(|end| &line[..end]);
    let is_header = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    name.is_none_or(|name| !is_header(name) || MATTERING.iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes())))
}

#[cfg(test)]
#[path = "answer_head_tests.rs"]
mod tests;
