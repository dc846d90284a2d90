//! Events taken off a tenant's pending ones together, their frames side by side.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::publish::batch::{Batch, PreparedEvent};
use crate::shard::connection::Frames;

/// Most events appended to an outbox before it is flushed.
const EVENTS_PER_APPEND: usize = 64;

/// Frames up to this size are copied into the batch's shared memory, where they lie back to back
/// and one reference covers a run of them. Larger ones are shared as they are.
const COPIED_FRAME_BYTES: usize = 16 * 1024;

/// Up to [`EVENTS_PER_APPEND`] events on their way into outboxes.
#[derive(Debug)]
pub(crate) struct AppendBatch {
    /// The frames, back to back; all of it is one allocation per shard and append batch.
    memory: Bytes,
    items: Vec<Item>,
    /// How many of them are with everybody they are for.
    n_done: usize,
    last_batch: u64,
}

/// One event with the place of its frame in the batch's memory; none when it is too large.
#[derive(Debug)]
struct Item {
    batch: u64,
    events: Arc<[PreparedEvent]>,
    index: usize,
    start: u32,
    end: u32,
}

/// Consecutive events that go to exactly the same connections.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The first of them; what it says of its audience is true of all.
    pub(crate) prepared: &'a PreparedEvent,
    pub(crate) frames: Frames<'a>,
}

impl Item {
    fn prepared(&self) -> &PreparedEvent {
        &self.events[self.index]
    }

    fn is_copied(&self) -> bool {
        self.end > self.start
    }

    fn shares_audience(&self, next: &Self) -> bool {
        let (a, b) = (self.prepared(), next.prepared());
        self.is_copied()
            && next.is_copied()
            && a.except == b.except
            && b.receipt.is_none()
            && a.event.event_type == b.event.event_type
            && a.event.user == b.event.user
            && a.event.topic == b.event.topic
            && a.event.session == b.event.session
            && !a.event.event_type.ends_session()
    }
}

impl AppendBatch {
    /// Takes the next pending events; `None` when it is empty.
    pub(crate) fn take(pending: &mut VecDeque<Batch>) -> Option<Self> {
        let last_batch = pending.front()?.number;
        let mut append_batch = Self { memory: Bytes::new(), items: Vec::new(), n_done: 0, last_batch };
        let mut n_bytes = 0;
        while let Some(batch) = pending.front_mut().filter(|_| append_batch.items.len() < EVENTS_PER_APPEND) {
            append_batch.last_batch = batch.number;
            append_batch.take_from(batch, &mut n_bytes);
            if batch.n_taken == batch.events.len() {
                pending.pop_front();
            }
        }
        let mut memory = BytesMut::with_capacity(n_bytes);
        for item in append_batch.items.iter().filter(|item| item.is_copied()) {
            memory.extend_from_slice(&item.prepared().frame);
        }
        append_batch.memory = memory.freeze();
        Some(append_batch)
    }

    fn take_from(&mut self, batch: &mut Batch, n_bytes: &mut usize) {
        let n_left = batch.events.len() - batch.n_taken;
        let n_now = n_left.min(EVENTS_PER_APPEND - self.items.len());
        for index in batch.n_taken..batch.n_taken + n_now {
            let n_frame = batch.events[index].frame.len();
            let n_copied = if n_frame <= COPIED_FRAME_BYTES { n_frame } else { 0 };
            let (start, end) = (*n_bytes as u32, (*n_bytes + n_copied) as u32);
            self.items.push(Item { batch: batch.number, events: batch.events.clone(), index, start, end });
            *n_bytes += n_copied;
        }
        batch.n_taken += n_now;
    }

    /// The next group; `ends` lends the memory for where its frames end.
    pub(crate) fn next_group<'a>(&'a mut self, ends: &'a mut Vec<u32>) -> Option<Group<'a>> {
        let rest = &self.items[self.n_done..];
        let first = rest.first()?;
        let n_alike = 1 + rest.windows(2).take_while(|pair| pair[0].shares_audience(&pair[1])).count();
        self.n_done += n_alike;
        let prepared = first.prepared();
        ends.clear();
        let (memory, start) = if first.is_copied() {
            ends.extend(rest[..n_alike].iter().map(|item| item.end));
            (&self.memory, first.start)
        } else {
            ends.push(prepared.frame.len() as u32);
            (&prepared.frame, 0)
        };
        let frames = Frames { memory, start, ends, batch: first.batch, last_batch: self.last_batch };
        Some(Group { prepared, frames })
    }

    /// Whether every event is with everybody it is for.
    pub(crate) fn is_done(&self) -> bool {
        self.n_done == self.items.len()
    }
}
