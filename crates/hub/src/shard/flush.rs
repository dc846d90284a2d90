//! From outboxes into sockets, in slices, round robin between tenants.

use super::{Shard, SlotKey};
use crate::notice;
use crate::publish::wire_form::encode;
use crate::shard::transport::Flushed;

/// Connections flushed before readers and others get a turn, and before the next tenant has one.
const SLICE_CONNECTIONS: usize = 256;

/// What a page of history costs: it is written for one connection alone.
const FLUSHES_PER_PAGE: usize = 16;

/// Pages of history for one connection before others get a turn.
const PAGES_PER_FLUSH: usize = 4;

impl Shard {
    /// Whether a turn would do anything.
    pub(super) fn has_work(&self) -> bool {
        !self.ring.is_empty() || !self.gap_walks.is_empty()
    }

    /// One slice of work: appends and flushes until a few hundred connections were written to.
    pub(super) fn turn(&mut self) {
        let mut n_left = SLICE_CONNECTIONS;
        if !self.gap_walks.is_empty() {
            self.tell_some_of_gap();
        }
        while n_left > 0
            && let Some(tenant) = self.ring.pop_front()
        {
            n_left = n_left.saturating_sub(self.serve_tenant(tenant, n_left).max(1));
            let table = &mut self.tenants[tenant as usize];
            if table.has_work() {
                self.ring.push_back(tenant);
            } else {
                table.is_queued = false;
                self.tenant_forget_if_idle(tenant);
            }
        }
    }

    /// Appends what one tenant has pending and flushes, up to `limit`; gives what it cost, in
    /// flushes.
    fn serve_tenant(&mut self, tenant: u32, limit: usize) -> usize {
        let mut n_spent = 0;
        // What was appended before goes out first: at most one append batch per outbox and flush.
        if self.tenants[tenant as usize].n_to_flush == 0 {
            n_spent = self.append_some(tenant, limit);
            if self.tenants[tenant as usize].append_batch.is_some() {
                return n_spent;
            }
        }
        n_spent + self.flush_slice(tenant, limit.saturating_sub(n_spent))
    }

    /// Flushes up to `limit` dirty connections of one tenant; gives how many it was.
    fn flush_slice(&mut self, tenant: u32, limit: usize) -> usize {
        let mut n_flushed = 0;
        while n_flushed < limit {
            let table = &mut self.tenants[tenant as usize];
            let Some(slot) = table.dirty.pop_front() else { break };
            table.n_to_flush = table.n_to_flush.saturating_sub(1);
            // A connection that left, or a slot that somebody else has now, is not marked.
            if let Some(connection) = self.connections.get_mut(slot as usize)
                && connection.is_dirty
                && connection.tenant == tenant
            {
                connection.is_dirty = false;
                let key = SlotKey { slot, id: connection.id };
                n_flushed += 1 + self.flush(key) * FLUSHES_PER_PAGE;
            }
        }
        n_flushed
    }

    /// Writes what waits for a connection, and what comes next where it is behind; gives how many pages of history
    /// that was.
    fn flush(&mut self, key: SlotKey) -> usize {
        let mut n_fed = 0;
        loop {
            let Some(connection) = self.connection(key).filter(|connection| !connection.is_blocked) else {
                return n_fed;
            };
            let Some(transport) = &connection.transport else { return n_fed };
            let n_before = connection.outbox.n_bytes();
            let flushed =
                if connection.outbox.is_empty() { Flushed::Drained } else { transport.0.flush(&mut connection.outbox) };
            // What nearly every flush comes to.
            if flushed == Flushed::Drained && connection.awaits_nothing() && !connection.form.is_write_receipt() {
                return n_fed;
            }
            let n_written = n_before - connection.outbox.n_bytes();
            let page = connection.kept_phase_mut().and_then(|kept| kept.page.as_mut());
            if let Some(n_behind) = page.and_then(|page| page.note_written(n_written)) {
                self.page_written(key, n_behind);
            }
            let Some(connection) = self.connection(key) else { return n_fed };
            match flushed {
                Flushed::Gone => {
                    self.detach(key);
                    return n_fed;
                }
                Flushed::Blocked => {
                    connection.is_blocked = true;
                    connection.note_slow();
                    connection.outbox.unpin();
                    self.tell_missed(key);
                    return n_fed;
                }
                Flushed::Drained if connection.awaits_nothing() && !connection.form.is_write_receipt() => return n_fed,
                Flushed::Drained => {}
            }
            let is_closing = connection.closing.is_some();
            self.heard_by_writing(key);
            if is_closing {
                self.finish(key);
                return n_fed;
            }
            if self.tell_missed(key) {
                continue;
            }
            if n_fed == PAGES_PER_FLUSH {
                // The others come first.
                self.mark_dirty(key.slot);
                return n_fed;
            }
            let is_behind = self.connection(key).is_some_and(|connection| connection.catch_up.is_some());
            n_fed += usize::from(is_behind);
            if !self.feed(key) {
                return n_fed;
            }
        }
    }

    /// Queues the notice of dropped messages, where there is one to give and room for it.
    fn tell_missed(&mut self, key: SlotKey) -> bool {
        let connection = self.connections.get(key.slot as usize).filter(|c| c.id == key.id);
        connection.is_some_and(|c| c.may_be_told(&self.config)) && self.push_notice(key)
    }

    /// Queues the notice of dropped messages, where there is one to give.
    pub(super) fn push_notice(&mut self, key: SlotKey) -> bool {
        let now = self.clock.now();
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else {
            return false;
        };
        let n_dropped = std::mem::take(&mut connection.n_dropped);
        if n_dropped == 0 || connection.closing.is_some() {
            return false;
        }
        let tenant = &self.tenants[connection.tenant as usize].tenant;
        let message = format!(
            "{n_dropped} messages were dropped because they were not read in time; fetch the present state again"
        );
        let message = notice::missed(&message, Some(u64::from(n_dropped)), now, tenant);
        let notice = encode(self.forms[connection.form.index()], &message);
        tracing::info!(%tenant, connection = %key.id, n_dropped, "slow client is told what it missed");
        connection.outbox.push(&notice);
        self.shared.metrics.drop_notices.inc();
        true
    }

    /// The close frame is out.
    fn finish(&mut self, key: SlotKey) {
        if let Some(code) = self.connection(key).and_then(|connection| connection.closing) {
            self.shared.metrics.closed.inc(code.reason());
        }
        let connection = self.take_out(key);
        if let Some(transport) = connection.transport {
            transport.0.finish();
        }
    }
}
