//! A TCP stream under an HTTP server: it can go to another runtime together with the server, and it keeps the
//! deadlines that the server does not know.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::connection_state::{ConnectionState, Cut};
use super::patience::Patience;
use super::refusals::{Refusals, cut_of};

/// How long a client is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// Between two requests.
    pub(super) idle: Duration,
    /// From the first byte of a request's head to its last.
    pub(super) head: Duration,
    /// For which the client may take nothing of an answer, or far too little.
    pub(super) write: Duration,
}

/// A TCP stream, registered with the runtime on which it is used.
#[derive(Debug)]
pub(crate) struct HttpStream {
    /// Missing only after a registration failed, or when it was taken.
    stream: Option<TcpStream>,
    state: Arc<ConnectionState>,
    refusals: Refusals,
    deadlines: Deadlines,
    /// When a byte went in or out last.
    active_at: Instant,
    /// Since when a head is coming in, and before which request.
    head_since: Option<(Instant, u32)>,
    /// For a client that takes nothing.
    patience: Patience,
    /// What is left to say instead of a refusal of the library's.
    refusal: Option<Bytes>,
    /// Goes off at the next deadline or before it, and is set again then: most deadlines move on unmet.
    timer: Option<Pin<Box<Sleep>>>,
}

impl HttpStream {
    pub(super) fn new(
        stream: TcpStream,
        state: Arc<ConnectionState>,
        deadlines: Deadlines,
        refusals: Refusals,
    ) -> Self {
        Self {
            stream: Some(stream),
            state,
            refusals,
            deadlines,
            active_at: Instant::now(),
            head_since: None,
            patience: Patience::new(deadlines.write),
            refusal: None,
            timer: None,
        }
    }

    /// The stream; `None` when it was lost on the way to another runtime.
    pub(crate) fn into_stream(mut self) -> Option<TcpStream> {
        self.stream.take()
    }

    /// The stream on this runtime, registered anew after a move.
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if self.state.take_relocation() {
            // It belongs to the runtime that was left.
            self.timer = None;
            if let Some(stream) = self.stream.take() {
                self.stream = Some(TcpStream::from_std(stream.into_std()?)?);
            }
        }
        self.stream.as_mut().map(Pin::new).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Whether this moment has come; the task is woken at the latest then.
    fn has_come(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= at {
                return true;
            }
            timer.as_mut().reset(at);
        }
        false
    }

    /// Something was read.
    fn on_read(&mut self) {
        self.active_at = Instant::now();
        let n_requests = self.state.n_requests();
        if !self.state.is_answering() && self.head_since.is_none_or(|(_, before)| before != n_requests) {
            self.head_since = Some((self.active_at, n_requests));
        }
    }

    /// Nothing can be read: whether that has lasted too long.
    fn check_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_answering() || self.patience.is_blocked() {
            return Poll::Pending;
        }
        let n_requests = self.state.n_requests();
        let of_head = self.head_since.filter(|(_, before)| *before == n_requests);
        let (at, cut) = match of_head {
            Some((since, _)) => (since + self.deadlines.head, Cut::HeadTooSlow),
            None => (self.active_at + self.deadlines.idle, Cut::Idle),
        };
        if !self.has_come(at, cx) {
            return Poll::Pending;
        }
        self.state.cut(cut);
        if cut == Cut::HeadTooSlow
            && let Some(stream) = &self.stream
        {
            // Nothing else is being written, and a socket without a word in it takes a few hundred bytes at once.
            let _told = stream.try_write(&self.refusals.answer(StatusCode::REQUEST_TIMEOUT));
        }
        // As if the client had ended: the server closes in good order.
        Poll::Ready(Ok(()))
    }

    /// What came of writing, with an error once the client has taken nothing for too long, or too little.
    fn check_writing(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(taken) = &written {
            self.active_at = Instant::now();
            if self.patience.taken(*taken.as_ref().unwrap_or(&0)) {
                self.state.set_blocked(false);
            }
            return written;
        }
        if self.state.is_ending() {
            self.patience.hurry();
        }
        let until = self.patience.blocked();
        self.state.set_blocked(true);
        if !self.has_come(until, cx) {
            return Poll::Pending;
        }
        self.state.cut(Cut::AnswerNotRead);
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Whether these bytes are a refusal of the library's; ours is said instead then.
    fn replaces(&mut self, bytes: &[u8]) -> bool {
        if self.refusal.is_none()
            && !self.state.is_answering()
            && let Some(status) = Refusals::status_of(bytes)
        {
            self.state.cut(cut_of(status));
            self.state.linger();
            self.refusal = Some(self.refusals.answer(status));
        }
        self.refusal.is_some()
    }

    /// Writes what stands for `n_bytes` of the library's.
    fn poll_refusal(&mut self, n_bytes: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some(mut refusal) = self.refusal.take().filter(|refusal| !refusal.is_empty()) {
            let written = self.stream()?.poll_write(cx, &refusal);
            let written = self.check_writing(written, cx);
            if let Poll::Ready(Ok(n_written)) = &written {
                refusal.advance(*n_written);
            }
            self.refusal = Some(refusal);
            if std::task::ready!(written)? == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(n_bytes))
    }
}

impl Drop for HttpStream {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.state.give_rest(stream);
        }
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let n_before = buffer.filled().len();
        let read = this.stream()?.poll_read(cx, buffer);
        match &read {
            Poll::Pending => return this.check_reading(cx),
            Poll::Ready(Ok(())) if buffer.filled().len() > n_before => this.on_read(),
            Poll::Ready(_) => {}
        }
        read
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.replaces(bytes) {
            return this.poll_refusal(bytes.len(), cx);
        }
        let written = this.stream()?.poll_write(cx, bytes);
        this.check_writing(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let [only] = slices
            && this.replaces(only)
        {
            return this.poll_refusal(only.len(), cx);
        }
        let written = this.stream()?.poll_write_vectored(cx, slices);
        this.check_writing(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
