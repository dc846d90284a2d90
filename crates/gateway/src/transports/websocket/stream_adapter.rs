//! Between tungstenite and the socket: reads go to the socket, writes to the hub's outbox.
//!
//! tungstenite writes only whole control frames here: pongs, and the answer to a close. They take
//! the same queue as events, so frames can never interleave on the wire.

use std::io::{self, ErrorKind, Read, Write};

use bytes::Bytes;
use hookswitch_hub::ConnectionHandle;

use super::frame_scan::FrameScan;
use super::inflate::Inflater;
use crate::transports::tcp::Socket;

const CLOSE_FRAME: u8 = 0x88;

/// What tungstenite sees as its stream during one call.
pub(crate) struct StreamAdapter<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) handle: &'a ConnectionHandle,
    /// Bytes that came with the upgrade request; read before the socket.
    pub(crate) leftover: &'a mut Bytes,
    pub(crate) scan: &'a mut FrameScan,
    /// For a client that may compress its messages.
    pub(crate) inflater: Option<&'a mut Inflater>,
    /// Bytes that may still be read in this turn.
    pub(crate) budget: &'a mut usize,
}

impl StreamAdapter<'_> {
    /// Reads what the client sent, as far as it is well-formed.
    fn read_frames(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.scan.is_malformed() {
            return Err(ErrorKind::InvalidData.into());
        }
        let n_read = if !self.leftover.is_empty() {
            let n = self.leftover.len().min(buffer.len());
            buffer[..n].copy_from_slice(&self.leftover.split_to(n));
            n
        } else if *self.budget == 0 {
            return Err(ErrorKind::WouldBlock.into());
        } else {
            self.socket.try_read(buffer)?
        };
        *self.budget = self.budget.saturating_sub(n_read);
        if n_read > 0 {
            self.handle.heard();
        }
        // Frames before a malformed one are still the client's word.
        match self.scan.feed(&buffer[..n_read]) {
            0 if self.scan.is_malformed() => Err(ErrorKind::InvalidData.into()),
            n_good => Ok(n_good),
        }
    }

    /// Reads them inflated. What is gained by inflating is counted as if it had been sent.
    fn read_inflated(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(inflater) = self.inflater.as_deref_mut() else { return self.read_frames(buffer) };
            if *self.budget == 0 && !inflater.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n_given = inflater.give(buffer).map_err(|_malformed| io::Error::from(ErrorKind::InvalidData))?;
            *self.budget = self.budget.saturating_sub(inflater.take_gain());
            if n_given > 0 {
                return Ok(n_given);
            }
            // The library's buffer serves on the way in, too.
            let n_read = self.read_frames(buffer)?;
            if n_read == 0 {
                return Ok(0);
            }
            if let Some(inflater) = self.inflater.as_deref_mut() {
                inflater.feed(&buffer[..n_read]);
            }
        }
    }
}

impl Read for StreamAdapter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inflater.is_some() { self.read_inflated(buffer) } else { self.read_frames(buffer) }
    }
}

impl Write for StreamAdapter<'_> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        // A close goes to the tail: no data may follow it. A pong may not wait behind a backlog.
        if frame.first() == Some(&CLOSE_FRAME) {
            self.handle.close_with(&Bytes::copy_from_slice(frame));
        } else {
            self.handle.send_control(Bytes::copy_from_slice(frame));
        }
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
