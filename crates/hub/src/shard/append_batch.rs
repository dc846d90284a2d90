//! Pending events of a tenant taken together, encoded side by side.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::history::place::Place;
use crate::publish::batch::{Batch, PreparedEvent};
use crate::publish::wire_form::{FormId, Tail, WireForm};
use crate::shard::connection::Frames;

/// Most events appended to an outbox before it is flushed.
const EVENTS_PER_APPEND: usize = 64;

/// Most bytes of these, but for one event by itself: their room in the mailbox is free from here on. They are encoded in
/// one go, in the dearest form at 5 µs per KiB, and others' events wait meanwhile.
const BYTES_PER_APPEND: usize = 256 * 1024;

/// Events up to this size are encoded into the batch's shared memory, where they lie back to back and one
/// reference covers a run of them. Larger ones are encoded once for all shards, and so are those that a form is
/// slow to write.
const COPIED_BYTES: usize = 16 * 1024;

/// What a form may put around a message, and its position at its end, as a first guess.
const FRAMING_BYTES: usize = 56;

/// Up to [`EVENTS_PER_APPEND`] events on their way into outboxes.
#[derive(Debug)]
pub(crate) struct AppendBatch {
    items: Vec<Item>,
    n_bytes: usize,
    /// The events by form, encoded when the first connection of that form wants one.
    encoded: Vec<OnceCell<Encoded>>,
    /// How many of them are with everybody they are for.
    n_done: usize,
    last_batch: u64,
}

#[derive(Debug)]
struct Item {
    batch: u64,
    events: Arc<[PreparedEvent]>,
    index: usize,
    place: Option<Place>,
}

/// All events of the batch in one form.
#[derive(Debug)]
struct Encoded {
    /// One allocation per shard, form and batch.
    memory: Bytes,
    /// Where each event ends; a large one ends where it starts.
    ends: Vec<u32>,
    /// The large ones by their place, with their length.
    large: Vec<(usize, Bytes, [u32; 1])>,
}

/// Consecutive events that go to exactly the same connections.
#[derive(Debug)]
pub(crate) struct Group {
    items: Range<usize>,
}

impl Item {
    fn event(&self) -> &PreparedEvent {
        &self.events[self.index]
    }

    fn is_large(&self) -> bool {
        self.event().event.envelope().len() > COPIED_BYTES
    }

    fn shares_audience(&self, next: &Self) -> bool {
        let (a, b) = (self.event(), next.event());
        !self.is_large()
            && !next.is_large()
            && a.except == b.except
            && b.receipt.is_none()
            && a.event.event_type == b.event.event_type
            && a.event.user == b.event.user
            && a.event.is_kept() == b.event.is_kept()
            && a.event.topic == b.event.topic
            && a.event.session == b.event.session
            && self.place.map(|place| place.plus(1)) == next.place
            && !a.event.event_type.ends_session()
    }
}

impl AppendBatch {
    /// Takes the next pending events; `None` when there are none.
    pub(crate) fn take(pending: &mut VecDeque<Batch>) -> Option<Self> {
        let last_batch = pending.front()?.number;
        let mut taken = Self { items: Vec::new(), n_bytes: 0, encoded: Vec::new(), n_done: 0, last_batch };
        while let Some(batch) = pending.front_mut().filter(|_| taken.items.len() < EVENTS_PER_APPEND) {
            if !taken.take_from(batch) {
                break;
            }
            if batch.n_taken == batch.events.len() {
                pending.pop_front();
            }
        }
        Some(taken)
    }

    /// Whether any fitted.
    fn take_from(&mut self, batch: &mut Batch) -> bool {
        let n_before = self.items.len();
        for event in &batch.events[batch.n_taken..] {
            self.n_bytes += event.event.envelope().len();
            let is_full = self.items.len() == EVENTS_PER_APPEND || self.n_bytes > BYTES_PER_APPEND;
            if is_full && !self.items.is_empty() {
                break;
            }
            let place = batch.first.map(|first| first.plus(batch.n_taken));
            self.items.push(Item { batch: batch.number, events: batch.events.clone(), index: batch.n_taken, place });
            batch.n_taken += 1;
            self.last_batch = batch.number;
        }
        self.items.len() > n_before
    }

    /// Makes place for so many forms. Those that are encoded already stay.
    pub(crate) fn prepare_for(&mut self, n_forms: usize) {
        if self.encoded.len() < n_forms {
            self.encoded.resize_with(n_forms, OnceCell::new);
        }
    }

    /// The next group.
    pub(crate) fn next_group(&mut self) -> Option<Group> {
        let rest = &self.items[self.n_done..];
        if rest.is_empty() {
            return None;
        }
        let n_alike = 1 + rest.windows(2).take_while(|pair| pair[0].shares_audience(&pair[1])).count();
        let items = self.n_done..self.n_done + n_alike;
        self.n_done += n_alike;
        Some(Group { items })
    }

    /// The first event of a group; what it says of its audience is true of all.
    pub(crate) fn first(&self, group: &Group) -> &PreparedEvent {
        self.items[group.items.start].event()
    }

    /// The place of a group's first event.
    pub(crate) fn place(&self, group: &Group) -> Option<Place> {
        self.items[group.items.start].place
    }

    /// A group's events in this form.
    pub(crate) fn frames(&self, group: &Group, id: FormId, form: &dyn WireForm) -> Frames<'_> {
        let Range { start, end } = group.items.clone();
        let encoded = self.encoded[id.index()].get_or_init(|| Encoded::new(&self.items, id, form));
        let (batch, last_batch, first) = (self.items[start].batch, self.last_batch, self.items[start].place);
        if self.items[start].is_large() {
            let large = encoded.large.iter().find(|(index, ..)| *index == start);
            let (_, memory, ends) = large.expect("every large event was encoded");
            return Frames { memory, first, start: 0, ends, batch, last_batch };
        }
        let from = if start == 0 { 0 } else { encoded.ends[start - 1] };
        Frames { memory: &encoded.memory, first, start: from, ends: &encoded.ends[start..end], batch, last_batch }
    }

    /// The place of the last event that is with everybody it is for.
    pub(crate) fn last_done(&self) -> Option<Place> {
        self.items[..self.n_done].iter().rev().find_map(|item| item.place)
    }

    /// Whether every event is with everybody it is for.
    pub(crate) fn is_done(&self) -> bool {
        self.n_done == self.items.len()
    }
}

impl Encoded {
    fn new(items: &[Item], id: FormId, form: &dyn WireForm) -> Self {
        let copied = items.iter().filter(|item| !item.is_large());
        let n_bytes = copied.map(|item| item.event().event.envelope().len() + FRAMING_BYTES).sum();
        let (mut memory, mut ends) = (BytesMut::with_capacity(n_bytes), Vec::with_capacity(items.len()));
        let mut large = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let tail = Tail::new(item.place.and_then(|place| place.position), false);
            if item.is_large() {
                let encoded = item.event().encoded_once(&tail, id, form);
                let n_bytes = encoded.len() as u32;
                large.push((index, encoded, [n_bytes]));
            } else {
                let envelope = item.event().event.envelope();
                if form.is_costly(envelope.len()) {
                    memory.extend_from_slice(&item.event().encoded_once(&tail, id, form));
                } else {
                    form.message(tail.of(envelope), &mut memory);
                }
            }
            ends.push(memory.len() as u32);
        }
        Self { memory: memory.freeze(), ends, large }
    }
}
