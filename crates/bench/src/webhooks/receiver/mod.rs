//! The receiver of all webhooks: one thread, one poll loop, an empty 200 for every delivery, and silence for one path.
//!
//! It reads no JSON: the numbers in the payload stand at fixed places. The load client asks it what has arrived. There is
//! a port for each webhook, because each usually has a host of its own, and what a client keeps per host would be shared
//! otherwise; every port serves every path.

mod tally;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use self::tally::Tally;
use super::spec::{Shape, WEBHOOK_PATH};
use crate::clock::shared_micros;
use crate::http::Head;
use crate::wire::Wire;

/// Number of the first listener's token; far above every peer's.
const LISTENERS: usize = usize::MAX / 2;
/// A receiver nobody talks to any more was left behind by its orchestrator, and ends. The longest honest silence is
/// that of one which waits while another server's backlog is filled.
const ABANDONED: Duration = Duration::from_mins(30);
/// The answer to every delivery.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Where one asks for the port of each webhook, how much has arrived, lets it forget the delays so far, and
/// asks for everything.
pub(super) const PORTS: &str = "/ports";
pub(super) const COUNT: &str = "/count";
pub(super) const MARK: &str = "/mark";
pub(super) const REPORT: &str = "/report";

/// Serves on a free loopback port until it is killed or abandoned.
pub(crate) fn run(shape: &str) -> Result<()> {
    let shape: Shape = serde_json::from_str(shape).context("the receiver's orders are not readable")?;
    let mut receiver = Receiver::listen(shape)?;
    println!("listening on http://{}", receiver.listeners[0].local_addr()?);
    let mut events = Events::with_capacity(1_024);
    let mut scratch = vec![0; 64 * 1_024];
    loop {
        match receiver.poll.poll(&mut events, Some(ABANDONED)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.context("cannot poll")?,
        }
        if events.is_empty() {
            return Ok(());
        }
        for event in &events {
            match event.token() {
                Token(number) if number >= LISTENERS => receiver.accept(number - LISTENERS)?,
                Token(number) => receiver.serve(number, &mut scratch),
            }
        }
    }
}

struct Receiver {
    poll: Poll,
    /// One for whoever asks, and one for each webhook.
    listeners: Vec<TcpListener>,
    ports: Vec<u16>,
    /// By token; `None` once gone.
    peers: Vec<Option<Wire>>,
    tally: Tally,
}

impl Receiver {
    fn listen(shape: Shape) -> Result<Self> {
        let (poll, mut listeners, mut ports) = (Poll::new()?, Vec::new(), Vec::new());
        for number in 0..=shape.webhooks() as usize {
            let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("cannot listen")?;
            poll.registry().register(&mut listener, Token(LISTENERS + number), Interest::READABLE)?;
            ports.push(listener.local_addr()?.port());
            listeners.push(listener);
        }
        Ok(Self { poll, listeners, ports: ports.split_off(1), peers: Vec::new(), tally: Tally::new(shape) })
    }

    fn accept(&mut self, listener: usize) -> Result<()> {
        loop {
            match self.listeners[listener].accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut stream, Token(self.peers.len()), interest)?;
                    self.peers.push(Some(Wire::new(stream)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept"),
            }
        }
    }

    fn serve(&mut self, number: usize, scratch: &mut [u8]) {
        let Some(Some(wire)) = self.peers.get_mut(number) else { return };
        let (tally, ports) = (&mut self.tally, &self.ports);
        let served = wire.fill(scratch).and_then(|()| {
            let read_at = shared_micros();
            wire.consume(|bytes, outbox| request(bytes, outbox, read_at, tally, ports)).and_then(|()| wire.flush())
        });
        if served.is_err() {
            self.peers[number] = None;
        }
    }
}

/// Takes one request.
fn request(
    bytes: &[u8],
    outbox: &mut Vec<u8>,
    read_at: u64,
    tally: &mut Tally,
    ports: &[u16],
) -> std::io::Result<usize> {
    let Some(head) = Head::parse(bytes) else { return Ok(0) };
    let whole = head.bytes + head.content_length();
    let Some(body) = bytes.get(head.bytes..whole) else { return Ok(0) };
    let path = head.first_line().split(' ').nth(1).ok_or(ErrorKind::InvalidData)?;
    if let Some(webhook) = path.strip_prefix(WEBHOOK_PATH).and_then(|number| number.parse().ok()) {
        tally.note(webhook, body, read_at);
        outbox.extend_from_slice(OK);
        return Ok(whole);
    }
    let answer = match path {
        PORTS => serde_json::to_string(ports)?,
        COUNT => tally.received().to_string(),
        MARK => tally.mark(),
        REPORT => serde_json::to_string(&tally.report())?,
        // The silent one: the request is read, and never answered.
        _ => return Ok(whole),
    };
    outbox.extend_from_slice(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).as_bytes());
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Request;

    #[test]
    fn deliveries_are_answered_and_counted_and_the_silent_one_is_not() {
        let (mut tally, mut outbox) = (Tally::new(Shape { topics: 2, per_topic: 1 }), Vec::new());
        for (path, number) in [("/w/0", 0), ("/w/1", 1), ("/silent", 2)] {
            let mut bytes = Vec::new();
            Request::delivery("a", path, "", "bench.00").push(&mut bytes, 5, || number);
            assert_eq!(request(&bytes[..bytes.len() - 1], &mut outbox, 7, &mut tally, &[]).unwrap(), 0);
            assert_eq!(request(&bytes, &mut outbox, 7, &mut tally, &[]).unwrap(), bytes.len());
        }
        assert_eq!(outbox, [OK, OK].concat());
        outbox.clear();
        request(b"GET /count HTTP/1.1\r\n\r\n", &mut outbox, 9, &mut tally, &[]).unwrap();
        assert!(outbox.ends_with(b"\r\n\r\n2"), "{}", String::from_utf8_lossy(&outbox));
    }
}
