//! What one connection itself causes: replies, pongs, closes, its user's backlog.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::CloseCode;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Shard, SlotKey};
use crate::publish::wire_form::encode;
use crate::seams::user_key::UserKey;
use crate::shard::connection::{Kept, PageEnd, PageReceipt};
use crate::shard::kept;

impl Shard {
    pub(crate) fn heard(&mut self, key: SlotKey) {
        let now = self.millis();
        if let Some(connection) = self.connection(key) {
            connection.heard_at = now;
        }
    }

    /// Counts what the client said against its tenant's share.
    pub(crate) fn charge(&mut self, key: SlotKey, earned_in: Duration) -> Option<Duration> {
        let tenant = self.connection(key)?.tenant;
        self.tenants[tenant as usize].commands.charge(earned_in)
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
        let Some(connection) = self.connection(key) else { return false };
        // A client may answer only the last of several pings. So while a page awaits its proof
        // every ping asks for just that, from behind the page.
        let page = connection.backlog.as_deref().and_then(|backlog| backlog.page.as_ref());
        let Some(request) = page.and_then(|page| form.receipt_request(page.number)) else {
            return self.send_urgent(key, form.ping());
        };
        connection.outbox.push(&request);
        self.mark_dirty(key.slot);
        true
    }

    pub(crate) fn close(&mut self, key: SlotKey, code: CloseCode) {
        if let Some(form) = self.form_of(key) {
            self.close_with(key, code, &form.close(code));
        }
    }

    /// The client closes, and is answered with `reply`. A page on its way ended with it.
    pub(crate) fn closed_by_client(&mut self, key: SlotKey, reply: &Bytes) {
        if let Some(backlog) = self.connection(key).and_then(|c| c.backlog.as_deref_mut()) {
            backlog.page = None;
        }
        self.close_with(key, CloseCode::Normal, reply);
    }

    /// Queues a ready close frame behind everything waiting.
    pub(crate) fn close_with(&mut self, key: SlotKey, code: CloseCode, frame: &Bytes) {
        self.close_behind(key, code, None, frame);
    }

    /// The same, with one more message before it.
    pub(super) fn close_behind(&mut self, key: SlotKey, code: CloseCode, last: Option<&Bytes>, frame: &Bytes) {
        let now = self.millis();
        let Some(connection) = self.connection(key) else { return };
        if connection.closing.is_some() {
            return;
        }
        // What waits behind a backlog must not be lost with it: the backlog itself is kept.
        self.end_backlog(key);
        self.push_notice(key);
        let Some(connection) = self.connection(key) else { return };
        connection.closing = Some(code);
        connection.stirred_at = now;
        last.into_iter().chain([frame]).for_each(|frame| connection.outbox.push(frame));
        self.mark_dirty(key.slot);
        // It takes nothing any more, so its user is not connected by it any more.
        self.count_out(key);
    }

    /// Finds an open connection of the user that is not yet being served a backlog; `only_broad` one that
    /// gets everything.
    pub(super) fn begin_backlog(&mut self, user: &UserKey, only_broad: bool) -> Option<SlotKey> {
        let slot = self.open_slots(user).into_iter().find(|slot| {
            let connection = &self.connections[*slot as usize];
            connection.closing.is_none()
                && !(only_broad && connection.names.is_some())
                && !connection.backlog.as_ref().is_some_and(|backlog| backlog.is_served)
        })?;
        let connection = &mut self.connections[slot as usize];
        connection.backlog.get_or_insert_default().is_served = true;
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
        let connection = self.connection(key).filter(|c| c.closing.is_none());
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
        let Some(backlog) = connection.backlog.as_deref_mut() else { return };
        backlog.n_pages += 1;
        let number = backlog.n_pages;
        let page = PageReceipt { number, done, left_out, written_at: None };
        if page.left_out.len() == messages.len() {
            return page.arrived();
        }
        let wanted = messages.iter().enumerate().filter(|(at, _)| page.left_out.binary_search(at).is_err());
        for (_, message) in wanted {
            connection.outbox.push(&encode(form, message));
        }
        if let Some(request) = form.receipt_request(number) {
            connection.outbox.push(&request);
        }
        backlog.page = Some(page);
        self.mark_dirty(key.slot);
    }

    /// The client has everything up to the request with this number.
    pub(crate) fn received(&mut self, key: SlotKey, number: u64) {
        self.heard(key);
        let Some(backlog) = self.connection(key).and_then(|c| c.backlog.as_deref_mut()) else { return };
        if backlog.page.as_ref().is_some_and(|page| page.number == number) {
            backlog.arrived();
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
        let Some(backlog) = connection.backlog.as_deref_mut() else { return };
        if is_receipt {
            backlog.arrived();
        } else if let Some(page) = &mut backlog.page {
            page.written_at.get_or_insert(now);
        }
    }

    /// The user's backlog is through, on whichever connection it was brought.
    pub(super) fn release(&mut self, user: &UserKey) {
        for slot in self.open_slots(user) {
            let id = self.connections[slot as usize].id;
            self.end_backlog(SlotKey { slot, id });
        }
    }

    /// What was held back follows.
    pub(super) fn end_backlog(&mut self, key: SlotKey) {
        let Some(mut backlog) = self.connection(key).and_then(|c| c.backlog.take()) else { return };
        backlog.interrupt();
        // What was dropped before is older than some of what was held.
        self.push_notice(key);
        let Some(connection) = self.connection(key).filter(|c| c.closing.is_none()) else { return };
        for held in &backlog.held {
            // It may have subscribed since the event came.
            if connection.wants_named(&held.event_type, held.topic.as_ref()) {
                connection.outbox.push(&held.frame);
            }
        }
        connection.n_dropped += backlog.n_dropped;
        self.mark_dirty(key.slot);
    }
}
