//! The TCP socket under a connection of any form, as its two ends share it on one thread: the hub's transport
//! writes, a task reads.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookswitch_hub::{ConnectionHandle, Flushed, Hub, Outbox, Transport};
use hookswitch_runtime::Clock;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::arrival::{Arrival, arrival};
use crate::auth::Authenticator;
use crate::metrics::GatewayMetrics;

/// Slices handed to one vectored write.
const SLICES_PER_WRITE: usize = 64;

/// What the system takes in that it cannot send yet to a client that is behind: nothing urgent overtakes that.
const UNSENT_BYTES: u32 = 16 * 1024;

/// Stands for the system's own bound, `net.ipv4.tcp_notsent_lowat`.
const SYSTEM_UNSENT: u32 = 0;

/// What all sockets of a gateway share.
#[derive(Debug)]
pub(crate) struct SocketContext {
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    pub(crate) authenticator: TokenCheck,
    pub(crate) metrics: Arc<GatewayMetrics>,
    /// The largest single read, in bytes.
    pub(crate) read_buffer_bytes: usize,
    /// How long a closed socket waits for the client's close.
    pub(crate) linger: Duration,
    /// How long the client of an event stream may leave what was sent unacknowledged.
    pub(crate) peer_timeout: Duration,
}

/// Checks the tokens that clients give while they are connected.
#[derive(Clone)]
pub(crate) struct TokenCheck(pub(crate) Arc<dyn Authenticator>);

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCheck")
    }
}

/// How the writing end stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// Events may be written.
    Open,
    /// Open, but the socket takes no more; the reader waits for room.
    Blocked,
    /// The last bytes are out; only the client's answer is waited for.
    Finished,
    /// The hub gave the connection up: nothing to wait for.
    Abandoned,
}

/// One TCP socket with the little that its ends tell each other.
pub(crate) struct Socket {
    stream: TcpStream,
    pub(crate) context: Arc<SocketContext>,
    writer: Cell<WriterState>,
    reader: Cell<Option<Waker>>,
    proof: Cell<Proof>,
}

/// How much was written, and what of it is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Proof {
    /// Bytes written here; what others wrote to the socket before is not among them.
    n_written: u64,
    /// The reader is to say when so many of them have arrived.
    awaited: Option<u64>,
}

impl Proof {
    /// Whether what is waited for has arrived; then nobody waits for it any more.
    fn check(&mut self, arrival: Arrival) -> bool {
        // More is missing than was written here as long as the head of the answer is.
        let n_arrived = match arrival {
            Arrival::Whole | Arrival::Unknown => self.n_written,
            Arrival::Missing(n_missing) => self.n_written.saturating_sub(u64::from(n_missing)),
            Arrival::Gone => return false,
        };
        let has_arrived = self.awaited.is_none_or(|awaited| n_arrived >= awaited);
        if has_arrived {
            self.awaited = None;
        }
        has_arrived
    }
}

impl Socket {
    /// Registers the socket with the runtime of this thread.
    pub(crate) fn register(stream: std::net::TcpStream, context: Arc<SocketContext>) -> io::Result<Self> {
        let stream = TcpStream::from_std(stream)?;
        Ok(Self {
            stream,
            context,
            writer: Cell::new(WriterState::Open),
            reader: Cell::new(None),
            proof: Cell::default(),
        })
    }

    pub(crate) fn writer(&self) -> WriterState {
        self.writer.get()
    }

    /// Changes the writing end's state and lets the reader look at it.
    pub(crate) fn set_writer(&self, writer: WriterState) {
        self.writer.set(writer);
        self.wake_reader();
    }

    fn wake_reader(&self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Remembers whom to wake when the writing end changes.
    pub(crate) fn remember_reader(&self, cx: &Context<'_>) {
        let waker = self.reader.take().filter(|waker| waker.will_wake(cx.waker()));
        self.reader.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    }

    /// Lets the hub write again as often as the socket has room. Fails when the socket is dead.
    pub(crate) fn poll_writer(&self, handle: &ConnectionHandle, cx: &mut Context<'_>) -> io::Result<()> {
        while self.writer.get() == WriterState::Blocked {
            match self.stream.poll_write_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {
                    self.writer.set(WriterState::Open);
                    handle.writable();
                }
            }
        }
        Ok(())
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }

    /// Whether somebody waits for what was written up to some byte to arrive.
    pub(crate) fn awaits_arrival(&self) -> bool {
        self.proof.get().awaited.is_some()
    }

    /// Whether it has; then nobody waits for it any more.
    pub(crate) fn check_arrival(&self) -> bool {
        let mut proof = self.proof.get();
        let has_arrived = proof.check(arrival(&self.stream));
        self.proof.set(proof);
        has_arrived
    }

    fn note_written(&self, n_bytes: usize) {
        let proof = self.proof.get();
        self.proof.set(Proof { n_written: proof.n_written + n_bytes as u64, ..proof });
    }

    /// Bounds what the system takes in that it cannot send yet; a socket that is dead has nothing to bound.
    fn bound_unsent(&self, n_bytes: u32) {
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(&self.stream).set_tcp_notsent_lowat(n_bytes) {
            tracing::debug!(%error, "the system does not bound what it cannot send");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = n_bytes;
    }

    /// Says that nothing more comes; the client's own end is still heard.
    pub(crate) fn end_writing(&self) {
        // A socket that is dead already has nobody to tell.
        let _dead = SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }

    fn write_slices(&self, outbox: &Outbox) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let n_slices = outbox.fill(&mut slices);
        self.stream.try_write_vectored(&slices[..n_slices])
    }
}

impl Transport for Socket {
    fn flush(&self, outbox: &mut Outbox) -> Flushed {
        while !outbox.is_empty() {
            // Setting up the slices costs as much as all else on our side of the write.
            let written = match outbox.one_slice() {
                Some(bytes) => self.stream.try_write(bytes),
                None => self.write_slices(outbox),
            };
            match written {
                Ok(0) => return Flushed::Gone,
                Ok(n_written) => {
                    outbox.advance(n_written);
                    self.note_written(n_written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.set_writer(WriterState::Blocked);
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Gone,
            }
        }
        Flushed::Drained
    }

    fn has_arrived(&self, n_behind: usize) -> bool {
        let proof = self.proof.get();
        self.proof.set(Proof { awaited: Some(proof.n_written - n_behind as u64), ..proof });
        let has_arrived = self.check_arrival();
        if !has_arrived {
            self.wake_reader();
        }
        has_arrived
    }

    fn fell_behind(&self) {
        self.bound_unsent(UNSENT_BYTES);
    }

    fn caught_up(&self) {
        self.bound_unsent(SYSTEM_UNSENT);
    }

    fn finish(&self) {
        self.set_writer(WriterState::Finished);
    }

    /// Ends the reading task, unless that waits for the client's close.
    fn release(&self) {
        if self.writer() != WriterState::Finished {
            self.set_writer(WriterState::Abandoned);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("stream", &self.stream).field("writer", &self.writer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_behind_a_page_does_not_put_off_its_proof() {
        let mut proof = Proof { n_written: 10_000, awaited: Some(9_000) };
        assert!(!proof.check(Arrival::Missing(20_000)), "the head is not there yet, either");
        assert!(!proof.check(Arrival::Missing(1_001)));
        proof.n_written += 500_000;
        assert!(!proof.check(Arrival::Missing(501_001)));
        assert!(proof.check(Arrival::Missing(501_000)), "the page is there, and what came behind is on its way");
        assert_eq!(proof.awaited, None);
        let waiting = Proof { n_written: 10, awaited: Some(10) };
        for (arrival, is_proof) in [(Arrival::Whole, true), (Arrival::Unknown, true), (Arrival::Gone, false)] {
            assert_eq!({ waiting }.check(arrival), is_proof, "{arrival:?}");
        }
    }
}
