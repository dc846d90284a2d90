//! One connection, and the script that is played on it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::request::{Inbox, Request};

/// One step of a script. When the last one is done, the script begins again on the same connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Reads one request, and does what the [`Responder`] says; without another request the connection is over.
    Read,
    /// Sends this.
    Send(Vec<u8>),
    /// Sends this a byte at a time, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends this again and again.
    Repeat(Vec<u8>),
    /// Sends this again and again, with a pause after each.
    RepeatEvery(Vec<u8>, Duration),
    /// Does nothing for so long.
    Pause(Duration),
    /// Closes in order. Bytes that were not read turn it into a reset.
    Close,
    /// Resets.
    Reset,
    /// Does nothing more, with the connection open, until the other side has closed it.
    Hang,
}

impl Step {
    /// Sends this text.
    pub fn send(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// Who is told of requests, and answers them.
pub trait Responder: Send + Sync {
    /// A request was read. What is returned is done next, then the script goes on; a [`Step::Read`] in it does nothing.
    fn respond(&self, request: Request) -> Vec<Step>;

    /// So many more bytes were taken by the other side, or at least by its kernel.
    fn sent(&self, _n_bytes: usize) {}
}

/// A whole answer, with the usual words for its status.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let words = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    // These two have no body by definition, and no length of it.
    let has_length = ![204, 304].contains(&status);
    let length = if has_length { format!("content-length: {}\r\n", body.len()) } else { String::new() };
    let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    format!("HTTP/1.1 {status} {words}\r\n{length}{headers}\r\n{body}").into_bytes()
}

/// A connection that was accepted.
pub struct Connection<S> {
    stream: S,
    reset: fn(&S) -> io::Result<()>,
    inbox: Inbox,
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection<TcpStream> {
    /// One without TLS.
    pub fn tcp(stream: TcpStream) -> Self {
        Self::over(stream, TcpStream::set_zero_linger)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// One over any stream; `reset` makes that its end is a reset.
    pub fn over(stream: S, reset: fn(&S) -> io::Result<()>) -> Self {
        Self { stream, reset, inbox: Inbox::default() }
    }

    /// Plays the script until either side ends the connection.
    ///
    /// # Errors
    /// When the other side goes away in the middle of it.
    pub async fn play(mut self, script: Arc<[Step]>, responder: Arc<impl Responder + ?Sized>) -> io::Result<()> {
        let responder = &*responder;
        loop {
            for step in &*script {
                let goes_on = match step {
                    Step::Read => self.read(responder).await?,
                    step => self.perform(step, responder).await?,
                };
                if !goes_on {
                    return Ok(());
                }
            }
        }
    }

    /// False when the connection is over.
    async fn read(&mut self, responder: &(impl Responder + ?Sized)) -> io::Result<bool> {
        let Some(request) = self.inbox.read(&mut self.stream).await? else { return Ok(false) };
        let keeps_alive = request.head.keeps_alive();
        let steps = responder.respond(request);
        for step in &steps {
            if !self.perform(step, responder).await? {
                return Ok(false);
            }
        }
        // What the script itself answers is not for us to end.
        if keeps_alive || steps.is_empty() {
            return Ok(true);
        }
        self.stream.shutdown().await.map(|()| false)
    }

    /// False when the connection is over.
    async fn perform(&mut self, step: &Step, responder: &(impl Responder + ?Sized)) -> io::Result<bool> {
        match step {
            Step::Read => {}
            Step::Send(bytes) => self.send(bytes, responder).await?,
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    self.send(&[*byte], responder).await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Step::Repeat(bytes) => loop {
                self.send(bytes, responder).await?;
            },
            Step::RepeatEvery(bytes, pause) => loop {
                self.send(bytes, responder).await?;
                tokio::time::sleep(*pause).await;
            },
            Step::Pause(time) => tokio::time::sleep(*time).await,
            Step::Close => return self.stream.shutdown().await.map(|()| false),
            Step::Reset => return (self.reset)(&self.stream).map(|()| false),
            Step::Hang => {
                while self.inbox.read(&mut self.stream).await?.is_some() {}
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn send(&mut self, bytes: &[u8], responder: &(impl Responder + ?Sized)) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        responder.sent(bytes.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    struct Echo;

    impl Responder for Echo {
        fn respond(&self, request: Request) -> Vec<Step> {
            vec![Step::Send(answer(200, &[("x-path", request.head.path())], &request.body.escape_ascii().to_string()))]
        }
    }

    async fn said(script: &[Step], sent: &str) -> String {
        let (near, mut far) = tokio::io::duplex(1024);
        let connection = Connection::over(near, |_| Ok(())).play(Arc::from(script), Arc::new(Echo));
        let client = async {
            far.write_all(sent.as_bytes()).await.expect("somebody reads");
            far.shutdown().await.expect("an open stream");
            let mut said = String::new();
            far.read_to_string(&mut said).await.expect("text");
            said
        };
        let (played, said) = tokio::join!(connection, client);
        played.expect("the client reads to the end");
        said
    }

    #[tokio::test]
    async fn every_request_is_answered_until_the_client_wants_no_more() {
        let requests =
            "POST /1 HTTP/1.1\r\ncontent-length: 1\r\n\r\naGET /2 HTTP/1.1\r\nConnection: close\r\n\r\nGET /3";
        let first = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx-path: /1\r\n\r\na";
        let second = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-path: /2\r\n\r\n";
        assert_eq!(said(&[Step::Read], requests).await, format!("{first}{second}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_script_is_played_step_by_step() {
        let steps =
            [Step::send("a"), Step::Drip(b"bc".to_vec(), Duration::from_secs(1)), Step::Pause(Duration::from_secs(1))];
        let script = [&steps[..], &[Step::Close]].concat();
        let started = tokio::time::Instant::now();
        assert_eq!(said(&script, "").await, "abc");
        assert_eq!(started.elapsed().as_secs(), 3);
    }

    #[test]
    fn answers_without_a_body_say_no_length() {
        assert_eq!(answer(204, &[], ""), b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(answer(599, &[("a", "b")], "c"), b"HTTP/1.1 599 \r\ncontent-length: 1\r\na: b\r\n\r\nc");
    }
}
