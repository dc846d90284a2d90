//! Events taken off a tenant's lane together, their frames side by side.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::connection::Frames;
use crate::tenant::{Batch, Delivery};

/// Most events appended to an outbox before it is flushed.
const EVENTS_PER_CHUNK: usize = 64;

/// Frames up to this size are copied into the chunk's shared memory, where they lie back to back
/// and one reference covers a run of them. Larger ones are shared as they are.
const COPIED_FRAME_BYTES: usize = 16 * 1024;

/// Up to [`EVENTS_PER_CHUNK`] events on their way into outboxes.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The frames, back to back; all of it is one allocation per shard and chunk.
    memory: Bytes,
    items: Vec<Item>,
    /// How many of them are with everybody they are for.
    n_done: usize,
    last_batch: u64,
}

/// One event with the place of its frame in the chunk's memory; none when it is too large.
#[derive(Debug)]
struct Item {
    batch: u64,
    deliveries: Arc<[Delivery]>,
    index: usize,
    start: u32,
    end: u32,
}

/// Consecutive events that go to exactly the same connections.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The first of them; what it says of its audience is true of all.
    pub(crate) delivery: &'a Delivery,
    pub(crate) frames: Frames<'a>,
}

impl Item {
    fn delivery(&self) -> &Delivery {
        &self.deliveries[self.index]
    }

    fn is_copied(&self) -> bool {
        self.end > self.start
    }

    fn shares_audience(&self, next: &Self) -> bool {
        let (a, b) = (self.delivery(), next.delivery());
        self.is_copied()
            && next.is_copied()
            && a.except == b.except
            && b.meeting.is_none()
            && a.event.event_type == b.event.event_type
            && a.event.user == b.event.user
            && a.event.topic == b.event.topic
            && a.event.session == b.event.session
            && !a.event.event_type.ends_session()
    }
}

impl Chunk {
    /// Takes the next events off the lane; `None` when it is empty.
    pub(crate) fn take(lane: &mut VecDeque<Batch>) -> Option<Self> {
        let last_batch = lane.front()?.number;
        let mut chunk = Self { memory: Bytes::new(), items: Vec::new(), n_done: 0, last_batch };
        let mut n_bytes = 0;
        while let Some(batch) = lane.front_mut().filter(|_| chunk.items.len() < EVENTS_PER_CHUNK) {
            chunk.last_batch = batch.number;
            chunk.take_from(batch, &mut n_bytes);
            if batch.n_taken == batch.deliveries.len() {
                lane.pop_front();
            }
        }
        let mut memory = BytesMut::with_capacity(n_bytes);
        for item in chunk.items.iter().filter(|item| item.is_copied()) {
            memory.extend_from_slice(&item.delivery().frame);
        }
        chunk.memory = memory.freeze();
        Some(chunk)
    }

    fn take_from(&mut self, batch: &mut Batch, n_bytes: &mut usize) {
        let n_left = batch.deliveries.len() - batch.n_taken;
        let n_now = n_left.min(EVENTS_PER_CHUNK - self.items.len());
        for index in batch.n_taken..batch.n_taken + n_now {
            let n_frame = batch.deliveries[index].frame.len();
            let n_copied = if n_frame <= COPIED_FRAME_BYTES { n_frame } else { 0 };
            let (start, end) = (*n_bytes as u32, (*n_bytes + n_copied) as u32);
            self.items.push(Item { batch: batch.number, deliveries: batch.deliveries.clone(), index, start, end });
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
        let delivery = first.delivery();
        ends.clear();
        let (memory, start) = if first.is_copied() {
            ends.extend(rest[..n_alike].iter().map(|item| item.end));
            (&self.memory, first.start)
        } else {
            ends.push(delivery.frame.len() as u32);
            (&delivery.frame, 0)
        };
        let frames = Frames { memory, start, ends, batch: first.batch, last_batch: self.last_batch };
        Some(Group { delivery, frames })
    }

    /// Whether every event is with everybody it is for.
    pub(crate) fn is_done(&self) -> bool {
        self.n_done == self.items.len()
    }
}
