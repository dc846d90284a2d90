//! A place in the order of a tenant's events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The place of an event among its tenant's, written `<epoch>:<offset>`.
///
/// Within an epoch each event has the next offset, so that a hole is visible. A new epoch begins where that can no
/// longer be promised; positions of different epochs say nothing about each other, and epochs are unique over tenants.
///
/// Of one tenant, a later epoch is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which counting.
    pub epoch: u64,
    /// The how manieth event of it, from 1; 0 is the place before the first.
    pub offset: u64,
}

/// A text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is <epoch>:<offset>, two decimal numbers")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    /// Reads what [`Position`] prints, and nothing else: no sign, no space.
    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let number = |digits: &str| {
            let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_decimal)
        };
        let (epoch, offset) = text.split_once(':').ok_or(InvalidPosition)?;
        Ok(Self { epoch: number(epoch).ok_or(InvalidPosition)?, offset: number(offset).ok_or(InvalidPosition)? })
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(epoch: u64, offset: u64) {
            let position = Position { epoch, offset };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
            let json = serde_json::to_string(&position).expect("a text");
            prop_assert_eq!(serde_json::from_str::<Position>(&json).expect("the same"), position);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _any = text.parse::<Position>();
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", ":", "1:", ":1", "1", "+1:2", "1:-2", " 1:2", "1:2:3", "1:18446744073709551616", "a:b"] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text:?}");
        }
    }
}
