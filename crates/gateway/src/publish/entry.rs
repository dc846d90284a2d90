//! One event as its publisher wrote it.

use std::borrow::Cow;
use std::fmt;

use hookswitch_protocol::{
    ErrorCode, EventId, EventType, InvalidId, InvalidPayload, NewEvent, Payload, SessionKey, Topic, UserId, limits,
};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::http::Problem;

/// What an envelope has beside what its publisher said. Who publishes one that was received may leave it there: it
/// is set anew.
const OF_ENVELOPES: [&str; 3] = ["timestamp", "tenant_id", "position"];

/// The fields of an object, still raw. `null` counts as absent.
#[derive(Debug, Default)]
pub(super) struct RawEntry<'a> {
    kind: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    session_id: Option<&'a RawValue>,
    topic: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    pub(super) events: Option<Entries<'a>>,
    flaw: Option<Mistake>,
}

/// The first thing that is wrong with an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mistake {
    /// Empty when it is the entry as a whole.
    field: Cow<'static, str>,
    problem: String,
}

impl Mistake {
    fn new(field: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The mistake as the publisher gets it: `events[3].type …`.
    pub(super) fn into_problem(self, index: Option<usize>) -> Problem {
        let path = match (index, &*self.field) {
            (None, field) => field.to_owned(),
            (Some(index), "") => format!("events[{index}]"),
            (Some(index), field) => format!("events[{index}].{field}"),
        };
        let field = Some(&*self.field).filter(|field| !field.is_empty());
        Problem::new(ErrorCode::InvalidField, format!("{path} {}", self.problem)).with_entry(index, field)
    }
}

impl From<InvalidId> for Mistake {
    fn from(invalid: InvalidId) -> Self {
        Self::new(invalid.field, invalid.problem)
    }
}

impl<'a> RawEntry<'a> {
    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<&'a RawValue>)> {
        Some(match name {
            "type" => ("type", &mut self.kind),
            "payload" => ("payload", &mut self.payload),
            "user_id" => ("user_id", &mut self.user_id),
            "session_id" => ("session_id", &mut self.session_id),
            "topic" => ("topic", &mut self.topic),
            "id" => ("id", &mut self.id),
            _ => return None,
        })
    }

    /// Nothing may stand beside `events`.
    pub(super) fn check_only_events(&self) -> Result<(), Mistake> {
        if let Some(flaw) = &self.flaw {
            return Err(flaw.clone());
        }
        let others = [
            ("type", self.kind),
            ("payload", self.payload),
            ("user_id", self.user_id),
            ("session_id", self.session_id),
            ("topic", self.topic),
            ("id", self.id),
        ];
        match others.iter().find(|(_, value)| value.is_some()) {
            Some((field, _)) => Err(Mistake::new(*field, "cannot stand beside events: it belongs into each of them")),
            None => Ok(()),
        }
    }

    /// Reads every field; `n_outside` levels of the body stand around them.
    pub(super) fn into_event(self, n_outside: usize) -> Result<NewEvent, Mistake> {
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        if self.events.is_some() {
            return Err(Mistake::new("events", "cannot stand within an event"));
        }
        Ok(NewEvent {
            event_type: event_type(self.kind)?,
            payload: payload(self.payload, n_outside)?,
            id: self.id.map(|raw| EventId::parse(&text("id", raw)?).map_err(Mistake::from)).transpose()?,
            user: self.user_id.map(user).transpose()?,
            topic: self.topic.map(|raw| Topic::parse(&text("topic", raw)?).map_err(Mistake::from)).transpose()?,
            session: self.session_id.map(session_key).transpose()?,
        })
    }
}

fn text<'a>(field: &'static str, raw: &'a RawValue) -> Result<Cow<'a, str>, Mistake> {
    // Borrowed unless there are escapes, and there are none in legal values.
    match serde_json::from_str::<&'a str>(raw.get()) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => serde_json::from_str(raw.get()).map(Cow::Owned).map_err(|_| Mistake::new(field, "must be a string")),
    }
}

fn event_type(raw: Option<&RawValue>) -> Result<EventType, Mistake> {
    let raw = raw.ok_or_else(|| Mistake::new("type", "is missing"))?;
    Ok(EventType::parse(&text("type", raw)?)?)
}

/// `n_outside` levels of the body stand around it.
fn payload(raw: Option<&RawValue>, n_outside: usize) -> Result<Payload, Mistake> {
    let Some(raw) = raw else { return Ok(Payload::empty()) };
    Payload::from_raw_within(raw, limits::JSON_DEPTH - n_outside).map_err(|invalid| match invalid {
        InvalidPayload::TooDeep => {
            Mistake::new("payload", format!("makes the body nested deeper than {} levels", limits::JSON_DEPTH))
        }
        InvalidPayload::NotJson(_) | InvalidPayload::NotAnObject => Mistake::new("payload", "must be a JSON object"),
    })
}

fn user(raw: &RawValue) -> Result<UserId, Mistake> {
    serde_json::from_str(raw.get()).map_err(|_| {
        Mistake::new("user_id", "must be a 64-bit integer or a string of at most 64 A-Z a-z 0-9 _ . @ | : + = -")
    })
}

/// A session id as it came: an integer or a string.
fn session_key(raw: &RawValue) -> Result<SessionKey, Mistake> {
    if serde_json::from_str::<i64>(raw.get()).is_ok() {
        return Ok(SessionKey::parse(raw.get())?);
    }
    let text = text("session_id", raw).map_err(|_| Mistake::new("session_id", "must be an integer or a string"))?;
    Ok(SessionKey::parse(&text)?)
}

/// What stands in `events`.
#[derive(Debug)]
pub(super) enum Entries<'a> {
    /// The first of them, as many as a request may hold, and how many there are.
    List { entries: Vec<RawEntry<'a>>, n_entries: usize },
    /// No array.
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEntry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor::Entry)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor)
    }
}

/// Visits of JSON values that are not of the kind wanted; what is left of them is read over.
macro_rules! other_values {
    ($($visit:ident: $type:ty),* => $value:expr) => {
        $(fn $visit<E: de::Error>(self, _value: $type) -> Result<Self::Value, E> {
            Ok($value)
        })*

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

/// The body itself: what is no object is no publishing body.
#[derive(Debug)]
pub(super) struct PublishBody<'a>(pub(super) RawEntry<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for PublishBody<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor::Body).map(PublishBody)
    }
}

/// Which object is read.
enum EntryVisitor {
    Body,
    Entry,
}

impl<'de> de::Visitor<'de> for EntryVisitor {
    type Value = RawEntry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    other_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str => not_an_object());

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawEntry<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(not_an_object())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntry<'de>, A::Error> {
        let mut entry = RawEntry::default();
        while let Some(name) = map.next_key::<FieldName<'de>>()? {
            if name.0 == "events" {
                let is_first = entry.events.is_none();
                // Read within the body only: entries within entries are refused, however many there are.
                entry.events = match self {
                    Self::Body => map.next_value()?,
                    Self::Entry => map.next_value::<Option<IgnoredAny>>()?.map(|_| Entries::Other),
                };
                let flaw = (!is_first).then(|| Mistake::new("events", "stands there more than once"));
                entry.flaw = entry.flaw.or(flaw);
                continue;
            }
            if OF_ENVELOPES.contains(&&*name.0) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value::<&'de RawValue>()?;
            let flaw = match entry.slot(&name.0) {
                None => {
                    // Refused, not ignored: a misspelt user_id would reach the whole tenant.
                    let known = "is not known: type, payload, user_id, session_id, topic and id are";
                    let shown: String = name.0.chars().take(64).collect();
                    Some(Mistake::new(shown, known))
                }
                Some((field, slot)) if slot.is_some() => Some(Mistake::new(field, "stands there more than once")),
                Some((_, slot)) => {
                    *slot = Some(value).filter(|value| value.get() != "null");
                    None
                }
            };
            entry.flaw = entry.flaw.or(flaw);
        }
        Ok(entry)
    }
}

fn not_an_object<'a>() -> RawEntry<'a> {
    RawEntry { flaw: Some(Mistake::new("", "must be an object")), ..RawEntry::default() }
}

struct EntriesVisitor;

impl<'de> de::Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    other_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str => Entries::Other);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Entries::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries<'de>, A::Error> {
        let (mut entries, mut n_entries) = (Vec::new(), 0);
        while entries.len() < limits::EVENTS_PER_REQUEST
            && let Some(entry) = seq.next_element()?
        {
            entries.push(entry);
            n_entries += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            n_entries += 1;
        }
        Ok(Entries::List { entries, n_entries })
    }
}

/// A key, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct FieldName<'a>(#[serde(borrow)] Cow<'a, str>);
