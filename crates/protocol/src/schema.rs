//! JSON Schemas of ids and of what passes through, which serde cannot tell.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    DeliveryId, EventId, EventType, NodeId, Payload, Position, SessionKey, TenantId, Timestamp, Topic, UserId,
    WebhookId, limits,
};

/// Types that stand within other schemas under no name of their own.
macro_rules! inline_schemas {
    ($($name:ident => $schema:tt,)*) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

inline_schemas! {
    TenantId => {
        "type": "string", "minLength": 1, "maxLength": limits::TENANT_ID_CHARS, "pattern": "^[A-Za-z0-9_-]+$"
    },
    EventId => {
        "type": "string", "minLength": 1, "maxLength": limits::EVENT_ID_CHARS, "pattern": "^[A-Za-z0-9_.:-]+$"
    },
    NodeId => { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.:-]+$" },
    DeliveryId => { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_.:-]+$" },
    Topic => { "type": "string", "minLength": 1, "maxLength": limits::TOPIC_CHARS, "pattern": "^[A-Za-z0-9_.:-]+$" },
    SessionKey => {
        "type": "string", "minLength": 1, "maxLength": limits::SESSION_KEY_CHARS,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
    },
    EventType => {
        "type": "string", "minLength": 1, "maxLength": limits::EVENT_TYPE_CHARS, "pattern": "^[a-z0-9_.-]+$"
    },
    WebhookId => { "type": "integer", "format": "int64" },
    Timestamp => { "type": "string", "format": "date-time" },
    Position => { "type": "string", "pattern": "^[0-9]+:[0-9]+$" },
    Payload => { "type": "object" },
}

/// Named, since it stands in many places and is of two types.
impl JsonSchema for UserId {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("UserId")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A user of the tenant: a number in most deployments, text in others; never 0.",
            "anyOf": [
                { "type": "integer", "format": "int64", "not": { "const": 0 } },
                {
                    "type": "string", "minLength": 1, "maxLength": limits::USER_ID_CHARS,
                    "pattern": "^[A-Za-z0-9_.@|:+=-]+$", "not": { "const": "0" }
                }
            ]
        })
    }
}
