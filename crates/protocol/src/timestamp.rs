//! Wall time in milliseconds, the finest unit that every store keeps.

use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::rfc3339::Text;

mod rfc3339;

/// A moment: milliseconds since 1970-01-01 UTC. Prints as RFC 3339 with milliseconds and `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 time such as 2025-10-25T12:00:00Z")]
pub struct InvalidTimestamp;

/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can spell.
const MAX_MILLIS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The moment `millis` milliseconds after 1970; clamped to years 0 to 9999.
    pub const fn from_millis(millis: i64) -> Self {
        const MIN_MILLIS: i64 = -62_167_219_200_000;
        if millis > MAX_MILLIS {
            Self(MAX_MILLIS)
        } else if millis < MIN_MILLIS {
            Self(MIN_MILLIS)
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Appends the moment as it prints.
    pub(crate) fn encode_into(self, out: &mut Vec<u8>) {
        out.extend_from_slice(Text::new(self.0).as_str().as_bytes());
    }

    /// Reads RFC 3339 in any offset; finer than milliseconds is cut off.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] when it is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self::from_millis(t.timestamp_millis()))
            .map_err(|_| InvalidTimestamp)
    }

    /// The moment `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `by` earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::new(self.0).as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Text::new(self.0).as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339() {
        let moment = Timestamp::parse("2025-10-25T14:00:00.123456+02:00").expect("legal");
        assert_eq!(moment.to_string(), "2025-10-25T12:00:00.123Z");
        assert_eq!(Timestamp::parse("yesterday"), Err(InvalidTimestamp));
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert!(Timestamp::parse(&Timestamp::from_millis(i64::MIN).to_string()).is_ok());
    }
}
