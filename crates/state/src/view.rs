//! The entries as everybody reads them: each encoded once per change, with the places at which it changed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::fields::Key;
use crate::section::Section;

/// An entry's section and key.
pub(crate) type EntryKey = (Section, Key);

/// So many removals are remembered; who missed more gets a snapshot.
const REMOVALS_KEPT: usize = 4_096;

/// All entries that are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    entries: BTreeMap<EntryKey, Shown>,
    by_version: BTreeMap<u64, EntryKey>,
    removals: VecDeque<Removal>,
    /// The last removal that was forgotten: its version and offset.
    forgotten: (u64, u64),
    version: u64,
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// As JSON.
    pub(crate) json: Arc<str>,
    /// The queues it belongs to, for those who chose some.
    pub(crate) queues: Arc<[Key]>,
    /// The queues before it last moved.
    prior: Arc<[Key]>,
    version: u64,
    offset: u64,
    moved: u64,
    moved_before: u64,
    /// The last change that was not one of queues only.
    json_version: u64,
}

/// An entry that is shown no longer.
#[derive(Debug, Clone)]
pub(crate) struct Removal {
    pub(crate) key: EntryKey,
    pub(crate) queues: Arc<[Key]>,
    version: u64,
    offset: u64,
    moved: u64,
    /// It was hidden before, so that who reads on has been told.
    is_told: bool,
}

/// From where a reader wants the changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    /// Everything after this version, of this node.
    Version(u64),
    /// Everything after this offset, of the present epoch.
    Offset(u64),
}

impl View {
    /// Counts up with every change, whether an event or the clock made it.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, key: &EntryKey) -> Option<&Shown> {
        self.entries.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&EntryKey, &Shown)> {
        self.entries.iter()
    }

    /// A change of what is not an entry.
    pub(crate) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Shows an entry; the same as before is no change.
    pub(crate) fn put(&mut self, key: &EntryKey, json: String, queues: Arc<[Key]>, offset: u64) {
        let old = self.entries.get(key);
        if old.is_some_and(|old| *old.json == *json && old.queues == queues) {
            return;
        }
        let version = self.version + 1;
        let new = match old {
            None => Shown::new(json, queues, version, offset),
            Some(old) => old.changed(json, queues, version, offset),
        };
        if let Some(old) = self.entries.insert(key.clone(), new) {
            self.by_version.remove(&old.version);
        }
        self.by_version.insert(version, key.clone());
        self.version = version;
    }

    /// Shows an entry no longer, also one that was hidden before and now leaves the fold.
    pub(crate) fn take_out(&mut self, key: &EntryKey, offset: u64, leaves_fold: bool) {
        let version = self.version + 1;
        let removal = match self.entries.remove(key) {
            Some(old) => {
                self.by_version.remove(&old.version);
                Removal { key: key.clone(), queues: old.queues, version, offset, moved: old.moved, is_told: false }
            }
            None if leaves_fold => {
                Removal { key: key.clone(), queues: Arc::new([]), version, offset, moved: version, is_told: true }
            }
            None => return,
        };
        self.version = version;
        self.removals.push_back(removal);
        if self.removals.len() > REMOVALS_KEPT
            && let Some(oldest) = self.removals.pop_front()
        {
            self.forgotten = (oldest.version, oldest.offset);
        }
    }

    /// Offsets begin anew.
    pub(crate) fn begin_epoch(&mut self) {
        self.removals.clear();
        self.forgotten = (self.version, 0);
        for shown in self.entries.values_mut() {
            shown.offset = 0;
        }
    }

    /// What changed up to this offset is not known any more.
    pub(crate) fn forget_before(&mut self, offset: u64) {
        self.forgotten = (self.version, offset);
    }

    /// Whether all changes from there are known.
    pub(crate) fn reaches(&self, from: From) -> bool {
        match from {
            From::Version(version) => version >= self.forgotten.0,
            From::Offset(offset) => offset >= self.forgotten.1,
        }
    }

    /// The entries that changed, the newest first.
    pub(crate) fn changed(&self, from: From) -> impl Iterator<Item = (&EntryKey, &Shown)> {
        let shown = self.by_version.values().rev().filter_map(|key| Some((key, self.entries.get(key)?)));
        shown.take_while(move |(_, shown)| match from {
            From::Version(version) => shown.version > version,
            From::Offset(offset) => shown.offset > offset,
        })
    }

    /// The entries that were removed, also those that have come back.
    pub(crate) fn removed(&self, from: From) -> impl Iterator<Item = &Removal> {
        let gone = self.removals.iter().rev().take_while(move |removal| match from {
            From::Version(version) => removal.version > version,
            From::Offset(offset) => removal.offset > offset,
        });
        gone.filter(move |removal| matches!(from, From::Offset(_)) || !removal.is_told)
    }
}

impl Shown {
    fn new(json: String, queues: Arc<[Key]>, version: u64, offset: u64) -> Self {
        let (prior, json) = (Arc::new([]), json.into());
        Self { json, queues, prior, version, offset, moved: version, moved_before: 0, json_version: version }
    }

    fn changed(&self, json: String, queues: Arc<[Key]>, version: u64, offset: u64) -> Self {
        let json_version = if *self.json == *json { self.json_version } else { version };
        let (prior, moved, moved_before) = if self.queues == queues {
            (self.prior.clone(), self.moved, self.moved_before)
        } else {
            (self.queues.clone(), version, self.moved)
        };
        Self { json: json.into(), queues, prior, version, offset, moved, moved_before, json_version }
    }

    /// Whether the entry itself changed, and not only the queues that it belongs to.
    pub(crate) fn has_new_json(&self, from: From) -> bool {
        match from {
            From::Version(version) => self.json_version > version,
            From::Offset(_) => true,
        }
    }

    /// Whether a reader who got everything up to there may have an entry that belonged to other queues then.
    pub(crate) fn may_have_matched(&self, from: From, matches: impl Fn(&[Key]) -> bool) -> bool {
        match from {
            From::Offset(_) => true,
            From::Version(version) => self.moved > version && (self.moved_before > version || matches(&self.prior)),
        }
    }
}

impl Removal {
    /// Whether a reader who got everything up to there may have the entry.
    pub(crate) fn may_have_matched(&self, from: From, matches: impl Fn(&[Key]) -> bool) -> bool {
        match from {
            From::Offset(_) => true,
            From::Version(version) => self.moved > version || matches(&self.queues),
        }
    }
}
