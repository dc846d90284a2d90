//! What has to be published for a sync, in this order: the ends of calls, then the record that the fold reads.

use crate::entries::{Call, Phase};
use crate::fields::Key;
use crate::record::{SOURCE_BACK, SYNC_RECORD};
use crate::state::State;
use crate::sync::reported::Sync;
use crate::times::{Due, end};

/// What to publish, one after the other, so that a sync takes effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Ordinary `call.ended` events of calls that the source does not name any more, and `source.back` where the
    /// source was lost.
    pub events: Vec<Due>,
    /// How many calls end.
    pub n_ended: usize,
    /// The record of type [`SYNC_RECORD`], which no client and no webhook sees.
    pub record: Due,
}

impl State {
    /// What follows from a sync, as things stand; `None` for the renewal of a source that nobody has heard of.
    pub fn plan(&self, sync: &Sync) -> Option<Plan> {
        let known = self.sources.get(&sync.source);
        if sync.is_renewal && known.is_none() {
            return None;
        }
        let mut sync = sync.clone();
        sync.as_of = sync.as_of.or_else(|| self.position.map(|position| (position.epoch, position.offset)));
        let as_of = self.as_of(&sync);
        let ends = self.model.calls.iter().filter(|(key, call)| is_over(&sync, key, call, as_of));
        let mut events: Vec<Due> =
            ends.map(|(key, call)| Due { event_type: "call.ended", payload: end(key, call, "reconciled") }).collect();
        let n_ended = events.len();
        if known.is_some_and(|source| source.is_lost) {
            let payload = serde_json::json!({ "source": &*sync.source }).to_string();
            events.push(Due { event_type: SOURCE_BACK, payload });
        }
        let payload = serde_json::to_string(&sync).expect("texts, numbers and times serialise");
        Some(Plan { events, n_ended, record: Due { event_type: SYNC_RECORD, payload } })
    }

    /// The last offset that a sync knows of; in another epoch none of this one.
    pub(crate) fn as_of(&self, sync: &Sync) -> u64 {
        let (now, reported) = (self.position, sync.as_of);
        match now.zip(reported) {
            Some((now, (epoch, offset))) if now.epoch == epoch => offset,
            _ => 0,
        }
    }
}

/// Whether a sync says that a call is over.
fn is_over(sync: &Sync, key: &Key, call: &Call, as_of: u64) -> bool {
    if call.is_ended || call.source.as_ref() != Some(&sync.source) || call.last_update.offset > as_of {
        return false;
    }
    match sync.calls.as_ref().map(|calls| calls.get(key)) {
        None => false,
        Some(None) => sync.complete,
        Some(Some(reported)) => reported.phase == Phase::Ended,
    }
}
