//! What one connection itself causes: replies, pongs, closes, its user's backlog.

use bytes::Bytes;
use hookswitch_protocol::CloseCode;

use super::{Key, Shard};
use crate::connection::{BacklogState, Frames, PageReceipt};
use crate::frame;
use crate::outlet::Outlet;
use crate::seam::UserKey;

impl<O: Outlet> Shard<O> {
    pub(crate) fn heard(&mut self, key: Key) {
        let now = self.millis();
        if let Some(connection) = self.connection(key) {
            connection.heard_at = now;
        }
    }

    pub(crate) fn writable(&mut self, key: Key) {
        if let Some(connection) = self.connection(key) {
            connection.is_blocked = false;
            self.mark_dirty(key.slot);
        }
    }

    /// Queues one message to the connection itself, under the same bounds as events.
    pub(crate) fn send(&mut self, key: Key, frame: &Bytes) {
        let ends = [frame.len() as u32];
        let config = std::sync::Arc::clone(&self.config);
        let Some(connection) = self.connection(key) else { return };
        let frames = Frames { memory: frame, start: 0, ends: &ends, batch: u64::MAX };
        if connection.append(frames, &config) == 0 {
            crate::counters::Counters::add(&self.shared.counters.messages_dropped, 1);
        }
        self.mark_dirty(key.slot);
    }

    pub(crate) fn send_urgent(&mut self, key: Key, frame: Bytes) {
        let limit = self.config.outbox_messages * 2;
        let Some(connection) = self.connection(key) else { return };
        // A client that pings without reading could grow the outbox by pongs: past the bound they
        // are left out, for a client that is not reading does not miss them.
        if connection.closing.is_none() && connection.outbox.n_frames() < limit {
            connection.outbox.push_urgent(frame);
            self.mark_dirty(key.slot);
        }
    }

    pub(crate) fn close(&mut self, key: Key, code: CloseCode) {
        self.close_with(key, code, &frame::close_frame(code));
    }

    /// Queues a ready close frame behind everything waiting.
    pub(crate) fn close_with(&mut self, key: Key, code: CloseCode, frame: &Bytes) {
        let now = self.millis();
        let Some(connection) = self.connection(key) else { return };
        if connection.closing.is_some() {
            return;
        }
        connection.closing = Some(code);
        connection.stirred_at = now;
        connection.outbox.push(frame);
        self.mark_dirty(key.slot);
    }

    /// Closes every connection, because the node goes away.
    pub(super) fn close_all(&mut self, code: CloseCode) {
        let keys: Vec<Key> = self.connections.iter().map(|(slot, c)| Key { slot: slot as u32, id: c.id }).collect();
        for key in keys {
            self.close(key, code);
        }
    }

    /// Finds an open connection of the user that is not yet being served a backlog.
    pub(super) fn begin_backlog(&mut self, user: &UserKey) -> Option<Key> {
        let table = &self.tenants[*self.by_tenant.get(&user.tenant)? as usize];
        let slots = table.user(&user.user);
        let slot = slots.iter().copied().find(|slot| {
            let connection = &self.connections[*slot as usize];
            connection.outlet.is_some() && connection.closing.is_none() && connection.backlog.is_none()
        })?;
        let connection = &mut self.connections[slot as usize];
        connection.backlog = Some(Box::default());
        Some(Key { slot, id: connection.id })
    }

    /// Queues one page of missed messages and, behind it, the ping whose pong proves its arrival.
    /// Pages stand outside the bound on messages: there is only ever one on its way.
    pub(super) fn send_backlog(&mut self, key: Key, frames: &[Bytes], done: tokio::sync::oneshot::Sender<()>) {
        let Some(connection) = self.connection(key).filter(|c| c.closing.is_none()) else { return };
        let Some(backlog) = connection.backlog.as_deref_mut() else { return };
        backlog.n_pages += 1;
        let ping = Bytes::from(format!("page-{}", backlog.n_pages));
        for frame in frames {
            connection.outbox.push(frame);
        }
        if !O::WRITE_IS_RECEIPT {
            connection.outbox.push(&frame::ping_frame(&ping));
        }
        backlog.page = Some(PageReceipt { ping, done });
        self.mark_dirty(key.slot);
    }

    pub(crate) fn pong(&mut self, key: Key, payload: &[u8]) {
        self.heard(key);
        let Some(backlog) = self.connection(key).and_then(|c| c.backlog.as_deref_mut()) else { return };
        if backlog.page.as_ref().is_some_and(|page| page.ping == payload) {
            settle(backlog);
        }
    }

    /// Everything written was received: for outlets that need no pong.
    pub(super) fn receipt(&mut self, key: Key) {
        if let Some(backlog) = self.connection(key).and_then(|c| c.backlog.as_deref_mut()) {
            settle(backlog);
        }
    }

    /// The backlog is through: what was held back follows.
    pub(super) fn end_backlog(&mut self, key: Key) {
        let Some(connection) = self.connection(key) else { return };
        let Some(backlog) = connection.backlog.take() else { return };
        if connection.closing.is_none() {
            for frame in &backlog.held {
                connection.outbox.push(frame);
            }
        }
        self.mark_dirty(key.slot);
    }
}

fn settle(backlog: &mut BacklogState) {
    if let Some(page) = backlog.page.take() {
        // The courier may have been ended by a shutdown; then the store takes the page back.
        let _gone = page.done.send(());
    }
}
