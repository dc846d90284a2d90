//! Who says what is true: each source, and whether it is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fields::Key;

/// So many sources a tenant may have.
const SOURCES: usize = 64;

/// A source's name is at most so long.
const NAME_CHARS: usize = 64;

/// What is known of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) is_lost: bool,
    /// Since when it is lost, or not.
    pub(crate) since: Timestamp,
    pub(crate) lease: Option<Duration>,
    pub(crate) heard_at: Timestamp,
    /// It has said everything since the last break.
    pub(crate) is_complete: bool,
}

/// All sources of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sources(BTreeMap<Key, Source>);

#[derive(Serialize)]
struct Told<'a> {
    source: &'a Key,
    lost: bool,
    since: Timestamp,
}

/// Whether this can be a source's name: `[A-Za-z0-9_.-]`, 1 to 64 characters.
pub fn is_source_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=NAME_CHARS).contains(&name.len()) && name.chars().all(is_allowed)
}

impl Sources {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    pub(crate) fn is_lost(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|source| source.is_lost)
    }

    /// Notes that there is such a source; whether it is new. `None` where there are too many.
    pub(crate) fn hear(&mut self, name: &Key, at: Timestamp) -> Option<bool> {
        if self.0.contains_key(name) {
            return Some(false);
        }
        if self.0.len() >= SOURCES {
            return None;
        }
        let new = Source { is_lost: false, since: at, lease: None, heard_at: at, is_complete: false };
        self.0.insert(name.clone(), new);
        Some(true)
    }

    /// The source has said something for itself: it is there, for its lease again. Whether that is a change to be told.
    pub(crate) fn renew(&mut self, name: &str, at: Timestamp) -> bool {
        let Some(source) = self.0.get_mut(name) else { return false };
        source.heard_at = at;
        set_lost(source, false, at)
    }

    /// The source is lost, or back. Whether that is a change.
    pub(crate) fn set_lost(&mut self, name: &str, is_lost: bool, at: Timestamp) -> bool {
        self.0.get_mut(name).is_some_and(|source| set_lost(source, is_lost, at))
    }

    /// A sync says how long the source may be silent: without a lease for ever.
    pub(crate) fn set_lease(&mut self, name: &str, lease: Option<Duration>) {
        if let Some(source) = self.0.get_mut(name) {
            source.lease = lease;
        }
    }

    /// Nobody has said everything any more.
    pub(crate) fn mark_incomplete(&mut self) {
        self.0.values_mut().for_each(|source| source.is_complete = false);
    }

    /// The source has said everything; whether now all have.
    pub(crate) fn set_complete(&mut self, name: &str) -> bool {
        if let Some(source) = self.0.get_mut(name) {
            source.is_complete = true;
        }
        self.0.values().all(|source| source.is_complete)
    }

    /// Those whose lease has run out at `now`, and nobody has said so yet.
    pub(crate) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &Key> {
        let is_over = move |source: &Source| source.lease.is_some_and(|lease| source.heard_at.after(lease) <= now);
        self.0.iter().filter(move |(_, source)| !source.is_lost && is_over(source)).map(|(name, _)| name)
    }

    /// Those that have been lost since `limit` or longer.
    pub(crate) fn lost_before(&self, limit: Timestamp) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |(_, source)| source.is_lost && source.since <= limit).map(|(name, _)| name)
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// As clients are told: `[{"source","lost","since"}]`.
    pub(crate) fn encode(&self) -> String {
        let told = self.0.iter().map(|(source, known)| Told { source, lost: known.is_lost, since: known.since });
        serde_json::to_string(&told.collect::<Vec<_>>()).expect("texts and times serialise")
    }
}

fn set_lost(source: &mut Source, is_lost: bool, at: Timestamp) -> bool {
    if source.is_lost == is_lost {
        return false;
    }
    (source.is_lost, source.since) = (is_lost, at);
    true
}
