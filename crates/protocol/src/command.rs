//! What a client may say over its WebSocket.

mod token;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::payloads::{ChatTyping, SessionRef};
use crate::{
    ErrorCode, NamedSession, Payload, Position, Secret, SessionName, SessionNames, SubscriptionName, clipped, json,
    limits,
};

/// One client command, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Answered with a pong.
    Ping,
    /// Asks up to where the connection was given everything.
    Position,
    /// Says where the client was before.
    Resume(ResumeCommand),
    /// Adds names to the connection's subscription.
    Subscribe(SubscribeCommand),
    /// Takes names away.
    Unsubscribe(Vec<SubscriptionName>),
    /// A token in place of the one that the client connected with.
    Token(Secret),
    /// Relayed to the others of a chat session.
    Typing(TypingCommand),
}

/// What a client wants from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscribeCommand {
    /// Names to be added; `None` where the subscription stays as it is.
    pub events: Option<Vec<SubscriptionName>>,
    /// Whether it is given urgent events first when it does not read in time; `None` where that stays as it is.
    pub classes: Option<bool>,
}

/// What a client says that comes back.
#[derive(Debug, Clone, PartialEq)]
pub struct ResumeCommand {
    /// The position of the last event that it had; `None` where what it says is no position.
    pub position: Option<Position>,
    /// What it subscribes to from now on, in place of what it had subscribed to.
    pub events: Option<Vec<SubscriptionName>>,
}

/// A typing indicator on its way to the others of its session.
#[derive(Debug, Clone, PartialEq)]
pub struct TypingCommand {
    /// The session it belongs to.
    pub session: SessionName,
    /// Its known fields; whatever else the client sent is left behind.
    pub typing: ChatTyping,
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
    /// An error with this code and sentence, of which the middle is left out where it is longer than
    /// [`limits::ERROR_MESSAGE_BYTES`]: a parser quotes what it was given.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: clipped(message.into(), limits::ERROR_MESSAGE_BYTES) }
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
struct RawResume<'a> {
    #[serde(borrow)]
    position: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RawTyping<'a> {
    /// As it is spelled: a number stays one.
    session_id: Option<SessionRef>,
    #[serde(borrow)]
    sender_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sender_name: Option<Cow<'a, str>>,
    is_typing: Option<bool>,
}

/// What clients may say.
const KINDS: &str = "ping, position, resume, subscribe, unsubscribe, token and chat.typing";

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
            return Err(invalid(format!("type is missing: send one of {KINDS}")));
        };
        match &*kind {
            "ping" => Ok(Self::Ping),
            "position" => Ok(Self::Position),
            "resume" => resume(raw.payload).map(Self::Resume),
            "subscribe" => subscribe(raw.payload).map(Self::Subscribe),
            "unsubscribe" => Ok(Self::Unsubscribe(names(raw.payload)?)),
            "token" => token::token(raw.payload).map(Self::Token),
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
    format!("unknown type {shown:?}: clients may send {KINDS}")
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

#[derive(Deserialize)]
struct RawClasses {
    classes: Option<bool>,
}

fn subscribe(payload: Option<&RawValue>) -> Result<SubscribeCommand, CommandError> {
    let raw: Option<Result<RawClasses, _>> = payload.map(|payload| serde_json::from_str(payload.get()));
    // What is no object is told as what is wrong with the names.
    let classes = match raw {
        Some(Err(e)) if payload.is_some_and(|payload| is_object(payload.get())) => {
            return Err(invalid(format!("payload.classes must be true or false: {e}")));
        }
        Some(Ok(raw)) => raw.classes,
        Some(Err(_)) | None => None,
    };
    match names(payload) {
        Ok(events) => Ok(SubscribeCommand { events: Some(events), classes }),
        Err(error) if classes.is_none() || has_names(payload) => Err(error),
        Err(_none) => Ok(SubscribeCommand { events: None, classes }),
    }
}

/// Whether the payload has names, good or bad.
fn has_names(payload: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct Names<'a> {
        #[serde(borrow)]
        events: Option<&'a RawValue>,
        #[serde(borrow)]
        topics: Option<&'a RawValue>,
    }
    let names: Option<Names<'_>> = payload.and_then(|payload| serde_json::from_str(payload.get()).ok());
    names.is_some_and(|names| names.events.is_some() || names.topics.is_some())
}

fn resume(payload: Option<&RawValue>) -> Result<ResumeCommand, CommandError> {
    let wanted = "payload.position must be the position of the last event you had, as text";
    let payload = payload.filter(|payload| is_object(payload.get())).ok_or_else(|| invalid(wanted))?;
    let raw: RawResume<'_> = serde_json::from_str(payload.get()).map_err(|e| invalid(format!("{wanted}: {e}")))?;
    let position = raw.position.ok_or_else(|| invalid(wanted))?.parse().ok();
    let events = has_names(Some(payload)).then(|| names(Some(payload))).transpose()?;
    if events.as_ref().is_some_and(Vec::is_empty) {
        // As in the URL: an empty list would leave out everything.
        return Err(invalid("payload.events names no event type: leave it out to get everything"));
    }
    Ok(ResumeCommand { position, events })
}

/// Takes the known fields out, each within its bound: what a client sends goes to everybody of a session.
fn typing(payload: Option<&RawValue>) -> Result<TypingCommand, CommandError> {
    let payload = payload.ok_or_else(|| invalid("payload is missing"))?;
    let payload = Payload::from_raw(payload).map_err(|e| invalid(e.to_string()))?;
    let names = SessionNames::read(&payload);
    for (field, name) in [("session_key", &names.session_key), ("session_id", &names.session_id)] {
        if let NamedSession::Unusable(problem) = name {
            return Err(invalid(format!("payload.{field} {problem}")));
        }
    }
    let session = names.name().ok_or_else(|| invalid("payload.session_id must be an integer or a string"))?;
    let raw: RawTyping<'_> =
        serde_json::from_str(payload.as_str()).map_err(|e| invalid(format!("payload has a wrong field: {e}")))?;
    typing_field("session_id", session.text().as_str())?;
    let typing = ChatTyping {
        session_id: raw.session_id.unwrap_or_else(|| SessionRef::from(session.text())),
        sender_type: typing_field("sender_type", &raw.sender_type.unwrap_or_default())?,
        sender_name: typing_field("sender_name", &raw.sender_name.unwrap_or_default())?,
        is_typing: raw.is_typing.unwrap_or_default(),
    };
    Ok(TypingCommand { session, typing })
}

fn typing_field(field: &str, text: &str) -> Result<String, CommandError> {
    if text.len() > limits::TYPING_FIELD_BYTES {
        let message =
            format!("payload.{field} has {} bytes, at most {} are allowed", text.len(), limits::TYPING_FIELD_BYTES);
        return Err(CommandError::new(ErrorCode::TooLarge, message));
    }
    Ok(text.to_owned())
}

impl TypingCommand {
    /// The payload that is relayed: the four known fields and nothing else.
    ///
    /// # Errors
    /// `too_large` when they take more than [`limits::TYPING_BYTES`] as JSON, where a character may take six.
    pub fn payload(&self) -> Result<Payload, CommandError> {
        let payload = Payload::from_serialize(&self.typing).map_err(|e| invalid(e.to_string()))?;
        let n_bytes = payload.as_str().len();
        if n_bytes > limits::TYPING_BYTES {
            let message = format!("payload has {n_bytes} bytes, at most {} are allowed", limits::TYPING_BYTES);
            return Err(CommandError::new(ErrorCode::TooLarge, message));
        }
        Ok(payload)
    }
}

#[cfg(test)]
mod tests;
