//! From a socket whose handshake is done to the hub's transport and the task that reads.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hookswitch_hub::{ConnectionHandle, Transport};

use super::command_handler::CommandHandler;
use super::reader::Reader;
use crate::transports::tcp::{Socket, SocketContext};

/// A socket whose handshake is done, on its way to its shard's thread.
pub(crate) struct AcceptedSocket {
    pub(crate) stream: std::net::TcpStream,
    /// What the client sent together with its upgrade request.
    pub(crate) leftover: Bytes,
    pub(crate) commands: CommandHandler,
    pub(crate) context: Arc<SocketContext>,
    /// Whether the client may compress its messages.
    pub(crate) compresses: bool,
}

impl AcceptedSocket {
    /// Registers the socket with the shard's runtime and starts its reading task.
    pub(crate) fn open(self, handle: ConnectionHandle) -> io::Result<Rc<dyn Transport>> {
        let socket = Rc::new(Socket::register(self.stream, self.context)?);
        let reader = Reader::new(Rc::clone(&socket), handle, self.commands, self.leftover, self.compresses);
        tokio::task::spawn_local(reader);
        Ok(socket)
    }
}

impl fmt::Debug for AcceptedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptedSocket").field("stream", &self.stream).finish_non_exhaustive()
    }
}
