//! When the state ceases to be complete, and when it is complete again.

use hookswitch_protocol::Timestamp;

use crate::completeness::Incomplete;
use crate::state::State;

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
    pub(crate) fn mark_incomplete(&mut self, at: Timestamp) {
        self.completeness.broken = Some((at, Incomplete::Gap));
        self.sources.mark_incomplete();
        self.completeness_changed();
    }

    /// Something had no room.
    pub(crate) fn refused(&mut self) {
        let reason = self.completeness.broken.map_or(Incomplete::Full, |(_, reason)| reason);
        self.completeness.broken = Some((self.at(), reason));
        self.sources.mark_incomplete();
        self.completeness_changed();
    }

    /// A source has said everything.
    pub(crate) fn reported_everything(&mut self, source: &str) {
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
            self.complete_version = self.view.next_version();
        }
    }
}
