//! What a client may name in a subscription.

use std::fmt;
use std::sync::Arc;

use crate::ids::{InvalidId, check_text};
use crate::{EventType, limits};

/// One name of a subscription: an event type, a topic, or a pattern such as `call.*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubscriptionName {
    /// Matches the event type or topic of exactly this name.
    Exact(Arc<str>),
    /// Matches every event type that starts with this text (the pattern without its `*`); `*` alone
    /// matches every event type. Topics must be named exactly.
    Prefix(Arc<str>),
}

impl SubscriptionName {
    /// Reads `call.incoming`, `my:topic`, `call.*` or `*`.
    ///
    /// # Errors
    /// [`InvalidId`] naming the limit.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if text == "*" {
            return Ok(Self::Prefix(Arc::from("")));
        }
        let (body, is_prefix) = match text.strip_suffix(".*") {
            Some(_) => (&text[..text.len() - 1], true),
            None => (text, false),
        };
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
        check_text("events", body, limits::TOPIC_CHARS, "A-Z a-z 0-9 _ . : - (and .* at the end)", is_allowed)?;
        Ok(if is_prefix { Self::Prefix(Arc::from(body)) } else { Self::Exact(Arc::from(body)) })
    }

    /// Whether events of this type are meant.
    pub fn matches_type(&self, event_type: &EventType) -> bool {
        match self {
            Self::Exact(name) => **name == *event_type.as_str(),
            Self::Prefix(prefix) => event_type.as_str().starts_with(&**prefix),
        }
    }
}

impl fmt::Display for SubscriptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_patterns_and_topics_are_read() {
        let matches = |name: &str, event_type: &str| {
            SubscriptionName::parse(name).expect(name).matches_type(&EventType::parse(event_type).expect(event_type))
        };
        assert!(matches("call.incoming", "call.incoming"));
        assert!(!matches("call.incoming", "call.incoming.x"));
        assert!(matches("call.*", "call.ended"));
        assert!(!matches("call.*", "call"));
        assert!(!matches("call.*", "callback.ended"));
        assert!(matches("*", "alert"));
        assert!(SubscriptionName::parse("Room:7").is_ok());
        for bad in ["", "call*", "a b", ".*x", "ca*ll.*", &"x".repeat(101)] {
            assert!(SubscriptionName::parse(bad).is_err(), "{bad}");
        }
    }
}
