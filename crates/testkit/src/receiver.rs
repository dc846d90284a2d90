//! A webhook receiver that records what it got and misbehaves on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch_receiver::{Connection, Request, Responder, Step, answer, listen};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

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

    fn steps(&self) -> Vec<Step> {
        match self {
            Self::Answer { status, body, header: (name, value) } => {
                let header = [(name.as_str(), value.as_str())];
                let headers = if name.is_empty() { &[][..] } else { &header };
                vec![Step::Send(answer(*status, headers, body))]
            }
            Self::Hang => vec![Step::Hang],
            Self::Reset => vec![Step::Reset],
            Self::EndlessBody => {
                let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
                let head = Step::send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                vec![head, Step::RepeatEvery(chunk.into_bytes(), Duration::from_millis(1))]
            }
            Self::After(delay) => vec![Step::Pause(*delay), Step::Send(answer(200, &[], ""))],
        }
    }
}

#[derive(Debug)]
struct Recorder {
    behaviours: Mutex<VecDeque<Behaviour>>,
    requests: Mutex<Vec<ReceivedRequest>>,
    arrived: Notify,
}

/// A receiver on a free loopback port; ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    addr: String,
    recorder: Arc<Recorder>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Starts one that follows the script, one entry per request; the last entry repeats, an empty script is 200.
    pub async fn start(script: impl IntoIterator<Item = Behaviour>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let addr = listener.local_addr().expect("bound").to_string();
        let behaviours = Mutex::new(script.into_iter().collect());
        let recorder = Arc::new(Recorder { behaviours, requests: Mutex::default(), arrived: Notify::new() });
        let (mut tasks, responder, script) = (JoinSet::new(), Arc::clone(&recorder), Arc::from([Step::Read]));
        tasks.spawn(listen(listener, std::future::pending(), Duration::ZERO, move |stream| {
            Connection::tcp(stream).play(Arc::clone(&script), Arc::clone(&responder))
        }));
        Self { addr, recorder, _tasks: tasks }
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
        *self.recorder.behaviours.lock().expect("no poison") = script.into_iter().collect();
    }

    /// Everything that arrived so far, in order of arrival.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.recorder.requests.lock().expect("no poison").clone()
    }

    /// Something of each request so far, without copying them all.
    pub fn map<T>(&self, look: impl FnMut(&ReceivedRequest) -> T) -> Vec<T> {
        self.recorder.requests.lock().expect("no poison").iter().map(look).collect()
    }

    /// How many requests arrived so far.
    pub fn count(&self) -> usize {
        self.recorder.requests.lock().expect("no poison").len()
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
                let arrived = self.recorder.arrived.notified();
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

impl Responder for Recorder {
    fn respond(&self, request: Request) -> Vec<Step> {
        let mut behaviours = self.behaviours.lock().expect("no poison");
        let behaviour = if behaviours.len() > 1 { behaviours.pop_front() } else { behaviours.front().cloned() };
        self.requests.lock().expect("no poison").push(request.into());
        self.arrived.notify_waiters();
        behaviour.unwrap_or_else(|| Behaviour::status(200)).steps()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiClient;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

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
