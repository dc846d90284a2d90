//! A peer that plays a script of bytes: what no server library would send, and when none would stop.

mod authority;
mod proxy;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch_receiver::{Connection, Request, Responder, Step, listen};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::{PATIENCE, ReceivedRequest, eventually};
pub use authority::{Authority, Flaw};
pub use proxy::ConnectProxy;

#[derive(Debug, Default)]
struct Recorder {
    requests: Mutex<Vec<ReceivedRequest>>,
    n_connections: AtomicUsize,
    n_open: AtomicUsize,
    n_sent_bytes: AtomicUsize,
}

/// A peer on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct HostileReceiver {
    addr: String,
    recorder: Arc<Recorder>,
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
        let recorder = Arc::new(Recorder::default());
        let (mut tasks, script, told) =
            (JoinSet::new(), script.into_iter().collect::<Arc<[_]>>(), Arc::clone(&recorder));
        tasks.spawn(listen(listener, std::future::pending(), Duration::ZERO, move |stream| {
            told.n_connections.fetch_add(1, Ordering::SeqCst);
            told.n_open.fetch_add(1, Ordering::SeqCst);
            let (script, tls, told) = (Arc::clone(&script), tls.clone(), Arc::clone(&told));
            async move {
                let played = play(stream, script, tls, Arc::clone(&told)).await;
                told.n_open.fetch_sub(1, Ordering::SeqCst);
                played
            }
        }));
        Self { addr, recorder, _tasks: tasks }
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
        self.recorder.requests.lock().expect("no poison").clone()
    }

    /// Connections accepted so far.
    pub fn n_connections(&self) -> usize {
        self.recorder.n_connections.load(Ordering::SeqCst)
    }

    /// Bytes the other side took, or at least its kernel.
    pub fn n_sent_bytes(&self) -> usize {
        self.recorder.n_sent_bytes.load(Ordering::SeqCst)
    }

    /// Waits until every connection is gone; a script that hangs must wait for the other side to go.
    ///
    /// # Panics
    /// When one stays open.
    pub async fn all_closed(&self) {
        let n_open = || self.recorder.n_open.load(Ordering::SeqCst);
        eventually("all connections are closed", PATIENCE, || async { n_open() == 0 }).await;
    }
}

impl Responder for Recorder {
    fn respond(&self, request: Request) -> Vec<Step> {
        self.requests.lock().expect("no poison").push(request.into());
        Vec::new()
    }

    fn sent(&self, n_bytes: usize) {
        self.n_sent_bytes.fetch_add(n_bytes, Ordering::SeqCst);
    }
}

async fn play(
    stream: TcpStream,
    script: Arc<[Step]>,
    tls: Option<TlsAcceptor>,
    recorder: Arc<Recorder>,
) -> std::io::Result<()> {
    match tls {
        Some(tls) => {
            let stream = tls.accept(stream).await?;
            Connection::over(stream, |stream| stream.get_ref().0.set_zero_linger()).play(script, recorder).await
        }
        None => Connection::tcp(stream).play(script, recorder).await,
    }
}
