//! Messages as AsyncAPI 3.0: of WebSockets, event streams and webhooks.

use hookswitch_protocol::catalogue::{Envelope, Kind, MessageDescription, messages};
use hookswitch_protocol::{CloseCode, EventType, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::{openapi, schemas};

const ABOUT: &str = "What a Hookswitch node says over WebSockets, event streams and to webhooks, and what clients say. \
                     REST is described at `/api/v1/openapi.json`. Event types and fields may be added, so clients pass \
                     over what they do not know.";

/// One message as this description names it.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) message: MessageDescription,
    /// The schema of its payload.
    pub(super) payload: Value,
}

/// All messages, and the named schemas that they refer to.
pub(super) fn named() -> (Vec<Named>, Map<String, Value>) {
    let mut generator = schemas::of_answers();
    let named = messages().into_iter().map(|message| {
        let payload = schemas::value((message.payload)(&mut generator), &generator);
        Named { name: name(&message), message, payload }
    });
    let named = named.collect();
    let _envelope = generator.subschema_for::<Envelope>();
    (named, schemas::definitions(generator))
}

/// Some types are said by both sides.
fn name(message: &MessageDescription) -> String {
    match message.kind {
        Kind::Event | Kind::OptIn => message.event_type.as_str().to_owned(),
        Kind::Answer => format!("answer.{}", message.event_type),
        Kind::Command => format!("command.{}", message.event_type),
        Kind::WebhookOnly => format!("delivery.{}", message.event_type),
    }
}

/// The whole description.
pub(super) fn document() -> Value {
    let (named, mut components) = named();
    schemas::merge(&mut components, [("DeliveryHeaders".to_owned(), delivery_headers())].into_iter().collect());
    let mut described: Map<String, Value> =
        named.iter().filter(|named| named.message.kind != Kind::WebhookOnly).map(spoken).collect();
    described.extend(named.iter().filter(|named| is_delivered(&named.message)).map(delivered));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hookswitch messages", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": {"name": "MIT"}
        },
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": channels(&named),
        "operations": operations(&named),
        "components": {"messages": described, "schemas": components, "securitySchemes": security_schemes()},
        "x-close-codes": close_codes()
    })
}

/// The same as for REST, in this description's words.
fn security_schemes() -> Value {
    let mut schemes = openapi::security_schemes();
    schemes["token"]["type"] = json!("httpApiKey");
    schemes
}

fn servers() -> Value {
    let security =
        json!([{"$ref": "#/components/securitySchemes/bearer"}, {"$ref": "#/components/securitySchemes/token"}]);
    json!({
        "websockets": {
            "host": "127.0.0.1:8000", "protocol": "ws", "description": "A node; behind a proxy, `wss`.",
            "security": security
        },
        "streams": {
            "host": "127.0.0.1:8000", "protocol": "http", "description": "The same node; behind a proxy, `https`.",
            "security": security
        }
    })
}

fn is_heard(message: &MessageDescription) -> bool {
    matches!(message.kind, Kind::Event | Kind::OptIn | Kind::Answer)
}

/// Visitors hear of chats, and what concerns their own connection.
fn is_heard_by_visitors(message: &MessageDescription) -> bool {
    message.kind == Kind::Answer || (message.kind == Kind::Event && message.event_type.as_str().starts_with("chat."))
}

/// An event stream has no commands, so that it has no answers to them.
fn is_in_streams(message: &MessageDescription) -> bool {
    let of_commands = [EventType::PONG, EventType::POSITION, EventType::RECONNECT];
    !(message.kind == Kind::Answer && of_commands.contains(&message.event_type))
}

fn is_said(message: &MessageDescription) -> bool {
    message.kind == Kind::Command
}

fn is_delivered(message: &MessageDescription) -> bool {
    matches!(message.kind, Kind::Event | Kind::WebhookOnly)
}

fn delivery_name(named: &Named) -> String {
    format!("delivery.{}", named.message.event_type)
}

/// One channel: where it lies, and what is said in it.
struct Channel {
    id: &'static str,
    what: &'static str,
    server: Option<&'static str>,
    holds: fn(&MessageDescription) -> bool,
}

const CHANNELS: [Channel; 5] = [
    Channel {
        id: "user",
        what: "A user's connection. Also at `/api/v1/ws`.",
        server: Some("websockets"),
        holds: |message| is_heard(message) || is_said(message),
    },
    Channel {
        id: "visitor",
        what: "A visitor's connection to one chat session; needs no token. Also at `/api/v1/ws/public/{session_key}`.",
        server: Some("websockets"),
        holds: |message| is_heard_by_visitors(message) || is_said(message),
    },
    Channel {
        id: "userStream",
        what: "A user's connection as server-sent events: each message is one `data:` line.",
        server: Some("streams"),
        holds: |message| is_heard(message) && is_in_streams(message),
    },
    Channel {
        id: "visitorStream",
        what: "A visitor's connection to one chat session, as server-sent events; needs no token.",
        server: Some("streams"),
        holds: |message| is_heard_by_visitors(message) && is_in_streams(message),
    },
    Channel {
        id: "webhook",
        what: "The URL of a tenant's webhook: each delivery is one signed POST.",
        server: None,
        holds: is_delivered,
    },
];

fn address(id: &str) -> Value {
    match id {
        "user" => json!("/ws"),
        "visitor" => json!("/ws/public/{session_key}"),
        "userStream" => json!("/api/v1/events/stream"),
        "visitorStream" => json!("/api/v1/events/stream/public/{session_key}"),
        _ => Value::Null,
    }
}

fn channels(named: &[Named]) -> Value {
    let channel = |channel: &Channel| {
        let is_webhook = channel.server.is_none();
        let held = named.iter().filter(|named| (channel.holds)(&named.message));
        let refer = |named: &Named| {
            let name = if is_webhook { delivery_name(named) } else { named.name.clone() };
            let there = json!({"$ref": format!("#/components/messages/{name}")});
            (name, there)
        };
        let messages: Map<String, Value> = held.map(refer).collect();
        let mut described = json!({"address": address(channel.id), "description": channel.what, "messages": messages});
        if let Some(server) = channel.server {
            described["servers"] = json!([{"$ref": format!("#/servers/{server}")}]);
        }
        if channel.server == Some("websockets") {
            described["bindings"] = json!({"ws": {"method": "GET", "query": query()}});
        }
        if channel.id.starts_with("visitor") {
            described["parameters"] =
                json!({"session_key": {"description": "The key of the chat session, percent-encoded."}});
        }
        (channel.id.to_owned(), described)
    };
    Value::Object(CHANNELS.iter().map(channel).collect())
}

/// What the URL may say of a connection.
fn query() -> Value {
    json!({
        "type": "object",
        "properties": {
            "token": {"type": "string", "description": "Where no header can be set."},
            "events": {"type": "string", "description": "A subscription in force from the first event on: names, by commas."},
            "topics": {"type": "string", "description": "Another name for `events`."},
            "resume": {"type": "string", "description": "The last position: what was missed since comes first."}
        }
    })
}

fn operations(named: &[Named]) -> Value {
    let operation = |action: &str, channel: &Channel, summary: &str, holds: fn(&MessageDescription) -> bool| {
        let held = named.iter().filter(|named| (channel.holds)(&named.message) && holds(&named.message));
        let is_webhook = channel.server.is_none();
        let messages: Vec<Value> = held
            .map(|named| if is_webhook { delivery_name(named) } else { named.name.clone() })
            .map(|name| json!({"$ref": format!("#/channels/{}/messages/{name}", channel.id)}))
            .collect();
        let there = json!({"$ref": format!("#/channels/{}", channel.id)});
        json!({"action": action, "channel": there, "summary": summary, "messages": messages})
    };
    let [user, visitor, user_stream, visitor_stream, webhook] = &CHANNELS;
    json!({
        "tellUser": operation("send", user, "Events, and answers to commands.", |message| !is_said(message)),
        "hearUser": operation("receive", user, "Commands.", is_said),
        "tellVisitor": operation("send", visitor, "Events of the chat session, and answers.", |message| !is_said(message)),
        "hearVisitor": operation("receive", visitor, "Commands.", is_said),
        "streamToUser": operation("send", user_stream, "Events.", |_| true),
        "streamToVisitor": operation("send", visitor_stream, "Events of the chat session.", |_| true),
        "deliver": operation("send", webhook, "Deliveries; answer 2xx quickly.", |_| true)
    })
}

/// A message's schema: the envelope around its payload.
pub(super) fn message_schema(named: &Named) -> Value {
    let event_type = named.message.event_type.as_str();
    json!({
        "allOf": [
            {"$ref": format!("{}Envelope", schemas::PLACE)},
            {
                "type": "object", "required": ["type", "payload"],
                "properties": {"type": {"type": "string", "const": event_type}, "payload": named.payload}
            }
        ]
    })
}

/// Over WebSockets and event streams.
fn spoken(named: &Named) -> (String, Value) {
    let MessageDescription { event_type, kind, summary, example, .. } = &named.message;
    let schema = if *kind == Kind::Command { command_schema(named) } else { message_schema(named) };
    let payload: Value = example.read().expect("an object");
    let mut whole = json!({"type": event_type, "payload": payload});
    if *kind != Kind::Command {
        whole["timestamp"] = json!(Timestamp::from_millis(1_761_393_600_123));
        whole["tenant_id"] = json!(TenantId::parse("tenant-123").expect("legal"));
    }
    let described = json!({
        "name": named.name, "title": event_type, "summary": summary, "payload": schema,
        "examples": [{"name": "example", "payload": whole}]
    });
    (named.name.clone(), described)
}

/// What a client says has no envelope.
pub(super) fn command_schema(named: &Named) -> Value {
    let event_type = named.message.event_type.as_str();
    let has_payload = schemas::name_of(&named.payload).is_some();
    let required = if has_payload { json!(["type", "payload"]) } else { json!(["type"]) };
    json!({
        "type": "object", "required": required,
        "properties": {"type": {"type": "string", "const": event_type}, "payload": named.payload}
    })
}

/// To webhooks.
fn delivered(named: &Named) -> (String, Value) {
    let MessageDescription { event_type, summary, example, .. } = &named.message;
    let name = delivery_name(named);
    let data: Value = example.read().expect("an object");
    let described = json!({
        "name": name, "title": event_type, "summary": summary,
        "headers": {"$ref": format!("{}DeliveryHeaders", schemas::PLACE)},
        "payload": {
            "type": "object", "required": ["event", "timestamp", "data"],
            "properties": {
                "event": {"type": "string", "const": event_type},
                "timestamp": {"type": "integer", "description": "When the event was accepted, in seconds."},
                "data": named.payload
            }
        },
        "examples": [{"name": "example", "payload": {"event": event_type, "timestamp": 1_761_393_600, "data": data}}]
    });
    (name, described)
}

fn delivery_headers() -> Value {
    let text = |what: &str| json!({"type": "string", "description": what});
    json!({
        "type": "object",
        "description": "The signatures are there where the webhook has a secret.",
        "properties": {
            "X-Webhook-Event": text("The event's type."),
            "X-Webhook-ID": text("The webhook's id."),
            "X-Webhook-Attempt": text("Which attempt of this delivery, from 1."),
            "X-Webhook-Signature": text("Hex HMAC-SHA256 of the body, keyed with the secret's text."),
            "X-Webhook-Signature-New": text("The same with the new secret, while a secret is being replaced."),
            "webhook-id": text("The delivery's id, the same on every attempt."),
            "webhook-timestamp": text("When this attempt was made, in seconds."),
            "webhook-signature": text("Signatures as Standard Webhooks has them, separated by blanks.")
        },
        "required": ["X-Webhook-Event", "X-Webhook-ID", "X-Webhook-Attempt", "webhook-id", "webhook-timestamp"]
    })
}

/// AsyncAPI has no place for these.
fn close_codes() -> Value {
    let code = |code: &CloseCode| json!({"code": code.number(), "reason": code.reason(), "reconnect": format!("{:?}", code.reconnect())});
    CloseCode::ALL.iter().map(code).collect()
}

/// Each event's own schema, with all it refers to: what a program validates by that knows nothing of AsyncAPI.
pub(super) fn schemas_by_event() -> Vec<(String, Value)> {
    let (named, components) = named();
    let mut all = Vec::new();
    for named in named.iter().filter(|named| matches!(named.message.kind, Kind::Event | Kind::OptIn)) {
        let mut schema = message_schema(named);
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["title"] = json!(named.message.event_type);
        schema["description"] = json!(named.message.summary);
        schema["$defs"] = Value::Object(referred(&schema, &components));
        let text = schema.to_string().replace(schemas::PLACE, "#/$defs/");
        let schema = serde_json::from_str(&text).expect("it was JSON");
        all.push((named.message.event_type.as_str().to_owned(), schema));
    }
    all
}

/// The named schemas that one refers to, directly or by others.
fn referred(schema: &Value, components: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut open = vec![schema.to_string()];
    while let Some(text) = open.pop() {
        for (name, component) in components {
            if text.contains(&format!("\"{}{name}\"", schemas::PLACE)) && !found.contains_key(name) {
                found.insert(name.clone(), component.clone());
                open.push(component.to_string());
            }
        }
    }
    found
}

#[test]
fn every_message_has_a_name_of_its_own() {
    let (named, _) = named();
    let mut names: Vec<&str> = named.iter().map(|named| named.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), named.len());
}
