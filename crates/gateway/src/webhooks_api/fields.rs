//! The fields of a JSON object, each read by its name and type, or named when it is of another.

use std::collections::HashMap;
use std::fmt;

use hookswitch_protocol::ErrorCode;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::http::Problem;

/// An object whose fields are still raw; `None` for one that stands there twice.
#[derive(Debug)]
pub(super) struct Fields<'a>(HashMap<String, Option<&'a RawValue>>);

impl<'a> Fields<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// 400, the body being no JSON object.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(not_json)?;
        if !text.trim_start().starts_with('{') {
            return Err(not_json("it must be a JSON object"));
        }
        serde_json::from_str(text).map_err(not_json)
    }

    /// One field; `null` counts as absent.
    ///
    /// # Errors
    /// 400 naming the field, which must be what is `wanted`.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str, wanted: &str) -> Result<Option<T>, Problem> {
        let Some(raw) = self.0.get(name) else { return Ok(None) };
        let raw = raw.ok_or_else(|| not_json(format_args!("duplicate field `{name}`")))?;
        serde_json::from_str(raw.get()).map_err(|_| Problem::field(name, wanted))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = HashMap::new();
        while let Some((name, raw)) = map.next_entry()? {
            fields.entry(name).and_modify(|known| *known = None).or_insert(Some(raw));
        }
        Ok(Fields(fields))
    }
}

fn not_json(problem: impl fmt::Display) -> Problem {
    Problem::new(ErrorCode::InvalidJson, format!("the body: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_stands_there_twice_is_refused_when_it_is_asked_for() {
        let fields = Fields::parse(br#"{"a":1,"b":2,"a":3}"#).expect("an object");
        assert_eq!(fields.get::<u8>("b", "must be a number"), Ok(Some(2)));
        let problem = fields.get::<u8>("a", "must be a number").expect_err("which of the two?");
        assert_eq!((problem.code, &*problem.message), (ErrorCode::InvalidJson, "the body: duplicate field `a`"));
    }
}
