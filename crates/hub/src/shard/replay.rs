//! From recent history into the outbox of a connection that is behind, a page at a time, as its client reads.

use bytes::BytesMut;
use hookswitch_protocol::CloseCode;

use super::visibility::may_see;
use super::{Shard, SlotKey};
use crate::attachment::Subject;
use crate::history::classes::Class;
use crate::history::ring::{Page, Recorded};
use crate::notice;
use crate::publish::wire_form::{Tail, encode};
use crate::shard::catch_up::CatchUp;
use crate::shard::connection::Connection;
use crate::shard::sent::Early;

/// Events looked at under the tenant's turn.
const LOOKED_AT: usize = 64;

/// Urgent ones looked at under it: most may be other people's.
const URGENT_LOOKED_AT: usize = 256;

/// Messages of a page for a client that reads.
const PAGE_MESSAGES: usize = 64;

/// Messages of a page for one that does not read as fast as it is sent to: what waits in its outbox stands before
/// whatever is urgent.
const SLOW_PAGE_MESSAGES: usize = 4;

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

/// What became of a page.
#[derive(Debug, Default)]
struct QueuedPage {
    n_looked_at: usize,
    /// The last event that was looked at ends the connection.
    is_ended: bool,
}

impl Shard {
    /// Queues what comes next for a connection that is behind and whose outbox is empty; whether that is anything.
    /// One that has everything is given events as they come again.
    pub(super) fn feed(&mut self, key: SlotKey) -> bool {
        if !self.begin_replay(key) {
            return false;
        }
        let is_slow = |behind: &CatchUp| behind.is_slow;
        let is_slow = self.connection(key).and_then(|c| c.catch_up.as_deref()).is_some_and(is_slow);
        let n_messages = if is_slow { SLOW_PAGE_MESSAGES } else { PAGE_MESSAGES };
        for _ in 0..LOOKS_PER_TURN {
            match self.look(key, n_messages) {
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
        let queued = self.queue_page(key, &mut behind, &page, n_messages);
        let is_at_head = queued.n_looked_at == page.events.len() && page.events.len() < LOOKED_AT;
        if is_at_head {
            behind.cursor = page.head;
        }
        self.tell_resumed(key, &mut behind);
        let connection = &mut self.connections[key.slot as usize];
        let has_queued = connection.outbox.n_frames() > n_before;
        if is_at_head && behind.resume.is_none() {
            connection.note_live(page.head.seq, &behind);
        } else {
            connection.catch_up = Some(behind);
        }
        if queued.is_ended {
            // What comes behind it is none of its business.
            connection.catch_up = None;
            self.close(key, CloseCode::SessionEnded);
            return Look::Ended;
        }
        match (is_at_head, has_queued) {
            (true, _) => Look::AtHead,
            (false, true) => Look::Queued,
            (false, false) => Look::PassedOver,
        }
    }

    /// Queues those of these events that are for the connection, up to so many.
    fn queue_page(&mut self, key: SlotKey, behind: &mut CatchUp, page: &Page, n_messages: usize) -> QueuedPage {
        let reorders =
            behind.has_overflowed && behind.resume.is_none() && !self.connections[key.slot as usize].is_strict;
        let urgent = if reorders { self.urgent_ahead(key, behind, page, n_messages) } else { Vec::new() };
        let connection = &mut self.connections[key.slot as usize];
        let is_admin = self.tenants[connection.tenant as usize].is_admin(key.slot);
        let form = self.forms[connection.form.index()];
        let (mut memory, mut n_queued, mut queued) = (BytesMut::new(), urgent.len(), QueuedPage::default());
        for (Recorded { place, event, .. }, is_ahead) in &urgent {
            form.message(Tail::new(place.position, *is_ahead).of(event.envelope()), &mut memory);
            behind.ahead = behind.ahead.max(place.seq);
        }
        for (recorded, is_superseded) in page.events.iter().zip(&page.superseded) {
            let Recorded { place, event, class, .. } = recorded;
            if n_queued >= n_messages || memory.len() > PAGE_BYTES || behind.is_at_stop() {
                break;
            }
            queued.n_looked_at += 1;
            behind.cursor = *place;
            let was_ahead = *class == Class::Urgent && place.seq <= behind.ahead;
            let is_new = !was_ahead && !was_given(connection, behind, recorded);
            if is_new && may_see(connection, is_admin, event) {
                if reorders && *is_superseded {
                    self.shared.metrics.messages_superseded.inc();
                    continue;
                }
                form.message(Tail::new(place.position, false).of(event.envelope()), &mut memory);
                n_queued += 1;
            }
            if event.event_type.ends_session() && is_own_session(connection, event) {
                queued.is_ended = true;
                break;
            }
        }
        if n_queued > 0 {
            behind.count_replayed(n_queued as u64);
            connection.note_first(page.events[0].place.seq);
            let n_bytes = memory.len() as u32;
            connection.outbox.push_run(&memory.freeze(), 0, n_bytes, n_queued as u32);
            self.shared.metrics.messages_replayed.inc_by(n_queued as u64);
        }
        queued
    }

    /// The urgent events that come before others that are owed to the connection, and whether each does. What is urgent
    /// and comes next anyway is not among them.
    fn urgent_ahead(
        &self,
        key: SlotKey,
        behind: &mut CatchUp,
        page: &Page,
        n_messages: usize,
    ) -> Vec<(Recorded, bool)> {
        let connection = &self.connections[key.slot as usize];
        let table = &self.tenants[connection.tenant as usize];
        let is_admin = table.is_admin(key.slot);
        let is_owed = |recorded: &Recorded| {
            !was_given(connection, behind, recorded) && may_see(connection, is_admin, &recorded.event)
        };
        let in_page = page.events.iter().zip(&page.superseded);
        let mut owed = in_page.filter(|(recorded, superseded)| recorded.class != Class::Urgent && !**superseded);
        // Nothing else is owed as far as one can see: urgent ones are next anyway.
        let Some(first_owed) = owed.find(|(recorded, _)| is_owed(recorded)).map(|(owed, _)| owed.place.seq) else {
            return Vec::new();
        };
        let after = behind.ahead.max(behind.cursor.seq);
        let urgent = self.shared.history.urgent(&table.tenant, after, URGENT_LOOKED_AT);
        let last = urgent.last().map(|last| last.place.seq);
        let ahead = |urgent: Recorded| (urgent.place.seq > first_owed, urgent);
        let owed: Vec<_> = urgent.into_iter().filter(is_owed).take(n_messages).map(ahead).collect();
        // Others' are not looked at again and again; where not all had room, the rest is.
        behind.ahead = last.filter(|_| owed.len() < n_messages).unwrap_or(behind.ahead);
        owed.into_iter().map(|(is_ahead, urgent)| (urgent, is_ahead)).collect()
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
        let Some(lost) = behind.lost(page, connection.wants_opt_in()) else { return };
        self.connections[key.slot as usize].record.note_lost((lost.0.seq, lost.1.seq));
        let connection = &self.connections[key.slot as usize];
        let tenant = &self.tenants[connection.tenant as usize].tenant;
        let missed = notice::lost((lost.0.position, lost.1.position), self.clock.now(), tenant);
        let frame = encode(self.forms[connection.form.index()], &missed);
        tracing::info!(%tenant, connection = %key.id, "a client that did not read in time has missed events for good");
        self.connections[key.slot as usize].outbox.push(&frame);
        self.shared.metrics.drop_notices.inc();
    }
}

/// Whether the connection was given the event out of turn, before it had its place, or as a kept message. What was given
/// before is new to a client that says where it was.
fn was_given(connection: &Connection, behind: &CatchUp, recorded: &Recorded) -> bool {
    let as_kept = |early: &Early| recorded.event.user.is_some() && early.has_kept(recorded.event.id.as_str());
    let was_live = recorded.was_live && behind.resume.is_none();
    was_live || behind.was_sent(recorded) || connection.early.as_deref().is_some_and(as_kept)
}

/// Whether the event is about the session that the connection is a visitor of, also when it is for one user only.
fn is_own_session(connection: &Connection, event: &hookswitch_protocol::Event) -> bool {
    matches!(&connection.subject, Subject::Visitor(session) if event.session.as_ref() == Some(session))
}
