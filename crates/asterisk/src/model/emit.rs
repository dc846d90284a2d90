//! How events come about: their ids, and the fields that all events of a call have.

use serde_json::{Map, Value};

use super::{
    Model,
    events::{Fields, SourceEvent},
    types::Call,
};

impl Model {
    /// Tells something of a call. `what` makes the id: the channel that did it, and how often before.
    pub(crate) fn tell(&mut self, event_type: &'static str, call: &str, what: &str, fields: Fields) {
        let Some(found) = self.calls.get_mut(call) else { return };
        found.known = true;
        let payload = common(found, fields);
        self.push(event_type, &format!("{call}:{what}"), payload);
    }

    /// The same for what may happen again to one channel.
    pub(crate) fn tell_again(&mut self, event_type: &'static str, call: &str, channel: &str, fields: Fields) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let times = found.told_of.entry(format!("{event_type}:{channel}")).or_default();
        *times += 1;
        let what = format!("{channel}:{times}");
        self.tell(event_type, call, &what, fields);
    }

    /// Tells something that is of no call.
    pub(crate) fn push(&mut self, event_type: &'static str, what: &str, payload: Map<String, Value>) {
        let id = bounded(&format!("{}:{event_type}:{what}", self.name));
        self.out.push(SourceEvent { event_type, id, payload });
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
