//! A connection to a receiver: plain or TLS, with the info of its making and a bound on what it may say.

use std::fmt::Debug;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::answer_head::AnswerReader;
use crate::open_connections::OpenConnection;
use crate::request_watch::RequestWatch;
use crate::timings::Timings;

/// The most a receiver may send before we send again. An answer we read to its end is far smaller;
/// what is beyond it is a flood of informational answers, chunk extensions or trailers, which would
/// otherwise cost us time until the deadline.
const MOST_BYTES: usize = 1024 * 1024;

/// How long a script that has printed something may take until its status line. What does not speak HTTP waits for us
/// then, and would hold the attempt up to its deadline.
const WARNING_PATIENCE: Duration = Duration::from_secs(10);

/// A connection older than this serves no further request, so that under steady traffic too its name
/// is resolved and judged again, and a receiver that has moved is found.
const LONGEST_USE: Duration = Duration::from_mins(5);

/// What is read at once while a head is being read.
const READ_STEP: usize = 4 * 1024;

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
    open: OpenConnection,
}

impl ConnectionInfo {
    /// What making it took, for its first request only: `None` tells that it was used before.
    pub(crate) fn take(&self) -> Option<Timings> {
        (!self.was_taken.swap(true, Ordering::Relaxed)).then_some(self.timings)
    }

    /// Whether it may carry another request after the present one.
    pub(crate) fn may_be_kept(&self) -> bool {
        self.began.elapsed() <= LONGEST_USE && self.open.may_be_kept()
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
    requests: RequestWatch,
    answers: AnswerReader,
    /// Read, and not taken yet.
    ready: Vec<u8>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl EgressStream {
    /// One that was wanted at `began` and is ready now.
    pub(crate) fn new(
        bytes: impl ByteStream + 'static,
        began: Instant,
        timings: Timings,
        open: OpenConnection,
    ) -> Self {
        let info = ConnectionInfo { began, ready: Instant::now(), timings, was_taken: AtomicBool::new(false), open };
        Self {
            bytes: Box::new(bytes),
            info: Arc::new(info),
            n_unanswered: 0,
            requests: RequestWatch::default(),
            answers: AnswerReader::default(),
            ready: Vec::new(),
            patience: None,
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.bytes).poll_read(cx, buf);
        self.n_unanswered += buf.filled().len() - before;
        if self.n_unanswered > MOST_BYTES {
            return Poll::Ready(Err(io::Error::other(Overrun)));
        }
        polled
    }

    /// Reads on in a head; what may be passed on is `ready` then. Nothing at the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut step = [0; READ_STEP];
        let mut read = ReadBuf::new(&mut step);
        if self.poll_bytes(cx, &mut read)?.is_pending() {
            ready!(self.poll_patience(cx));
            self.patience = None;
            self.answers.give_up(&mut self.ready);
            return Poll::Ready(Ok(()));
        }
        match read.filled() {
            [] => self.answers.give_up(&mut self.ready),
            bytes => self.answers.take(bytes, &mut self.ready).map_err(io::Error::other)?,
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when a status line was waited for long enough.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.answers.waits_for_status() {
            self.patience = None;
            return Poll::Pending;
        }
        self.patience.get_or_insert_with(|| Box::pin(sleep(WARNING_PATIENCE))).as_mut().poll(cx)
    }

    fn wrote<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, written: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(mut n_left)) = *written else { return };
        for slice in slices {
            let n_bytes = slice.len().min(n_left);
            if self.requests.wrote(&slice[..n_bytes]) {
                self.answers.expect_answer();
                self.patience = None;
            }
            n_left -= n_bytes;
        }
    }
}

impl Connection for EgressStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(Arc::clone(&self.info))
    }
}

impl AsyncRead for EgressStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let n_bytes = this.ready.len().min(buf.remaining());
                buf.put_slice(&this.ready[..n_bytes]);
                this.ready.drain(..n_bytes);
                if this.ready.is_empty() {
                    this.ready = Vec::new();
                }
                return Poll::Ready(Ok(()));
            }
            if this.answers.is_through() {
                return this.poll_bytes(cx, buf);
            }
            ready!(this.poll_head(cx))?;
        }
    }
}

impl AsyncWrite for EgressStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.n_unanswered = 0;
        let written = Pin::new(&mut self.bytes).poll_write(cx, buf);
        self.wrote(std::iter::once(buf), &written);
        written
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
        let written = Pin::new(&mut self.bytes).poll_write_vectored(cx, bufs);
        self.wrote(bufs.iter().map(|buf| &**buf), &written);
        written
    }
}
