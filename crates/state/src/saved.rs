//! The state as it is stored: at its position, whole, and independent of any node's clock.

use hookswitch_protocol::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::completeness::Completeness;
use crate::model::Model;
use crate::section::Section;
use crate::settings::StateSettings;
use crate::sources::Sources;
use crate::state::State;
use crate::view::EntryKey;

/// Grows with every change of what stands in it.
const FORMAT: u32 = 1;

/// A stored state that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no stored state.
    #[error("a stored state cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("a stored state has format {0}, this version reads {FORMAT}")]
    Format(u32),
}

#[derive(Serialize)]
struct ToSave<'a> {
    format: u32,
    position: Option<(u64, u64)>,
    fold_time: Timestamp,
    completeness: &'a Completeness,
    sources: &'a Sources,
    model: &'a Model,
}

#[derive(Deserialize)]
struct Saved {
    format: u32,
    position: Option<(u64, u64)>,
    fold_time: Timestamp,
    completeness: Completeness,
    sources: Sources,
    model: Model,
}

impl State {
    /// The state as JSON, to go on from its position somewhere else, or after a restart.
    pub fn save(&self) -> String {
        let saved = ToSave {
            format: FORMAT,
            position: self.position.map(|position| (position.epoch, position.offset)),
            fold_time: self.fold_time,
            completeness: &self.completeness,
            sources: &self.sources,
            model: &self.model,
        };
        serde_json::to_string(&saved).expect("texts, numbers and times serialise")
    }

    /// What was saved, shown as of `now`. Readers of before are given a snapshot.
    ///
    /// # Errors
    /// [`Unreadable`] when it was not saved by this version.
    pub fn restore(saved: &str, settings: StateSettings, now: Timestamp) -> Result<Self, Unreadable> {
        let saved: Saved = serde_json::from_str(saved)?;
        if saved.format != FORMAT {
            return Err(Unreadable::Format(saved.format));
        }
        let position = saved.position.map(|(epoch, offset)| Position { epoch, offset });
        let mut state = Self::new(settings, position, now, true);
        (state.model, state.sources, state.completeness) = (saved.model, saved.sources, saved.completeness);
        state.fold_time = saved.fold_time;
        state.model.rebuild();
        state.touched = state.all_keys();
        state.commit();
        state.view.forget_before(state.offset());
        state.completeness_changed();
        Ok(state)
    }

    fn all_keys(&self) -> std::collections::BTreeSet<EntryKey> {
        let model = &self.model;
        let keys = model.agents.keys().map(|key| (Section::Agents, key));
        let keys = keys.chain(model.calls.keys().map(|key| (Section::Calls, key)));
        let keys = keys.chain(model.queues.keys().map(|key| (Section::Queues, key)));
        let keys = keys.chain(model.members.keys().map(|key| (Section::Members, key)));
        let keys = keys.chain(model.waiting.keys().map(|key| (Section::Waiting, key)));
        let keys = keys.chain(model.chats.keys().map(|key| (Section::Chats, key)));
        keys.map(|(section, key)| (section, key.clone())).collect()
    }
}
