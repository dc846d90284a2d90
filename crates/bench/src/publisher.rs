//! A keep-alive connection that publishes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use mio::{Interest, Registry, Token};

use super::message::Request;
use super::socket::connect;
use super::wire::Wire;
use hookswitch_receiver::Head;

/// Sends one event or a batch per `POST` and takes the answers.
#[derive(Debug)]
pub(crate) struct Publisher {
    wire: Wire,
    request: Request,
    /// When the requests were sent that have no answer yet.
    sent: VecDeque<u64>,
}

impl Publisher {
    /// Connects; each request publishes one event of each of `types`, in their order.
    pub(crate) fn open(address: SocketAddr, token: &str, types: &[&str]) -> Result<Self> {
        let request = Request::new(&address.to_string(), token, types);
        Ok(Self { wire: Wire::new(connect(address)?), request, sent: VecDeque::new() })
    }

    /// Lets a poll loop tell when there is something to read, or room to write.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(registry.register(&mut self.wire.stream, token, interest)?)
    }

    /// How many events one request carries.
    pub(crate) fn batch(&self) -> usize {
        self.request.batch()
    }

    /// Requests that have no answer yet.
    pub(crate) fn unanswered(&self) -> usize {
        self.sent.len()
    }

    /// Puts one request behind those that wait to be written; `number` gives each event its sequence number.
    pub(crate) fn queue(&mut self, sent_at: u64, number: impl FnMut() -> u32) {
        self.request.push(self.wire.outbox(), sent_at, number);
        self.sent.push_back(sent_at);
    }

    /// Writes what waits, as far as the socket has room.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.wire.flush().context("the publishing connection broke")
    }

    /// Takes in the answers that have come, and tells of each when its request was sent; anything but 202 ends the run.
    pub(crate) fn read(&mut self, scratch: &mut [u8], mut on_answer: impl FnMut(u64)) -> Result<()> {
        let Self { wire, sent, .. } = self;
        wire.fill(scratch).context("the publishing connection broke")?;
        wire.consume(|bytes, _| {
            let taken = take_answer(bytes)?;
            if taken > 0 {
                on_answer(sent.pop_front().context("an answer that nobody asked for")?);
            }
            Ok(taken)
        })
    }
}

/// Says how long the first answer is; 0 when it has not come whole.
fn take_answer(bytes: &[u8]) -> Result<usize> {
    let Some(head) = Head::parse(bytes) else { return Ok(0) };
    let whole = head.bytes + head.content_length();
    if whole > bytes.len() {
        return Ok(0);
    }
    if !head.first_line().starts_with("HTTP/1.1 202") {
        bail!("publishing was not accepted: {}", String::from_utf8_lossy(&bytes[..whole]));
    }
    Ok(whole)
}
