//! How what the hub says is written for a kind of client: the hub says what, the form says how.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_protocol::{CloseCode, Timestamp};

/// The form in which a kind of client reads everything, such as WebSocket frames. A connection names its
/// form when it is attached; each event is encoded once for each form that has a connection.
///
/// A form is a constant: it keeps no state of a connection.
pub trait WireForm: fmt::Debug + Send + Sync {
    /// What tells it from all other forms of the process.
    fn name(&self) -> &'static str;

    /// Appends one message, which is one JSON object: an event's envelope, an answer or a notice.
    fn message(&self, json: &[u8], out: &mut BytesMut);

    /// Whether writing a message of so many bytes is so dear that it is done once for all shards: they wait for
    /// the first of them. Events above 16 KiB are, in any form.
    fn is_costly(&self, _n_bytes: usize) -> bool {
        false
    }

    /// The last thing that is sent, for this reason and at this moment.
    fn close(&self, code: CloseCode, now: Timestamp) -> Bytes;

    /// Asks the client for a sign of life, which is told to
    /// [`ConnectionHandle::heard`](crate::ConnectionHandle::heard).
    fn ping(&self) -> Bytes;

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

/// One message alone, in this form.
pub(crate) fn encode(form: &dyn WireForm, json: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(json.len() + 16);
    form.message(json, &mut out);
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
