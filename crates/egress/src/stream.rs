//! A connection to a receiver: plain or TLS, with the info of its making and a bound on what it may say.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

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

/// What bytes go over: a TCP connection, or TLS on one.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> ByteStream for T {}

/// The connection.
#[derive(Debug)]
pub(crate) struct EgressStream {
    bytes: Box<dyn ByteStream>,
    info: Arc<ConnectionInfo>,
    n_unanswered: usize,
}

impl EgressStream {
    /// One that was wanted at `began` and is ready now.
    pub(crate) fn new(bytes: impl ByteStream + 'static, began: Instant, timings: Timings) -> Self {
        let info = ConnectionInfo { began, ready: Instant::now(), timings, was_taken: AtomicBool::new(false) };
        Self { bytes: Box::new(bytes), info: Arc::new(info), n_unanswered: 0 }
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
        let polled = Pin::new(&mut self.bytes).poll_read(cx, buf);
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
        Pin::new(&mut self.bytes).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bytes).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.bytes.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.n_unanswered = 0;
        Pin::new(&mut self.bytes).poll_write_vectored(cx, bufs)
    }
}
