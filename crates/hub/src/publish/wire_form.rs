//! How what the hub says is written for a kind of client: the hub says what, the form says how.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_protocol::{CloseCode, Position, Timestamp};

/// The form in which a kind of client reads everything, such as WebSocket frames. A connection names its
/// form when it is attached; each event is encoded once for each form that has a connection.
///
/// A form is a constant: it keeps no state of a connection.
pub trait WireForm: fmt::Debug + Send + Sync {
    /// What tells it from all other forms of the process.
    fn name(&self) -> &'static str;

    /// Appends one message: an event's envelope, an answer or a notice.
    fn message(&self, message: Message<'_>, out: &mut BytesMut);

    /// Whether writing a message of so many bytes is so dear that it is done once for all shards: they wait for
    /// the first of them. Events above 16 KiB are, in any form.
    fn is_costly(&self, _n_bytes: usize) -> bool {
        false
    }

    /// The last thing that is sent, for this reason and at this moment.
    fn close(&self, code: CloseCode, now: Timestamp) -> Bytes;

    /// The same for a client that is to come back after so long: `reconnect` says so, and the close follows.
    fn send_away(&self, reconnect: Message<'_>, _after: Duration, code: CloseCode, now: Timestamp) -> Bytes {
        let mut out = BytesMut::with_capacity(reconnect.n_bytes() + 64);
        self.message(reconnect, &mut out);
        out.extend_from_slice(&self.close(code, now));
        out.freeze()
    }

    /// Asks the client for a sign of life, which is told to
    /// [`ConnectionHandle::heard`](crate::ConnectionHandle::heard). Where a drained outbox is the proof of arrival, it is
    /// sent behind everything that was given, and `served` is the place up to which that goes.
    fn ping(&self, served: Option<Position>) -> Bytes;

    /// How often at least a sign of life is asked for, where that is more often than
    /// [`HubConfig::ping_interval`](crate::HubConfig::ping_interval).
    fn ping_interval(&self) -> Option<Duration> {
        None
    }

    /// Asks the client to prove that everything before this arrived; the answer, with this number, is
    /// told to [`ConnectionHandle::received`](crate::ConnectionHandle::received). `None` where a drained
    /// outbox is a sign of life, and the proof, too, as soon as [`Transport::has_arrived`](crate::Transport::has_arrived).
    fn receipt_request(&self, number: u64) -> Option<Bytes>;
}

/// One message, which is one JSON object, in two pieces: an event's position is known only after the rest of its
/// envelope was printed for all.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    position: Option<Position>,
}

impl<'a> Message<'a> {
    /// The JSON object: these bytes one behind the other.
    pub fn parts(&self) -> [&'a [u8]; 2] {
        [self.head, self.tail]
    }

    /// The bytes of both parts.
    pub fn n_bytes(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The event's place in its tenant's order, for a client to come back to; answers, notices and passing events have
    /// none, nor have those that went ahead of earlier ones.
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    /// A message without a position, ready as it is.
    fn from(json: &'a [u8]) -> Self {
        Self { head: json, tail: b"", position: None }
    }
}

/// The last fields of an event's envelope, which differ from node to node or from client to client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    text: [u8; Self::LONGEST],
    n_bytes: usize,
    position: Option<Position>,
}

impl Tail {
    /// `,"position":"…","ahead":true}` with two numbers of twenty digits.
    const LONGEST: usize = 80;

    /// The fields that say where the event stands, and that it went ahead of earlier ones.
    pub(crate) fn new(position: Option<Position>, is_ahead: bool) -> Self {
        let (mut text, mut n_bytes) = ([0; Self::LONGEST], 0);
        let mut write = |said: &str| {
            text[n_bytes..n_bytes + said.len()].copy_from_slice(said.as_bytes());
            n_bytes += said.len();
        };
        if let Some(Position { epoch, offset }) = position {
            // Once per event and form: the formatting machinery costs several times as much as the digits.
            write(",\"position\":\"");
            write(itoa::Buffer::new().format(epoch));
            write(":");
            write(itoa::Buffer::new().format(offset));
            write("\"");
        }
        if is_ahead {
            write(",\"ahead\":true");
        }
        write("}");
        // One that went ahead is no place to come back to.
        Self { text, n_bytes, position: position.filter(|_| !is_ahead) }
    }

    /// The envelope, which is a JSON object, with these fields behind its own.
    pub(crate) fn of<'a>(&'a self, envelope: &'a [u8]) -> Message<'a> {
        let head = envelope.strip_suffix(b"}").unwrap_or(envelope);
        Message { head, tail: &self.text[..self.n_bytes], position: self.position }
    }
}

/// One JSON object alone, in this form.
pub(crate) fn encode(form: &dyn WireForm, json: &[u8]) -> Bytes {
    encode_message(form, json.into())
}

/// One message alone, in this form.
pub(crate) fn encode_message(form: &dyn WireForm, message: Message<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(message.n_bytes() + 16);
    form.message(message, &mut out);
    out.freeze()
}

/// A form's number within one hub, and whether an empty outbox proves that a client of that form has
/// everything: one byte, because each connection has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FormId(u8);

const WRITE_RECEIPT: u8 = 0x80;

impl FormId {
    fn new(number: usize, form: &dyn WireForm) -> Option<Self> {
        let number = u8::try_from(number).ok().filter(|number| *number < WRITE_RECEIPT)?;
        Some(Self(if form.receipt_request(0).is_none() { number | WRITE_RECEIPT } else { number }))
    }

    /// The form's place among the hub's.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0 & !WRITE_RECEIPT)
    }

    /// Whether an empty outbox proves that its client has everything.
    pub(crate) fn is_write_receipt(self) -> bool {
        self.0 & WRITE_RECEIPT != 0
    }
}

/// The forms that the hub's connections have had. A handful, and never taken away: they are constants.
#[derive(Debug, Default)]
pub(crate) struct WireForms(Mutex<Vec<&'static dyn WireForm>>);

impl WireForms {
    /// The form's number, a new one for a form not seen before.
    ///
    /// # Panics
    /// With more than 128 different forms.
    pub(crate) fn number(&self, form: &'static dyn WireForm) -> FormId {
        let mut known = self.lock();
        let at = known.iter().position(|known| known.name() == form.name()).unwrap_or_else(|| {
            known.push(form);
            known.len() - 1
        });
        FormId::new(at, form).expect("forms are constants, and few")
    }

    /// All forms by their numbers.
    pub(crate) fn all(&self) -> Vec<&'static dyn WireForm> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<&'static dyn WireForm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: Message<'_>) -> String {
        String::from_utf8(message.parts().concat()).expect("UTF-8")
    }

    #[test]
    fn an_envelope_ends_with_what_is_known_last() {
        let position = Some(Position { epoch: u64::MAX, offset: u64::MAX });
        let longest = Tail::new(position, true);
        let told = text(longest.of(br#"{"id":"e"}"#));
        let wanted = r#"{"id":"e","position":"18446744073709551615:18446744073709551615","ahead":true}"#;
        assert_eq!((told.as_str(), longest.of(b"{}").position()), (wanted, None));
        assert_eq!(Tail::new(position, false).of(b"{}").position(), position);
        assert_eq!(text(Tail::new(None, false).of(br#"{"id":"e"}"#)), r#"{"id":"e"}"#);
    }
}
