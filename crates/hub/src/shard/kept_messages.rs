//! Messages kept for a user, on one of the user's connections: pages out, proofs in.

use std::collections::HashSet;
use std::rc::Rc;

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Shard, SlotKey};
use crate::attachment::Subject;
use crate::kept_page::event_id;
use crate::publish::wire_form::encode;
use crate::seams::user_key::UserKey;
use crate::shard::catch_up::{CatchUp, KeptPhase, PageEnd, PageReceipt};
use crate::shard::connection::Kept;
use crate::shard::kept;
use crate::shard::sent::hash;

impl Shard {
    /// Finds an open connection of the user that is not yet being served a backlog; `only_broadcast` one that
    /// gets everything.
    pub(super) fn begin_backlog(&mut self, user: &UserKey, only_broadcast: bool) -> Option<SlotKey> {
        let slot = self.open_slots(user).into_iter().find(|slot| {
            let connection = &self.connections[*slot as usize];
            let is_served = connection.kept_phase().is_some_and(|kept| kept.is_served);
            let is_narrow = only_broadcast && connection.names.is_some();
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
    /// the connection's subscription leaves out is left out of the page too: it stays kept. What the connection was
    /// given by a replay is not sent again, and arrives with the page.
    /// Pages stand outside the bound on messages: there is only ever one on its way.
    pub(super) fn send_backlog(&mut self, key: SlotKey, messages: &[Bytes], done: oneshot::Sender<PageEnd>) {
        let (form, replayed) = (self.form_of(key), self.replayed(key));
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
        let mut page = PageReceipt { number, done, left_out, n_bytes_left: 0, written_at: None };
        if page.left_out.len() == messages.len() {
            return page.arrived();
        }
        let wanted = messages.iter().enumerate().filter(|(at, _)| page.left_out.binary_search(at).is_err());
        let mut ids = Vec::with_capacity(messages.len());
        for (_, message) in wanted {
            let id = event_id(message);
            if !replayed.contains(&hash(id)) {
                ids.push(id);
                connection.outbox.push(&encode(form, message));
            }
        }
        if let Some(request) = form.receipt_request(number) {
            connection.outbox.push(&request);
        }
        page.n_bytes_left = connection.outbox.n_bytes();
        kept.page = Some(page);
        for id in ids {
            connection.early_mut().note_kept(id);
        }
        self.mark_dirty(key.slot);
    }

    /// Hashes of the ids of the events for its user that a replay gave to the connection.
    fn replayed(&self, key: SlotKey) -> HashSet<u64> {
        let connection = self.connections.get(key.slot as usize).filter(|c| c.id == key.id);
        let of_replay = connection.and_then(|c| Some((c, c.early.as_deref()?.replayed?)));
        let Some((connection, (after, until))) = of_replay else { return HashSet::new() };
        let Subject::User(user) = &connection.subject else { return HashSet::new() };
        let until = connection.catch_up.as_deref().map_or(until, |behind| until.min(behind.cursor.seq));
        let tenant = &self.tenants[connection.tenant as usize].tenant;
        let mut ids = HashSet::new();
        self.shared.history.for_each_between(tenant, (after, until), |recorded| {
            if recorded.event.user.as_ref() == Some(user) && !recorded.event.is_kept() {
                ids.insert(hash(recorded.event.id.as_str()));
            }
        });
        ids
    }

    /// The client has everything up to the request with this number.
    pub(crate) fn received(&mut self, key: SlotKey, number: u64) {
        self.heard(key);
        let Some(kept) = self.connection(key).and_then(|c| c.kept_phase_mut()) else { return };
        if kept.page.as_ref().is_some_and(|page| page.number == number) {
            kept.arrived();
        }
    }

    /// Everything is written: where nobody answers pings, what was taken was heard.
    pub(super) fn heard_by_writing(&mut self, key: SlotKey) {
        let now = self.millis();
        if let Some(connection) = self.connection(key).filter(|connection| connection.form.is_write_receipt()) {
            connection.heard_at = now;
        }
    }

    /// The page on its way is written, the request for its proof included, and so many bytes behind it.
    pub(super) fn page_written(&mut self, key: SlotKey, n_behind: usize) {
        let now = self.millis();
        let Some(connection) = self.connection(key) else { return };
        let is_receipt = connection.form.is_write_receipt();
        let transport = connection.transport.as_ref().map(|transport| Rc::clone(&transport.0));
        let Some(kept) = connection.kept_phase_mut() else { return };
        let Some(page) = kept.page.as_mut() else { return };
        page.written_at = Some(now);
        if is_receipt && transport.is_none_or(|transport| transport.has_arrived(n_behind)) {
            kept.arrived();
        }
    }

    /// Everything that was asked about is at the far end.
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
}
