//! A socket in a poll loop: what has come of an unfinished message, and what waits for room.

use std::io::{ErrorKind, Read as _, Result, Write as _};

use mio::net::TcpStream;

/// A non-blocking socket with its two buffers.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

impl Wire {
    /// Nothing has come, nothing waits.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, inbox: Vec::new(), outbox: Vec::new() }
    }

    /// Reads until the socket is empty; its end is an error.
    pub(crate) fn fill(&mut self, scratch: &mut [u8]) -> Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.inbox.extend_from_slice(&scratch[..count]);
                    // A short read means that the socket is empty: no need to ask again.
                    if count < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets `take` have one message after the other, until it says that it took none. What it appends to the second
    /// argument goes out with the next [`Wire::flush`].
    pub(crate) fn consume<E>(
        &mut self,
        mut take: impl FnMut(&[u8], &mut Vec<u8>) -> std::result::Result<usize, E>,
    ) -> std::result::Result<(), E> {
        let mut used = 0;
        loop {
            let taken = take(&self.inbox[used..], &mut self.outbox)?;
            used += taken;
            if taken == 0 {
                self.inbox.drain(..used);
                return Ok(());
            }
        }
    }

    /// What goes out with the next [`Wire::flush`].
    pub(crate) fn outbox(&mut self) -> &mut Vec<u8> {
        &mut self.outbox
    }

    /// Writes `bytes` at once, or keeps what the socket has no room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = if self.outbox.is_empty() { write_some(&mut self.stream, bytes)? } else { 0 };
        self.outbox.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Writes what waits, as far as the socket has room.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while !self.outbox.is_empty() {
            match write_some(&mut self.stream, &self.outbox)? {
                0 => return Ok(()),
                written => drop(self.outbox.drain(..written)),
            }
        }
        Ok(())
    }
}

/// How much was written; 0 when there is no room.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    match stream.write(bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Ok(0) => Err(ErrorKind::WriteZero.into()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_whole_and_answers_wait_for_the_flush() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let mut wire = Wire::new(TcpStream::from_std(accepted));
        let mut messages = Vec::new();
        for part in ["one two", " thr", "ee "] {
            peer.write_all(part.as_bytes()).unwrap();
            wire.fill(&mut [0; 64]).unwrap();
            let word = |bytes: &[u8], answers: &mut Vec<u8>| {
                let Some(end) = bytes.iter().position(|byte| *byte == b' ') else { return Ok::<_, ()>(0) };
                messages.push(String::from_utf8(bytes[..end].to_vec()).unwrap());
                answers.push(b'!');
                Ok(end + 1)
            };
            wire.consume(word).unwrap();
        }
        assert_eq!(messages, ["one", "two", "three"]);
        wire.flush().unwrap();
        let mut answers = [0; 3];
        peer.read_exact(&mut answers).unwrap();
        assert_eq!(&answers, b"!!!");
        drop(peer);
        assert_eq!(wire.fill(&mut [0; 64]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
