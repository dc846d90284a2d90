//! The seam to sockets: the hub decides when to write, an transport knows how.

use std::io;

use crate::shard::connection_handle::ConnectionHandle;
use crate::shard::outbox::Outbox;

/// The writing end of one connection, owned by its shard and used on the shard's thread only.
///
/// Its handle must not be used while the shard calls it, be it to write, to finish or to drop it.
///
/// Kept by the gateway over TCP and by [`crate::memory::MemoryTransport`].
pub trait Transport: Sized + 'static {
    /// What an transport is made of, such as a socket on its way to the shard's thread.
    type Ticket: Send + 'static;

    /// Whether a drained outbox proves that the client has everything, and is there. Where it does
    /// not, the hub asks the client by a WebSocket ping and takes the pong as proof.
    const WRITE_IS_RECEIPT: bool = false;

    /// Opens the transport on the shard's thread, inside its local runtime, and starts
    /// whatever reads from the client. `handle` must not be used before this returns.
    ///
    /// # Errors
    /// Whatever keeps the socket from being used; the connection is then detached.
    fn open(ticket: Self::Ticket, handle: ConnectionHandle<Self>) -> io::Result<Self>;

    /// Writes what can be written without waiting. After [`Flushed::Blocked`] the transport itself
    /// calls [`ConnectionHandle::writable`] once there is room again.
    fn flush(&mut self, outbox: &mut Outbox) -> Flushed;

    /// The last frame, a close, is written and the connection is out of the hub's tables: linger
    /// until the client has closed too, within a bound, then drop the socket.
    fn finish(self) {
        drop(self);
    }
}

/// How far a flush came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing waits any more.
    Drained,
    /// The socket takes no more for now.
    Blocked,
    /// The socket is dead.
    Gone,
}
