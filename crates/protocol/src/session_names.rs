//! Which chat session an event names, in its payload or beside it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::payloads::SessionRef;
use crate::{Payload, SessionKey};

/// One field that may name a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NamedSession {
    /// Not there, or null.
    #[default]
    Absent,
    /// A legal key.
    Key(SessionKey),
    /// There, but nothing that could name a session; with the reason.
    Unusable(String),
}

impl NamedSession {
    /// The key, where there is one.
    pub fn key(&self) -> Option<&SessionKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::Absent | Self::Unusable(_) => None,
        }
    }
}

/// What names a session, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionName {
    /// Its key and nothing else: what visitors connect with.
    Key(SessionKey),
    /// The tenant's own id of it, which is the key where none is given apart.
    Id(SessionKey),
}

impl SessionName {
    /// The name without what it is.
    pub const fn text(&self) -> &SessionKey {
        match self {
            Self::Key(name) | Self::Id(name) => name,
        }
    }
}

/// The two fields of a payload that name its session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionNames {
    /// What visitors connect with, where the payload says it apart.
    pub session_key: NamedSession,
    /// The tenant's own name.
    pub session_id: NamedSession,
}

impl SessionNames {
    /// Reads them from a payload; of a doubled field the last counts, as in JavaScript.
    pub fn read(payload: &Payload) -> Self {
        // The payload is a JSON object, which is all that reading it so asks for.
        let raw = payload.read::<RawNames<'_>>().unwrap_or_default();
        let session_key = match raw.session_key.map(RawValue::get) {
            // The prototype's services send it empty where there is none.
            Some("\"\"") => NamedSession::Absent,
            text => read(text),
        };
        Self { session_key, session_id: read(raw.session_id.map(RawValue::get)) }
    }

    /// What names the session: the key where one is given, be it known or not, and else the id.
    ///
    /// An event of a session that has ended still carries that session's key, beside an id that stands for
    /// a newer one by now: it must not reach the newer one's visitor.
    pub fn name(&self) -> Option<SessionName> {
        match &self.session_key {
            NamedSession::Key(key) => Some(SessionName::Key(key.clone())),
            NamedSession::Absent => self.session_id.key().cloned().map(SessionName::Id),
            NamedSession::Unusable(_) => None,
        }
    }
}

fn read(text: Option<&str>) -> NamedSession {
    let Some(text) = text.filter(|text| *text != "null") else { return NamedSession::Absent };
    let Ok(name) = serde_json::from_str::<SessionRef>(text) else {
        return NamedSession::Unusable("must be an integer or a string".to_owned());
    };
    name.key().map_or_else(|error| NamedSession::Unusable(error.problem), NamedSession::Key)
}

/// The payload with `session_id` as its first field, a number where the name is one. For a payload that
/// names none: a `session_id` that is null counts as absent and goes, or the field would stand there twice.
pub fn with_session_id(payload: &Payload, session: &SessionKey) -> Payload {
    let name = match session.as_str().parse::<i64>() {
        Ok(number) if number.to_string() == session.as_str() => SessionRef::Number(number),
        _ => SessionRef::from(session),
    };
    let name = serde_json::to_string(&name).expect("a number or a string always prints");
    let bare = without_session_id(payload);
    let fields = bare.as_deref().unwrap_or(payload.as_str())[1..].trim_start();
    let comma = if fields.starts_with('}') { "" } else { "," };
    Payload::parse(&format!("{{\"session_id\":{name}{comma}{fields}")).expect("an object with one field more")
}

/// The object printed anew without the field; `None` when it has none, so that others stay as they came.
fn without_session_id(payload: &Payload) -> Option<String> {
    let Fields(fields) = payload.read::<Fields<'_>>().ok()?;
    let is_it =
        |name: &RawValue| serde_json::from_str::<Cow<'_, str>>(name.get()).is_ok_and(|name| name == "session_id");
    if !fields.iter().any(|(name, _)| is_it(name)) {
        return None;
    }
    let others = fields.iter().filter(|(name, _)| !is_it(name));
    let printed: Vec<String> = others.map(|(name, value)| format!("{}:{}", name.get(), value.get())).collect();
    Some(format!("{{{}}}", printed.join(",")))
}

/// The fields of an object, names and values as they are written.
struct Fields<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[derive(Default)]
struct RawNames<'a> {
    session_key: Option<&'a RawValue>,
    session_id: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawNames<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawNames<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = RawNames::default();
                while let Some(name) = map.next_key::<FieldName<'de>>()? {
                    match &*name.0 {
                        "session_key" => found.session_key = Some(map.next_value()?),
                        "session_id" => found.session_id = Some(map.next_value()?),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Borrowed where the name holds no escape.
#[derive(Deserialize)]
struct FieldName<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::parse(text).expect(text)
    }

    fn key(text: &str) -> NamedSession {
        NamedSession::Key(SessionKey::parse(text).expect(text))
    }

    #[test]
    fn both_fields_are_read_as_numbers_or_text() {
        let check = |text: &str, session_key: NamedSession, session_id: NamedSession| {
            assert_eq!(SessionNames::read(&payload(text)), SessionNames { session_key, session_id }, "{text}");
        };
        check("{}", NamedSession::Absent, NamedSession::Absent);
        check(r#"{"session_id":7}"#, NamedSession::Absent, key("7"));
        check(r#"{"session_id":"s\u002d1","session_key":"k"}"#, key("k"), key("s-1"));
        check(r#"{"session_id":1,"session_id":2}"#, NamedSession::Absent, key("2"));
        check(r#"{"session_id":null,"session_key":""}"#, NamedSession::Absent, NamedSession::Absent);
        check(r#"{"x":{"session_id":1}}"#, NamedSession::Absent, NamedSession::Absent);
        for bad in ["[1]", "1.5", "true", "\"\"", "9223372036854775808", "\"a\\nb\""] {
            let names = SessionNames::read(&payload(&format!("{{\"session_id\":{bad}}}")));
            assert!(matches!(names.session_id, NamedSession::Unusable(_)), "{bad}: {names:?}");
        }
    }

    #[test]
    fn a_key_that_is_given_is_all_that_names_the_session() {
        let name = |text: &str| SessionNames::read(&payload(text)).name();
        let text = |text: &str| SessionKey::parse(text).expect(text);
        assert_eq!(name(r#"{"session_id":88,"session_key":"k"}"#), Some(SessionName::Key(text("k"))));
        assert_eq!(name(r#"{"session_id":88,"session_key":null}"#), Some(SessionName::Id(text("88"))));
        assert_eq!(name(r#"{"session_id":88,"session_key":[1]}"#), None, "whose it is cannot be known");
        assert_eq!(name("{}"), None);
    }

    #[test]
    fn a_session_named_beside_the_payload_goes_into_it() {
        let check = |text: &str, session: &str, wanted: &str| {
            let session = SessionKey::parse(session).expect(session);
            assert_eq!(with_session_id(&payload(text), &session).as_str(), wanted);
        };
        check("{}", "7", r#"{"session_id":7}"#);
        check("{ }", "007", r#"{"session_id":"007"}"#);
        check(r#"{ "a": 1.50 }"#, "s\"1", r#"{"session_id":"s\"1","a": 1.50 }"#);
        check(r#"{"session_id":null}"#, "s1", r#"{"session_id":"s1"}"#);
        check(
            r#"{ "a\ud800": [1, 2] , "session_id": null, "b":{"session_id":null}}"#,
            "7",
            r#"{"session_id":7,"a\ud800":[1, 2],"b":{"session_id":null}}"#,
        );
        check(r#"{"session\u005fid":null,"session_id":null,"a":1}"#, "7", r#"{"session_id":7,"a":1}"#);
    }
}
