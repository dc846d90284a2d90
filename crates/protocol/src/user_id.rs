//! User ids: numbers in most deployments, text in others.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::{InvalidId, check_text};
use crate::limits;

/// An agent, supervisor, admin or service of one tenant.
///
/// A canonical decimal 64-bit integer is a number whether it came as `456` or as `"456"`, so that
/// both spellings name the same user; anything else is text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserId {
    /// Goes out as a JSON number.
    Number(i64),
    /// Goes out as a JSON string.
    Text(Arc<str>),
}

impl UserId {
    /// Reads the text form: digits become a number, anything else legal stays text.
    ///
    /// # Errors
    /// [`InvalidId`] when it is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if let Some(number) = canonical_i64(text) {
            return Ok(Self::Number(number));
        }
        // Subjects of identity providers: `auth0|5f7c8e`, UUIDs, e-mail addresses, base64url. None needs an
        // escape in JSON, and none means something in a key or pattern of Redis.
        let is_allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '|' | ':' | '+' | '=' | '-');
        check_text("user_id", text, limits::USER_ID_CHARS, "A-Z a-z 0-9 _ . @ | : + = -", is_allowed)?;
        Ok(Self::Text(Arc::from(text)))
    }

    /// Whether this is the number 0, which on the wire between nodes means "the whole tenant".
    pub fn is_zero(&self) -> bool {
        *self == Self::Number(0)
    }
}

/// `Some` only when printing the number gives the text back (`007`, `+7` and `-0` stay text).
fn canonical_i64(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = matches!(digits.as_bytes(), [b'0'] | [b'1'..=b'9', ..]) && text != "-0";
    if canonical { text.parse().ok() } else { None }
}

impl From<i64> for UserId {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => fmt::Display::fmt(number, f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UserIdVisitor)
    }
}

struct UserIdVisitor;

impl de::Visitor<'_> for UserIdVisitor {
    type Value = UserId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("user_id as a 64-bit integer or a string")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<UserId, E> {
        Ok(UserId::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<UserId, E> {
        i64::try_from(number).map(UserId::Number).map_err(|_| E::custom("user_id does not fit 64 bits with a sign"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<UserId, E> {
        UserId::parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_number_are_one_user() {
        let check = |json: &str, printed: &str| {
            let user: UserId = serde_json::from_str(json).expect(json);
            assert_eq!(serde_json::to_string(&user).expect("prints"), printed, "{json}");
        };
        check("456", "456");
        check("\"456\"", "456");
        check("\"-7\"", "-7");
        check("\"007\"", "\"007\"");
        check("\"-0\"", "\"-0\"");
        check("\"9223372036854775808\"", "\"9223372036854775808\"");
        check("\"user-123\"", "\"user-123\"");
        for subject in ["auth0|5f7c8e", "a+b@x.example", "urn:x:7", "YWJj==", "9f8b1c2e-0000-4000-8000-000000000000"] {
            check(&format!("\"{subject}\""), &format!("\"{subject}\""));
        }
        check(&format!("\"{}\"", "x".repeat(64)), &format!("\"{}\"", "x".repeat(64)));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("\"{}\"", "x".repeat(65));
        let braces = ["\"a{b}\"", "\"a*\"", "\"a/b\"", "\"a\\\\b\"", "\"é\"", &long];
        for bad in ["1.5", "true", "null", "\"\"", "\"a b\"", "[1]", "9223372036854775808"].iter().chain(&braces) {
            assert!(serde_json::from_str::<UserId>(bad).is_err(), "{bad}");
        }
    }
}
