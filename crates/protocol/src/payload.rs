//! The payload of an event: a JSON object that passes through as it came.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{json, limits};

/// A JSON object as raw text. It is checked once and never parsed and printed again, so unknown
/// fields, number spellings and key order reach the receiver untouched.
#[derive(Clone)]
pub struct Payload(Box<RawValue>);

/// Why a text cannot be a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayload {
    /// Not JSON at all.
    #[error("payload is not valid JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("payload must be a JSON object")]
    NotAnObject,
    /// Nested too deep.
    #[error("payload is nested deeper than {} levels", limits::JSON_DEPTH)]
    TooDeep,
}

impl Payload {
    /// Checks that `text` is one JSON object, not nested too deep.
    ///
    /// # Errors
    /// [`InvalidPayload`] saying which of the three it is not.
    pub fn parse(text: &str) -> Result<Self, InvalidPayload> {
        let raw = serde_json::from_str::<&RawValue>(text).map_err(|e| InvalidPayload::NotJson(e.to_string()))?;
        Self::from_raw(raw)
    }

    /// The same check for text that serde has already found to be JSON.
    ///
    /// # Errors
    /// [`InvalidPayload`], never `NotJson`.
    pub fn from_raw(raw: &RawValue) -> Result<Self, InvalidPayload> {
        Self::from_raw_within(raw, limits::JSON_DEPTH)
    }

    /// The same where fewer levels are left, because the payload is itself part of something.
    ///
    /// # Errors
    /// [`InvalidPayload`], never `NotJson`.
    pub fn from_raw_within(raw: &RawValue, n_levels: usize) -> Result<Self, InvalidPayload> {
        if !raw.get().starts_with('{') {
            return Err(InvalidPayload::NotAnObject);
        }
        if !json::depth_within(raw.get(), n_levels) {
            return Err(InvalidPayload::TooDeep);
        }
        Ok(Self(raw.to_owned()))
    }

    /// Prints a payload struct.
    ///
    /// # Errors
    /// [`InvalidPayload`] when the value does not serialise to an object.
    pub fn from_serialize(value: &impl Serialize) -> Result<Self, InvalidPayload> {
        let raw = serde_json::value::to_raw_value(value).map_err(|e| InvalidPayload::NotJson(e.to_string()))?;
        Self::from_raw(&raw)
    }

    /// `{}`.
    pub fn empty() -> Self {
        Self(RawValue::from_string("{}".to_owned()).expect("{} is valid JSON"))
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The call it is about: its `unique_id`, a number as its digits; `None` when it has none, an empty
    /// one, or one of another kind. Reads the whole text.
    pub fn unique_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct OfCall {
            unique_id: Option<serde_json::Value>,
        }
        let of_call: OfCall = serde_json::from_str(self.as_str()).ok()?;
        match of_call.unique_id? {
            serde_json::Value::String(id) if !id.is_empty() => Some(id),
            serde_json::Value::Number(id) => Some(id.to_string()),
            _ => None,
        }
    }

    /// Reads the fields that `T` names and ignores the others.
    ///
    /// # Errors
    /// serde's words when a named field has the wrong type.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, InvalidPayload> {
        serde_json::from_str(self.0.get()).map_err(|e| InvalidPayload::NotJson(e.to_string()))
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_raw(&raw).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_unique_id() {
        for (text, wanted) in [
            (r#"{"a":1,"unique_id":"1729866000.1"}"#, Some("1729866000.1")),
            (r#"{"unique_id":17}"#, Some("17")),
            (r#"{"unique_id":""}"#, None),
            (r#"{"unique_id":null}"#, None),
            (r#"{"unique_id":["a"]}"#, None),
            (r#"{"call":{"unique_id":"1"}}"#, None),
        ] {
            assert_eq!(Payload::parse(text).expect(text).unique_id().as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn an_object_passes_as_it_came() {
        let text = "{ \"b\": 2.50,\n \"a\": 1e3, \"unknown\": [null] }";
        assert_eq!(Payload::parse(text).expect("an object").as_str(), text);
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        assert_eq!(Payload::parse("[1]"), Err(InvalidPayload::NotAnObject));
        assert!(matches!(Payload::parse("{\"a\":}"), Err(InvalidPayload::NotJson(_))));
        let nest = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(Payload::parse(&nest(63)).is_ok());
        assert_eq!(Payload::parse(&nest(64)), Err(InvalidPayload::TooDeep));
    }
}
