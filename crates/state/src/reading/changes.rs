//! What has changed since a reader was last told: the latest of each entry, however often it changed.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch_protocol::Position;

use crate::reading::body::{Body, string};
use crate::reading::subscription::StateSubscription;
use crate::section::Section;
use crate::state::State;
use crate::view::From;

/// Up to where a reader was told everything, on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader(u64);

/// What a reader is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing of what it wants has changed.
    None,
    /// The payload of `state.changed`.
    Changed(String),
    /// Too much has changed, or nobody knows: a snapshot.
    Snapshot,
}

impl State {
    /// A reader who has just been given a snapshot.
    pub fn reader(&self) -> Reader {
        Reader(self.view.version())
    }

    /// What changed since. Readers with equal subscriptions who were told equally far are told the same, so it is
    /// written once for all of them; who reads slowly asks when it reads again, and gets the latest.
    pub fn changes_since(&self, wanted: &StateSubscription, reader: Reader) -> Changes {
        self.changes(wanted, From::Version(reader.0))
    }

    /// What changed since a position of before, on any node; a snapshot where that is not known.
    pub fn changes_since_position(&self, wanted: &StateSubscription, position: Position) -> Changes {
        match self.position() {
            Some(now) if now.epoch == position.epoch && position.offset <= now.offset => {
                self.changes(wanted, From::Offset(position.offset))
            }
            _ => Changes::Snapshot,
        }
    }

    fn changes(&self, wanted: &StateSubscription, from: From) -> Changes {
        if !self.view.reaches(from) {
            return Changes::Snapshot;
        }
        let mut set = BTreeMap::new();
        let mut removed = BTreeSet::new();
        let changed = self.view.changed(from);
        let marked = self.marked_by_the_clock(from);
        for ((section, key), shown) in changed.chain(marked) {
            if wanted.wants(*section, &shown.queues) {
                if !wanted.is_for_all_queues() || shown.has_new_json(from) {
                    set.insert((*section, &**key), &*shown.json);
                }
            } else if shown.may_have_matched(from, |queues| wanted.wants(*section, queues)) {
                removed.insert((*section, &**key));
            }
        }
        for removal in self.view.removed(from) {
            let (section, key) = &removal.key;
            let shown = self.view.get(&removal.key);
            if !shown.is_some_and(|shown| wanted.wants(*section, &shown.queues))
                && removal.may_have_matched(from, |queues| wanted.wants(*section, queues))
            {
                removed.insert((*section, &**key));
            }
        }
        if matches!(from, From::Offset(_)) {
            // Another node's clock may not have hidden them yet when it gave the position.
            removed.extend(self.hidden.iter().map(|(section, key)| (*section, &**key)));
        }
        removed.retain(|(section, _)| wanted.sections().has(*section));
        self.written(&set, &removed, from)
    }

    /// Entries that a clock has marked, at whatever place.
    fn marked_by_the_clock(&self, from: From) -> impl Iterator<Item = (&crate::view::EntryKey, &crate::view::Shown)> {
        let stale = self.stale.iter().filter(move |_| matches!(from, From::Offset(_)));
        stale.filter_map(|key| Some((key, self.view.get(key)?)))
    }

    fn written(
        &self,
        set: &BTreeMap<(Section, &str), &str>,
        removed: &BTreeSet<(Section, &str)>,
        from: From,
    ) -> Changes {
        let is_newer = |version: u64| match from {
            From::Version(told) => version > told,
            From::Offset(_) => true,
        };
        let tells_sources = is_newer(self.sources_version);
        let tells_complete = is_newer(self.complete_version);
        if set.is_empty() && removed.is_empty() && !tells_sources && !tells_complete {
            return Changes::None;
        }
        let mut body = Body::new();
        body.position(self);
        if !set.is_empty() {
            let mut entries = Body::new();
            entries.sections(set.iter().map(|((section, key), json)| (*section, *key, *json)));
            body.field("set", &entries.finish());
        }
        if !removed.is_empty() {
            body.field("removed", &keys(removed.iter().copied()));
        }
        if tells_complete {
            body.complete(self);
        }
        if tells_sources {
            body.field("sources", &self.sources.encode());
        }
        Changes::Changed(body.finish())
    }
}

/// `{section:[key]}`
fn keys<'a>(keys: impl Iterator<Item = (Section, &'a str)>) -> String {
    let mut lists: BTreeMap<Section, String> = BTreeMap::new();
    for (section, key) in keys {
        let list = lists.entry(section).or_default();
        list.push(if list.is_empty() { '[' } else { ',' });
        string(list, key);
    }
    let mut body = Body::new();
    for (section, list) in lists {
        body.field(section.as_str(), &format!("{list}]"));
    }
    body.finish()
}
