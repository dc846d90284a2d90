//! A WebSocket client on an independent implementation, for tests that read what an agent would read.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::PATIENCE;

/// A connection being asked for.
#[derive(Debug)]
pub struct WsRequest {
    addr: String,
    request: Request,
}

/// How the node refused an upgrade. The body may be cut short: read it with `ApiClient::upgrade`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
}

/// One WebSocket connection.
#[derive(Debug)]
pub struct WsClient {
    stream: WebSocketStream<TcpStream>,
    protocol: Option<String>,
}

/// The library's 128 KiB of buffer for each connection are too many for crowds.
fn lean() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096)
}

enum Incoming {
    Event(Value),
    Closed(Option<u16>),
}

impl WsRequest {
    /// Asks for `path` (with its query) at `addr`, without any credential.
    ///
    /// # Panics
    /// When the path is no legal URI.
    pub fn new(addr: &str, path: &str) -> Self {
        let request = format!("ws://{addr}{path}").into_client_request().expect("a legal address");
        Self { addr: addr.to_owned(), request }
    }

    /// With `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With `Sec-WebSocket-Protocol: bearer, …`, as browsers can send it.
    #[must_use]
    pub fn subprotocol(self, token: &str) -> Self {
        self.header("sec-websocket-protocol", &format!("bearer, {token}"))
    }

    /// With any header.
    ///
    /// # Panics
    /// When the value is no legal header value.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().expect("a legal header value"));
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Refusal`] when the node answers with anything but an upgrade.
    ///
    /// # Panics
    /// When there is no node, or it does not speak HTTP.
    pub async fn connect(self) -> Result<WsClient, Refusal> {
        let stream = TcpStream::connect(&self.addr).await.expect("the node accepts");
        stream.set_nodelay(true).expect("a live socket");
        let handshake = tokio_tungstenite::client_async_with_config(self.request, stream, Some(lean()));
        match tokio::time::timeout(PATIENCE, handshake).await.expect("the node answers the handshake in time") {
            Ok((stream, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| value.to_str().expect("text").to_owned());
                Ok(WsClient { stream, protocol })
            }
            Err(Error::Http(response)) => Err(Refusal { status: response.status().as_u16() }),
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// Connects where nothing speaks against it.
    ///
    /// # Panics
    /// When the node refuses.
    pub async fn open(self) -> WsClient {
        let uri = self.request.uri().path().to_owned();
        self.connect().await.unwrap_or_else(|refusal| panic!("{uri} refused with {}", refusal.status))
    }
}

impl WsClient {
    /// The subprotocol the node chose.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends one text message.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.send(Message::text(text.into())).await;
    }

    /// Sends one command.
    pub async fn send_json(&mut self, message: Value) {
        self.send_text(message.to_string()).await;
    }

    /// Sends one binary message.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.send(Message::binary(bytes)).await;
    }

    async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("the connection is open");
    }

    /// Subscribes; in force when this returns.
    pub async fn subscribe(&mut self, events: &[&str]) {
        self.send_json(json!({"type": "subscribe", "payload": {"events": events}})).await;
        self.expect_silence().await;
    }

    /// Unsubscribes; in force when this returns.
    pub async fn unsubscribe(&mut self, events: &[&str]) {
        self.send_json(json!({"type": "unsubscribe", "payload": {"events": events}})).await;
        self.expect_silence().await;
    }

    /// The next event.
    ///
    /// # Panics
    /// When none comes within `deadline`, or the connection closes.
    pub async fn next_event(&mut self, deadline: Duration) -> Value {
        let read = tokio::time::timeout(deadline, self.read()).await;
        match read.unwrap_or_else(|_| panic!("no event within {deadline:?}")) {
            Incoming::Event(event) => event,
            Incoming::Closed(code) => panic!("closed with {code:?} while waiting for an event"),
        }
    }

    /// The next event, however long it takes; nothing when the connection has ended. Cancel safe.
    pub async fn try_next(&mut self) -> Option<Value> {
        match self.read().await {
            Incoming::Event(event) => Some(event),
            Incoming::Closed(_) => None,
        }
    }

    /// The next event, which must be of this type.
    ///
    /// # Panics
    /// When it is another.
    pub async fn expect(&mut self, event_type: &str) -> Value {
        let event = self.next_event(PATIENCE).await;
        assert_eq!(event["type"], event_type, "{event}");
        event
    }

    /// The next event, which must be an error with this code; returns its message.
    ///
    /// # Panics
    /// When it is something else.
    pub async fn expect_error(&mut self, code: &str) -> String {
        let error = self.expect("error").await;
        assert_eq!(error["payload"]["code"], code, "{error}");
        error["payload"]["message"].as_str().expect("a message").to_owned()
    }

    /// Proves with a ping that earlier commands are in force; returns what came before the pong.
    pub async fn sync(&mut self) -> Vec<Value> {
        self.send_json(json!({"type": "ping"})).await;
        let mut before = Vec::new();
        loop {
            let event = self.next_event(PATIENCE).await;
            if event["type"] == "pong" {
                return before;
            }
            before.push(event);
        }
    }

    /// Like [`sync`](Self::sync), and nothing may come before the pong.
    ///
    /// # Panics
    /// When something comes.
    pub async fn expect_silence(&mut self) {
        let before = self.sync().await;
        assert!(before.is_empty(), "expected nothing before the pong: {before:?}");
    }

    /// Waits for the end with the usual patience and returns the close code; events before it are skipped.
    ///
    /// # Panics
    /// When the connection stays, or ends without a close frame.
    pub async fn close_code(&mut self) -> u16 {
        self.close_code_within(PATIENCE).await
    }

    /// Waits for the end and returns the close code; events before it are skipped.
    ///
    /// # Panics
    /// When the connection stays, or ends without a close frame.
    pub async fn close_code_within(&mut self, deadline: Duration) -> u16 {
        let end = async {
            loop {
                if let Incoming::Closed(code) = self.read().await {
                    return code;
                }
            }
        };
        let code = tokio::time::timeout(deadline, end).await.expect("the connection is closed in time");
        code.expect("a close frame, not a broken connection")
    }

    /// Says good-bye and waits until the node has answered it; gives the events that still came.
    pub async fn close(mut self) -> Vec<Value> {
        let bye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // A node that has already gone has said its good-bye.
        let _gone = self.stream.close(Some(bye)).await;
        let mut events = Vec::new();
        let _answered = tokio::time::timeout(PATIENCE, async {
            while let Incoming::Event(event) = self.read().await {
                events.push(event);
            }
        })
        .await;
        events
    }

    async fn read(&mut self) -> Incoming {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    let event = serde_json::from_str(&text);
                    return Incoming::Event(event.unwrap_or_else(|e| panic!("not one JSON object ({e}): {text}")));
                }
                Some(Ok(Message::Close(frame))) => return Incoming::Closed(frame.map(|f| f.code.into())),
                Some(Ok(Message::Binary(bytes))) => panic!("a binary message: {bytes:?}"),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Incoming::Closed(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    /// A fake node: one event before every pong, an error for the rest, closes with 4410 on "bye".
    async fn fake() -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("bound").to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.expect("accept");
            let mut far = tokio_tungstenite::accept_async(stream).await.expect("handshake");
            while let Some(Ok(Message::Text(text))) = far.next().await {
                let kind = serde_json::from_str::<Value>(&text).map(|v| v["type"].clone()).unwrap_or_default();
                let answers = match kind.as_str() {
                    Some("ping") => vec![r#"{"type":"alert"}"#, r#"{"type":"pong"}"#],
                    Some("bye") => {
                        let frame = CloseFrame { code: CloseCode::from(4410), reason: "".into() };
                        far.close(Some(frame)).await.expect("close");
                        continue;
                    }
                    _ => vec![r#"{"type":"error","payload":{"code":"unknown_command","message":"?"}}"#],
                };
                for answer in answers {
                    far.send(Message::text(answer)).await.expect("send");
                }
            }
        });
        (addr, tasks)
    }

    #[tokio::test]
    async fn it_collects_what_came_before_the_pong_and_reads_the_close_code() {
        let (addr, _tasks) = fake().await;
        let mut client = WsRequest::new(&addr, "/ws").open().await;
        assert_eq!(client.sync().await, [json!({"type": "alert"})]);
        client.send_json(json!({"type": "what"})).await;
        assert_eq!(client.expect_error("unknown_command").await, "?");
        client.send_json(json!({"type": "bye"})).await;
        assert_eq!(client.close_code().await, 4410);
    }

    #[tokio::test]
    #[should_panic(expected = "expected nothing before the pong")]
    async fn it_notices_that_silence_is_broken() {
        let (addr, _tasks) = fake().await;
        WsRequest::new(&addr, "/ws").open().await.expect_silence().await;
    }

    #[tokio::test]
    async fn a_refusal_is_told_apart() {
        let receiver = crate::Receiver::start([crate::Behaviour::status(403)]).await;
        let refused = WsRequest::new(&receiver.addr(), "/ws").subprotocol("t").connect().await;
        assert_eq!(refused.expect_err("refused"), Refusal { status: 403 });
        assert_eq!(receiver.requests()[0].header("sec-websocket-protocol"), Some("bearer, t"));
    }
}
