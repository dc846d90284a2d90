//! A peer that plays a script of bytes: what no server library would send, and when none would stop.

mod authority;
mod proxy;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::receiver::read_request;
use crate::{PATIENCE, ReceivedRequest, eventually};
pub use authority::{Authority, Flaw};
pub use proxy::ConnectProxy;

/// One step of the script. When the last one is done, the script begins again on the same connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads one request and keeps it; without another one the connection is over.
    Read,
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this a byte at a time, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends this again and again.
    Repeat(Vec<u8>),
    /// Closes in order. Bytes that were not read turn it into a reset.
    Close,
    /// Resets.
    Reset,
    /// Does nothing more, with the connection open.
    Hang,
}

impl Step {
    /// Sends this text.
    pub fn send(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

#[derive(Debug, Default)]
struct Book {
    requests: Mutex<Vec<ReceivedRequest>>,
    n_connections: AtomicUsize,
    n_open: AtomicUsize,
    n_sent_bytes: AtomicUsize,
}

/// A peer on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct HostileReceiver {
    addr: String,
    book: Arc<Book>,
    _tasks: JoinSet<()>,
}

impl HostileReceiver {
    /// Plays the script on every connection.
    pub async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        Self::listen(script, None).await
    }

    /// The same behind TLS.
    pub async fn start_tls(config: ServerConfig, script: impl IntoIterator<Item = Step>) -> Self {
        Self::listen(script, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(script: impl IntoIterator<Item = Step>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = listener.local_addr().expect("bound").to_string();
        let book = Arc::new(Book::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(script.into_iter().collect()), tls, Arc::clone(&book)));
        Self { addr, book, _tasks: tasks }
    }

    /// `host:port`.
    pub fn addr(&self) -> String {
        self.addr.clone()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.addr.rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address has a port")
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What was read so far.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.book.requests.lock().expect("no poison").clone()
    }

    /// Connections accepted so far.
    pub fn n_connections(&self) -> usize {
        self.book.n_connections.load(Ordering::SeqCst)
    }

    /// Bytes the other side took, or at least its kernel.
    pub fn n_sent_bytes(&self) -> usize {
        self.book.n_sent_bytes.load(Ordering::SeqCst)
    }

    /// Waits until every connection is gone; a script that hangs must wait for the other side to go.
    ///
    /// # Panics
    /// When one stays open.
    pub async fn all_closed(&self) {
        let n_open = || self.book.n_open.load(Ordering::SeqCst);
        eventually("all connections are closed", PATIENCE, || async { n_open() == 0 }).await;
    }
}

async fn accept(listener: TcpListener, script: Arc<Vec<Step>>, tls: Option<TlsAcceptor>, book: Arc<Book>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        book.n_connections.fetch_add(1, Ordering::SeqCst);
        book.n_open.fetch_add(1, Ordering::SeqCst);
        let (script, tls, book) = (Arc::clone(&script), tls.clone(), Arc::clone(&book));
        connections.spawn(async move {
            // A peer that goes away is part of the play.
            let _broken = serve(stream, &script, tls, &book).await;
            book.n_open.fetch_sub(1, Ordering::SeqCst);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, script: &[Step], tls: Option<TlsAcceptor>, book: &Book) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Whatever way the script ends with a reset, the socket must be closed without lingering.
    let resets = script.iter().any(|step| matches!(step, Step::Reset));
    if resets {
        stream.set_zero_linger()?;
    }
    match tls {
        Some(tls) => play(tls.accept(stream).await?, script, book).await,
        None => play(stream, script, book).await,
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, script: &[Step], book: &Book) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        for step in script {
            match step {
                Step::Read => match read_request(&mut stream, &mut buffer).await? {
                    Some(request) => book.requests.lock().expect("no poison").push(request),
                    None => return Ok(()),
                },
                Step::Send(bytes) => send(&mut stream, bytes, book).await?,
                Step::Drip(bytes, pause) => {
                    for byte in bytes {
                        send(&mut stream, &[*byte], book).await?;
                        tokio::time::sleep(*pause).await;
                    }
                }
                Step::Repeat(bytes) => loop {
                    send(&mut stream, bytes, book).await?;
                },
                Step::Close => return stream.shutdown().await,
                Step::Reset => return Ok(()),
                Step::Hang => {
                    while read_request(&mut stream, &mut buffer).await?.is_some() {}
                    return Ok(());
                }
            }
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], book: &Book) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    book.n_sent_bytes.fetch_add(bytes.len(), Ordering::SeqCst);
    Ok(())
}
