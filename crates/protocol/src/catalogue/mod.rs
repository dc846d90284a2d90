//! Every message that clients and receivers meet, described: what it means, its payload's schema, an example.
//!
//! Under the feature `schema` only: what servers publish of it is made by `cargo xtask golden` and embedded.

mod control;
mod events;
mod examples;
mod pbx;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::{EventType, Payload, Position, TenantId, Timestamp, Topic, UserId};

/// Who says a message to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fact that publishers tell, to WebSockets, event streams and webhooks.
    Event,
    /// A fact that the server tells, to connections that subscribed to it.
    OptIn,
    /// What the server says to one connection.
    Answer,
    /// What a client says over its WebSocket.
    Command,
    /// What webhooks alone are sent.
    WebhookOnly,
}

/// One message.
#[derive(Debug, Clone)]
pub struct MessageDescription {
    /// Its type.
    pub event_type: EventType,
    /// Who says it to whom.
    pub kind: Kind,
    /// What it means, in one sentence.
    pub summary: &'static str,
    /// The schema of its payload, by reference where the payload has a name.
    pub payload: fn(&mut SchemaGenerator) -> Schema,
    /// A payload with every field in it, in the order in which they are written.
    pub example: Payload,
}

impl MessageDescription {
    /// # Panics
    /// When the example is no object.
    fn of<P: JsonSchema + Serialize>(event_type: EventType, kind: Kind, summary: &'static str, example: &P) -> Self {
        let example = Payload::from_serialize(example).expect("examples are objects");
        Self { event_type, kind, summary, payload: SchemaGenerator::subschema_for::<P>, example }
    }
}

/// What stands in the envelope beside `type` and `payload`.
#[derive(Debug, JsonSchema)]
pub struct Envelope {
    /// When it was accepted.
    pub timestamp: Timestamp,
    /// Whose it is.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<TenantId>,
    /// There when it is for the connections of one user only.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// There when it belongs to a custom topic.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// Unique within the tenant: the same id twice is the same event. Answers have none.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub id: Option<crate::EventId>,
    /// Its place among the tenant's events: what to come back with.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Its place, where it was sent before earlier ones: not to come back with.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<bool>,
}

/// All messages: events in the order of [`EventType::ALL`], then answers, then commands.
pub fn messages() -> Vec<MessageDescription> {
    [events::events(), events::opt_in(), control::answers(), control::commands(), control::webhook_only()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_event_type_is_described() {
        let described: BTreeSet<_> = messages().iter().map(|m| m.event_type.as_str().to_owned()).collect();
        for event_type in EventType::ALL {
            assert!(
                described.contains(event_type.as_str()),
                "{event_type} has no description: add a line in crates/protocol/src/catalogue/"
            );
        }
        let events = messages().into_iter().filter(|m| matches!(m.kind, Kind::Event));
        for event in events {
            assert!(event.event_type.is_publishable(), "{} cannot be published", event.event_type);
        }
    }

    #[test]
    fn an_example_has_every_field_of_its_payload() {
        for message in messages() {
            let mut generator = SchemaGenerator::default();
            let schema = (message.payload)(&mut generator);
            let definitions = generator.take_definitions(true);
            let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            let Some(name) = name else { continue };
            let wanted: BTreeSet<_> =
                definitions[name]["properties"].as_object().into_iter().flat_map(|p| p.keys()).cloned().collect();
            let example: BTreeMap<String, Value> = message.example.read().expect("an object");
            let given: BTreeSet<_> = example.into_keys().collect();
            assert_eq!(given, wanted, "{}", message.event_type);
        }
    }
}
