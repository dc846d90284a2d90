//! What the server answers, what clients say, and the one message that webhooks alone get.

use schemars::JsonSchema;
use serde::Serialize;

use super::examples::chat_typing;
use super::{Kind, MessageDescription};
use crate::{ErrorCode, EventType, Payload, Position, WebhookId};

/// Something a client asked for cannot be done, or it missed something; the connection stays.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorNotice {
    /// The code for programs.
    code: String,
    /// The sentence for people.
    message: String,
    /// With `messages_dropped`: how many events were not sent, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// With `messages_dropped`: events behind this position are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Position>,
    /// With `messages_dropped`: up to this position.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Position>,
    /// In an event stream, as the last message: why it ends, with the number of a close code.
    #[serde(skip_serializing_if = "Option::is_none")]
    close_code: Option<u16>,
}

/// What a client missed was sent before this, or cannot be.
#[derive(Debug, Serialize, JsonSchema)]
struct Resumed {
    /// Whether it has everything that it may see.
    recovered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ResumeReason>,
    /// How many of the events before this message it had missed.
    replayed: u64,
    /// What follows, follows from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// Why nothing could be replayed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ResumeReason {
    /// The first event that was missed is not kept any more.
    Expired,
    /// The position is of another epoch or tenant, or no position.
    #[expect(dead_code, reason = "a word of the schema")]
    Epoch,
    /// This node gives no positions now: keep the one you have.
    #[expect(dead_code, reason = "a word of the schema")]
    Degraded,
    /// It is more than is sent at once (`HISTORY_BYTES`).
    #[serde(rename = "too_far")]
    #[expect(dead_code, reason = "a word of the schema")]
    TooFar,
}

/// The server is about to close the connection: come back after a while.
#[derive(Debug, Serialize, JsonSchema)]
struct Reconnect {
    /// How long after the close, in milliseconds.
    after_ms: u64,
}

/// Event types, `call.*` for all that begin with `call.`, `*` for all; names of custom topics.
#[derive(Debug, Serialize, JsonSchema)]
struct Names {
    /// At most 256 names.
    #[schemars(length(max = 256))]
    events: Vec<String>,
}

/// What a client wants from now on.
#[derive(Debug, Serialize, JsonSchema)]
struct Subscribe {
    /// At most 256 names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    events: Option<Vec<String>>,
    /// Another name for `events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    topics: Option<Vec<String>>,
    /// `false` keeps everything of this connection in strict order, also when it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<bool>,
}

/// Where a client was before.
#[derive(Debug, Serialize, JsonSchema)]
struct Resume {
    /// The position of the last event that it had.
    position: String,
    /// What it subscribes to, in place of what it had subscribed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    events: Option<Vec<String>>,
}

/// A token in place of the one that the connection came with.
#[derive(Debug, Serialize, JsonSchema)]
struct Token {
    /// The same user's, and of a role that sees the same.
    token: String,
}

/// A position, for examples.
const HERE: Position = Position { epoch: 17, offset: 45 };

pub(super) fn answers() -> Vec<MessageDescription> {
    let code = ErrorCode::MessagesDropped.as_str().to_owned();
    let error = ErrorNotice {
        code,
        message: "events were not read in time".to_owned(),
        dropped: Some(3),
        after: Some(HERE),
        until: Some(Position { offset: 48, ..HERE }),
        close_code: Some(4401),
    };
    let resumed = Resumed { recovered: false, reason: Some(ResumeReason::Expired), replayed: 2, position: Some(HERE) };
    let (nothing, of) = (Payload::empty(), Kind::Answer);
    vec![
        MessageDescription::of(EventType::PONG, of, "The answer to `ping`: what came before it is in force.", &nothing),
        MessageDescription::of(
            EventType::POSITION,
            of,
            "Up to where this connection was given everything, in `position` of the envelope.",
            &nothing,
        ),
        MessageDescription::of(EventType::RESUMED, of, "The replay ends here; live events follow.", &resumed),
        MessageDescription::of(
            EventType::RECONNECT,
            of,
            "The connection is to be closed: come back after a while.",
            &Reconnect { after_ms: 1730 },
        ),
        MessageDescription::of(
            EventType::ERROR,
            of,
            "A command cannot be carried out, or something was missed; the connection stays.",
            &error,
        ),
    ]
}

pub(super) fn commands() -> Vec<MessageDescription> {
    let calls = || vec!["call.*".to_owned()];
    let subscribe = Subscribe { events: Some(calls()), topics: Some(calls()), classes: Some(true) };
    let resume = Resume { position: HERE.to_string(), events: Some(calls()) };
    let (nothing, of) = (Payload::empty(), Kind::Command);
    vec![
        MessageDescription::of(EventType::PING, of, "Answered by `pong`.", &nothing),
        MessageDescription::of(EventType::POSITION, of, "Answered by `position`.", &nothing),
        MessageDescription::of(
            EventType::parse("resume").expect("legal"),
            of,
            "Says where the client was, as its first command.",
            &resume,
        ),
        MessageDescription::of(EventType::SUBSCRIBE, of, "From then on only subscribed types arrive.", &subscribe),
        MessageDescription::of(EventType::UNSUBSCRIBE, of, "Takes names away.", &Names { events: calls() }),
        MessageDescription::of(
            EventType::parse("token").expect("legal"),
            of,
            "The connection lasts as long as this token; one that is not taken is an error, and the old one counts on.",
            &Token { token: "eyJhbGciOiJIUzI1NiIs…".to_owned() },
        ),
        MessageDescription::of(
            EventType::CHAT_TYPING,
            of,
            "Relayed to the others of that chat session, with these fields and nothing else.",
            &chat_typing(),
        ),
    ]
}

/// What a webhook is sent when it is tried out.
#[derive(Debug, Serialize, JsonSchema)]
struct WebhookTest {
    /// A sentence for people.
    message: String,
    /// Which webhook.
    webhook_id: WebhookId,
}

pub(super) fn webhook_only() -> Vec<MessageDescription> {
    let example = WebhookTest { message: "This is a test delivery.".to_owned(), webhook_id: WebhookId(42) };
    let summary = "Somebody tries out the webhook.";
    vec![MessageDescription::of(EventType::WEBHOOK_TEST, Kind::WebhookOnly, summary, &example)]
}
