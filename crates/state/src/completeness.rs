//! Whether the state is all there is, and if not, why.

use hookswitch_protocol::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a state is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Incomplete {
    /// Events are missing that would have changed it.
    Gap,
    /// The node is without sight of the others.
    Degraded,
    /// There was no room for everything.
    Full,
}

impl Incomplete {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Degraded => "degraded",
            Self::Full => "full",
        }
    }
}

/// Since when, and why, a state is not complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Completeness {
    pub(crate) broken: Option<(Timestamp, Incomplete)>,
    /// What was told last, so that a change of it by the clock is told.
    #[serde(skip)]
    pub(crate) told: Option<Incomplete>,
}

impl Completeness {
    /// Something is missing from before this time.
    pub(crate) fn broken(at: Timestamp) -> Self {
        Self { broken: Some((at, Incomplete::Gap)), told: Some(Incomplete::Gap) }
    }
}
