//! What one connection itself causes: replies, pongs, closes, its user's backlog.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, Position};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Shard, SlotKey};
use crate::kept_page::event_id;
use crate::publish::wire_form::encode;
use crate::seams::user_key::UserKey;
use crate::shard::catch_up::{CatchUp, KeptPhase, PageEnd, PageReceipt, Resume};
use crate::shard::connection::Kept;
use crate::shard::kept;

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
        let Some(connection) = self.connection(key) else { return };
        connection.closing = Some(code);
        connection.stirred_at = now;
        connection.outbox.push(frame);
        self.mark_dirty(key.slot);
        // It takes nothing any more, so its user is not connected by it any more.
        self.count_out(key);
    }

    /// Finds an open connection of the user that is not yet being served a backlog; `only_broad` one that
    /// gets everything.
    pub(super) fn begin_backlog(&mut self, user: &UserKey, only_broad: bool) -> Option<SlotKey> {
        let slot = self.open_slots(user).into_iter().find(|slot| {
            let connection = &self.connections[*slot as usize];
            let is_served = connection.kept_phase().is_some_and(|kept| kept.is_served);
            let is_narrow = only_broad && connection.names.is_some();
            connection.closing.is_none() && !is_served && !is_narrow && !connection.awaits_word()
        })?;
        let connection = &mut self.connections[slot as usize];
        let table = &self.tenants[connection.tenant as usize];
        let given = table.appended().seq.max(connection.given);
        let live = || Box::new(CatchUp::of_user(self.shared.history.place(&table.tenant, given)));
        let behind = connection.catch_up.get_or_insert_with(live);
        behind.kept.get_or_insert_default().is_served = true;
        Some(SlotKey { slot, id: connection.id })
    }

    /// The user's open connections. Those still to be opened ask for a delivery task when they are.
    fn open_slots(&self, user: &UserKey) -> SmallVec<[u32; 2]> {
        let Some(tenant) = self.by_tenant.get(&user.tenant) else { return SmallVec::new() };
        let slots = self.tenants[*tenant as usize].user(&user.user).iter().copied();
        slots.filter(|slot| self.connections[*slot as usize].transport.is_some()).collect()
    }

    /// Queues one page of missed messages and, behind it, the request for the proof of its arrival. What
    /// the connection's subscription leaves out is left out of the page too: it stays kept.
    /// Pages stand outside the bound on messages: there is only ever one on its way.
    pub(super) fn send_backlog(&mut self, key: SlotKey, messages: &[Bytes], done: oneshot::Sender<PageEnd>) {
        let form = self.form_of(key);
        let connection = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id && c.closing.is_none());
        let (Some(form), Some(connection)) = (form, connection) else {
            // Nobody has seen the page: its messages are not to blame.
            let _gone = done.send(PageEnd::Interrupted);
            return;
        };
        let left_out: Vec<usize> = match &connection.names {
            None => Vec::new(),
            Some(_) => (0..messages.len()).filter(|at| !kept::is_wanted(connection, &messages[*at])).collect(),
        };
        if !left_out.is_empty() {
            connection.kept = Kept::LeftOut;
        }
        let table = &self.tenants[connection.tenant as usize];
        let given = table.appended().seq.max(connection.given);
        // It may have been released meanwhile, while another node's connection had some of them.
        let live = || Box::new(CatchUp::of_user(self.shared.history.place(&table.tenant, given)));
        let behind = connection.catch_up.get_or_insert_with(live);
        let kept = behind.kept.get_or_insert_with(|| KeptPhase { is_served: true, ..KeptPhase::default() });
        kept.n_pages += 1;
        let number = kept.n_pages;
        let page = PageReceipt { number, done, left_out, written_at: None };
        if page.left_out.len() == messages.len() {
            return page.arrived();
        }
        let wanted = messages.iter().enumerate().filter(|(at, _)| page.left_out.binary_search(at).is_err());
        let mut ids = Vec::with_capacity(messages.len());
        for (_, message) in wanted {
            ids.push(event_id(message));
            connection.outbox.push(&encode(form, message));
        }
        if let Some(request) = form.receipt_request(number) {
            connection.outbox.push(&request);
        }
        kept.page = Some(page);
        for id in ids {
            behind.note_kept(id);
        }
        self.mark_dirty(key.slot);
    }

    /// The client has everything up to the request with this number.
    pub(crate) fn received(&mut self, key: SlotKey, number: u64) {
        self.heard(key);
        let Some(kept) = self.connection(key).and_then(|c| c.kept_phase_mut()) else { return };
        if kept.page.as_ref().is_some_and(|page| page.number == number) {
            kept.arrived();
        }
    }

    /// Everything is written.
    pub(super) fn written(&mut self, key: SlotKey) {
        let now = self.millis();
        let Some(connection) = self.connection(key) else { return };
        let is_receipt = connection.form.is_write_receipt();
        if is_receipt {
            // Nobody answers pings there: what was taken was heard.
            connection.heard_at = now;
        }
        let transport = connection.transport.as_ref().map(|transport| Rc::clone(&transport.0));
        let Some(kept) = connection.kept_phase_mut() else { return };
        let Some(page) = kept.page.as_mut().filter(|page| page.written_at.is_none()) else { return };
        if is_receipt && transport.is_none_or(|transport| transport.has_arrived()) {
            kept.arrived();
        } else {
            page.written_at = Some(now);
        }
    }

    /// Everything that was written is at the far end.
    pub(crate) fn arrived(&mut self, key: SlotKey) {
        self.heard(key);
        let Some(kept) = self.connection(key).and_then(|c| c.kept_phase_mut()) else { return };
        if kept.page.as_ref().is_some_and(|page| page.written_at.is_some()) {
            kept.arrived();
        }
    }

    /// No kept messages are waited for any more on the user's connections, or on those only that nobody brings any.
    pub(super) fn release(&mut self, user: &UserKey, only_unserved: bool) {
        for slot in self.open_slots(user) {
            let connection = &self.connections[slot as usize];
            let is_served = connection.kept_phase().is_some_and(|kept| kept.is_served);
            let key = SlotKey { slot, id: connection.id };
            if !(only_unserved && is_served) {
                self.end_kept(key);
            }
        }
    }

    /// Kept messages are through here: what is newer follows from history.
    pub(super) fn end_kept(&mut self, key: SlotKey) {
        let Some(behind) = self.connection(key).and_then(|c| c.catch_up.as_deref_mut()) else { return };
        if let Some(mut kept) = behind.kept.take() {
            kept.interrupt();
            self.mark_dirty(key.slot);
        }
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
