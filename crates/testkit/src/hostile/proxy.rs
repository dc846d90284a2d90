//! An HTTP proxy that makes tunnels by CONNECT, wherever the test wants them to end.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A proxy on a free loopback port; ends when dropped. Whatever it is asked for, it leads to one place.
#[derive(Debug)]
pub struct ConnectProxy {
    addr: String,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl ConnectProxy {
    /// Every tunnel ends at `upstream` (`host:port`).
    pub async fn start(upstream: &str) -> Self {
        Self::listen(Some(upstream.to_owned()), String::new()).await
    }

    /// The same, but for tunnels to `dead` (`host:port`), to which it never gets through.
    pub async fn without(upstream: &str, dead: &str) -> Self {
        Self::listen(Some(upstream.to_owned()), format!("CONNECT {dead} ")).await
    }

    /// Every request for a tunnel gets this answer, and the connection is closed.
    pub async fn refusing(answer: &str) -> Self {
        Self::listen(None, answer.to_owned()).await
    }

    /// `answer` is that to all requests, or, with an upstream, the beginning of those that get none.
    async fn listen(upstream: Option<String>, answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = listener.local_addr().expect("bound").to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let book = Arc::clone(&heads);
        tasks.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                tunnels.spawn(tunnel(near, upstream.clone(), answer.clone(), Arc::clone(&book)));
            }
        });
        Self { addr, heads, _tasks: tasks }
    }

    /// `host:port`.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no poison").clone()
    }
}

async fn tunnel(mut near: TcpStream, upstream: Option<String>, answer: String, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = near.read_u8().await else { return };
        head.push(byte);
    }
    heads.lock().expect("no poison").push(String::from_utf8_lossy(&head).into_owned());
    if upstream.is_some() && !answer.is_empty() && head.starts_with(answer.as_bytes()) {
        return std::future::pending().await;
    }
    let Some(upstream) = upstream else {
        // A client that does not wait for the refusal is part of the play.
        let _gone = near.write_all(answer.as_bytes()).await;
        return;
    };
    let mut far = TcpStream::connect(upstream).await.expect("the test started it");
    if near.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await.is_ok() {
        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}
