//! The fields of a JSON object, each read by its name and type, or named when it is of another.

use std::collections::HashMap;
use std::fmt;

use hookswitch_protocol::ErrorCode;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
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
        let read = serde_json::from_str(raw.get()).or_else(|_| {
            // JSON knows no whole numbers: some programs write 5 as 5.0.
            serde_json::from_str(raw.get()).and_then(|value| serde_json::from_value(with_whole_numbers(value)))
        });
        read.map_err(|_| Problem::field(name, wanted))
    }
}

/// The same value with `5` in place of `5.0`.
fn with_whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) if float.fract() == 0.0 && float.abs() < EXACT => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(with_whole_numbers).collect(),
        Value::Object(object) => object.into_iter().map(|(name, value)| (name, with_whole_numbers(value))).collect(),
        other => other,
    }
}

/// Below this every whole number is a floating-point number of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

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
        let floats = Fields::parse(br#"{"a":2.0,"b":[2.0,1e1],"c":{"x":2.0},"d":2.5,"e":300.0}"#).expect("an object");
        assert_eq!(floats.get::<u8>("a", "must be a number"), Ok(Some(2)));
        assert_eq!(floats.get::<Vec<u8>>("b", "must be numbers"), Ok(Some(vec![2, 10])));
        assert_eq!(floats.get::<HashMap<String, u8>>("c", "x"), Ok(Some([("x".to_owned(), 2)].into())));
        assert!(floats.get::<u8>("d", "must be whole").is_err() && floats.get::<u8>("e", "must be small").is_err());
        let problem = fields.get::<u8>("a", "must be a number").expect_err("which of the two?");
        assert_eq!((problem.code, &*problem.message), (ErrorCode::InvalidJson, "the body: duplicate field `a`"));
    }
}
