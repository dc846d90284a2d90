//! A connection to a receiver: plain or TLS, with the info of its making and a bound on what it may say.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::timings::Timings;

/// The most a receiver may send before we send again. An answer we read to its end is far smaller;
/// what is beyond it is a flood of informational answers, chunk extensions or trailers, which would
/// otherwise cost us time until the deadline.
const MOST_BYTES: usize = 1024 * 1024;

/// More came than any answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_BYTES} bytes were sent in answer to one request")]
pub(crate) struct Overrun;

/// How a connection was made, kept with it.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    /// When somebody wanted it.
    pub(crate) began: Instant,
    /// When it was ready to carry requests.
    pub(crate) ready: Instant,
    timings: Timings,
    was_taken: AtomicBool,
}

impl ConnectionInfo {
    /// What making it took, for its first request only: `None` tells that it was used before.
    pub(crate) fn take(&self) -> Option<Timings> {
        (!self.was_taken.swap(true, Ordering::Relaxed)).then_some(self.timings)
    }
}

#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The connection.
#[derive(Debug)]
pub(crate) struct EgressStream {
    wire: Wire,
    info: Arc<ConnectionInfo>,
    n_unanswered: usize,
}

impl EgressStream {
    pub(crate) fn plain(stream: TcpStream, began: Instant, timings: Timings) -> Self {
        Self::new(Wire::Plain(stream), began, timings)
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, began: Instant, timings: Timings) -> Self {
        Self::new(Wire::Tls(Box::new(stream)), began, timings)
    }

    fn new(wire: Wire, began: Instant, timings: Timings) -> Self {
        let info = ConnectionInfo { began, ready: Instant::now(), timings, was_taken: AtomicBool::new(false) };
        Self { wire, info: Arc::new(info), n_unanswered: 0 }
    }
}

impl Connection for EgressStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(Arc::clone(&self.info))
    }
}

impl AsyncRead for EgressStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        self.n_unanswered += buf.filled().len() - before;
        if self.n_unanswered > MOST_BYTES {
            return Poll::Ready(Err(io::Error::other(Overrun)));
        }
        polled
    }
}

impl AsyncWrite for EgressStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.n_unanswered = 0;
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Wire::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.n_unanswered = 0;
        match &mut self.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }
}
