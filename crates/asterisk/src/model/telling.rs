//! From what was proven to an event: its type, its fields, and an id that is the same whoever sees it.

use serde_json::{Map, Value};

use super::{Model, holding::Call};
use crate::identity::id;

/// An event that is to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceEvent {
    /// Its type, such as `call.answered`.
    pub kind: &'static str,
    /// The same for the same happening, whoever saw it: of the switch's name, the channel and what happened.
    pub id: String,
    /// Its payload.
    pub payload: Map<String, Value>,
}

/// Seconds with three decimals, of milliseconds.
pub(crate) fn seconds(ms: i64) -> Value {
    Value::from(ms.max(0) as f64 / 1000.0)
}

/// Puts fields together; those without a value are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn id(self, name: &str, value: Option<&String>) -> Self {
        self.maybe(name, value.map(|text| id(text)))
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl Model {
    /// Tells something of a call. `what` makes the id: the channel that did it, and how often before.
    pub(crate) fn tell(&mut self, kind: &'static str, call: &str, what: &str, fields: Fields) {
        let Some(found) = self.calls.get_mut(call) else { return };
        found.known = true;
        let payload = common(found, fields);
        self.push(kind, &format!("{call}:{what}"), payload);
    }

    /// The same for what may happen again to one channel.
    pub(crate) fn tell_again(&mut self, kind: &'static str, call: &str, channel: &str, fields: Fields) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let times = found.told_of.entry(format!("{kind}:{channel}")).or_default();
        *times += 1;
        let what = format!("{channel}:{times}");
        self.tell(kind, call, &what, fields);
    }

    /// Tells something that is of no call.
    pub(crate) fn push(&mut self, kind: &'static str, what: &str, payload: Map<String, Value>) {
        let id = bounded(&format!("{}:{kind}:{what}", self.name));
        self.out.push(SourceEvent { kind, id, payload });
    }
}

fn common(call: &Call, fields: Fields) -> Map<String, Value> {
    let mut payload = Fields::default()
        .with("unique_id", call.uid.as_str())
        .with("caller_id", call.caller_id.as_str())
        .maybe("caller_name", call.caller_name.clone())
        .with("destination", call.destination.as_str())
        .with("direction", call.direction)
        .maybe("queue_name", call.queue.clone())
        .into_map();
    payload.extend(fields.into_map());
    payload
}

/// An id as the contract wants it: at most 64 letters, digits and a few signs. What is another text is cut, and told
/// apart by a checksum of the whole.
fn bounded(text: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | ':' | '-');
    if text.len() <= 64 && text.chars().all(fits) {
        return text.to_owned();
    }
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let plain: String = text.chars().map(|letter| if fits(letter) { letter } else { '_' }).take(47).collect();
    format!("{plain}.{sum:016x}")
}
