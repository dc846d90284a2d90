//! `notification`, `alert` and `error`: what the system tells people.

use serde::{Deserialize, Serialize};

use super::NotificationRef;
use crate::Payload;

/// A note to one user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notification {
    /// Which notification.
    pub id: NotificationRef,
    /// What kind, such as `info` or a deployment's own.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The headline.
    #[serde(default)]
    pub title: String,
    /// The text.
    #[serde(default)]
    pub message: String,
    /// Anything more, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Payload>,
}

impl Notification {
    /// This note without a kind and without data.
    pub fn new(id: impl Into<NotificationRef>, title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { id: id.into(), kind: String::new(), title: title.into(), message: message.into(), data: None }
    }
}

/// A warning to the whole tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Alert {
    /// The headline.
    pub title: String,
    /// The text.
    pub message: String,
}

impl Alert {
    /// This warning.
    pub fn new(title: impl Into<String>, message: impl Into<String>) -> Self {
        Self { title: title.into(), message: message.into() }
    }
}

/// What went wrong, as told over a WebSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ErrorNotice {
    /// The code for programs, see [`ErrorCode`](crate::ErrorCode).
    pub code: String,
    /// The sentence for people.
    pub message: String,
}
