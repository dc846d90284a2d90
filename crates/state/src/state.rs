//! The fold of one tenant: what its events add up to.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch_protocol::{Position, Timestamp, UserId};

use crate::completeness::Completeness;
use crate::counts::{Ignored, IgnoredCounts};
use crate::entries::LastUpdate;
use crate::fields::{Fields, Key, checked_key};
use crate::model::{Model, user_key};
use crate::record::{Record, SOURCE_BACK, SOURCE_LOST, SYNC_RECORD};
use crate::section::Section;
use crate::settings::StateSettings;
use crate::shown;
use crate::sources::Sources;
use crate::view::{EntryKey, View};

/// One tenant's live state.
///
/// What it is follows from the records that were applied, in their order, and from nothing else; what of it is
/// *shown* follows besides from the time that [`State::tick`] is told. It is no larger than
/// [`StateSettings::max_bytes`] in encoded entries; in memory it takes about four times that.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) settings: StateSettings,
    pub(crate) position: Option<Position>,
    pub(crate) model: Model,
    pub(crate) sources: Sources,
    pub(crate) completeness: Completeness,
    /// The latest time of any record: the fold's own clock.
    pub(crate) fold_time: Timestamp,
    pub(crate) view: View,
    /// Bytes of each entry, whether it is shown or not.
    pub(crate) sizes: BTreeMap<EntryKey, usize>,
    pub(crate) n_bytes: usize,
    pub(crate) hidden: BTreeSet<EntryKey>,
    pub(crate) stale: BTreeSet<EntryKey>,
    pub(crate) touched: BTreeSet<EntryKey>,
    /// The versions of the last changes of what is no entry.
    pub(crate) sources_version: u64,
    pub(crate) complete_version: u64,
    pub(crate) ignored: IgnoredCounts,
    /// The record under way: when, where, and whose.
    pub(crate) moment: Moment,
    /// The node's time, as it was last told.
    pub(crate) clock: Timestamp,
}

/// What effects ask of the record that causes them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moment {
    pub(crate) at: Option<Timestamp>,
    pub(crate) offset: u64,
    pub(crate) source: Option<Key>,
}

/// A mere name counts as so many bytes.
const NAME_BYTES: usize = 64;

/// An effect, or why there is none.
pub(crate) type Effect = Result<(), Ignored>;

impl State {
    /// The state of a tenant of which nothing is known, at this place: before its first event where
    /// `is_beginning`, else somewhere, and then it is not complete.
    pub fn new(settings: StateSettings, position: Option<Position>, now: Timestamp, is_beginning: bool) -> Self {
        Self {
            settings,
            position,
            model: Model::default(),
            sources: Sources::default(),
            completeness: if is_beginning { Completeness::default() } else { Completeness::broken(now) },
            fold_time: now,
            view: View::default(),
            sizes: BTreeMap::new(),
            n_bytes: 0,
            hidden: BTreeSet::new(),
            stale: BTreeSet::new(),
            touched: BTreeSet::new(),
            sources_version: 0,
            complete_version: 0,
            ignored: IgnoredCounts::default(),
            moment: Moment::default(),
            clock: now,
        }
    }

    /// The place up to which everything was folded.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Bytes of all entries, as compact JSON with their keys.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// What was ignored since this fold began on this node.
    pub fn ignored(&self) -> &IgnoredCounts {
        &self.ignored
    }

    /// Folds the next record. One that was folded before changes nothing; a hole before it, or another epoch, is a
    /// gap: from then on the state is not complete.
    pub fn apply(&mut self, record: &Record<'_>) {
        if !self.advance(record) {
            return;
        }
        let before = self.fold_time;
        self.fold_time = before.max(record.timestamp);
        self.moment = Moment { at: Some(record.timestamp), offset: self.offset(), source: None };
        if record.is_for_all {
            self.note_source(record);
            if let Err(reason) = self.effect(record) {
                self.ignore(reason);
            }
        }
        if before.as_secs() / 10 != self.fold_time.as_secs() / 10 {
            self.let_go();
        }
        self.commit();
    }

    /// The events up to `position` are lost to this fold.
    pub fn gap(&mut self, position: Option<Position>, now: Timestamp) {
        self.enter_epoch(position);
        self.position = position;
        self.mark_incomplete(now);
    }

    /// Takes the record's place; whether it is a new one.
    fn advance(&mut self, record: &Record<'_>) -> bool {
        let (Some(new), Some(old)) = (record.position, self.position) else {
            self.position = record.position;
            return true;
        };
        if new.epoch == old.epoch && new.offset <= old.offset {
            return false;
        }
        if new.epoch != old.epoch || new.offset != old.offset + 1 {
            self.enter_epoch(Some(new));
            self.mark_incomplete(record.timestamp);
        }
        self.position = Some(new);
        true
    }

    fn enter_epoch(&mut self, position: Option<Position>) {
        let is_same = position.zip(self.position).is_some_and(|(new, old)| new.epoch == old.epoch);
        if is_same {
            return;
        }
        self.view.begin_epoch();
        self.model.forget_offsets();
    }

    fn note_source(&mut self, record: &Record<'_>) {
        let Some(name) = record.source.and_then(|name| checked_key(name).ok()) else { return };
        match self.sources.hear(&name, record.timestamp) {
            None => return self.ignore(Ignored::Full),
            Some(true) => self.sources_changed(),
            Some(false) => {}
        }
        self.moment.source = Some(name);
    }

    fn effect(&mut self, record: &Record<'_>) -> Effect {
        let event_type = record.event_type;
        let (category, _) = event_type.split_once('.').unwrap_or((event_type, ""));
        if !matches!(category, "agent" | "call" | "queue" | "chat" | "presence" | "source" | "state") {
            return Ok(());
        }
        if event_type == SYNC_RECORD {
            return self.enter_sync(record.payload);
        }
        let fields = Fields::read(record.payload);
        match (category, event_type) {
            ("agent", _) => self.agent_event(event_type, &fields),
            ("call", _) => self.call_event(event_type, &fields),
            ("queue", _) => self.queue_event(event_type, &fields),
            ("chat", _) => self.chat_event(event_type, &fields, record.session),
            (_, "presence.changed") => self.presence_event(&fields),
            (_, SOURCE_LOST | SOURCE_BACK) => self.source_event(event_type, &fields),
            _ => Ok(()),
        }
    }

    fn source_event(&mut self, event_type: &str, fields: &Fields) -> Effect {
        let name = fields.key("source")?;
        if self.sources.set_lost(&name, event_type == SOURCE_LOST, self.at()) {
            self.source_moved(&name);
            return Ok(());
        }
        Err(if self.sources.get(&name).is_some() { Ignored::Contradictory } else { Ignored::Unknown })
    }

    /// Everything that a source has said is shown anew, since its entries say whether it is lost.
    pub(crate) fn source_moved(&mut self, name: &Key) {
        self.sources_changed();
        let is_its = |source: &Option<Key>| source.as_ref() == Some(name);
        let calls = self.model.calls.iter().filter(|(_, call)| is_its(&call.source));
        self.touched.extend(calls.map(|(key, _)| (Section::Calls, key.clone())));
        let members = self.model.members.iter().filter(|(_, member)| is_its(&member.source));
        self.touched.extend(members.map(|(key, _)| (Section::Members, key.clone())));
        let waiting = self.model.waiting.iter().filter(|(_, waiting)| is_its(&waiting.source));
        self.touched.extend(waiting.map(|(key, _)| (Section::Waiting, key.clone())));
    }

    pub(crate) fn sources_changed(&mut self) {
        self.sources_version = self.view.next_version();
    }

    /// When the record under way was accepted.
    pub(crate) fn at(&self) -> Timestamp {
        self.moment.at.unwrap_or(self.fold_time)
    }

    /// The record under way as the last that an entry had.
    pub(crate) fn last_update(&self) -> LastUpdate {
        LastUpdate { offset: self.moment.offset, at: self.at() }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.position.map_or(0, |position| position.offset)
    }

    pub(crate) fn ignore(&mut self, reason: Ignored) {
        self.ignored.add(reason);
    }

    pub(crate) fn touch(&mut self, section: Section, key: &Key) {
        self.touched.insert((section, key.clone()));
    }

    /// Whether something new may enter; if not, that is counted and told.
    pub(crate) fn has_room(&mut self) -> bool {
        if self.is_within_bound() {
            return true;
        }
        self.ignore(Ignored::Full);
        self.refused();
        false
    }

    /// Whether there is room. Who is connected and which calls are past counts too.
    pub(crate) fn is_within_bound(&self) -> bool {
        self.n_bytes + (self.model.online.len() + self.model.past.len()) * NAME_BYTES < self.settings.max_bytes
    }

    /// The agent has other calls, another state or other places: its figures in queues may be others.
    pub(crate) fn recount(&mut self, user: &UserId) {
        let places: Vec<Key> = self.model.places.get(&user_key(user)).into_iter().flatten().cloned().collect();
        for place in places {
            self.recount_member(&place);
        }
    }

    pub(crate) fn recount_member(&mut self, place: &Key) {
        if self.model.recount(place)
            && let Some(member) = self.model.members.get(place)
        {
            self.touched.insert((Section::Queues, member.queue_name.clone()));
        }
    }

    /// Shows what the record under way has changed.
    pub(crate) fn commit(&mut self) {
        for key in std::mem::take(&mut self.touched) {
            self.commit_entry(&key);
        }
    }

    fn commit_entry(&mut self, key: &EntryKey) {
        let offset = self.offset();
        let Some((mut json, queues)) = shown::encode(&self.model, &self.sources, key) else {
            if let Some(size) = self.sizes.remove(key) {
                self.n_bytes -= size;
                self.view.take_out(key, offset, true);
            }
            self.hidden.remove(key);
            self.stale.remove(key);
            return;
        };
        let size = json.len() + key.1.len();
        self.n_bytes = self.n_bytes + size - self.sizes.insert(key.clone(), size).unwrap_or(0);
        if self.is_hidden(key) {
            self.hidden.insert(key.clone());
            self.stale.remove(key);
            self.view.take_out(key, offset, false);
            return;
        }
        self.hidden.remove(key);
        if self.is_stale(key) {
            json.truncate(json.len() - 1);
            json.push_str(",\"stale\":true}");
            self.stale.insert(key.clone());
        } else {
            self.stale.remove(key);
        }
        self.view.put(key, json, queues, offset);
    }
}
