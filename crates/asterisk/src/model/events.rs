//! From what was proven to an event: its type, its fields, and an id that is the same whoever sees it.

use serde_json::{Map, Value};

use crate::identity::id;

/// An event that is to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceEvent {
    /// Its type, such as `call.answered`.
    pub event_type: &'static str,
    /// The same for the same happening, whoever saw it: of the PBX's name, the channel and what happened.
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
