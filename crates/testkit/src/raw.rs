//! A WebSocket client below the protocol: sends any bytes, reads frames, or stops reading.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::{Frame, Opcode, PATIENCE};

/// A TCP connection to the node with a buffer for what was read.
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
    buffer: BytesMut,
    answers_pings: bool,
}

impl RawSocket {
    /// Connects; nothing is sent.
    pub async fn connect(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the node accepts");
        stream.set_nodelay(true).expect("a live socket");
        Self { stream, buffer: BytesMut::new(), answers_pings: false }
    }

    /// Connects with a small receive buffer, so that the node soon notices that nobody reads.
    pub async fn connect_narrow(addr: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let stream = socket.connect(addr.parse().expect("an address")).await.expect("the node accepts");
        Self { stream, buffer: BytesMut::new(), answers_pings: false }
    }

    /// The same, answering pings while it waits for text, as every browser does.
    #[must_use]
    pub fn answering_pings(self) -> Self {
        Self { answers_pings: true, ..self }
    }

    /// The bytes of an upgrade request with these further header lines (each ending in CRLF).
    pub fn upgrade_request(path: &str, headers: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .into_bytes()
    }

    /// Upgrades with a bearer token.
    ///
    /// # Panics
    /// When the node refuses.
    pub async fn upgrade(&mut self, path: &str, token: &str) {
        let authorization = format!("Authorization: Bearer {token}\r\n");
        self.send(&Self::upgrade_request(path, &authorization)).await;
        let head = self.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.expect("the node still reads");
    }

    /// Sends bytes to a node that may hang up.
    ///
    /// # Errors
    /// When it has.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The port of our side, which no other open connection to the node has.
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn local_port(&self) -> u16 {
        self.stream.local_addr().expect("a live socket").port()
    }

    /// Ends our side of the connection; answers can still come.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn finish_sending(&mut self) {
        self.stream.shutdown().await.expect("the connection lasts");
    }

    /// Sends a whole text message, masked.
    pub async fn send_text(&mut self, text: &str) {
        self.send(&Frame::new(Opcode::Text, text.to_owned()).masked()).await;
    }

    /// Reads up to the end of the HTTP answer's head.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn read_head(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                return String::from_utf8_lossy(&self.buffer.split_to(end + 4)).into_owned();
            }
            assert!(self.fill(PATIENCE).await, "the connection ended within the head: {:?}", self.buffer);
        }
    }

    /// Reads so many bytes, such as an HTTP answer's body.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn read_exactly(&mut self, n_bytes: usize) -> Bytes {
        while self.buffer.len() < n_bytes {
            assert!(self.fill(PATIENCE).await, "the connection ended too soon: {:?}", self.buffer);
        }
        self.buffer.split_to(n_bytes).freeze()
    }

    /// The next frame, or nothing when the connection ended.
    ///
    /// # Panics
    /// When neither happens within `deadline`.
    pub async fn read_frame(&mut self, deadline: Duration) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer) {
                return Some(frame);
            }
            if !self.fill(deadline).await {
                return None;
            }
        }
    }

    /// Skips to the next text message, with the usual patience.
    ///
    /// # Panics
    /// When the connection ends first.
    pub async fn read_text(&mut self) -> String {
        self.read_text_within(PATIENCE).await
    }

    /// Skips to the next text message.
    ///
    /// # Panics
    /// When the connection ends first, or nothing comes for the length of `deadline`.
    pub async fn read_text_within(&mut self, deadline: Duration) -> String {
        loop {
            let frame = self.read_frame(deadline).await.expect("a text message before the end");
            if frame.opcode == Opcode::Text {
                return String::from_utf8(frame.payload.into()).expect("text is UTF-8");
            }
            if frame.opcode == Opcode::Ping && self.answers_pings {
                self.send(&Frame::new(Opcode::Pong, frame.payload).masked()).await;
            }
        }
    }

    /// Skips to the close frame and returns its code; nothing when the connection ended without one.
    pub async fn read_close(&mut self) -> Option<u16> {
        while let Some(frame) = self.read_frame(PATIENCE).await {
            if frame.opcode == Opcode::Close {
                return frame.close_code();
            }
        }
        None
    }

    /// Everything until the end of the connection.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn read_to_end(&mut self) -> Bytes {
        while self.fill(PATIENCE).await {}
        self.buffer.split().freeze()
    }

    async fn fill(&mut self, deadline: Duration) -> bool {
        let read = tokio::time::timeout(deadline, self.stream.read_buf(&mut self.buffer)).await;
        // A reset ends the connection as well as an orderly end does.
        read.unwrap_or_else(|_| panic!("nothing from the node within {deadline:?}")).is_ok_and(|n| n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_and_the_head_are_read_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("bound").to_string();
        let mut socket = RawSocket::connect(&addr).await;
        let (mut far, _) = listener.accept().await.expect("accept");
        let frames =
            [Frame::new(Opcode::Ping, ""), Frame::new(Opcode::Text, "hi"), Frame::new(Opcode::Close, &b"\x03\xef"[..])];
        let mut bytes = b"HTTP/1.1 101 Fine\r\n\r\n".to_vec();
        bytes.extend(frames.iter().flat_map(Frame::unmasked));
        far.write_all(&bytes).await.expect("write");
        drop(far);
        assert_eq!(socket.read_head().await, "HTTP/1.1 101 Fine\r\n\r\n");
        assert_eq!(socket.read_text().await, "hi");
        assert_eq!(socket.read_close().await, Some(1007));
        assert_eq!(socket.read_frame(PATIENCE).await, None);
    }
}
