//! `chat.*`: sessions, messages and typing indicators.

use serde::{Deserialize, Serialize};

use super::{MessageRef, SessionRef, is_nobody};
use crate::{SessionKey, Timestamp, UserId};

/// The `sender_type` of somebody in a public chat widget.
pub const VISITOR: &str = "visitor";

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatMessage {
    /// Which session.
    pub session_id: SessionRef,
    /// Which message.
    pub message_id: MessageRef,
    /// The sender, where it is a user.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub sender_id: Option<UserId>,
    /// `agent`, `visitor` or a deployment's own.
    #[serde(default)]
    pub sender_type: String,
    /// The sender's name.
    #[serde(default)]
    pub sender_name: String,
    /// What was said.
    #[serde(default)]
    pub body: String,
    /// When it was said.
    pub timestamp: Timestamp,
}

impl ChatMessage {
    /// This message, said by nobody in particular at this time.
    pub fn new(
        session_id: impl Into<SessionRef>,
        message_id: impl Into<MessageRef>,
        body: impl Into<String>,
        timestamp: Timestamp,
    ) -> Self {
        Self {
            session_id: session_id.into(),
            message_id: message_id.into(),
            sender_id: None,
            sender_type: String::new(),
            sender_name: String::new(),
            body: body.into(),
            timestamp,
        }
    }
}

/// One message of a chat as `chat.message.new` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewChatMessage {
    /// The message.
    #[serde(flatten)]
    pub message: ChatMessage,
    /// What the message is, such as `text`; a deployment's own word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message_type: String,
}

impl ChatMessage {
    /// This message for `chat.message.new`, as one of this type; `""` leaves that out.
    pub fn of_type(self, message_type: impl Into<String>) -> NewChatMessage {
        NewChatMessage { message: self, message_type: message_type.into() }
    }
}

/// One chat session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatSession {
    /// Which session.
    pub session_id: SessionRef,
    /// What visitors connect with, where it differs from the session's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<SessionKey>,
    /// The visitor's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub visitor_name: String,
    /// The visitor's address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub visitor_email: String,
    /// The agent concerned.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub agent_id: Option<UserId>,
    /// That agent's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent_name: String,
    /// Where the session stands, such as `waiting`, `active` or `ended`.
    #[serde(default)]
    pub status: String,
}

impl ChatSession {
    /// This session with this status, everything else empty.
    pub fn new(session_id: impl Into<SessionRef>, status: impl Into<String>) -> Self {
        Self {
            session_id: session_id.into(),
            session_key: None,
            visitor_name: String::new(),
            visitor_email: String::new(),
            agent_id: None,
            agent_name: String::new(),
            status: status.into(),
        }
    }
}

/// Somebody types, or has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatTyping {
    /// Which session.
    pub session_id: SessionRef,
    /// `agent`, `visitor` or a deployment's own.
    #[serde(default)]
    pub sender_type: String,
    /// Who types.
    #[serde(default)]
    pub sender_name: String,
    /// Whether it has begun or ended.
    #[serde(default)]
    pub is_typing: bool,
}

impl ChatTyping {
    /// Somebody unnamed begins to type in this session.
    pub fn new(session_id: impl Into<SessionRef>) -> Self {
        Self { session_id: session_id.into(), sender_type: String::new(), sender_name: String::new(), is_typing: true }
    }
}
