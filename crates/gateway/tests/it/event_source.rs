//! A client of event streams, made from RFC 9112 and the HTML standard: the node's own code knows nothing of it.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use hookswitch_testkit::PATIENCE;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// One answer that is read as an event stream.
pub(crate) struct EventSource {
    stream: TcpStream,
    /// What came and is not taken apart yet.
    raw: BytesMut,
    is_chunked: bool,
    /// The answer's last chunk came, or its last byte where it has a length or the connection's end ends it.
    is_over: bool,
    n_bytes_left: Option<usize>,
    text: Vec<u8>,
    data: Vec<String>,
    pub(crate) head: String,
    /// Milliseconds until a browser would come back.
    pub(crate) retry: Option<u64>,
    /// What a browser would say as it comes back.
    pub(crate) last_event_id: String,
    has_id: bool,
    /// And of lines that only say where the client is.
    pub(crate) n_comments: usize,
}

impl EventSource {
    pub(crate) async fn open(addr: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::ask(TcpStream::connect(addr).await.expect("the node accepts"), path, "HTTP/1.1", headers).await
    }

    /// With a bearer token.
    pub(crate) async fn with_token(addr: &str, path: &str, token: &str) -> Self {
        Self::open(addr, path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Of an older version.
    pub(crate) async fn open_http_10(addr: &str, path: &str) -> Self {
        Self::ask(TcpStream::connect(addr).await.expect("the node accepts"), path, "HTTP/1.0", &[]).await
    }

    /// With a small receive buffer, so that the node soon notices that nobody reads.
    pub(crate) async fn open_narrow(addr: &str, path: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let stream = socket.connect(addr.parse().expect("an address")).await.expect("the node accepts");
        Self::ask(stream, path, "HTTP/1.1", &[]).await
    }

    async fn ask(mut stream: TcpStream, path: &str, version: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = format!("GET {path} {version}\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.expect("the node reads");
        Self::on(stream).await
    }

    /// Reads the answer to what was asked for on this connection.
    pub(crate) async fn on(stream: TcpStream) -> Self {
        Self::after(stream, BytesMut::new()).await
    }

    /// The answer that follows this one, which has a length.
    pub(crate) async fn next_answer(mut self) -> Self {
        let n_bytes = self.n_bytes_left.expect("a length");
        while self.raw.len() < n_bytes {
            assert!(self.fill().await, "cut off within the answer");
        }
        self.raw.advance(n_bytes);
        Self::after(self.stream, self.raw).await
    }

    async fn after(stream: TcpStream, raw: BytesMut) -> Self {
        let mut source = Self {
            stream,
            raw,
            is_chunked: false,
            is_over: false,
            n_bytes_left: None,
            text: Vec::new(),
            data: Vec::new(),
            head: String::new(),
            retry: None,
            last_event_id: String::new(),
            has_id: false,
            n_comments: 0,
        };
        source.read_head().await;
        source
    }

    async fn read_head(&mut self) {
        let end = loop {
            if let Some(at) = self.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await, "the connection ended within the head: {:?}", self.raw);
        };
        self.head = String::from_utf8(self.raw.split_to(end).to_vec()).expect("text").to_ascii_lowercase();
        self.is_chunked = self.header("transfer-encoding") == Some("chunked");
        self.n_bytes_left = self.header("content-length").map(|length| length.parse().expect("a number"));
        self.is_over = self.n_bytes_left == Some(0) || self.status() == 204;
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The next event's data, or nothing when the answer ended.
    pub(crate) async fn next_text(&mut self) -> Option<String> {
        loop {
            self.take_body();
            while let Some(line) = self.take_line() {
                if let Some(data) = self.on_line(&line) {
                    return Some(data);
                }
            }
            if self.is_over {
                assert!(self.text.is_empty(), "an unfinished line: {:?}", String::from_utf8_lossy(&self.text));
                return None;
            }
            if !self.fill().await {
                assert!(!self.is_chunked && self.n_bytes_left.is_none(), "cut off within the answer");
                self.is_over = true;
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Value> {
        self.next_text().await.map(|text| serde_json::from_str(&text).expect("whole JSON"))
    }

    /// The next event, which must be of this type.
    pub(crate) async fn expect(&mut self, event_type: &str) -> Value {
        let event = self.next().await.expect("an event before the end");
        assert_eq!(event["type"], event_type, "{event}");
        event
    }

    /// The answer's end, with nothing before it.
    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.next_text().await, None);
    }

    /// Reads until so many comments have come; no event may.
    pub(crate) async fn expect_comments(&mut self, n_comments: usize) {
        while self.n_comments < n_comments {
            self.take_body();
            while let Some(line) = self.take_line() {
                assert_eq!(self.on_line(&line), None, "an event");
            }
            if self.n_comments < n_comments {
                assert!(self.fill().await, "the stream ended");
            }
        }
    }

    /// Whether the node closes the connection, nothing coming before.
    pub(crate) async fn expect_close(mut self) {
        assert!(!self.fill().await, "more came: {:?}", self.raw);
    }

    /// What is read moves into the text, without what chunks are marked by.
    fn take_body(&mut self) {
        if !self.is_chunked {
            if let Some(n_left) = &mut self.n_bytes_left {
                *n_left = n_left.checked_sub(self.raw.len()).expect("no more than was said");
                self.is_over |= *n_left == 0;
            }
            self.text.extend_from_slice(&self.raw.split());
            return;
        }
        while let Some(end) = self.raw.windows(2).position(|pair| pair == b"\r\n") {
            let length = std::str::from_utf8(&self.raw[..end]).expect("text");
            let n = usize::from_str_radix(length, 16).expect("a chunk's length");
            if self.raw.len() < end + 2 + n + 2 {
                return;
            }
            self.raw.advance(end + 2);
            self.text.extend_from_slice(&self.raw.split_to(n));
            assert_eq!(&*self.raw.split_to(2), b"\r\n", "a chunk ends as it says");
            if n == 0 {
                self.is_over = true;
                assert!(self.raw.is_empty(), "something follows the last chunk");
            }
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.text.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
        let n_end = if self.text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        let line = self.text.drain(..end + n_end).take(end).collect();
        Some(String::from_utf8(line).expect("event streams are UTF-8"))
    }

    /// One line of the stream; an event where that ends one.
    fn on_line(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            // Without data it is no event: it says no more than where the client is.
            self.n_comments += usize::from(self.data.is_empty() && std::mem::take(&mut self.has_id));
            let data = std::mem::take(&mut self.data);
            self.has_id = false;
            return (!data.is_empty()).then(|| data.join("\n"));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.n_comments += 1,
            "data" => self.data.push(value.to_owned()),
            "id" => {
                value.clone_into(&mut self.last_event_id);
                self.has_id = true;
            }
            "retry" => self.retry = Some(value.parse().expect("digits")),
            other => panic!("a field that nobody promised: {other}"),
        }
        None
    }

    async fn fill(&mut self) -> bool {
        self.fill_within(PATIENCE).await
    }

    async fn fill_within(&mut self, deadline: Duration) -> bool {
        let read = tokio::time::timeout(deadline, self.stream.read_buf(&mut self.raw)).await;
        read.unwrap_or_else(|_| panic!("nothing from the node within {deadline:?}")).is_ok_and(|n| n > 0)
    }
}
