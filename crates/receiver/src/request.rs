//! Requests, as far as a receiver reads them: HTTP/1.1 with a body of known length or in chunks.

use std::borrow::Cow;
use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest head and the largest body that are read.
const HEAD_BYTES: usize = 64 * 1024;
const BODY_BYTES: usize = 16 * 1024 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const TOO_LARGE: &[u8] = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Everything before a message's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    text: Cow<'a, str>,
    /// Length up to and with the empty line.
    pub bytes: usize,
}

/// One request, body included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method, path and headers.
    pub head: Head<'static>,
    /// The body, without the marks between its chunks.
    pub body: Bytes,
}

impl<'a> Head<'a> {
    /// Finds the head at the beginning of `bytes`; `None` means that some of it is missing.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let bytes_of_head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        Some(Self { text: String::from_utf8_lossy(&bytes[..bytes_of_head]), bytes: bytes_of_head })
    }

    /// The request or status line.
    pub fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.first_line().split(' ').next().unwrap_or_default()
    }

    /// A request's path, with its query.
    pub fn path(&self) -> &str {
        self.first_line().split(' ').nth(1).unwrap_or_default()
    }

    /// Names and values of all headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Length of the body; 0 without a `Content-Length`.
    pub fn content_length(&self) -> usize {
        self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Whether the client wants to send more requests on the same connection.
    pub(crate) fn keeps_alive(&self) -> bool {
        let asked = self.header("connection").unwrap_or_default();
        !asked.eq_ignore_ascii_case("close")
            && (asked.eq_ignore_ascii_case("keep-alive") || !self.first_line().ends_with("HTTP/1.0"))
    }

    fn says(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|said| said.eq_ignore_ascii_case(value))
    }

    /// The same, independent of what it was read from.
    pub fn into_owned(self) -> Head<'static> {
        Head { text: Cow::Owned(self.text.into_owned()), bytes: self.bytes }
    }
}

/// What one peer has sent, and has not been read yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox(BytesMut);

impl Inbox {
    /// Reads one request; nothing at the end of the stream, or when what comes is too large to be a request.
    pub(crate) async fn read<S>(&mut self, stream: &mut S) -> io::Result<Option<Request>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let head = loop {
            if let Some(head) = Head::parse(&self.0) {
                break head.into_owned();
            }
            if self.0.len() > HEAD_BYTES || stream.read_buf(&mut self.0).await? == 0 {
                return Ok(None);
            }
        };
        self.0.advance(head.bytes);
        if head.says("expect", "100-continue") {
            stream.write_all(CONTINUE).await?;
        }
        let body = if head.says("transfer-encoding", "chunked") {
            self.chunks(stream).await?
        } else {
            self.take(stream, head.content_length()).await?
        };
        Ok(body.map(|body| Request { head, body }))
    }

    /// So many bytes, if they come.
    async fn take<S>(&mut self, stream: &mut S, n_bytes: usize) -> io::Result<Option<Bytes>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if n_bytes > BODY_BYTES {
            stream.write_all(TOO_LARGE).await?;
            return Ok(None);
        }
        while self.0.len() < n_bytes {
            if stream.read_buf(&mut self.0).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.0.split_to(n_bytes).freeze()))
    }

    async fn chunks<S>(&mut self, stream: &mut S) -> io::Result<Option<Bytes>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut body = BytesMut::new();
        loop {
            let Some(line) = self.line(stream).await? else { return Ok(None) };
            let size = line.split(';').next().unwrap_or_default().trim();
            let Ok(size) = usize::from_str_radix(size, 16) else { return Ok(None) };
            if size == 0 {
                // Trailers, up to the empty line.
                while self.line(stream).await?.is_some_and(|line| !line.is_empty()) {}
                return Ok(Some(body.freeze()));
            }
            if body.len() + size > BODY_BYTES {
                stream.write_all(TOO_LARGE).await?;
                return Ok(None);
            }
            let Some(chunk) = self.take(stream, size).await? else { return Ok(None) };
            body.extend_from_slice(&chunk);
            self.line(stream).await?;
        }
    }

    async fn line<S>(&mut self, stream: &mut S) -> io::Result<Option<String>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if let Some(end) = self.0.windows(2).position(|window| window == b"\r\n") {
                let line = self.0.split_to(end + 2);
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.0.len() > HEAD_BYTES || stream.read_buf(&mut self.0).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all requests out of what a client sends piece by piece, and what the client is told meanwhile.
    async fn read_all(pieces: &[&str]) -> (Vec<Request>, String) {
        let (mut near, mut far) = tokio::io::duplex(32);
        let pieces: Vec<String> = pieces.iter().map(|&piece| piece.to_owned()).collect();
        let client = async move {
            for piece in pieces {
                far.write_all(piece.as_bytes()).await.expect("somebody reads");
            }
            far.shutdown().await.expect("an open stream");
            let mut said = String::new();
            far.read_to_string(&mut said).await.expect("text");
            said
        };
        let server = async move {
            let (mut inbox, mut requests) = (Inbox::default(), Vec::new());
            while let Some(request) = inbox.read(&mut near).await.expect("a whole stream") {
                requests.push(request);
            }
            requests
        };
        tokio::join!(server, client)
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let message = b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-LENGTH:  12 \r\n\r\n{\"a\":1}";
        let head = Head::parse(message).expect("whole");
        assert_eq!((head.method(), head.path()), ("POST", "/x?y"));
        assert_eq!((head.header("host"), head.content_length()), (Some("a"), 12));
        assert_eq!(&message[head.bytes..], b"{\"a\":1}");
        assert!(Head::parse(&message[..head.bytes - 1]).is_none());
    }

    #[tokio::test]
    async fn bodies_come_whole_or_in_chunks() {
        let (requests, said) = read_all(&[
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nab",
            "cPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\nde\r",
            "\n1;x=y\r\nf\r\n0\r\ntrailer: 1\r\n\r\nGET /last HTTP/1.0\r\n\r\n",
        ])
        .await;
        let bodies: Vec<&[u8]> = requests.iter().map(|request| &request.body[..]).collect();
        assert_eq!(bodies, [&b"abc"[..], b"def", b""]);
        assert_eq!(said, "HTTP/1.1 100 Continue\r\n\r\n");
        let alive: Vec<bool> = requests.iter().map(|request| request.head.keeps_alive()).collect();
        assert_eq!(alive, [true, true, false]);
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_and_half_of_a_request_is_none() {
        let (requests, said) = read_all(&["POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n"]).await;
        assert!(requests.is_empty() && said.starts_with("HTTP/1.1 413 "), "{said}");
        let (requests, said) = read_all(&["POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n1"]).await;
        assert!(requests.is_empty() && said.is_empty(), "{said}");
    }
}
