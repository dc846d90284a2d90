//! How much a history holds.

use std::time::Duration;

use fred::types::Value;

/// How much of each tenant's events is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Most events (1,000), a quarter of them of opt-in types.
    pub events: usize,
    /// Most bytes of envelopes without their positions (1 MiB), a quarter of them of opt-in types. An event that has
    /// more by itself is published and not held.
    pub bytes: usize,
    /// How long an event is held (10 min), as soon as another is appended; without one the whole stream expires.
    pub age: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { events: 1_000, bytes: 1024 * 1024, age: Duration::from_mins(10) }
    }
}

impl StreamLimits {
    /// As the scripts are told.
    pub(super) fn arguments(&self) -> [Value; 3] {
        [self.events as u128, self.bytes as u128, self.age.as_millis()].map(|number| number.to_string().into())
    }
}
