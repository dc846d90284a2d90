//! The messages that wait for Redis, each in the slot of its tenant.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use hookswitch_protocol::TenantId;
use tokio::sync::oneshot;

use super::sequence::GENERATION_SHIFT;

/// Messages of a slot sent together; the next ones follow when these are answered, so that none
/// overtakes one that has to be sent again.
const SENT_AT_ONCE: usize = 256;

/// Tenants whose events are counted; past it all counts begin anew, in the next generation.
const COUNTED_TENANTS: usize = 100_000;

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) tenant: TenantId,
    pub(crate) channel: String,
    pub(crate) body: Bytes,
    pub(crate) is_sharded: bool,
    /// Its slot. In a cluster, all of a tenant's messages go through the owner of this slot; otherwise
    /// there is one slot.
    pub(crate) slot: u16,
    /// Told by being dropped: Redis has it, or it waits for Redis to come back.
    pub(crate) settled: Option<oneshot::Sender<()>>,
}

/// Messages with their places.
pub(crate) type Batch = Vec<(u64, Outbound)>;

/// Everything that is not sent yet, in the order of its arrival.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    waiting: BTreeMap<u64, Outbound>,
    n_arrived: u64,
    /// Those being sent included.
    n_messages: usize,
    n_bytes: usize,
    /// Slots with messages that wait or are being sent.
    slots: HashMap<u16, SlotQueue>,
    /// Slots of which nothing is being sent.
    ready: VecDeque<u16>,
    /// The number of the last event, per tenant.
    numbers: HashMap<TenantId, u64>,
    /// How often the counts began anew.
    generation: u64,
    dropping: Option<Dropped>,
    /// Tenants of which messages were dropped and the other nodes may not know, per slot.
    unannounced: HashMap<u16, HashSet<TenantId>>,
}

/// What was dropped since messages began to be too many.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) n_messages: u64,
    pub(crate) tenants: HashSet<TenantId>,
}

#[derive(Debug, Default)]
struct SlotQueue {
    /// Places of the messages that wait.
    places: VecDeque<u64>,
    /// Whether the last attempt failed: then a single message is tried first.
    has_failed: bool,
}

impl SendQueue {
    pub(crate) fn n_waiting(&self) -> usize {
        self.n_messages
    }

    /// The number of a tenant's next event.
    pub(crate) fn number(&mut self, tenant: &TenantId) -> u64 {
        if let Some(number) = self.numbers.get_mut(tenant) {
            *number += 1;
            return *number;
        }
        if self.numbers.len() >= COUNTED_TENANTS {
            self.numbers.clear();
            self.generation += 1;
        }
        let first = self.generation << GENERATION_SHIFT;
        self.numbers.insert(tenant.clone(), first);
        first
    }

    /// Puts a message at the end of its slot.
    pub(crate) fn append(&mut self, outbound: Outbound) {
        let place = self.n_arrived;
        self.n_arrived += 1;
        self.n_messages += 1;
        self.n_bytes += outbound.body.len();
        let queue = self.slots.entry(outbound.slot).or_insert_with(|| {
            self.ready.push_back(outbound.slot);
            SlotQueue::default()
        });
        queue.places.push_back(place);
        self.waiting.insert(place, outbound);
    }

    /// Drops the oldest when there are too many; what is being sent stays.
    pub(crate) fn drop_over(&mut self, n_messages: usize, n_bytes: usize) -> Option<Outbound> {
        if self.n_messages <= n_messages && self.n_bytes <= n_bytes {
            return None;
        }
        let (_, oldest) = self.waiting.pop_first()?;
        // What was put back stands in front again, so the oldest of all is its slot's oldest.
        self.slots.get_mut(&oldest.slot)?.places.pop_front();
        self.gone(&oldest);
        let dropping = self.dropping.get_or_insert_default();
        dropping.n_messages += 1;
        if dropping.tenants.len() < COUNTED_TENANTS && !dropping.tenants.contains(&oldest.tenant) {
            dropping.tenants.insert(oldest.tenant.clone());
            self.unannounced.entry(oldest.slot).or_default().insert(oldest.tenant.clone());
        }
        Some(oldest)
    }

    /// Up to so many of a slot's tenants of which messages were dropped, with their last numbers.
    pub(crate) fn take_unannounced(&mut self, slot: u16, limit: usize) -> Vec<(TenantId, u64)> {
        let Some(tenants) = self.unannounced.get_mut(&slot) else { return Vec::new() };
        let some: HashSet<TenantId> = tenants.iter().take(limit).cloned().collect();
        tenants.retain(|tenant| !some.contains(tenant));
        if tenants.is_empty() {
            self.unannounced.remove(&slot);
        }
        // Counts that began anew are no gap.
        some.into_iter().filter_map(|tenant| self.numbers.get(&tenant).copied().map(|last| (tenant, last))).collect()
    }

    /// Whether messages were dropped, and not yet told of.
    pub(crate) fn is_dropping(&self) -> bool {
        self.dropping.is_some()
    }

    /// What was dropped, once there is room again: not before half of these bounds, so that it is told
    /// once.
    pub(crate) fn take_dropped(&mut self, n_messages: usize, n_bytes: usize) -> Option<Dropped> {
        let has_room = self.n_messages <= n_messages / 2 && self.n_bytes <= n_bytes / 2;
        self.dropping.take_if(|_| has_room)
    }

    /// The next messages of a slot that is free; it is not free until it is released.
    pub(crate) fn take(&mut self) -> Option<(u16, Batch)> {
        let slot = self.ready.pop_front()?;
        let queue = self.slots.get_mut(&slot)?;
        let limit = if queue.has_failed { 1 } else { SENT_AT_ONCE };
        let places = queue.places.drain(..queue.places.len().min(limit));
        let taken = places.filter_map(|place| Some((place, self.waiting.remove(&place)?))).collect();
        Some((slot, taken))
    }

    /// Redis has it.
    pub(crate) fn gone(&mut self, outbound: &Outbound) {
        self.n_messages -= 1;
        self.n_bytes -= outbound.body.len();
    }

    /// What has to be sent again; nobody waits for it any more. Whether that is news in this slot.
    pub(crate) fn put_back(&mut self, slot: u16, rest: Batch) -> bool {
        let queue = self.slots.entry(slot).or_default();
        for (place, outbound) in rest.into_iter().rev() {
            queue.places.push_front(place);
            self.waiting.insert(place, Outbound { settled: None, ..outbound });
        }
        !std::mem::replace(&mut queue.has_failed, true)
    }

    /// Redis takes this slot's messages.
    pub(crate) fn succeeded(&mut self, slot: u16) {
        if let Some(queue) = self.slots.get_mut(&slot) {
            queue.has_failed = false;
        }
    }

    /// A slot is free again.
    pub(crate) fn release(&mut self, slot: u16) {
        if self.slots.get(&slot).is_some_and(|queue| queue.places.is_empty()) {
            self.slots.remove(&slot);
        } else {
            self.ready.push_back(slot);
        }
    }

    /// Nobody waits for a Redis that is away.
    pub(crate) fn release_waiters(&mut self) {
        for outbound in self.waiting.values_mut() {
            outbound.settled = None;
        }
    }
}

#[cfg(test)]
mod tests;
