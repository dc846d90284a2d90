//! Whether the state is all there is, and if not, why.

use hookswitch_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::State;

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
    broken: Option<(Timestamp, Incomplete)>,
    /// What was told last, so that a change of it by the clock is told.
    #[serde(skip)]
    told: Option<Incomplete>,
}

impl Completeness {
    /// Something is missing from before this time.
    pub(crate) fn broken(at: Timestamp) -> Self {
        Self { broken: Some((at, Incomplete::Gap)), told: Some(Incomplete::Gap) }
    }
}

impl State {
    /// Why the state is not complete, as of the last [`State::tick`]; `None` where it is.
    pub fn incomplete(&self) -> Option<Incomplete> {
        if self.position.is_none() {
            return Some(Incomplete::Degraded);
        }
        let (at, reason) = self.completeness.broken?;
        let is_over = self.sources.is_empty() && at.after(self.settings.call_max_age) <= self.clock;
        if is_over && self.is_within_bound() { None } else { Some(reason) }
    }

    /// Events are missing from here on.
    pub(crate) fn begin_break(&mut self, at: Timestamp) {
        self.completeness.broken = Some((at, Incomplete::Gap));
        self.sources.begin_break();
        self.completeness_changed();
    }

    /// Something had no room.
    pub(crate) fn refused(&mut self) {
        let reason = self.completeness.broken.map_or(Incomplete::Full, |(_, reason)| reason);
        self.completeness.broken = Some((self.at(), reason));
        self.sources.begin_break();
        self.completeness_changed();
    }

    /// A source has said everything.
    pub(crate) fn said_everything(&mut self, source: &str) {
        if self.sources.set_complete(source) && self.is_within_bound() {
            self.completeness.broken = None;
        }
        self.completeness_changed();
    }

    /// Notes it where what is told has changed.
    pub(crate) fn completeness_changed(&mut self) {
        let now = self.incomplete();
        if now != self.completeness.told {
            self.completeness.told = now;
            self.complete_version = self.picture.next_version();
        }
    }
}
