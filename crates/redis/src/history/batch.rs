//! Events that are appended together, and how a script is told of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fred::types::Value;

use super::limits::StreamLimits;
use hookswitch_protocol::Position;

/// Most events of one entry of a stream: whole entries are dropped, and one is written by one command.
const ENTRY_EVENTS: usize = 128;

/// Most bytes of one entry; a single event may have more.
const ENTRY_BYTES: usize = 64 * 1024;

/// So many entries at least fit into what a tenant may have, so that dropping one leaves most.
const ENTRIES_HELD: usize = 8;

/// What a history notes beside an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// It is kept for its absent user, who gets it from there and not from the history.
    pub is_kept: bool,
    /// Its type is one that a client has to ask for: such events have a quarter of the bounds to themselves.
    pub is_opt_in: bool,
}

impl Marks {
    /// How an entry has it, beside what it says of all its events.
    fn letter(self) -> char {
        if self.is_kept { 'k' } else { '-' }
    }
}

/// What stands between the envelopes of an entry: no JSON text has it.
pub(super) const SEPARATOR: u8 = 0x1e;

/// One event to append.
#[derive(Debug, Clone)]
pub struct AppendEvent {
    /// The envelope without a position: a JSON object with at least one field.
    pub envelope: Bytes,
    /// Where it is published, with its position; `None` to append it only. With sharded pub/sub the channel must be in
    /// the slot of the tenant's history.
    pub channel: Option<Arc<str>>,
    /// What is noted beside it.
    pub marks: Marks,
}

/// Events of one tenant that take their places together, one behind the other.
///
/// Its sequence, which no other batch of the node has, makes sending it again harmless: see
/// [`HistoryStream::append`](super::HistoryStream::append).
#[derive(Debug, Clone)]
pub struct Batch {
    sequence: u64,
    events: Vec<AppendEvent>,
}

/// Events of one entry of the stream.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    is_opt_in: bool,
    events: Range<usize>,
    n_bytes: usize,
}

/// Who writes the positions into the envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// The node, behind the last one it has seen: they hold if nobody appended since.
    Ready(Position),
    /// The script: it costs Redis more and cannot fail for others' appends. A history behind the last position seen
    /// begins a new epoch.
    Joined(Option<Position>),
}

impl Batch {
    pub(super) fn new(sequence: u64, events: Vec<AppendEvent>) -> Self {
        assert!(!events.is_empty(), "a batch has events");
        Self { sequence, events }
    }

    /// The events in order.
    pub fn events(&self) -> &[AppendEvent] {
        &self.events
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.events.iter().map(|event| event.envelope.len()).sum()
    }

    /// What the script is told of it, behind the number of these arguments. `random` is below 1,000.
    pub(super) fn arguments(&self, numbering: Numbering, random: u64, bounds: &StreamLimits) -> Vec<Value> {
        let entries = entries(&self.events, bounds);
        let mut args = Vec::with_capacity(7 + 3 * (entries.len() + self.events.len()));
        args.push(Value::Null);
        let (name, seen) = match numbering {
            Numbering::Ready(seen) => ("ready", Some(seen)),
            Numbering::Joined(seen) => ("join", seen),
        };
        let seen = seen.unwrap_or(Position { epoch: 0, offset: 0 });
        args.extend([name.into(), format!("{random:03}").into(), self.sequence.to_string().into()]);
        args.extend([seen.epoch, seen.offset, entries.len() as u64].map(|number| Value::from(number.to_string())));
        let mut offset = seen.offset;
        for entry in entries {
            let events = &self.events[entry.events];
            args.push(if entry.is_opt_in { "o" } else { "e" }.into());
            args.extend([events.len(), entry.n_bytes].map(|number| Value::from(number.to_string())));
            args.push(events.iter().map(|event| event.marks.letter()).collect::<String>().into());
            let messages: Vec<Bytes> = match numbering {
                Numbering::Ready(Position { epoch, .. }) => {
                    let positions = (offset + 1..).map(|offset| Position { epoch, offset });
                    events.iter().zip(positions).map(|(event, at)| with_position(&event.envelope, at)).collect()
                }
                Numbering::Joined(_) => events.iter().map(|event| event.envelope.clone()).collect(),
            };
            // One by itself need not be said twice, and those without positions cannot be held as they are.
            let is_said = matches!(numbering, Numbering::Ready(_)) && messages.len() > 1;
            args.push(if is_said { Bytes::from(messages.join(&SEPARATOR)).into() } else { Value::from("") });
            offset += messages.len() as u64;
            for (message, event) in messages.into_iter().zip(events) {
                args.extend([message.into(), event.channel.as_deref().unwrap_or_default().into()]);
            }
        }
        args[0] = (args.len() - 1).to_string().into();
        args
    }
}

/// The envelope with its position as the last field.
fn with_position(envelope: &[u8], position: Position) -> Bytes {
    let tail = format!(",\"position\":\"{position}\"}}");
    let mut out = Vec::with_capacity(envelope.len() + tail.len());
    // Its closing brace comes last again.
    out.extend_from_slice(&envelope[..envelope.len() - 1]);
    out.extend_from_slice(tail.as_bytes());
    out.into()
}

/// Cuts events into entries: each of ordinary types or of opt-in types only, and small beside what may be held.
fn entries(events: &[AppendEvent], bounds: &StreamLimits) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let (is_opt_in, n_bytes) = (event.marks.is_opt_in, event.envelope.len());
        let of_bound = ENTRIES_HELD * if is_opt_in { 4 } else { 1 };
        let (most, most_bytes) = (ENTRY_EVENTS.min(bounds.events / of_bound), ENTRY_BYTES.min(bounds.bytes / of_bound));
        match entries.last_mut() {
            Some(entry)
                if entry.is_opt_in == is_opt_in
                    && entry.events.len() < most
                    && entry.n_bytes + n_bytes <= most_bytes =>
            {
                entry.events.end += 1;
                entry.n_bytes += n_bytes;
            }
            _ => entries.push(Entry { is_opt_in, events: place..place + 1, n_bytes }),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n_bytes: usize, is_opt_in: bool) -> AppendEvent {
        let marks = Marks { is_opt_in, is_kept: false };
        AppendEvent { envelope: vec![b'x'; n_bytes].into(), channel: None, marks }
    }

    fn sizes(events: &[AppendEvent], bounds: &StreamLimits) -> Vec<usize> {
        entries(events, bounds).into_iter().map(|entry| entry.events.len()).collect()
    }

    #[test]
    fn entries_are_of_one_sort_and_small_beside_the_bounds() {
        let bounds = StreamLimits::default();
        let mixed = [event(9, false), event(9, false), event(9, true), event(9, false)];
        assert_eq!(sizes(&mixed, &bounds), [2, 1, 1]);
        assert_eq!(sizes(&vec![event(9, false); 300], &bounds), [125, 125, 50]);
        assert_eq!(sizes(&vec![event(9, true); 40], &bounds), [31, 9]);
        assert_eq!(sizes(&vec![event(30_000, false); 5], &bounds), [2, 2, 1]);
        assert_eq!(sizes(&[event(1 << 20, false), event(9, false)], &bounds), [1, 1]);
        let narrow = StreamLimits { events: 3, ..bounds };
        assert_eq!(sizes(&vec![event(9, false); 3], &narrow), [1, 1, 1]);
    }

    #[test]
    fn a_ready_envelope_ends_with_its_position() {
        let event = |is_kept, channel: &str| AppendEvent {
            envelope: Bytes::from_static(br#"{"type":"alert"}"#),
            channel: Some(channel.into()),
            marks: Marks { is_kept, is_opt_in: false },
        };
        let batch = Batch::new(7, vec![event(true, "a"), event(false, "b")]);
        let seen = Position { epoch: 1_790_000_000_123_456_789, offset: 41 };
        let told = |batch: &Batch, numbering| {
            let args = batch.arguments(numbering, 5, &StreamLimits::default());
            args.iter().map(|arg| arg.as_string().expect("text")).collect::<Vec<_>>()
        };
        let of = |offset: u64| format!(r#"{{"type":"alert","position":"1790000000123456789:{offset}"}}"#);
        let ready = told(&batch, Numbering::Ready(seen));
        assert_eq!(ready[..7], ["15", "ready", "005", "7", "1790000000123456789", "41", "1"]);
        assert_eq!(ready[7..11], ["e", "2", "32", "k-"]);
        assert_eq!(
            ready[11..],
            [format!("{}\u{1e}{}", of(42), of(43)), of(42), "a".to_owned(), of(43), "b".to_owned()]
        );
        let plain = r#"{"type":"alert"}"#;
        assert_eq!(told(&batch, Numbering::Joined(Some(seen)))[11..], ["", plain, "a", plain, "b"]);
        assert_eq!(told(&batch, Numbering::Joined(None))[4..6], ["0", "0"]);
        let single = Batch::new(7, vec![event(false, "a")]);
        assert_eq!(told(&single, Numbering::Ready(seen))[11..], [String::new(), of(42), "a".to_owned()]);
    }
}
