//! Newtypes for everything that is looked up by a key.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Timestamp, limits};

/// A value that cannot be the id it was offered as. Its text names the field and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidId {
    /// The field, as the contract spells it.
    pub field: &'static str,
    /// What is wrong with the value, with the limit it broke.
    pub problem: String,
}

impl InvalidId {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// Checks length and alphabet; `allowed` describes the alphabet to people.
pub(crate) fn check_text(
    field: &'static str,
    text: &str,
    max_chars: usize,
    allowed: &str,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::new(field, "must not be empty"));
    }
    let n_chars = text.chars().count();
    if n_chars > max_chars {
        return Err(InvalidId::new(field, format!("has {n_chars} characters, at most {max_chars} are allowed")));
    }
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(bad) => Err(InvalidId::new(field, format!("holds {bad:?}, only {allowed} are allowed"))),
        None => Ok(()),
    }
}

/// Declares a shared text id: cheap to clone, checked when made.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:expr, $allowed:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// [`InvalidId`] naming the field and the limit.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check_text($field, text, $max, $allowed, $check)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// One customer company: the isolation boundary, part of every key.
    TenantId, "tenant_id", limits::TENANT_ID_CHARS, "A-Z a-z 0-9 _ -",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
);

impl TenantId {
    /// For what a node does on nobody's behalf, such as finding out whether it works: no token, no event and no
    /// setting can name it. Printed as nothing.
    pub fn nobody() -> Self {
        Self(Arc::from(""))
    }
}

text_id!(
    /// One event. Chosen by the publisher (unique per tenant for 24 h) or made by us (a version 7 UUID).
    EventId, "id", limits::EVENT_ID_CHARS, "A-Z a-z 0-9 _ . : -",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
);

text_id!(
    /// One public chat session, as visitors know it.
    SessionKey, "session_id", limits::SESSION_KEY_CHARS, "printable characters",
    |c| !c.is_control()
);

text_id!(
    /// A deployment's own named stream within a tenant.
    Topic, "topic", limits::TOPIC_CHARS, "A-Z a-z 0-9 _ . : -",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
);

text_id!(
    /// One server process.
    NodeId, "node_id", 64, "A-Z a-z 0-9 _ . : -",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
);

text_id!(
    /// The duty to inform one webhook of one event; the same on every attempt.
    DeliveryId, "delivery_id", 64, "A-Z a-z 0-9 _ . : -",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')
);

/// A version 7 UUID at `now`: ids made later sort later, to the millisecond.
fn uuid_at(now: Timestamp) -> uuid::Uuid {
    let millis = now.as_millis().max(0) as u64;
    let nanos = (millis % 1_000) as u32 * 1_000_000;
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1_000, nanos))
}

impl EventId {
    /// A fresh id that sorts by `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(Arc::from(&*uuid_at(now).hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())))
    }

    /// When it was generated, where it looks like an id of ours.
    pub fn generated_at(&self) -> Option<Timestamp> {
        let id = uuid::Uuid::try_parse(self.as_str()).ok().filter(|id| id.get_version_num() == 7)?;
        let (seconds, nanos) = id.get_timestamp()?.to_unix();
        i64::try_from(seconds * 1_000 + u64::from(nanos) / 1_000_000).ok().map(Timestamp::from_millis)
    }
}

impl DeliveryId {
    /// A fresh id that sorts by `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(Arc::from(uuid_at(now).hyphenated().to_string()))
    }
}

impl NodeId {
    /// A fresh id that sorts by `now`.
    pub fn generate(now: Timestamp) -> Self {
        Self(Arc::from(uuid_at(now).simple().to_string()))
    }
}

/// One WebSocket connection, from attach to detach, unique within its node's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:x}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One webhook registration: the row's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookId(pub i64);

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_id_is_checked_and_the_message_names_the_limit() {
        assert!(TenantId::parse("tenant-123_A").is_ok());
        assert!(TenantId::parse(TenantId::nobody().as_str()).is_err(), "nobody can be named");
        let long = "x".repeat(37);
        assert_eq!(
            TenantId::parse(&long).expect_err("too long").to_string(),
            "tenant_id has 37 characters, at most 36 are allowed"
        );
        for bad in ["", "a b", "a{b}", "ü", "a:b"] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_are_legal_and_sort_by_time() {
        let earlier = EventId::generate(Timestamp::from_millis(1_000));
        let later = EventId::generate(Timestamp::from_millis(2_000));
        assert!(earlier < later);
        assert!(EventId::parse(later.as_str()).is_ok());
        let at = Timestamp::from_millis(1_761_393_600_123);
        assert_eq!(EventId::generate(at).generated_at(), Some(at));
        assert_eq!(EventId::parse("order-4711").expect("legal").generated_at(), None);
    }
}
