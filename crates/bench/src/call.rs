//! Requests one at a time over a connection that is kept, for whoever may wait for the answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::http::Head;

/// Longest wait for an answer, or for a part of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that asks.
#[derive(Debug)]
pub(crate) struct Caller {
    stream: TcpStream,
    address: SocketAddr,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Caller {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address })
    }

    /// Asks for a page.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address))
    }

    /// Sends JSON with a bearer token.
    pub(crate) fn post(&mut self, path: &str, token: &str, json: &str) -> Result<Answer> {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{json}",
            self.address,
            json.len()
        ))
    }

    fn ask(&mut self, request: &str) -> Result<Answer> {
        self.stream.write_all(request.as_bytes()).context("cannot ask")?;
        let (mut bytes, mut scratch) = (Vec::new(), [0; 16 * 1_024]);
        loop {
            if let Some(answer) = whole(&bytes)? {
                return Ok(answer);
            }
            match self.stream.read(&mut scratch).context("no answer")? {
                0 => bail!("the connection was closed before the answer had come"),
                count => bytes.extend_from_slice(&scratch[..count]),
            }
        }
    }
}

fn whole(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(head) = Head::parse(bytes) else { return Ok(None) };
    let Some(body) = bytes.get(head.bytes..head.bytes + head.content_length()) else { return Ok(None) };
    let status = head.first_line().split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("no status in `{}`", head.first_line()))?;
    Ok(Some(Answer { status, body: String::from_utf8_lossy(body).into_owned() }))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn an_answer_counts_once_it_is_whole() {
        let bytes = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        let answer = whole(bytes).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (201, "{}"));
        assert!(whole(&bytes[..bytes.len() - 1]).unwrap().is_none());
        assert!(whole(b"nonsense\r\n\r\n").is_err());
    }
}
