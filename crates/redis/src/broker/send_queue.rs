//! The messages that wait for Redis, each behind those of its own tenant only.
//!
//! Every tenant has a queue. Tenants take turns: whatever one has waiting, another's next message is in the next
//! step. When too much waits, the tenant with the most of it loses its own oldest.

mod heaviest;

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use hookswitch_hub::Publication;
use hookswitch_protocol::TenantId;
use tokio::sync::oneshot;

use self::heaviest::Heaviest;
use super::sequence::GENERATION_SHIFT;

/// Messages of a tenant sent together; the next ones follow when these are answered, so that none overtakes one
/// that has to be sent again.
const SENT_AT_ONCE: usize = 256;

/// Their bytes; a single message may be larger.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// Messages of all tenants that are being sent; the client takes no more than 20,000 commands.
const IN_FLIGHT: usize = 4_096;

/// Their bytes. What stands before a tenant's message on the wire is no more than this.
const IN_FLIGHT_BYTES: usize = 4 * 1024 * 1024;

/// Queues that are tried with one message after a failure, at the same time, and as many bytes as the others may have:
/// those of a master that hangs must not take the room of the others.
const RETRIES_AT_ONCE: usize = 64;

/// Tenants whose events are counted; past it all counts begin anew, in the next generation.
const COUNTED_TENANTS: usize = 100_000;

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) tenant: TenantId,
    pub(crate) channel: String,
    pub(crate) body: Bytes,
    pub(crate) is_sharded: bool,
    /// In a cluster, all of a tenant's messages go through the owner of this slot.
    pub(crate) slot: u16,
    /// Told by being dropped: Redis has it, or it waits for Redis to come back.
    pub(crate) settled: Option<oneshot::Sender<()>>,
    /// Of an event that the tenant's stream numbers.
    pub(crate) placed: Option<Placed>,
}

/// An event on its way into its tenant's stream.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) publication: Publication,
    pub(crate) seq: u64,
    /// It was given here without its position.
    pub(crate) was_live: bool,
    /// It was sent to the others without its position.
    pub(crate) was_sent: bool,
}

/// Messages of one tenant, in order.
pub(crate) type Batch = Vec<Outbound>;

/// What may wait, over all tenants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) n_messages: usize,
    pub(crate) n_bytes: usize,
}

/// Everything that is not sent yet.
#[derive(Debug)]
pub(crate) struct SendQueue {
    bounds: Bounds,
    queues: HashMap<TenantId, TenantQueue>,
    /// Those being sent included.
    n_messages: usize,
    n_bytes: usize,
    in_flight: Load,
    /// The same of queues whose last message failed.
    retrying: Load,
    /// Queues whose turn comes: those that go, and those whose last message failed.
    ready: VecDeque<TenantId>,
    failed: VecDeque<TenantId>,
    /// The number of the last event, per tenant.
    numbers: HashMap<TenantId, u64>,
    /// How often the counts began anew.
    generation: u64,
    dropping: Option<Dropped>,
    /// The queues by what waits in them, while too much does.
    heaviest: Option<Heaviest>,
    /// Tenants of which messages were dropped and the other nodes may not know, and how many.
    unannounced: HashMap<TenantId, u64>,
}

/// What is being sent.
#[derive(Debug, Default)]
struct Load {
    n_messages: usize,
    n_bytes: usize,
}

/// What was dropped since messages began to be too many.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) n_messages: u64,
    pub(crate) tenants: HashSet<TenantId>,
}

/// One tenant's messages. While it is there, it has a turn, or its messages are being sent.
#[derive(Debug, Default)]
struct TenantQueue {
    waiting: VecDeque<Outbound>,
    weight: usize,
    /// Whether the last attempt failed: then a single message is tried first.
    has_failed: bool,
}

impl Bounds {
    /// What a message counts for: its bytes, and its part of the number that may wait.
    fn weight(self, outbound: &Outbound) -> usize {
        outbound.body.len() + self.n_bytes / self.n_messages.max(1)
    }
}

impl SendQueue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            queues: HashMap::new(),
            n_messages: 0,
            n_bytes: 0,
            in_flight: Load::default(),
            retrying: Load::default(),
            ready: VecDeque::new(),
            failed: VecDeque::new(),
            numbers: HashMap::new(),
            generation: 0,
            dropping: None,
            heaviest: None,
            unannounced: HashMap::new(),
        }
    }

    pub(crate) fn n_waiting(&self) -> usize {
        self.n_messages
    }

    /// How many tenants' messages wait or are being sent.
    pub(crate) fn n_tenants(&self) -> usize {
        self.queues.len()
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

    /// Puts a message at the end of its tenant's.
    pub(crate) fn append(&mut self, outbound: Outbound) {
        self.n_messages += 1;
        self.n_bytes += outbound.body.len();
        let weight = self.bounds.weight(&outbound);
        if !self.queues.contains_key(&outbound.tenant) {
            self.ready.push_back(outbound.tenant.clone());
            self.queues.insert(outbound.tenant.clone(), TenantQueue::default());
        }
        self.change(&outbound.tenant.clone(), |queue| {
            queue.waiting.push_back(outbound);
            queue.weight += weight;
        });
    }

    /// Drops the oldest of the tenant with the most waiting, when there is too much; what is being sent stays.
    pub(crate) fn drop_over(&mut self) -> Option<Outbound> {
        if self.n_messages <= self.bounds.n_messages && self.n_bytes <= self.bounds.n_bytes {
            return None;
        }
        let queues = &self.queues;
        let heaviest = self
            .heaviest
            .get_or_insert_with(|| Heaviest::of(queues.iter().map(|(tenant, queue)| (tenant, queue.weight))));
        let tenant = heaviest.tenant()?.clone();
        let bounds = self.bounds;
        let oldest = self.change(&tenant, |queue| {
            let oldest = queue.waiting.pop_front();
            queue.weight -= oldest.as_ref().map_or(0, |oldest| bounds.weight(oldest));
            oldest
        })??;
        self.n_messages -= 1;
        self.n_bytes -= oldest.body.len();
        let dropping = self.dropping.get_or_insert_default();
        dropping.n_messages += 1;
        if dropping.tenants.len() < COUNTED_TENANTS && !dropping.tenants.contains(&tenant) {
            dropping.tenants.insert(tenant.clone());
        }
        if self.unannounced.len() < COUNTED_TENANTS || self.unannounced.contains_key(&tenant) {
            *self.unannounced.entry(tenant).or_default() += 1;
        }
        Some(oldest)
    }

    /// Up to so many tenants of which messages were dropped, with their last numbers, and how many were dropped.
    pub(crate) fn take_unannounced(&mut self, limit: usize) -> Vec<(TenantId, u64, u64)> {
        let some: Vec<(TenantId, u64)> =
            self.unannounced.iter().take(limit).map(|(tenant, n_dropped)| (tenant.clone(), *n_dropped)).collect();
        for (tenant, _) in &some {
            self.unannounced.remove(tenant);
        }
        // Counts that began anew are no gap.
        let known = some.into_iter().filter_map(|(tenant, n_dropped)| {
            let last = self.numbers.get(&tenant).copied()?;
            Some((tenant, last, n_dropped))
        });
        known.collect()
    }

    /// Whether messages were dropped, and not yet told of.
    pub(crate) fn is_dropping(&self) -> bool {
        self.dropping.is_some()
    }

    /// What was dropped, once there is room again: not before half of the bounds, so that it is told once.
    pub(crate) fn take_dropped(&mut self) -> Option<Dropped> {
        let has_room = self.n_messages <= self.bounds.n_messages / 2 && self.n_bytes <= self.bounds.n_bytes / 2;
        if has_room {
            self.heaviest = None;
        }
        self.dropping.take_if(|_| has_room)
    }

    /// The next messages of the tenant whose turn it is; it has no other turn until it is released.
    pub(crate) fn take(&mut self) -> Option<(TenantId, Batch)> {
        loop {
            let tenant = self.next_turn()?;
            let Some(queue) = self.queues.get(&tenant) else { continue };
            if queue.waiting.is_empty() {
                self.queues.remove(&tenant);
                continue;
            }
            let batch = self.take_batch(&tenant);
            let load = self.load_of(&tenant);
            load.n_messages += batch.len();
            load.n_bytes += n_bytes(&batch);
            return Some((tenant, batch));
        }
    }

    fn next_turn(&mut self) -> Option<TenantId> {
        let has_room = |load: &Load, n_messages| load.n_messages < n_messages && load.n_bytes < IN_FLIGHT_BYTES;
        let retry = if has_room(&self.retrying, RETRIES_AT_ONCE) { self.failed.pop_front() } else { None };
        retry.or_else(|| if has_room(&self.in_flight, IN_FLIGHT) { self.ready.pop_front() } else { None })
    }

    /// Where a tenant's messages count that are being sent, from when they are taken until they are settled.
    fn load_of(&mut self, tenant: &TenantId) -> &mut Load {
        let has_failed = self.queues.get(tenant).is_some_and(|queue| queue.has_failed);
        if has_failed { &mut self.retrying } else { &mut self.in_flight }
    }

    fn take_batch(&mut self, tenant: &TenantId) -> Batch {
        let bounds = self.bounds;
        let take = |queue: &mut TenantQueue| {
            let limit = if queue.has_failed { 1 } else { SENT_AT_ONCE };
            let mut batch = Batch::new();
            let mut n_bytes = 0;
            let is_placed = queue.waiting.front().is_some_and(|first| first.placed.is_some());
            // What is appended and what is published only go different ways.
            while batch.len() < limit
                && n_bytes < BYTES_AT_ONCE
                && let Some(outbound) = queue.waiting.pop_front_if(|next| next.placed.is_some() == is_placed)
            {
                n_bytes += outbound.body.len();
                queue.weight -= bounds.weight(&outbound);
                batch.push(outbound);
            }
            batch
        };
        self.change(tenant, take).unwrap_or_default()
    }

    /// Redis has these, which were taken.
    pub(crate) fn gone(&mut self, batch: &[Outbound]) {
        self.answered(batch);
        self.n_messages -= batch.len();
        self.n_bytes -= n_bytes(batch);
    }

    fn answered(&mut self, batch: &[Outbound]) {
        let Some(first) = batch.first() else { return };
        let load = self.load_of(&first.tenant);
        load.n_messages -= batch.len();
        load.n_bytes -= n_bytes(batch);
    }

    /// What was taken and has to be sent again; nobody waits for it any more.
    pub(crate) fn put_back(&mut self, tenant: &TenantId, rest: Batch) {
        self.answered(&rest);
        let bounds = self.bounds;
        self.change(tenant, |queue| {
            for outbound in rest.into_iter().rev() {
                queue.weight += bounds.weight(&outbound);
                queue.waiting.push_front(Outbound { settled: None, ..outbound });
            }
        });
    }

    /// These were taken, and it is not known whether Redis has them: they are sent again by whoever took them, and
    /// take no room from others meanwhile. Nobody waits for them.
    pub(crate) fn in_doubt(&mut self, tenant: &TenantId, batch: &mut [Outbound]) {
        for outbound in &mut *batch {
            outbound.settled = None;
        }
        self.answered(batch);
        self.settled(tenant, true);
        let load = self.load_of(tenant);
        load.n_messages += batch.len();
        load.n_bytes += n_bytes(batch);
    }

    /// What waits of a tenant.
    pub(crate) fn waiting(&mut self, tenant: &TenantId) -> impl Iterator<Item = &mut Outbound> {
        self.queues.get_mut(tenant).into_iter().flat_map(|queue| &mut queue.waiting)
    }

    /// The tenants whose messages wait or are being sent.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        self.queues.keys().cloned().collect()
    }

    /// How a tenant's messages went that were taken; its turn comes again, when there are more of them, when it is
    /// released.
    pub(crate) fn settled(&mut self, tenant: &TenantId, has_failed: bool) {
        if let Some(queue) = self.queues.get_mut(tenant) {
            queue.has_failed = has_failed;
        }
    }

    /// The tenant has its turns again.
    pub(crate) fn release(&mut self, tenant: TenantId) {
        match self.queues.get(&tenant) {
            Some(queue) if queue.waiting.is_empty() => _ = self.queues.remove(&tenant),
            Some(queue) if queue.has_failed => self.failed.push_back(tenant),
            Some(_) => self.ready.push_back(tenant),
            None => {}
        }
    }

    /// Nobody waits for a Redis that is away.
    pub(crate) fn release_waiters(&mut self) {
        for outbound in self.queues.values_mut().flat_map(|queue| &mut queue.waiting) {
            outbound.settled = None;
        }
    }

    /// Changes a queue, and its place among the others where that is kept.
    fn change<R>(&mut self, tenant: &TenantId, change: impl FnOnce(&mut TenantQueue) -> R) -> Option<R> {
        let queue = self.queues.get_mut(tenant)?;
        let before = queue.weight;
        let changed = change(queue);
        if let Some(heaviest) = &mut self.heaviest {
            heaviest.change(tenant, before, queue.weight);
        }
        Some(changed)
    }
}

fn n_bytes(batch: &[Outbound]) -> usize {
    batch.iter().map(|outbound| outbound.body.len()).sum()
}

#[cfg(test)]
mod tests;
