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
pub(crate) enum Writer {
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
    writer: Cell<Writer>,
    reader: Cell<Option<Waker>>,
    /// The reader is to say when everything that was written has arrived.
    awaits_arrival: Cell<bool>,
}

impl Socket {
    /// Registers the socket with the runtime of this thread.
    pub(crate) fn register(stream: std::net::TcpStream, context: Arc<SocketContext>) -> io::Result<Self> {
        let stream = TcpStream::from_std(stream)?;
        Ok(Self {
            stream,
            context,
            writer: Cell::new(Writer::Open),
            reader: Cell::new(None),
            awaits_arrival: Cell::new(false),
        })
    }

    pub(crate) fn writer(&self) -> Writer {
        self.writer.get()
    }

    /// Changes the writing end's state and lets the reader look at it.
    pub(crate) fn set_writer(&self, writer: Writer) {
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
        while self.writer.get() == Writer::Blocked {
            match self.stream.poll_write_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {
                    self.writer.set(Writer::Open);
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

    /// Whether somebody waits for everything written to arrive.
    pub(crate) fn awaits_arrival(&self) -> bool {
        self.awaits_arrival.get()
    }

    /// Whether it has; then nobody waits for it any more.
    pub(crate) fn check_arrival(&self) -> bool {
        let has_arrived = matches!(arrival(&self.stream), Arrival::Whole | Arrival::Unknown);
        self.awaits_arrival.set(!has_arrived);
        has_arrived
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

    fn has_arrived(&self) -> bool {
        let has_arrived = self.check_arrival();
        if !has_arrived {
            self.wake_reader();
        }
        has_arrived
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

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("stream", &self.stream).field("writer", &self.writer).finish_non_exhaustive()
    }
}
