//! What a payload says: read leniently, since payloads are the publisher's own.

use std::sync::Arc;

use hookswitch_protocol::UserId;
use serde_json::{Map, Value};

use crate::counts::Ignored;

/// A key within a section.
pub(crate) type Key = Arc<str>;

/// A key is at most so long, in bytes.
pub(crate) const KEY_BYTES: usize = 128;

/// Other texts are cut to so many bytes, so that an entry stays small.
const TEXT_BYTES: usize = 512;

/// `queue.stats` larger than this, in bytes, are not kept.
const STATS_BYTES: usize = 16 * 1024;

/// The fields of one payload.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a payload; what is no object has no fields.
    pub(crate) fn read(payload: &str) -> Self {
        Self(serde_json::from_str(payload).unwrap_or_default())
    }

    /// The text of a field; a number is its decimal text, and what is empty or no text is absent.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        self.whole(field).map(|text| cut(&text).to_owned())
    }

    /// The field as a key.
    pub(crate) fn key(&self, field: &str) -> Result<Key, Ignored> {
        let text = self.whole(field).ok_or(Ignored::NoKey)?;
        checked_key(&text)
    }

    /// The field as a queue's name or the like, where it is told.
    pub(crate) fn key_if_told(&self, field: &str) -> Result<Option<Key>, Ignored> {
        match self.key(field) {
            Err(Ignored::NoKey) => Ok(None),
            other => other.map(Some),
        }
    }

    /// The user that a field names.
    pub(crate) fn user(&self, field: &str) -> Option<UserId> {
        let user = match self.0.get(field)? {
            Value::Number(number) => number.as_i64().map(UserId::Number),
            Value::String(text) => UserId::parse(text).ok(),
            _ => None,
        };
        user.filter(|user| !user.is_zero())
    }

    /// A whole number, also where it was told as text.
    pub(crate) fn number(&self, field: &str) -> Option<i64> {
        match self.0.get(field)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether a field says yes or no.
    pub(crate) fn flag(&self, field: &str) -> Option<bool> {
        self.0.get(field)?.as_bool()
    }

    /// A session's id as it came.
    pub(crate) fn session(&self) -> Option<Value> {
        self.0.get("session_id").filter(|id| id.is_i64() || id.as_str().is_some_and(|id| !id.is_empty())).cloned()
    }

    /// All fields as compact JSON, unless that is too much to keep.
    pub(crate) fn whole_payload(&self) -> Result<String, Ignored> {
        let text = serde_json::to_string(&self.0).map_err(|_| Ignored::TooLong)?;
        if text.len() > STATS_BYTES { Err(Ignored::TooLong) } else { Ok(text) }
    }

    fn whole(&self, field: &str) -> Option<String> {
        let text = match self.0.get(field)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(text).filter(|text| !text.is_empty())
    }
}

/// A text as a key.
pub(crate) fn checked_key(text: &str) -> Result<Key, Ignored> {
    if text.is_empty() {
        return Err(Ignored::NoKey);
    }
    if text.len() > KEY_BYTES { Err(Ignored::TooLong) } else { Ok(Key::from(text)) }
}

/// So much of a text as is kept.
pub(crate) fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_BYTES)).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_read_where_either_belongs() {
        let fields = Fields::read(r#"{"a":7,"b":"7","c":1.50,"d":null,"e":"","u":"456","z":0,"t":true}"#);
        assert_eq!(fields.text("a").as_deref(), Some("7"));
        assert_eq!(fields.text("b").as_deref(), Some("7"));
        assert_eq!(fields.text("c").as_deref(), Some("1.5"));
        assert_eq!((fields.text("d"), fields.text("e"), fields.text("t")), (None, None, None));
        assert_eq!(fields.user("u"), Some(UserId::Number(456)));
        assert_eq!(fields.user("z"), None);
        assert_eq!(fields.number("b"), Some(7));
        assert_eq!(Fields::read("[]").text("a"), None);
    }

    #[test]
    fn keys_have_a_bound_and_texts_are_cut() {
        let long = format!(r#"{{"k":"{}","t":"{}"}}"#, "x".repeat(129), "ü".repeat(400));
        let fields = Fields::read(&long);
        assert_eq!(fields.key("k"), Err(Ignored::TooLong));
        assert_eq!(fields.key("none"), Err(Ignored::NoKey));
        assert_eq!(fields.text("t").map(|text| text.len()), Some(512));
    }
}
