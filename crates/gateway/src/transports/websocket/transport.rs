//! The hub's transport over TCP.

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

/// The writing end of one WebSocket over TCP. Dropped without [`Transport::finish`], it ends its
/// reading task too.
#[derive(Debug)]
pub(crate) struct WebSocketTransport {
    socket: Rc<Socket>,
}

/// A socket whose handshake is done, on its way to its shard's thread.
pub(crate) struct AcceptedSocket {
    pub(crate) stream: std::net::TcpStream,
    /// What the client sent together with its upgrade request.
    pub(crate) leftover: Bytes,
    pub(crate) commands: CommandHandler,
    pub(crate) context: Arc<SocketContext>,
}

impl fmt::Debug for AcceptedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptedSocket").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Transport for WebSocketTransport {
    fn flush(&mut self, outbox: &mut Outbox) -> Flushed {
        while !outbox.is_empty() {
            // Setting up the slices costs as much as all else on our side of the write.
            let written = match outbox.one_slice() {
                Some(bytes) => self.socket.try_write(bytes),
                None => self.write_slices(outbox),
            };
            match written {
                Ok(0) => return Flushed::Gone,
                Ok(n_written) => outbox.advance(n_written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.socket.set_writer(Writer::Blocked);
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Gone,
            }
        }
        Flushed::Drained
    }

    fn finish(self: Box<Self>) {
        self.socket.set_writer(Writer::Finished);
    }
}

impl WebSocketTransport {
    /// Registers the socket with the shard's runtime and starts its reading task.
    pub(crate) fn open(accepted: AcceptedSocket, handle: ConnectionHandle) -> io::Result<Box<dyn Transport>> {
        let socket = Rc::new(Socket::register(accepted.stream, accepted.context)?);
        let reader = Reader::new(Rc::clone(&socket), handle, accepted.commands, accepted.leftover);
        tokio::task::spawn_local(reader);
        Ok(Box::new(Self { socket }))
    }

    fn write_slices(&self, outbox: &Outbox) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let n_slices = outbox.fill(&mut slices);
        self.socket.try_write_vectored(&slices[..n_slices])
    }
}

impl Drop for WebSocketTransport {
    fn drop(&mut self) {
        if self.socket.writer() != Writer::Finished {
            self.socket.set_writer(Writer::Abandoned);
        }
    }
}
