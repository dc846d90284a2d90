//! The seam to sockets: the hub decides when to write, a transport knows how.

use std::rc::Rc;

use crate::shard::outbox::Outbox;

/// The writing end of one connection, used by its shard on the shard's thread only, and maybe shared there
/// with whatever reads from the client.
///
/// Its [`ConnectionHandle`](crate::ConnectionHandle) must not be used while the shard calls it, be it to
/// write, to finish or to drop it.
///
/// One hub serves connections over any number of transports. Kept by the gateway over TCP and by
/// [`crate::memory::MemoryTransport`].
pub trait Transport: 'static {
    /// Writes what can be written without waiting. After [`Flushed::Blocked`] the transport itself
    /// calls [`ConnectionHandle::writable`](crate::ConnectionHandle::writable) once there is room again.
    fn flush(&self, outbox: &mut Outbox) -> Flushed;

    /// Whether the far end's system has everything that was written, but for the last `n_behind` bytes. Asked about a
    /// page of kept messages whose form has no receipts, as soon as it is written. When it has not, the transport itself
    /// calls [`ConnectionHandle::arrived`](crate::ConnectionHandle::arrived) once it has, whatever is written meanwhile.
    /// A transport that cannot know says yes.
    fn has_arrived(&self, n_behind: usize) -> bool {
        let _ = n_behind;
        true
    }

    /// The client does not read as fast as it is sent to, and is given what it missed from history until further
    /// notice: little is to wait in buffers that nothing urgent can overtake.
    fn fell_behind(&self) {}

    /// It has everything, and is given events as they come again.
    fn caught_up(&self) {}

    /// The last bytes, a close, are written and the connection is out of the hub's tables: linger
    /// until the client has closed too, within a bound, then drop the socket.
    fn finish(&self) {}

    /// The hub lets go of it, after [`Transport::finish`] too: who still holds it learns it so.
    fn release(&self) {}
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

/// The hub's hold on a transport; released when dropped. One pointer away from the socket, because
/// thousands of them are flushed in a row.
pub(crate) struct HeldTransport(pub(crate) Rc<dyn Transport>);

impl Drop for HeldTransport {
    fn drop(&mut self) {
        self.0.release();
    }
}
