//! What one connection itself causes: replies, pongs, closes.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, Position};

use super::{Shard, SlotKey};
use crate::publish::wire_form::encode;
use crate::shard::catch_up::Resume;

impl Shard {
    pub(crate) fn heard(&mut self, key: SlotKey) {
        let now = self.millis();
        if let Some(connection) = self.connection(key) {
            connection.heard_at = connection.heard_at.max(now);
        }
    }

    /// Counts what the client said against its share of its tenant's.
    pub(crate) fn charge(&mut self, key: SlotKey, earned_in: Duration) -> Option<Duration> {
        let connection = self.connections.get(key.slot as usize).filter(|c| c.id == key.id)?;
        self.tenants[connection.tenant as usize].commands.charge(&connection.subject, earned_in)
    }

    /// Nothing is read from the client for so long: what it says meanwhile, pongs and proofs too, is not missed.
    pub(crate) fn unheard(&mut self, key: SlotKey, wait: Duration) {
        let until = self.millis() + wait.as_millis() as u64;
        let Some(connection) = self.connection(key) else { return };
        connection.heard_at = connection.heard_at.max(until);
        if let Some(page) = connection.kept_phase_mut().and_then(|kept| kept.page.as_mut()) {
            page.written_at = page.written_at.map(|at| at.max(until));
        }
    }

    pub(crate) fn writable(&mut self, key: SlotKey) {
        if let Some(connection) = self.connection(key) {
            connection.is_blocked = false;
            self.mark_dirty(key.slot);
        }
    }

    /// Queues one message to the connection itself.
    pub(crate) fn send_message(&mut self, key: SlotKey, json: &[u8]) {
        let is_open = self.connection(key).is_some_and(|connection| connection.closing.is_none());
        if let Some(form) = self.form_of(key).filter(|_| is_open) {
            self.send(key, &encode(form, json));
        }
    }

    pub(super) fn send(&mut self, key: SlotKey, frame: &Bytes) {
        let config = std::sync::Arc::clone(&self.config);
        let Some(connection) = self.connection(key).filter(|c| c.closing.is_none()) else { return };
        if !connection.answer(frame, &config) {
            self.shared.metrics.messages_dropped.inc();
        }
        self.mark_dirty(key.slot);
    }

    /// Queues a control frame; whether there was room.
    pub(crate) fn send_urgent(&mut self, key: SlotKey, frame: Bytes) -> bool {
        let limit = self.config.outbox_messages * 2;
        let Some(connection) = self.connection(key).filter(|c| c.closing.is_none()) else { return false };
        // A client that pings without reading could grow the outbox by pongs: past the bound they
        // are left out, for a client that is not reading does not miss them.
        if connection.outbox.n_frames() >= limit {
            return false;
        }
        connection.outbox.push_urgent(frame);
        self.mark_dirty(key.slot);
        true
    }

    /// Asks the client for a sign of life; whether there was room to ask.
    pub(super) fn ping(&mut self, key: SlotKey) -> bool {
        let Some(form) = self.form_of(key) else { return false };
        let served = self.served(key);
        let Some(connection) = self.connection(key) else { return false };
        if connection.form.is_write_receipt() {
            // Where it says how far the client is, it stands behind what was given up to there.
            if connection.closing.is_none() && connection.outbox.is_empty() {
                connection.outbox.push(&form.ping(served));
                self.mark_dirty(key.slot);
            }
            return true;
        }
        // A client may answer only the last of several pings. So while a page awaits its proof
        // every ping asks for just that, from behind the page.
        let page = connection.kept_phase().and_then(|kept| kept.page.as_ref());
        let Some(request) = page.and_then(|page| form.receipt_request(page.number)) else {
            return self.send_urgent(key, form.ping(served));
        };
        connection.outbox.push(&request);
        self.mark_dirty(key.slot);
        true
    }

    pub(crate) fn close(&mut self, key: SlotKey, code: CloseCode) {
        if let Some(form) = self.form_of(key) {
            self.close_with(key, code, &form.close(code, self.clock.now()));
        }
    }

    /// The client closes, and is answered with `reply`. A page on its way ended with it.
    pub(crate) fn closed_by_client(&mut self, key: SlotKey, reply: &Bytes) {
        if let Some(kept) = self.connection(key).and_then(|c| c.kept_phase_mut()) {
            kept.page = None;
        }
        self.close_with(key, CloseCode::Normal, reply);
    }

    /// Queues a ready close frame behind everything waiting.
    pub(crate) fn close_with(&mut self, key: SlotKey, code: CloseCode, frame: &Bytes) {
        let now = self.millis();
        let Some(connection) = self.connection(key) else { return };
        if connection.closing.is_some() {
            return;
        }
        // What waits behind kept messages must not be lost with them: they themselves are kept.
        self.end_kept(key);
        if !self.feed_before_close(key) {
            self.tell_unread(key);
        }
        self.push_notice(key);
        if self.connection(key).is_none_or(|connection| connection.closing.is_some()) {
            return;
        }
        let gone_after = self.appended_to(key);
        let Some(connection) = self.connection(key) else { return };
        connection.record.gone_after = Some(gone_after);
        connection.closing = Some(code);
        connection.stirred_at = now;
        connection.outbox.push(frame);
        self.mark_dirty(key.slot);
        // It takes nothing any more, so its user is not connected by it any more.
        self.count_out(key);
    }

    /// The place up to which the connection was given everything that it may see, or its subscription left it out.
    pub(crate) fn served(&self, key: SlotKey) -> Option<Position> {
        let connection = self.connections.get(key.slot as usize).filter(|c| c.id == key.id)?;
        if let Some(behind) = &connection.catch_up {
            // Before it is known where its client was, nothing can be said.
            let is_asked = matches!(behind.resume, Some(Resume::Asked { .. } | Resume::Awaited { .. }));
            return behind.cursor.position.filter(|_| !is_asked);
        }
        let table = &self.tenants[connection.tenant as usize];
        let head = self.shared.history.head(&table.tenant, self.index);
        let given = table.appended().seq.max(connection.given);
        if given >= head.handed_over {
            return head.place.position;
        }
        self.shared.history.place(&table.tenant, given).position
    }
}
