//! The tables of `docs/`, and the page about errors.

use std::fmt::Write as _;

use hookswitch_protocol::catalogue::{Kind, MessageDescription};
use hookswitch_protocol::{CloseCode, ErrorCode, Reconnect};
use serde_json::Value;

use super::asyncapi::{Named, named};
use super::{described_routes, path_of, roles_of, schemas};
use crate::http::Problem;
use crate::routes::Access;

/// A table and the name of its place, `<!-- catalogue: name -->`.
pub(super) fn all() -> Vec<(&'static str, String)> {
    vec![
        ("events", events()),
        ("payloads", payloads()),
        ("commands", commands()),
        ("errors", errors()),
        ("close-codes", close_codes()),
        ("routes", routes()),
    ]
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// What the payload of a message is called.
fn payload_name(named: &Named) -> String {
    schemas::name_of(&named.payload).map_or_else(|| "your own".to_owned(), |name| format!("`{name}`"))
}

fn events() -> String {
    let (named, _) = named();
    let events = named.iter().filter(|named| matches!(named.message.kind, Kind::Event | Kind::OptIn));
    let row = |named: &Named| {
        let MessageDescription { event_type, summary, .. } = &named.message;
        vec![format!("`{event_type}`"), (*summary).to_owned(), payload_name(named)]
    };
    table(&["type", "what happened", "payload"], events.map(row))
}

fn payloads() -> String {
    let (named, components) = named();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for named in named.iter().filter(|named| matches!(named.message.kind, Kind::Event | Kind::OptIn)) {
        let Some(name) = schemas::name_of(&named.payload) else { continue };
        let row = vec![format!("`{name}`"), fields(&components[name], &named.message)];
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    table(&["payload", "fields"], rows.into_iter())
}

/// The fields in the order in which they are written; `?` behind those that may be missing.
fn fields(schema: &Value, message: &MessageDescription) -> String {
    let example = message.example.as_str();
    let properties = schema["properties"].as_object().expect("payloads have fields");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort_by_key(|name| example.find(&format!("\"{name}\":")));
    let mark = |name: &&String| if required.iter().any(|known| known == *name) { "" } else { "?" };
    let names: Vec<String> = names.iter().map(|name| format!("{name}{}", mark(name))).collect();
    format!("`{}`", names.join(", "))
}

fn commands() -> String {
    let (named, _) = named();
    let commands = named.iter().filter(|named| named.message.kind == Kind::Command);
    let row = |named: &Named| {
        let MessageDescription { event_type, summary, example, .. } = &named.message;
        let payload = match example.as_str() {
            "{}" => String::new(),
            payload => format!(",\"payload\":{payload}"),
        };
        vec![format!("`{{\"type\":\"{event_type}\"{payload}}}`"), (*summary).to_owned()]
    };
    table(&["message", "effect"], commands.map(row))
}

/// Where a code is met.
fn places(code: ErrorCode) -> String {
    let over_websockets = [
        ErrorCode::InvalidJson,
        ErrorCode::InvalidField,
        ErrorCode::UnknownCommand,
        ErrorCode::TooManyNames,
        ErrorCode::TooLarge,
        ErrorCode::NotText,
        ErrorCode::Unauthorized,
        ErrorCode::TokenExpired,
        ErrorCode::Forbidden,
        ErrorCode::UnknownSession,
        ErrorCode::RateLimited,
        ErrorCode::MessagesDropped,
    ];
    let there_only = [ErrorCode::UnknownCommand, ErrorCode::NotText, ErrorCode::MessagesDropped];
    let status = Problem::new(code, "").status().as_u16().to_string();
    let mut places = if there_only.contains(&code) { Vec::new() } else { vec![status] };
    if code == ErrorCode::InvalidRequest {
        places.extend(["414".to_owned(), "431".to_owned()]);
    }
    if over_websockets.contains(&code) {
        places.push("WebSocket".to_owned());
    }
    places.join(", ")
}

fn errors() -> String {
    let row = |code: &ErrorCode| {
        let link = format!("[`{0}`](errors.md#{0})", code.as_str());
        vec![link, places(*code), code.meaning().to_owned()]
    };
    table(&["code", "status", "meaning"], ErrorCode::ALL.iter().map(row))
}

/// `docs/errors.md`, which nodes serve too.
pub(super) fn error_page() -> String {
    let mut out =
        "<!-- Made by `cargo xtask golden`. -->\n# Errors\n\nEvery refusal names its code, in `error.code` over \
                   REST and in `payload.code` over a WebSocket, and says in a sentence what is wrong with this very \
                   request. `error.docs` leads here. Quote `request_id` when you ask the operator: the log has it.\n"
            .to_owned();
    for code in ErrorCode::ALL {
        let _ = write!(out, "\n## {}\n\n*{}.* {}\n\n{}\n", code.as_str(), places(*code), code.meaning(), advice(*code));
    }
    out
}

/// What to do about it.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidJson => {
            "Send one JSON text in UTF-8, uncompressed, without a byte order mark, at most 64 levels deep; the message \
             says where reading ended. With curl: quote the body with `'…'`."
        }
        ErrorCode::InvalidField => {
            "The message and `details.field` name the field or parameter, `details.index` the entry of a batch. Nothing \
             was done."
        }
        ErrorCode::UnknownCommand => {
            "Clients say what [protocol.md](protocol.md#messages-to-the-server) lists; events are published over HTTP."
        }
        ErrorCode::TooManyNames => "Use patterns such as `call.*`, or leave the subscription out to get everything.",
        ErrorCode::ReservedType => "Take a name of your own: the server alone says this one.",
        ErrorCode::TooLarge => {
            "Send less at once: a publishing body may have 1 MiB, a message over a WebSocket 512 KiB."
        }
        ErrorCode::NotText => "Send text messages, not binary ones.",
        ErrorCode::AddressBlocked => {
            "The URL leads to an address that is not public, or is no `https://`. Operators open ranges by \
             `WEBHOOK_ALLOW_CIDRS` and plain HTTP by `WEBHOOK_ALLOW_HTTP`; see [webhooks.md](webhooks.md#what-may-be-called)."
        }
        ErrorCode::InvalidRequest => "Look at the request line and the headers; a URL or a head may be too long.",
        ErrorCode::Unauthorized => {
            "Send `Authorization: Bearer <token>`, or `?token=`. The message says what is wrong with the token; see \
             [protocol.md](protocol.md#tokens)."
        }
        ErrorCode::TokenExpired => "Get a new token, then do the same again.",
        ErrorCode::Forbidden => "Use a token of another role: see the table in [protocol.md](protocol.md#tokens).",
        ErrorCode::OriginRefused => {
            "The operator names the page's origin in `WS_ALLOWED_ORIGINS` (visitors: `WS_PUBLIC_ALLOWED_ORIGINS`)."
        }
        ErrorCode::NotFound => {
            "Look at the path and the id. What belongs to another tenant is not found either. Do not try again."
        }
        ErrorCode::MethodNotAllowed => "`Allow` in the answer lists the methods.",
        _ => advice_on_state(code),
    }
}

/// The same where the request may well be right.
fn advice_on_state(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Conflict => "Read what there is, and decide: the same request comes to the same.",
        ErrorCode::UnknownSession => {
            "The session was not started, has ended, or was silent for 24 hours. Do not try again with this key."
        }
        ErrorCode::UpgradeRequired => "Use a WebSocket client: `new WebSocket(…)`, or `python3 -m websockets`.",
        ErrorCode::NotRecovered => {
            "Read the present state from where it is kept, then go on from `details.position`. With `degraded` keep the \
             position that you have and ask again."
        }
        ErrorCode::Overloaded | ErrorCode::Draining | ErrorCode::StorageUnavailable => {
            "Nothing was accepted. It passes: try the same again after `Retry-After`."
        }
        ErrorCode::RequestTimeout => "Send the body faster, or less of it.",
        ErrorCode::RateLimited => {
            "Over REST nothing was done: try again after `Retry-After`. Over a WebSocket nothing is lost."
        }
        ErrorCode::TooManyConnections => "Close connections, or come back after `Retry-After`.",
        ErrorCode::Internal => {
            "Tell the operator the `request_id`. Whether something was done is not known: publish again with the same `id`."
        }
        ErrorCode::MessagesDropped => {
            "Fetch the present state again: see [protocol.md](protocol.md#what-you-can-rely-on)."
        }
        _ => panic!("{code:?} wants an advice"),
    }
}

fn close_codes() -> String {
    let row = |code: &CloseCode| vec![code.number().to_string(), code.reason().to_owned(), after(*code).to_owned()];
    table(&["code", "reason", "what to do"], CloseCode::ALL.iter().map(row))
}

fn after(code: CloseCode) -> &'static str {
    match (code, code.reconnect()) {
        (CloseCode::Normal, _) => "nothing: it is the answer to your own close",
        (CloseCode::ProtocolError | CloseCode::InvalidUtf8 | CloseCode::TooLarge, _) => "fix the client",
        (CloseCode::Restarting, _) => {
            "reconnect after the `after_ms` of the [`reconnect`](#when-a-node-goes-away) before it, else after a random \
             moment of some seconds"
        }
        (_, Reconnect::Yes) => "reconnect",
        (_, Reconnect::WithNewToken) => "get a new token, then reconnect",
        (_, Reconnect::No) => "do not reconnect: it would end the same way. Tell the user",
    }
}

fn routes() -> String {
    let row = |(route, operation): (&'static crate::routes::Route, super::Operation)| {
        let who = match route.access {
            Access::Node => "anybody".to_owned(),
            Access::Session => "who knows the session's key".to_owned(),
            Access::Tenant(roles) if roles.len() == 4 => "any role".to_owned(),
            Access::Tenant(_) => roles_of(route.access).join(", "),
            Access::Operator(_) => format!("{} of the operator's tenant", roles_of(route.access).join(", ")),
        };
        vec![format!("`{} {}`", route.method, path_of(route)), who, operation.summary.to_owned()]
    };
    table(&["request", "who", "what"], described_routes().into_iter().map(row))
}
