//! From recent history into the outbox of a connection that is behind, a page at a time, as its client reads.

use bytes::BytesMut;
use hookswitch_protocol::CloseCode;

use super::visibility::may_see;
use super::{Shard, SlotKey};
use crate::attachment::Subject;
use crate::history::ring::{Page, Recorded};
use crate::notice;
use crate::publish::wire_form::{Tail, encode};
use crate::shard::catch_up::CatchUp;
use crate::shard::connection::{Connection, PAGE_MESSAGES};

/// Events looked at under the tenant's turn.
const LOOKED_AT: usize = 64;

/// Bytes of a page; a single message may be larger.
const PAGE_BYTES: usize = 256 * 1024;

/// Times that events are looked at before others get a turn.
const LOOKS_PER_TURN: usize = 16;

/// How far one look at history came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// There is something in the outbox.
    Queued,
    /// Nothing of it was for this connection, and there is more.
    PassedOver,
    /// That was the last event.
    AtHead,
    /// An event was passed that ends the connection.
    Ended,
}

impl Shard {
    /// Queues what comes next for a connection that is behind and whose outbox is empty; whether that is anything.
    /// One that has everything is given events as they come again.
    pub(super) fn feed(&mut self, key: SlotKey) -> bool {
        if !self.begin_replay(key) {
            return false;
        }
        for _ in 0..LOOKS_PER_TURN {
            match self.look(key, PAGE_MESSAGES) {
                Look::PassedOver => {}
                Look::Queued | Look::Ended => return true,
                Look::AtHead => return self.connection(key).is_some_and(|connection| !connection.outbox.is_empty()),
            }
        }
        self.mark_dirty(key.slot);
        false
    }

    /// What is owed to a connection that is about to be closed, as far as its outbox has room. Whether that is all.
    pub(super) fn feed_before_close(&mut self, key: SlotKey) -> bool {
        let n_messages = self.config.outbox_messages;
        if !self.begin_replay(key) {
            return true;
        }
        loop {
            let Some(connection) = self.connection(key).filter(|c| c.catch_up.is_some()) else { return true };
            let (n_frames, n_bytes) = (connection.outbox.n_frames(), connection.outbox.n_bytes());
            if n_frames >= n_messages || n_bytes >= self.config.outbox_bytes {
                return false;
            }
            if self.look(key, n_messages - n_frames) == Look::Ended {
                return true;
            }
        }
    }

    /// Takes one look at history, from where the connection stands.
    fn look(&mut self, key: SlotKey, n_messages: usize) -> Look {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else {
            return Look::Ended;
        };
        let Some(mut behind) = connection.catch_up.take() else { return Look::AtHead };
        let tenant = self.tenants[connection.tenant as usize].tenant.clone();
        let page = self.shared.history.page(&tenant, behind.cursor.seq, LOOKED_AT);
        self.tell_lost(key, &mut behind, &page);
        let n_before = self.connections[key.slot as usize].outbox.n_frames();
        let (n_looked_at, is_ended) = self.queue_page(key, &mut behind, &page.events, n_messages);
        let is_at_head = n_looked_at == page.events.len() && page.events.len() < LOOKED_AT;
        if is_at_head {
            behind.cursor = page.head;
        }
        self.tell_resumed(key, &mut behind);
        let connection = &mut self.connections[key.slot as usize];
        let has_queued = connection.outbox.n_frames() > n_before;
        if is_at_head && behind.resume.is_none() {
            connection.given = page.head.seq;
        } else {
            connection.catch_up = Some(behind);
        }
        if is_ended {
            self.close(key, CloseCode::SessionEnded);
            return Look::Ended;
        }
        match (is_at_head, has_queued) {
            (true, _) => Look::AtHead,
            (false, true) => Look::Queued,
            (false, false) => Look::PassedOver,
        }
    }

    /// Queues those of these events that are for the connection, up to so many; gives how many were looked at, and
    /// whether the last of them ends the connection.
    fn queue_page(
        &mut self,
        key: SlotKey,
        behind: &mut CatchUp,
        events: &[Recorded],
        n_messages: usize,
    ) -> (usize, bool) {
        let connection = &mut self.connections[key.slot as usize];
        let table = &self.tenants[connection.tenant as usize];
        let form = self.forms[connection.form.index()];
        let (mut memory, mut n_queued, mut n_looked_at, mut is_ended) = (BytesMut::new(), 0, 0, false);
        for Recorded { place, event, .. } in events {
            if n_queued == n_messages || memory.len() > PAGE_BYTES || behind.is_at_stop() {
                break;
            }
            n_looked_at += 1;
            behind.cursor = *place;
            let is_new = !behind.was_sent(place.seq, event.user.is_some(), event.id.as_str());
            if is_new && may_see(table, key.slot, connection, event) {
                form.message(Tail::new(place.position, false).of(event.envelope()), &mut memory);
                n_queued += 1;
            }
            if event.event_type.ends_session() && is_own_session(connection, event) {
                is_ended = true;
                break;
            }
        }
        if n_queued > 0 {
            behind.count_replayed(n_queued as u64);
            connection.note_first(events[0].place.seq);
            let n_bytes = memory.len() as u32;
            connection.outbox.push_run(&memory.freeze(), 0, n_bytes, n_queued as u32);
            self.shared.metrics.messages_replayed.inc_by(n_queued as u64);
        }
        (n_looked_at, is_ended)
    }

    /// Tells a connection that is closed what it was not given.
    pub(super) fn tell_unread(&mut self, key: SlotKey) {
        let Some(connection) = self.connections.get(key.slot as usize).filter(|c| c.id == key.id) else { return };
        let Some(behind) = connection.catch_up.as_deref() else { return };
        let tenant = &self.tenants[connection.tenant as usize].tenant;
        let span = (behind.cursor.position, self.shared.history.head(tenant, self.index).place.position);
        let missed = encode(self.forms[connection.form.index()], &notice::lost(span, self.clock.now(), tenant));
        self.connections[key.slot as usize].outbox.push(&missed);
        self.shared.metrics.drop_notices.inc();
    }

    /// Tells a connection what it missed for good: what it had not come to is not kept any more.
    fn tell_lost(&mut self, key: SlotKey, behind: &mut CatchUp, page: &Page) {
        let connection = &self.connections[key.slot as usize];
        let wants_opt_in = connection.wants_opt_in();
        let lost = if wants_opt_in && page.lost_opt_in.seq > page.lost.seq { page.lost_opt_in } else { page.lost };
        if lost.seq <= behind.cursor.seq {
            return;
        }
        let tenant = &self.tenants[connection.tenant as usize].tenant;
        let span = (behind.cursor.position, lost.position);
        let missed = notice::lost(span, self.clock.now(), tenant);
        let frame = encode(self.forms[connection.form.index()], &missed);
        tracing::info!(%tenant, connection = %key.id, "a client that did not read in time has missed events for good");
        self.connections[key.slot as usize].outbox.push(&frame);
        self.shared.metrics.drop_notices.inc();
        behind.fell_out(lost);
    }
}

/// Whether the event is about the session that the connection is a visitor of, also when it is for one user only.
fn is_own_session(connection: &Connection, event: &hookswitch_protocol::Event) -> bool {
    matches!(&connection.subject, Subject::Visitor(session) if event.session.as_ref() == Some(session))
}
