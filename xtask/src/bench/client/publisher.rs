//! A keep-alive connection that publishes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;

use super::subscriber::connect;
use crate::bench::http::Head;
use crate::bench::message::Request;

/// Sends one event or a batch per `POST` and counts the answers.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) stream: TcpStream,
    pub(crate) unanswered: usize,
    request: Request,
    out: Vec<u8>,
    inbox: Vec<u8>,
}

impl Publisher {
    /// Connects.
    pub(crate) fn open(address: SocketAddr, token: &str, batch: usize) -> Result<Self> {
        let request = Request::new(&address.to_string(), token, batch);
        Ok(Self { stream: connect(address)?, unanswered: 0, request, out: Vec::new(), inbox: Vec::new() })
    }

    /// How many events one request carries.
    pub(crate) fn batch(&self) -> usize {
        self.request.batch()
    }

    /// Puts one request behind those that wait to be written; `number` gives each event its sequence number.
    pub(crate) fn queue(&mut self, nanos: u64, number: impl FnMut() -> u32) {
        self.request.push(&mut self.out, nanos, number);
        self.unanswered += 1;
    }

    /// Writes what waits, as far as the socket has room.
    pub(crate) fn flush(&mut self) -> Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("the publishing connection broke"),
            }
        }
        Ok(())
    }

    /// Takes in the answers that have come; anything but 202 ends the run.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => bail!("the server closed the publishing connection"),
                Ok(count) => {
                    self.inbox.extend_from_slice(&scratch[..count]);
                    self.take_answers()?;
                    if count < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("the publishing connection broke"),
            }
        }
    }

    fn take_answers(&mut self) -> Result<()> {
        let mut used = 0;
        while let Some(head) = Head::parse(&self.inbox[used..]) {
            let whole = head.bytes + head.content_length();
            if whole > self.inbox.len() - used {
                break;
            }
            if !head.first_line().starts_with("HTTP/1.1 202") {
                let answer = String::from_utf8_lossy(&self.inbox[used..used + whole]);
                bail!("publishing was not accepted: {answer}");
            }
            self.unanswered = self.unanswered.saturating_sub(1);
            used += whole;
        }
        self.inbox.drain(..used);
        Ok(())
    }
}
