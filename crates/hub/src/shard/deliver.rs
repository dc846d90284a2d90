//! From a tenant's lane into outboxes: the fan-out.

use bytes::{Bytes, BytesMut};

use super::Shard;
use crate::connection::{BacklogState, Frames};
use crate::counters::Counters;
use crate::outlet::Outlet;
use crate::tenant::{Audience, Batch, Delivery};

/// Most events appended to an outbox before it is flushed.
const EVENTS_PER_CHUNK: usize = 64;

/// Frames up to this size are copied into the chunk's shared memory, where they lie back to back
/// and one reference covers a run of them. Larger ones are shared as they are.
const COPIED_FRAME_BYTES: usize = 16 * 1024;

/// Events taken off a lane together.
struct Chunk {
    /// The frames, back to back; all of it is one allocation per shard and chunk.
    memory: Bytes,
    /// Each event with the place of its frame in `memory`, or nowhere when it is too large.
    items: Vec<Item>,
}

struct Item {
    batch: u64,
    deliveries: std::sync::Arc<[Delivery]>,
    index: usize,
    start: u32,
    end: u32,
}

impl Item {
    fn delivery(&self) -> &Delivery {
        &self.deliveries[self.index]
    }

    /// Whether the next event goes to exactly the same connections, so that one walk serves both.
    fn shares_audience(&self, next: &Self) -> bool {
        let (a, b) = (self.delivery(), next.delivery());
        self.end > self.start
            && next.end > next.start
            && a.except == b.except
            && a.event.event_type == b.event.event_type
            && a.event.user == b.event.user
            && a.event.topic == b.event.topic
            && a.event.session == b.event.session
            && !a.event.event_type.ends_session()
    }
}

impl<O: Outlet> Shard<O> {
    /// Takes a batch into its tenant's lane. A tenant without connections here is passed over.
    pub(super) fn enqueue(&mut self, batch: Batch) {
        let Some(first) = batch.deliveries.first() else { return };
        if let Some(index) = self.by_tenant.get(&first.event.tenant).copied() {
            self.tenants[index as usize].lane.push_back(batch);
            self.queue_tenant(index);
        }
    }

    /// Appends the next events of a tenant's lane to the outboxes of those they are for.
    pub(super) fn append_chunk(&mut self, tenant: u32) {
        let chunk = take_chunk(&mut self.tenants[tenant as usize].lane);
        let mut audience = std::mem::take(&mut self.audience);
        let mut ends = Vec::with_capacity(EVENTS_PER_CHUNK);
        let mut rest = &chunk.items[..];
        while let Some((first, _)) = rest.split_first() {
            let n_alike = 1 + rest.windows(2).take_while(|pair| pair[0].shares_audience(&pair[1])).count();
            let (group, others) = rest.split_at(n_alike);
            ends.clear();
            ends.extend(group.iter().map(|item| item.end));
            self.tenants[tenant as usize].audience(&first.delivery().event, &mut audience);
            let frame_end = [first.delivery().frame.len() as u32];
            let frames = if first.end > first.start {
                Frames { memory: &chunk.memory, start: first.start, ends: &ends, batch: first.batch }
            } else {
                Frames { memory: &first.delivery().frame, start: 0, ends: &frame_end, batch: first.batch }
            };
            self.append_to(tenant, &audience, first.delivery(), frames);
            rest = others;
        }
        self.audience = audience;
    }

    /// The walk over one event's audience: per connection a few comparisons and one reference.
    fn append_to(&mut self, tenant: u32, audience: &Audience, delivery: &Delivery, frames: Frames<'_>) {
        let table = &mut self.tenants[tenant as usize];
        let ends_session = delivery.event.event_type.ends_session();
        let (mut n_queued, mut n_dropped) = (0u64, 0u64);
        let mut ended = Vec::new();
        for (at, slot) in audience.slots.iter().enumerate() {
            let connection = &mut self.connections[*slot as usize];
            let is_visitor = at >= audience.n_users;
            let is_wanted = (audience.is_filtered && !is_visitor) || connection.wants(&delivery.event);
            if is_visitor && ends_session {
                ended.push(super::Key { slot: *slot, id: connection.id });
            }
            if !is_wanted || delivery.except == Some(connection.id) {
                continue;
            }
            if delivery.event.user.is_some()
                && let Some(backlog) = connection.backlog.as_deref_mut()
            {
                let n_held = hold_back(backlog, frames, self.config.outbox_messages);
                connection.n_dropped += (frames.ends.len() - n_held) as u32;
                n_dropped += (frames.ends.len() - n_held) as u64;
                continue;
            }
            let n = connection.append(frames, &self.config);
            n_queued += n as u64;
            n_dropped += (frames.ends.len() - n) as u64;
            if !connection.is_dirty && !connection.is_blocked {
                connection.is_dirty = true;
                table.dirty.push(*slot);
            }
        }
        Counters::add(&self.shared.counters.messages_queued, n_queued);
        if n_dropped > 0 {
            Counters::add(&self.shared.counters.messages_dropped, n_dropped);
        }
        for key in ended {
            self.close(key, hookswitch_protocol::CloseCode::SessionEnded);
        }
    }
}

/// Keeps frames behind the backlog of their user; gives how many fitted.
fn hold_back(backlog: &mut BacklogState, frames: Frames<'_>, limit: usize) -> usize {
    let mut start = frames.start as usize;
    let mut n_held = 0;
    for end in frames.ends.iter().map(|end| *end as usize) {
        if backlog.held.len() >= limit {
            break;
        }
        backlog.held.push_back(frames.memory.slice(start..end));
        start = end;
        n_held += 1;
    }
    n_held
}

/// Takes up to [`EVENTS_PER_CHUNK`] events off the lane and lays their frames side by side.
fn take_chunk(lane: &mut std::collections::VecDeque<Batch>) -> Chunk {
    let mut items = Vec::new();
    let mut n_bytes = 0;
    while let Some(batch) = lane.front_mut().filter(|_| items.len() < EVENTS_PER_CHUNK) {
        let n_left = batch.deliveries.len() - batch.n_taken;
        let n_now = n_left.min(EVENTS_PER_CHUNK - items.len());
        for index in batch.n_taken..batch.n_taken + n_now {
            let n_frame = batch.deliveries[index].frame.len();
            let n_copied = if n_frame <= COPIED_FRAME_BYTES { n_frame } else { 0 };
            let (start, end) = (n_bytes as u32, (n_bytes + n_copied) as u32);
            items.push(Item { batch: batch.number, deliveries: batch.deliveries.clone(), index, start, end });
            n_bytes += n_copied;
        }
        batch.n_taken += n_now;
        if batch.n_taken == batch.deliveries.len() {
            lane.pop_front();
        }
    }
    let mut memory = BytesMut::with_capacity(n_bytes);
    for item in items.iter().filter(|item| item.end > item.start) {
        memory.extend_from_slice(&item.delivery().frame);
    }
    Chunk { memory: memory.freeze(), items }
}
