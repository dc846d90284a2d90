//! The hub's transport over TCP: the writing end of the socket that the reading task shares.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hookswitch_hub::{ConnectionHandle, Flushed, Outbox, Transport};

use super::command_handler::CommandHandler;
use super::reader::Reader;
use super::tcp::{Socket, SocketContext, Writer};

/// Slices handed to one vectored write.
const SLICES_PER_WRITE: usize = 64;

/// A socket whose handshake is done, on its way to its shard's thread.
pub(crate) struct AcceptedSocket {
    pub(crate) stream: std::net::TcpStream,
    /// What the client sent together with its upgrade request.
    pub(crate) leftover: Bytes,
    pub(crate) commands: CommandHandler,
    pub(crate) context: Arc<SocketContext>,
}

impl AcceptedSocket {
    /// Registers the socket with the shard's runtime and starts its reading task.
    pub(crate) fn open(self, handle: ConnectionHandle) -> io::Result<Rc<dyn Transport>> {
        let socket = Rc::new(Socket::register(self.stream, self.context)?);
        let reader = Reader::new(Rc::clone(&socket), handle, self.commands, self.leftover);
        tokio::task::spawn_local(reader);
        Ok(socket)
    }
}

impl fmt::Debug for AcceptedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptedSocket").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Transport for Socket {
    fn flush(&self, outbox: &mut Outbox) -> Flushed {
        while !outbox.is_empty() {
            // Setting up the slices costs as much as all else on our side of the write.
            let written = match outbox.one_slice() {
                Some(bytes) => self.try_write(bytes),
                None => self.write_slices(outbox),
            };
            match written {
                Ok(0) => return Flushed::Gone,
                Ok(n_written) => outbox.advance(n_written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.set_writer(Writer::Blocked);
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Gone,
            }
        }
        Flushed::Drained
    }

    fn finish(&self) {
        self.set_writer(Writer::Finished);
    }

    /// Ends the reading task, unless that waits for the client's close.
    fn release(&self) {
        if self.writer() != Writer::Finished {
            self.set_writer(Writer::Abandoned);
        }
    }
}

impl Socket {
    fn write_slices(&self, outbox: &Outbox) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let n_slices = outbox.fill(&mut slices);
        self.try_write_vectored(&slices[..n_slices])
    }
}
