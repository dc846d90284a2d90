//! What a client may say over its WebSocket.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{ErrorCode, Payload, SessionKey, SubscriptionName, json, limits};

/// One client command, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Answered with a pong.
    Ping,
    /// Adds names to the connection's subscription.
    Subscribe(Vec<SubscriptionName>),
    /// Takes names away.
    Unsubscribe(Vec<SubscriptionName>),
    /// Relayed to the others of a chat session.
    Typing(TypingCommand),
}

/// A typing indicator on its way to the others of its session.
#[derive(Debug, Clone, PartialEq)]
pub struct TypingCommand {
    /// The session it belongs to.
    pub session: SessionKey,
    /// The payload as the client sent it.
    pub payload: Payload,
}

/// Why a message is not a command; told to the client, the connection stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The code for programs.
    pub code: ErrorCode,
    /// The sentence for people: names the field and the limit.
    pub message: String,
}

impl CommandError {
    /// An error with this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Deserialize)]
struct RawCommand<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawNames<'a> {
    #[serde(borrow)]
    events: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    topics: Option<Vec<Cow<'a, str>>>,
}

#[derive(Deserialize)]
struct RawTyping {
    session_id: RawSession,
}

/// A session id as clients spell it: an integer or a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawSession {
    Number(i64),
    Text(String),
}

impl Command {
    /// Reads one text message.
    ///
    /// # Errors
    /// [`CommandError`] to be sent back as it stands.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        if !json::depth_within(text, limits::JSON_DEPTH) {
            return Err(invalid(format!("message is nested deeper than {} levels", limits::JSON_DEPTH)));
        }
        // An array would be read as the fields in their order.
        if !is_object(text) {
            let json: Result<&RawValue, _> = serde_json::from_str(text);
            return Err(json.map_or_else(|e| not_json(&e), |_| invalid("a message must be a JSON object with a type")));
        }
        let raw: RawCommand<'_> = serde_json::from_str(text).map_err(|e| not_json(&e))?;
        let Some(kind) = raw.kind else {
            return Err(invalid("type is missing: send {\"type\":\"ping\"}, subscribe, unsubscribe or chat.typing"));
        };
        match &*kind {
            "ping" => Ok(Self::Ping),
            "subscribe" => Ok(Self::Subscribe(names(raw.payload)?)),
            "unsubscribe" => Ok(Self::Unsubscribe(names(raw.payload)?)),
            "chat.typing" => typing(raw.payload).map(Self::Typing),
            other => Err(CommandError::new(ErrorCode::UnknownCommand, unknown(other))),
        }
    }
}

/// Whether JSON text can be an object; whether it is one, the parser says.
fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
}

fn unknown(kind: &str) -> String {
    let shown: String = kind.chars().take(limits::EVENT_TYPE_CHARS).collect();
    format!("unknown type {shown:?}: clients may send ping, subscribe, unsubscribe and chat.typing")
}

fn invalid(message: impl Into<String>) -> CommandError {
    CommandError::new(ErrorCode::InvalidField, message)
}

fn not_json(error: &serde_json::Error) -> CommandError {
    match error.classify() {
        serde_json::error::Category::Data => invalid(format!("message has a field of the wrong type: {error}")),
        _ => CommandError::new(ErrorCode::InvalidJson, format!("message is not valid JSON: {error}")),
    }
}

fn names(payload: Option<&RawValue>) -> Result<Vec<SubscriptionName>, CommandError> {
    let wanted = "payload.events must be an array of event types";
    let payload = payload.filter(|payload| is_object(payload.get())).ok_or_else(|| invalid(wanted))?;
    let raw: RawNames<'_> = serde_json::from_str(payload.get()).map_err(|e| invalid(format!("{wanted}: {e}")))?;
    let list = raw.events.or(raw.topics).ok_or_else(|| invalid(wanted))?;
    if list.len() > limits::SUBSCRIPTION_NAMES {
        let message =
            format!("payload.events has {} names, at most {} are allowed", list.len(), limits::SUBSCRIPTION_NAMES);
        return Err(CommandError::new(ErrorCode::TooManyNames, message));
    }
    list.iter()
        .enumerate()
        .map(|(i, name)| {
            SubscriptionName::parse(name).map_err(|e| invalid(format!("payload.events[{i}] {}", e.problem)))
        })
        .collect()
}

fn typing(payload: Option<&RawValue>) -> Result<TypingCommand, CommandError> {
    let payload = payload.ok_or_else(|| invalid("payload is missing"))?;
    let payload = Payload::from_raw(payload).map_err(|e| invalid(e.to_string()))?;
    let raw: RawTyping = payload.read().map_err(|_| invalid("payload.session_id must be an integer or a string"))?;
    let text = match raw.session_id {
        RawSession::Number(number) => number.to_string(),
        RawSession::Text(text) => text,
    };
    let session = SessionKey::parse(&text).map_err(|e| invalid(format!("payload.{e}")))?;
    Ok(TypingCommand { session, payload })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code_of(text: &str) -> ErrorCode {
        Command::parse(text).expect_err(text).code
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(Command::parse(r#"{"type":"ping"}"#), Ok(Command::Ping));
        let call = SubscriptionName::parse("call.*").expect("legal");
        let subscribe = Command::Subscribe(vec![call]);
        assert_eq!(Command::parse(r#"{"type":"subscribe","payload":{"events":["call.*"]}}"#), Ok(subscribe.clone()));
        assert_eq!(Command::parse(r#"{"type":"subscribe","payload":{"topics":["call.*"]}}"#), Ok(subscribe));
        let typing = Command::parse(r#"{"type":"chat.typing","payload":{"session_id":7,"is_typing":true}}"#);
        assert!(matches!(typing, Ok(Command::Typing(t)) if t.session.as_str() == "7"));
    }

    #[test]
    fn each_mistake_has_its_code() {
        assert_eq!(code_of("{"), ErrorCode::InvalidJson);
        assert_eq!(code_of("{}"), ErrorCode::InvalidField);
        assert_eq!(code_of(r#"{"type":5}"#), ErrorCode::InvalidField);
        assert_eq!(code_of("[]"), ErrorCode::InvalidField);
        assert_eq!(code_of(r#"{"type":"publish"}"#), ErrorCode::UnknownCommand);
        assert_eq!(code_of(r#"{"type":"subscribe"}"#), ErrorCode::InvalidField);
        assert_eq!(code_of(r#"{"type":"subscribe","payload":{"events":"call.*"}}"#), ErrorCode::InvalidField);
        assert_eq!(code_of(r#"{"type":"subscribe","payload":{"events":["a b"]}}"#), ErrorCode::InvalidField);
        let many = vec!["\"x\""; 257].join(",");
        assert_eq!(
            code_of(&format!(r#"{{"type":"subscribe","payload":{{"events":[{many}]}}}}"#)),
            ErrorCode::TooManyNames
        );
        assert_eq!(code_of(r#"{"type":"chat.typing","payload":{"session_id":[]}}"#), ErrorCode::InvalidField);
        assert_eq!(code_of(&format!("{}1{}", "[".repeat(65), "]".repeat(65))), ErrorCode::InvalidField);
    }

    #[test]
    fn what_is_no_object_is_no_command() {
        for text in ["[]", "5", "null", "true", "\"ping\"", r#"["ping",null]"#, r#" ["subscribe",{"events":["a"]}]"#] {
            let error = Command::parse(text).expect_err(text);
            let told = (error.code, error.message.as_str());
            assert_eq!(told, (ErrorCode::InvalidField, "a message must be a JSON object with a type"), "{text}");
        }
        for text in ["", "[", "nope", "[] x"] {
            assert_eq!(code_of(text), ErrorCode::InvalidJson, "{text}");
        }
        assert_eq!(Command::parse(" \n{\"type\":\"ping\"}"), Ok(Command::Ping));
        assert_eq!(code_of(r#"{"type":"subscribe","payload":[["call.*"],null]}"#), ErrorCode::InvalidField);
        assert_eq!(code_of(r#"{"type":"chat.typing","payload":[7]}"#), ErrorCode::InvalidField);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ignored = Command::parse(&text);
        }
    }
}
