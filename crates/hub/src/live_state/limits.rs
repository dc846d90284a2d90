//! How much live state is held.

use std::time::Duration;

use hookswitch_state::StateSettings;

/// The bounds of live state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLimits {
    /// Spans and bytes of one tenant's state.
    pub tenant: StateSettings,
    /// Bytes of all tenants' entries, as compact JSON (256 MiB); the state that was not read for longest goes first.
    pub total_bytes: usize,
    /// A state that nobody read for so long is let go of (24 h).
    pub keep: Duration,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { tenant: StateSettings::default(), total_bytes: 256 * 1024 * 1024, keep: Duration::from_hours(24) }
    }
}
