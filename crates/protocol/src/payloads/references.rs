//! Ids of a deployment's own things: integers in some, text in others, never changed on the way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SessionKey;
use crate::ids::InvalidId;

macro_rules! references {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(untagged)]
        pub enum $name {
            /// Goes out as a JSON number.
            Number(i64),
            /// Goes out as a JSON string.
            Text(String),
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self::Number(number)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::Text(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::Text(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Number(number) => fmt::Display::fmt(number, f),
                    Self::Text(text) => f.write_str(text),
                }
            }
        }
    )*};
}

references! {
    /// A tenant's name for a chat session.
    SessionRef,
    /// A tenant's name for a chat message.
    MessageRef,
    /// A tenant's name for a notification.
    NotificationRef,
}

impl SessionRef {
    /// The key visitors would use, were this the session's key.
    ///
    /// # Errors
    /// [`InvalidId`] when the text cannot be a key.
    pub fn key(&self) -> Result<SessionKey, InvalidId> {
        match self {
            Self::Number(number) => SessionKey::parse(&number.to_string()),
            Self::Text(text) => SessionKey::parse(text),
        }
    }
}

impl From<&SessionKey> for SessionRef {
    fn from(key: &SessionKey) -> Self {
        Self::Text(key.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_as_it_came() {
        for text in ["7", "\"7\"", "\"s-1\"", "-3"] {
            let session: SessionRef = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&session).expect("prints"), text);
        }
        for bad in ["1.5", "null", "[]", "true"] {
            assert!(serde_json::from_str::<SessionRef>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_spellings_name_one_key() {
        assert_eq!(SessionRef::from(7).key(), SessionRef::from("7").key());
        assert!(SessionRef::from("").key().is_err());
    }
}
