//! From a tenant's pending events into outboxes: the fan-out.

use hookswitch_protocol::{CloseCode, SessionKey};

use super::{Shard, SlotKey};
use crate::history::place::Place;
use crate::publish::batch::Batch;
use crate::publish::wire_form::FormId;
use crate::shard::append_batch::{AppendBatch, Group};
use crate::shard::connection::{Connection, Frames};
use crate::shard::tenant_table::Audience;

/// So many appends to outboxes take as long as writing to one connection: some tens of nanoseconds
/// each, to some microseconds.
const APPENDS_PER_FLUSH: usize = 64;

/// What finding the audience of one group of events costs, in appends.
const GROUP_APPENDS: usize = 4;

impl Shard {
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
        let Some(mut batch) = table.append_batch.take().or_else(|| AppendBatch::take(&mut table.pending)) else {
            return 0;
        };
        batch.prepare_for(self.forms.len());
        let mut audience = std::mem::take(&mut self.audience);
        let mut n_appends = 0;
        while n_appends < limit * APPENDS_PER_FLUSH
            && let Some(group) = batch.next_group()
        {
            self.tenants[tenant as usize].audience(&batch.first(&group).event, &mut audience);
            self.append_to(tenant, &audience, &batch, &group);
            n_appends += GROUP_APPENDS + audience.slots.len();
        }
        self.audience = audience;
        let table = &mut self.tenants[tenant as usize];
        if batch.is_done() {
            table.appended = batch.last_done().unwrap_or(table.appended);
            table.n_to_flush = table.dirty.len();
        } else {
            table.append_batch = Some(batch);
        }
        n_appends / APPENDS_PER_FLUSH
    }

    /// The walk over one group's audience: per connection a few comparisons and one reference.
    fn append_to(&mut self, tenant: u32, audience: &Audience, batch: &AppendBatch, group: &Group) {
        let (prepared, first) = (batch.first(group), batch.place(group));
        // The least number that was given already for it to matter.
        let last_given = first.map_or(u64::MAX, |first| first.seq);
        let table = &mut self.tenants[tenant as usize];
        let (mut n_queued, mut n_dropped) = (0, 0);
        // Nearly always all of them read the same form.
        let mut in_form: Option<(FormId, Frames<'_>)> = None;
        for (at, slot) in audience.slots.iter().enumerate() {
            let connection = &mut self.connections[*slot as usize];
            if connection.closing.is_some() {
                continue;
            }
            // One that came in behind it has not met it.
            if let Some(receipt) = prepared.receipt.as_ref().filter(|_| connection.beginning.came_in < last_given) {
                receipt.received();
            }
            if prepared.except == Some(connection.id) || !audience.is_wanted(at, connection, &prepared.event) {
                continue;
            }
            // One that is behind is given it from history, when it comes to that.
            if let (Some(first), Some(behind)) = (first, connection.catch_up.as_deref_mut())
                && behind.holds(first, prepared.event.user.is_some())
            {
                continue;
            }
            let frames = match &in_form {
                Some((form, frames)) if *form == connection.form => frames,
                _ => {
                    let form = connection.form;
                    &in_form.insert((form, batch.frames(group, form, self.forms[form.index()]))).1
                }
            };
            let behind;
            let frames = if connection.given < last_given {
                frames
            } else {
                behind = frames.behind(connection.given);
                &behind
            };
            if frames.ends.is_empty() {
                continue;
            }
            let n = connection.append(frames, &self.config);
            n_queued += n;
            if first.is_none() {
                n_dropped += frames.ends.len() - n;
            }
            if !connection.is_dirty && !connection.is_blocked {
                connection.is_dirty = true;
                table.dirty.push_back(*slot);
            }
        }
        self.shared.metrics.messages_queued.inc_by(n_queued as u64);
        if n_dropped > 0 {
            self.shared.metrics.messages_dropped.inc_by(n_dropped as u64);
        }
        if prepared.event.event_type.ends_session() {
            self.end_session(tenant, prepared.event.session.as_ref(), first);
        }
    }

    /// Closes the visitors of an ended session, also when the event itself was for one user only.
    fn end_session(&mut self, tenant: u32, session: Option<&SessionKey>, ended: Option<Place>) {
        let Some(session) = session else { return };
        let slots = self.tenants[tenant as usize].visitors(session).to_vec();
        for slot in slots {
            let Connection { id, catch_up, given, .. } = &self.connections[slot as usize];
            let is_before = |seq: u64| ended.is_none_or(|ended| seq < ended.seq);
            if !is_before(*given) || catch_up.as_deref().is_some_and(|behind| is_before(behind.cursor.seq)) {
                // It came later, to a session of the same name; or is closed when it has come to this event.
                continue;
            }
            let id = *id;
            self.close(SlotKey { slot, id }, CloseCode::SessionEnded);
        }
    }
}
