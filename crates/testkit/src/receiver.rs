//! A webhook receiver that records what it got and misbehaves on demand.
//!
//! It reads HTTP/1.1 by hand, because half of what it must do (reset, hang, never finish) is what a
//! server library exists to prevent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{PATIENCE, ReceivedRequest};

/// What happens to one request after it was recorded.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// An answer with this status, body and one extra header (empty name: none).
    Answer {
        /// The status.
        status: u16,
        /// The body.
        body: String,
        /// Name and value of one header.
        header: (String, String),
    },
    /// No answer, the connection stays open.
    Hang,
    /// The connection is reset.
    Reset,
    /// Status 200 and a body that never ends.
    EndlessBody,
    /// Status 200 after a while.
    After(Duration),
}

impl Behaviour {
    /// An empty answer with this status.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, body: String::new(), header: (String::new(), String::new()) }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &str) -> Self {
        let header = ("content-type".to_owned(), "application/json".to_owned());
        Self::Answer { status, body: body.to_owned(), header }
    }

    /// A redirect to `location`.
    pub fn redirect(location: &str) -> Self {
        Self::Answer { status: 302, body: String::new(), header: ("location".to_owned(), location.to_owned()) }
    }
}

#[derive(Debug)]
struct Book {
    script: Mutex<VecDeque<Behaviour>>,
    requests: Mutex<Vec<ReceivedRequest>>,
    arrived: Notify,
}

/// A receiver on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    addr: String,
    book: Arc<Book>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Starts one that follows the script, one entry per request; the last entry repeats, an empty script is 200.
    pub async fn start(script: impl IntoIterator<Item = Behaviour>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = listener.local_addr().expect("bound").to_string();
        let mut script: VecDeque<_> = script.into_iter().collect();
        if script.is_empty() {
            script.push_back(Behaviour::status(200));
        }
        let book = Arc::new(Book { script: Mutex::new(script), requests: Mutex::default(), arrived: Notify::new() });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&book)));
        Self { addr, book, _tasks: tasks }
    }

    /// One that answers everything with 200.
    pub async fn healthy() -> Self {
        Self::start([]).await
    }

    /// `host:port`.
    pub fn addr(&self) -> String {
        self.addr.clone()
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Replaces the rest of the script.
    pub fn now(&self, script: impl IntoIterator<Item = Behaviour>) {
        *self.book.script.lock().expect("no poison") = script.into_iter().collect();
    }

    /// Everything that arrived so far, in order of arrival.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.book.requests.lock().expect("no poison").clone()
    }

    /// Something of each request so far, without copying them all.
    pub fn map<T>(&self, look: impl FnMut(&ReceivedRequest) -> T) -> Vec<T> {
        self.book.requests.lock().expect("no poison").iter().map(look).collect()
    }

    /// How many requests arrived so far.
    pub fn count(&self) -> usize {
        self.book.requests.lock().expect("no poison").len()
    }

    /// Waits for at least `n` requests with the usual patience.
    ///
    /// # Panics
    /// When fewer came.
    pub async fn wait_for(&self, n: usize) -> Vec<ReceivedRequest> {
        self.wait_for_within(n, PATIENCE).await
    }

    /// Waits for at least `n` requests.
    ///
    /// # Panics
    /// When fewer came within `deadline`.
    pub async fn wait_for_within(&self, n: usize, deadline: Duration) -> Vec<ReceivedRequest> {
        let enough = async {
            loop {
                let arrived = self.book.arrived.notified();
                if self.count() >= n {
                    return;
                }
                arrived.await;
            }
        };
        let waited = tokio::time::timeout(deadline, enough).await;
        assert!(waited.is_ok(), "{} of {n} requests arrived within {deadline:?}", self.count());
        self.requests()
    }
}

impl Book {
    fn record(&self, request: ReceivedRequest) -> Behaviour {
        let mut script = self.script.lock().expect("no poison");
        let behaviour = match script.len() {
            0 => Behaviour::status(200),
            1 => script[0].clone(),
            _ => script.pop_front().expect("not empty"),
        };
        self.requests.lock().expect("no poison").push(request);
        self.arrived.notify_waiters();
        behaviour
    }
}

async fn accept(listener: TcpListener, book: Arc<Book>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let book = Arc::clone(&book);
        connections.spawn(async move {
            // A peer that goes away is part of the play.
            let _broken = serve(stream, &book).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, book: &Book) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await? {
        match book.record(request) {
            Behaviour::Answer { status, body, header } => {
                stream.write_all(answer(status, &body, &header).as_bytes()).await?;
            }
            Behaviour::After(delay) => {
                tokio::time::sleep(delay).await;
                stream.write_all(answer(200, "", &(String::new(), String::new())).as_bytes()).await?;
            }
            Behaviour::Hang => std::future::pending::<()>().await,
            Behaviour::Reset => return stream.set_zero_linger(),
            Behaviour::EndlessBody => return endless(stream).await,
        }
    }
    Ok(())
}

fn answer(status: u16, body: &str, (name, value): &(String, String)) -> String {
    let extra = if name.is_empty() { String::new() } else { format!("{name}: {value}\r\n") };
    format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{extra}\r\n{body}", body.len())
}

async fn endless(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    loop {
        stream.write_all(chunk.as_bytes()).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reads one request with a content-length body; nothing at the end of the stream.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> std::io::Result<Option<ReceivedRequest>> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(head_end + 4)).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let headers: Vec<_> =
        lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
    let length = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body: Bytes = buffer.split_to(length).freeze();
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    Ok(Some(ReceivedRequest { at: Instant::now(), method, path, headers, body }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiClient;

    #[tokio::test]
    async fn the_script_is_followed_and_its_last_line_repeats() {
        let receiver = Receiver::start([Behaviour::status(500), Behaviour::status(204)]).await;
        let client = ApiClient::new(&receiver.addr());
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(client.post_text("/hook?x=1", "{}").await.status);
        }
        assert_eq!(seen, [500, 204, 204]);
        let requests = receiver.wait_for(3).await;
        assert_eq!((requests[2].method.as_str(), requests[2].path.as_str()), ("POST", "/hook?x=1"));
    }

    #[tokio::test]
    async fn it_can_reset_and_hang() {
        let receiver = Receiver::start([Behaviour::Reset, Behaviour::Hang]).await;
        let client = ApiClient::new(&receiver.addr());
        let reset = client.try_send(http::Method::POST, "/", Bytes::from_static(b"1"), &[]).await;
        assert!(reset.is_err(), "{reset:?}");
        let hang = client.try_send(http::Method::POST, "/", Bytes::from_static(b"2"), &[]);
        assert!(tokio::time::timeout(Duration::from_millis(100), hang).await.is_err());
        assert_eq!(receiver.wait_for(2).await[1].body, "2");
    }

    #[tokio::test]
    async fn its_endless_body_does_not_end() {
        let receiver = Receiver::start([Behaviour::EndlessBody]).await;
        let mut stream = TcpStream::connect(receiver.addr()).await.expect("connect");
        stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.expect("write");
        let mut buffer = vec![0; 100_000];
        stream.read_exact(&mut buffer).await.expect("more than a page");
    }
}
