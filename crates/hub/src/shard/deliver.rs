//! From a tenant's pending events into outboxes: the fan-out.

use hookswitch_protocol::CloseCode;

use super::{Shard, SlotKey};
use crate::counters::Counters;
use crate::publish::batch::Batch;
use crate::shard::append_batch::{AppendBatch, Group};
use crate::shard::tenant_table::Audience;
use crate::shard::transport::Transport;

/// So many appends to outboxes take as long as writing to one connection: some tens of nanoseconds
/// each, to some microseconds.
const APPENDS_PER_FLUSH: usize = 64;

/// What finding the audience of one group of events costs, in appends.
const GROUP_APPENDS: usize = 4;

impl<O: Transport> Shard<O> {
    /// Takes a batch into its tenant's pending ones. A tenant without connections here is passed over.
    pub(super) fn enqueue(&mut self, mut batch: Batch) {
        let Some(first) = batch.events.first() else { return };
        if let Some(index) = self.by_tenant.get(&first.event.tenant).copied() {
            self.n_batches += 1;
            batch.number = self.n_batches;
            self.tenants[index as usize].pending.push_back(batch);
            self.queue_tenant(index);
        }
    }

    /// Appends pending events of a tenant to the outboxes of those they are for, until an append batch is
    /// through or `limit` is reached; gives what it cost, both in flushes.
    pub(super) fn append_some(&mut self, tenant: u32, limit: usize) -> usize {
        let table = &mut self.tenants[tenant as usize];
        let Some(mut append_batch) = table.append_batch.take().or_else(|| AppendBatch::take(&mut table.pending)) else {
            return 0;
        };
        let mut audience = std::mem::take(&mut self.audience);
        let mut ends = std::mem::take(&mut self.ends);
        let mut n_appends = 0;
        while n_appends < limit * APPENDS_PER_FLUSH
            && let Some(group) = append_batch.next_group(&mut ends)
        {
            self.tenants[tenant as usize].audience(&group.prepared.event, &mut audience);
            self.append_to(tenant, &audience, &group);
            n_appends += GROUP_APPENDS + audience.slots.len();
        }
        self.audience = audience;
        self.ends = ends;
        let table = &mut self.tenants[tenant as usize];
        if append_batch.is_done() {
            table.n_to_flush = table.dirty.len();
        } else {
            table.append_batch = Some(append_batch);
        }
        n_appends / APPENDS_PER_FLUSH
    }

    /// The walk over one group's audience: per connection a few comparisons and one reference.
    fn append_to(&mut self, tenant: u32, audience: &Audience, group: &Group<'_>) {
        let Group { prepared, frames } = group;
        let table = &mut self.tenants[tenant as usize];
        let (mut n_queued, mut n_dropped) = (0, 0);
        for (at, slot) in audience.slots.iter().enumerate() {
            let connection = &mut self.connections[*slot as usize];
            let is_indexed = audience.is_filtered && at < audience.n_users;
            if connection.closing.is_some() {
                continue;
            }
            if let Some(receipt) = &prepared.receipt {
                receipt.received();
            }
            if prepared.except == Some(connection.id) || !(is_indexed || connection.wants(&prepared.event)) {
                continue;
            }
            if prepared.event.user.is_some()
                && let Some(backlog) = connection.backlog.as_deref_mut()
            {
                n_dropped += frames.ends.len() - backlog.hold(*frames, self.config.outbox_messages);
                continue;
            }
            let n = connection.append(*frames, &self.config);
            n_queued += n;
            n_dropped += frames.ends.len() - n;
            if !connection.is_dirty && !connection.is_blocked {
                connection.is_dirty = true;
                table.dirty.push_back(*slot);
            }
        }
        Counters::add(&self.shared.counters.messages_queued, n_queued as u64);
        if n_dropped > 0 {
            Counters::add(&self.shared.counters.messages_dropped, n_dropped as u64);
        }
        if prepared.event.event_type.ends_session() {
            self.end_session(tenant, group);
        }
    }

    /// Closes the visitors of an ended session, also when the event itself was for one user only.
    fn end_session(&mut self, tenant: u32, group: &Group<'_>) {
        let Some(session) = &group.prepared.event.session else { return };
        let slots = self.tenants[tenant as usize].visitors(session).to_vec();
        for slot in slots {
            let id = self.connections[slot as usize].id;
            self.close(SlotKey { slot, id }, CloseCode::SessionEnded);
        }
    }
}
