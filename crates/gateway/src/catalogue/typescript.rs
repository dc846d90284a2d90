//! TypeScript types of messages and of what REST answers, from the same schemas.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hookswitch_protocol::catalogue::Kind;
use hookswitch_protocol::{CloseCode, ErrorCode};
use serde_json::{Map, Value};

use super::asyncapi::{Named, named};
use super::{openapi, schemas};

const HEAD: &str =
    "// Made by `cargo xtask golden` from the catalogue: what a Hookswitch node says, and what it is told.\n\n";

const MESSAGES: &str = "\
/** The known types of events. A deployment may have its own. */
export type EventType = keyof EventPayloads;

/** One event as clients receive it. */
export type EventMessage<T extends EventType = EventType> = {
  [K in T]: Envelope & { type: K; payload: EventPayloads[K] };
}[T];

/** What the server says to one connection. */
export type AnswerMessage<T extends keyof AnswerPayloads = keyof AnswerPayloads> = {
  [K in T]: Envelope & { type: K; payload: AnswerPayloads[K] };
}[T];

/** What a client may say over its WebSocket. */
export type Command<T extends keyof CommandPayloads = keyof CommandPayloads> = {
  [K in T]: { type: K; payload?: CommandPayloads[K] };
}[T];

/** The body of one webhook delivery; `timestamp` is in seconds. */
export type Delivery<T extends keyof DeliveryPayloads = keyof DeliveryPayloads> = {
  [K in T]: { event: K; timestamp: number; data: DeliveryPayloads[K] };
}[T];

";

/// The whole file.
pub(super) fn file() -> String {
    let (named, mut components) = named();
    let rest = openapi::document();
    let rest = rest["components"]["schemas"].as_object().expect("components").clone();
    // The envelope of answers is a type with a parameter here.
    for (name, schema) in rest {
        if !matches!(name.as_str(), "Success" | "SuccessList") {
            components.entry(name).or_insert(schema);
        }
    }
    let mut out = HEAD.to_owned();
    let kinds: [(&str, &str, &[Kind]); 4] = [
        ("EventPayloads", "The payload of each known type of event.", &[Kind::Event, Kind::OptIn]),
        ("AnswerPayloads", "What the server says to one connection, by type.", &[Kind::Answer]),
        ("CommandPayloads", "What a client may say over its WebSocket, by type.", &[Kind::Command]),
        ("DeliveryPayloads", "What webhooks are sent, by type.", &[Kind::Event, Kind::WebhookOnly]),
    ];
    for (name, what, kinds) in kinds {
        payloads(name, what, named.iter().filter(|named| kinds.contains(&named.message.kind)), &mut out);
    }
    out.push_str(MESSAGES);
    union(
        "ErrorCode",
        "What may stand in `code` of an error.",
        ErrorCode::ALL.iter().map(|code| format!("{:?}", code.as_str())),
        &mut out,
    );
    union(
        "CloseCode",
        "Why the server closes a WebSocket.",
        CloseCode::ALL.iter().map(|code| code.number().to_string()),
        &mut out,
    );
    answers(&mut out);
    for (name, schema) in &components.into_iter().collect::<BTreeMap<_, _>>() {
        declare(name, schema, &mut out);
    }
    out
}

fn payloads<'a>(name: &str, what: &str, named: impl Iterator<Item = &'a Named>, out: &mut String) {
    let _ = writeln!(out, "/** {what} */\nexport interface {name} {{");
    for named in named {
        let (summary, event_type) = (named.message.summary, named.message.event_type.as_str());
        let _ = writeln!(out, "  /** {summary} */\n  \"{event_type}\": {};", of(&named.payload, 1));
    }
    out.push_str("}\n\n");
}

fn union(name: &str, what: &str, words: impl Iterator<Item = String>, out: &mut String) {
    let words: Vec<String> = words.collect();
    let _ = writeln!(out, "/** {what} */\nexport type {name} =\n  | {};\n", words.join("\n  | "));
}

fn answers(out: &mut String) {
    out.push_str(
        "/** Every REST answer but a refusal. */\nexport interface Success<T, M = { warnings?: Warning[] }> {\n  \
         success: true;\n  data: T;\n  meta?: M;\n  request_id: string;\n  timestamp: string;\n}\n\n",
    );
}

fn declare(name: &str, schema: &Value, out: &mut String) {
    if let Some(what) = schema.get("description").and_then(Value::as_str) {
        let _ = writeln!(out, "{}", comment(what, 0));
    }
    let is_interface = schema.get("properties").is_some() && schema.get("allOf").is_none();
    let text = of(schema, 0);
    let _ = if is_interface {
        writeln!(out, "export interface {name} {text}\n")
    } else {
        writeln!(out, "export type {name} = {text};\n")
    };
}

fn comment(what: &str, depth: usize) -> String {
    let line = what.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /");
    format!("{}/** {line} */", "  ".repeat(depth))
}

/// A schema as a type.
fn of(schema: &Value, depth: usize) -> String {
    if let Some(name) = schemas::name_of(schema) {
        return name.to_owned();
    }
    let Some(schema) = schema.as_object() else { return "unknown".to_owned() };
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return joined(words.iter().map(Value::to_string), " | ");
    }
    for (key, sign) in [("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")] {
        if let Some(parts) = schema.get(key).and_then(Value::as_array) {
            let mut all: Vec<String> = parts.iter().map(|part| of(part, depth)).collect();
            if schema.contains_key("properties") {
                all.push(object(schema, depth));
                return all.join(" & ");
            }
            return joined(all.into_iter(), sign);
        }
    }
    match schema.get("type") {
        Some(Value::String(kind)) => simple(kind, schema, depth),
        Some(Value::Array(kinds)) => {
            joined(kinds.iter().filter_map(Value::as_str).map(|kind| simple(kind, schema, depth)), " | ")
        }
        _ => "unknown".to_owned(),
    }
}

/// Parts without what is there already.
fn joined(parts: impl Iterator<Item = String>, sign: &str) -> String {
    let mut all: Vec<String> = Vec::new();
    for part in parts {
        if !all.contains(&part) {
            all.push(part);
        }
    }
    all.join(sign)
}

fn simple(kind: &str, schema: &Map<String, Value>, depth: usize) -> String {
    match kind {
        "integer" | "number" => "number".to_owned(),
        "array" => {
            let item = schema.get("items").map_or_else(|| "unknown".to_owned(), |items| of(items, depth));
            if item.contains(' ') { format!("({item})[]") } else { format!("{item}[]") }
        }
        "object" => object(schema, depth),
        other => other.to_owned(),
    }
}

fn object(schema: &Map<String, Value>, depth: usize) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let of_values = schema.get("additionalProperties").filter(|values| values.is_object());
        return format!(
            "Record<string, {}>",
            of_values.map_or_else(|| "unknown".to_owned(), |values| of(values, depth))
        );
    };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = "{\n".to_owned();
    for (name, property) in properties {
        if let Some(what) = property.get("description").and_then(Value::as_str) {
            let _ = writeln!(out, "{}", comment(what, depth + 1));
        }
        let mark = if required.contains(&name.as_str()) { "" } else { "?" };
        let name = if name.contains('-') { format!("\"{name}\"") } else { name.clone() };
        let _ = writeln!(out, "{}{name}{mark}: {};", "  ".repeat(depth + 1), of(property, depth + 1));
    }
    let _ = write!(out, "{}}}", "  ".repeat(depth));
    out
}
