//! One socket of a floor: a publisher's or a subscriber's, which its first request decides.

use std::io::{ErrorKind, Result};

use hookswitch_testkit::{Frame, FrameHead, Opcode, accept_key};
use mio::net::TcpStream;

use crate::message::{EVENT_TYPE, TENANT};
use crate::wire::Wire;
use hookswitch_receiver::Head;

/// The answer to an accepted event, as long as the server's is.
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 156\r\n\r\n\
{\"success\":true,\"data\":{\"ids\":[\"00000000-0000-0000-0000-000000000000\"]},\"request_id\":\"00000000-0000-0000-0000-000000000000\",\"timestamp\":\"2025-01-01T00:00Z\"}";

/// What stands around a payload in the envelope, as long as the server's is.
const BEFORE_PAYLOAD: &str = r#","payload":"#;
const AFTER_PAYLOAD: &str = r#","timestamp":"2025-01-01T00:00:00.000Z","tenant_id":""#;
const END: &str = r#"","id":"00000000-0000-0000-0000-000000000000"}"#;

/// What a peer's input means to the floor.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// The peer is a WebSocket now.
    Upgraded,
    /// The peer published this payload.
    Event(&'a [u8]),
}

/// A socket of one kind or the other.
#[derive(Debug)]
pub(crate) struct Peer {
    wire: Wire,
    upgraded: bool,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { wire: Wire::new(stream), upgraded: false }
    }

    /// Reads until the socket is empty; answers go to the outbox, for [`Peer::flush`].
    pub(crate) fn read(&mut self, scratch: &mut [u8], mut on_input: impl FnMut(Input<'_>)) -> Result<()> {
        let Self { wire, upgraded } = self;
        wire.fill(scratch)?;
        wire.consume(|bytes, outbox| {
            if *upgraded {
                return frame(bytes, outbox);
            }
            request(bytes, outbox, |input| {
                *upgraded |= matches!(input, Input::Upgraded);
                on_input(input);
            })
        })
    }

    /// Writes `bytes` at once, or keeps what the socket has no room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.wire.write(bytes)
    }

    /// Writes what waits, as far as the socket has room.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.wire.flush()
    }
}

/// Takes one request: the upgrade, or an event.
fn request(bytes: &[u8], outbox: &mut Vec<u8>, mut on_input: impl FnMut(Input<'_>)) -> Result<usize> {
    let Some(head) = Head::parse(bytes) else { return Ok(0) };
    if let Some(key) = head.header("sec-websocket-key") {
        let accept = accept_key(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        outbox.extend_from_slice(answer.as_bytes());
        on_input(Input::Upgraded);
        return Ok(head.bytes);
    }
    let whole = head.bytes + head.content_length();
    let Some(body) = bytes.get(head.bytes..whole) else { return Ok(0) };
    on_input(Input::Event(payload_of(body).ok_or(ErrorKind::InvalidData)?));
    outbox.extend_from_slice(ACCEPTED);
    Ok(whole)
}

/// Takes one frame: only pings, of either kind, have an answer.
fn frame(bytes: &[u8], outbox: &mut Vec<u8>) -> Result<usize> {
    let Some(head) = FrameHead::parse(bytes).filter(|head| head.frame_bytes() <= bytes.len()) else { return Ok(0) };
    let payload = head.unmasked(bytes);
    match head.opcode {
        Opcode::Text if payload.starts_with(br#"{"type":"ping""#) => {
            outbox.extend(Frame::new(Opcode::Text, r#"{"type":"pong","payload":{}}"#).unmasked());
        }
        Opcode::Ping => outbox.extend(Frame::new(Opcode::Pong, payload).unmasked()),
        Opcode::Close => return Err(ErrorKind::ConnectionAborted.into()),
        _ => {}
    }
    Ok(head.frame_bytes())
}

/// Appends the ready-made frame of an event.
pub(crate) fn push_event_frame(out: &mut Vec<u8>, payload: &[u8]) {
    let mut envelope = Vec::with_capacity(512);
    for part in [r#"{"type":""#, EVENT_TYPE, "\""] {
        envelope.extend_from_slice(part.as_bytes());
    }
    for part in [BEFORE_PAYLOAD.as_bytes(), payload, AFTER_PAYLOAD.as_bytes(), TENANT.as_bytes(), END.as_bytes()] {
        envelope.extend_from_slice(part);
    }
    out.extend(Frame::new(Opcode::Text, envelope).unmasked());
}

/// The payload object of a body in the one spelling that the load client uses.
fn payload_of(body: &[u8]) -> Option<&[u8]> {
    let at = body.windows(BEFORE_PAYLOAD.len()).position(|window| window == BEFORE_PAYLOAD.as_bytes())?;
    body.strip_suffix(b"}")?.get(at + BEFORE_PAYLOAD.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let head = Head::parse(ACCEPTED).unwrap();
        assert_eq!(head.bytes + head.content_length(), ACCEPTED.len());
    }

    #[test]
    fn a_payload_becomes_one_text_frame_around_it() {
        let body = br#"{"type":"call.incoming","payload":{"s":1}}"#;
        let mut frame = Vec::new();
        push_event_frame(&mut frame, payload_of(body).unwrap());
        let head = FrameHead::parse(&frame).unwrap();
        let envelope: serde_json::Value = serde_json::from_slice(&frame[head.head_bytes..]).unwrap();
        assert_eq!((head.opcode, head.frame_bytes()), (Opcode::Text, frame.len()));
        assert_eq!((&envelope["type"], &envelope["payload"]["s"]), (&EVENT_TYPE.into(), &1.into()));
    }
}
