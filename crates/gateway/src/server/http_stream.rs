//! A TCP stream that can go to another runtime together with the HTTP server that holds it.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Tells a transport, which its server keeps to itself, that it was taken to another runtime.
#[derive(Debug, Clone, Default)]
pub(super) struct Relocation(Arc<AtomicBool>);

impl Relocation {
    /// The next read or write is on another runtime than the ones before.
    pub(super) fn announce(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A TCP stream, registered with the runtime on which it is used.
#[derive(Debug)]
pub(crate) struct HttpStream {
    /// Missing only after a registration failed.
    stream: Option<TcpStream>,
    relocation: Relocation,
}

impl HttpStream {
    pub(super) fn new(stream: TcpStream, relocation: Relocation) -> Self {
        Self { stream: Some(stream), relocation }
    }

    /// The stream; `None` when it was lost on the way to another runtime.
    pub(crate) fn into_stream(self) -> Option<TcpStream> {
        self.stream
    }

    /// The stream on this runtime, registered anew after a move.
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        let this = self.get_mut();
        // The one who announced runs on this task, so nothing has to be ordered.
        if this.relocation.0.load(Ordering::Relaxed) {
            this.relocation.0.store(false, Ordering::Relaxed);
            if let Some(stream) = this.stream.take() {
                this.stream = Some(TcpStream::from_std(stream.into_std()?)?);
            }
        }
        this.stream.as_mut().map(Pin::new).ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    }

    #[test]
    fn the_stream_goes_on_after_its_first_runtime_has_ended() {
        let (first, second, relocation) = (runtime(), runtime(), Relocation::default());
        let (mut far, mut transport) = first.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let far = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("accepted");
            let (near, _) = listener.accept().await.expect("a connection");
            (far, HttpStream::new(near, relocation.clone()))
        });
        first.block_on(async { transport.write_all(b"here").await }).expect("written");
        relocation.announce();
        second.block_on(async { transport.write_all(b"there").await }).expect("written");
        drop(first);
        std::io::Write::write_all(&mut far, b"hello").expect("written");
        let mut heard = [0; 5];
        second.block_on(async { transport.read_exact(&mut heard).await }).expect("read");
        let mut all = [0; 9];
        std::io::Read::read_exact(&mut far, &mut all).expect("read");
        assert_eq!((&heard, &all), (b"hello", b"herethere"));
        assert!(transport.into_stream().is_some());
    }
}
