//! The socket as its two ends share it, on one thread.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookswitch_hub::Hub;
use hookswitch_runtime::Clock;
use tokio::net::TcpStream;

use crate::metrics::GatewayMetrics;

/// What all sockets of a gateway share.
#[derive(Debug)]
pub(crate) struct SocketContext {
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<GatewayMetrics>,
    /// The largest single read, in bytes.
    pub(crate) read_buffer_bytes: usize,
    /// How long a closed socket waits for the client's close.
    pub(crate) linger: Duration,
}

/// How the writing end stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Events may be written.
    Open,
    /// Open, but the socket takes no more; the reader waits for room.
    Blocked,
    /// The close frame is out; only the client's answer is waited for.
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
}

impl Socket {
    /// Registers the socket with the runtime of this thread.
    pub(crate) fn register(stream: std::net::TcpStream, context: Arc<SocketContext>) -> io::Result<Self> {
        let stream = TcpStream::from_std(stream)?;
        Ok(Self { stream, context, writer: Cell::new(Writer::Open), reader: Cell::new(None) })
    }

    pub(crate) fn writer(&self) -> Writer {
        self.writer.get()
    }

    /// Changes the writing end's state and lets the reader look at it.
    pub(crate) fn set_writer(&self, writer: Writer) {
        self.writer.set(writer);
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Remembers whom to wake when the writing end changes.
    pub(crate) fn remember_reader(&self, cx: &Context<'_>) {
        let waker = self.reader.take().filter(|waker| waker.will_wake(cx.waker()));
        self.reader.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    }

    /// Room again after a block: back to open.
    pub(crate) fn poll_unblocked(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.stream.poll_write_ready(cx))?;
        self.writer.set(Writer::Open);
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(slices)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("stream", &self.stream).field("writer", &self.writer).finish_non_exhaustive()
    }
}
