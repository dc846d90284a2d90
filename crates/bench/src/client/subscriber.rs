//! One WebSocket or event stream of the load client.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookswitch_testkit::{Frame, FrameHead, Opcode, accept_key};
use mio::net::TcpStream;

use super::counters::Counters;
use super::latencies::Place;
use crate::message::{EVENT_TYPE, OTHER_TYPE};
use crate::socket::connect;
use crate::spec::Transport;
use crate::track::Sequences;
use hookswitch_receiver::Head;

/// Which connection it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionPlan {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    pub(crate) number: usize,
    pub(crate) place: Place,
    pub(crate) bystander: bool,
}

/// A connection that listens to the events of the run, or to something else.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) stream: TcpStream,
    pub(crate) sequences: Sequences,
    transport: Transport,
    place: Place,
    key: String,
    upgraded: bool,
    bystander: bool,
    /// Bytes of a message that has not come whole; empty nearly always.
    inbox: Vec<u8>,
}

impl Subscriber {
    /// Connects and asks for the upgrade; the answer is read later.
    pub(crate) fn open(plan: ConnectionPlan, token: &str, publishers: u32) -> Result<Self> {
        let ConnectionPlan { transport, address, number, place, bystander } = plan;
        let stream = connect(address).with_context(|| format!("connection {number}"))?;
        let key = STANDARD.encode((number as u128).to_be_bytes());
        let request = match transport {
            Transport::WebSocket => format!(
                "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n"
            ),
            Transport::EventStream => format!(
                "GET /api/v1/events/stream?events={} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n",
                if bystander { OTHER_TYPE } else { EVENT_TYPE }
            ),
        };
        let (sequences, upgraded, inbox) = (Sequences::new(publishers), false, Vec::new());
        let mut subscriber = Self { stream, sequences, transport, place, key, upgraded, bystander, inbox };
        subscriber.send(request.as_bytes())?;
        Ok(subscriber)
    }

    /// Subscribes to one event type, and asks for the pong that proves it.
    pub(crate) fn subscribe(&mut self, event_type: &str) -> Result<()> {
        let command = format!(r#"{{"type":"subscribe","payload":{{"events":["{event_type}"]}}}}"#);
        let messages = [command, r#"{"type":"ping"}"#.to_owned()];
        self.send(&messages.map(|text| Frame::new(Opcode::Text, text).masked()).concat())
    }

    /// Takes in everything that has come.
    pub(crate) fn read(&mut self, scratch: &mut [u8], counters: &mut Counters) -> Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => {
                    counters.begin_read();
                    self.take(&scratch[..count], counters)?;
                    // A short read means that the socket is empty: no need to ask again.
                    if count < scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("a connection broke"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8], counters: &mut Counters) -> Result<()> {
        if self.inbox.is_empty() {
            let used = self.consume(bytes, counters)?;
            self.inbox.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        inbox.extend_from_slice(bytes);
        let used = self.consume(&inbox, counters)?;
        inbox.drain(..used);
        self.inbox = inbox;
        Ok(())
    }

    /// Works through whole messages and says how many bytes they were.
    fn consume(&mut self, bytes: &[u8], counters: &mut Counters) -> Result<usize> {
        let mut used = if self.upgraded { 0 } else { self.check_upgrade(bytes, counters)? };
        while self.upgraded && self.transport == Transport::EventStream {
            let Some((chunk, n_bytes)) = chunk(&bytes[used..])? else { return Ok(used) };
            self.on_chunk(chunk, counters)?;
            used += n_bytes;
        }
        while self.upgraded {
            let rest = &bytes[used..];
            let Some(head) = FrameHead::parse(rest).filter(|head| head.frame_bytes() <= rest.len()) else { break };
            self.on_frame(head, &rest[head.head_bytes..head.frame_bytes()], counters)?;
            used += head.frame_bytes();
        }
        Ok(used)
    }

    fn check_upgrade(&mut self, bytes: &[u8], counters: &mut Counters) -> Result<usize> {
        let Some(head) = Head::parse(bytes) else { return Ok(0) };
        if self.transport == Transport::EventStream {
            let is_stream = head.header("transfer-encoding") == Some("chunked");
            if !head.first_line().starts_with("HTTP/1.1 200") || !is_stream {
                bail!("the event stream was refused: {}", String::from_utf8_lossy(bytes));
            }
        } else if !head.first_line().starts_with("HTTP/1.1 101") {
            bail!("the upgrade was refused: {}", String::from_utf8_lossy(bytes));
        }
        let is_websocket = self.transport == Transport::WebSocket;
        if is_websocket && head.header("sec-websocket-accept") != Some(accept_key(&self.key).as_str()) {
            bail!("the upgrade's Sec-WebSocket-Accept is wrong");
        }
        self.upgraded = true;
        counters.upgraded += 1;
        Ok(head.bytes)
    }

    fn on_frame(&mut self, head: FrameHead, payload: &[u8], counters: &mut Counters) -> Result<()> {
        if head.mask.is_some() || !head.is_final {
            bail!("a server's frame is masked or a fragment");
        }
        match head.opcode {
            Opcode::Text => self.on_text(payload, counters),
            Opcode::Ping => self.send(&Frame::new(Opcode::Pong, payload.to_vec()).masked())?,
            Opcode::Close => {
                bail!("the server said close: {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default()))
            }
            other => bail!("a frame with opcode {other:?}"),
        }
        Ok(())
    }

    /// One thing that a stream says: an event in one line, or a comment.
    fn on_chunk(&mut self, chunk: &[u8], counters: &mut Counters) -> Result<()> {
        match chunk.strip_prefix(b"data: ").and_then(|event| event.strip_suffix(b"\n\n")) {
            Some(event) => self.on_text(event, counters),
            None if chunk.starts_with(b":") => {}
            None => bail!("a stream said: {}", String::from_utf8_lossy(chunk)),
        }
        Ok(())
    }

    fn on_text(&mut self, message: &[u8], counters: &mut Counters) {
        match counters.reader.read(message) {
            Some(_) if self.bystander => counters.strayed += 1,
            Some((number, sent_at)) => {
                let arrival = self.sequences.note(number);
                counters.event(self.place, arrival, number, sent_at);
            }
            None if message.starts_with(br#"{"type":"pong""#) => counters.pongs += 1,
            None => counters.unexpected += 1,
        }
    }

    /// Sends a few bytes, which an idle socket always has room for.
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.stream.write(bytes).context("cannot write to a connection")?;
        if written < bytes.len() {
            bail!("a connection had no room for {} bytes", bytes.len());
        }
        Ok(())
    }
}

/// The first chunk of these bytes, and how many bytes it takes with what it is marked by; `None` when it is not whole.
fn chunk(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let Some(n_line) = bytes.iter().take(18).position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..n_line]).context("a chunk's length is no text")?;
    let n_chunk = usize::from_str_radix(line.trim_end(), 16).context("a chunk's length is no number")?;
    if n_chunk == 0 {
        bail!("the server ended a stream");
    }
    let chunk = bytes.get(n_line + 1..n_line + 1 + n_chunk + 2);
    Ok(chunk.map(|chunk| (&chunk[..n_chunk], n_line + 1 + n_chunk + 2)))
}
