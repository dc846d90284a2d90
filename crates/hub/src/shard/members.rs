//! Coming and going: attach, open, detach, subscribe.

use std::cell::RefCell;
use std::rc::Rc;

use hookswitch_protocol::{CloseCode, ConnectionId, SubscriptionName, TenantId, Timestamp, limits};

use super::{Shard, SlotKey};
use crate::attachment::{Attachment, ResumeFrom, Subject};
use crate::error::TooManyNames;
use crate::notice::Resumed;
use crate::publish::wire_form::FormId;
use crate::seams::user_key::UserKey;
use crate::shard::connection::{Beginning, Connection, Kept};
use crate::shard::connection_handle::ConnectionHandle;
use crate::shard::outbox::Outbox;
use crate::shard::request::OpenTransport;
use crate::shard::transport::HeldTransport;
use crate::trace::record::ConnectionRecord;

impl Shard {
    /// Puts a connection into the tables. It is counted already; its user, who is told
    /// to be connected from here on, is not.
    pub(super) fn attach(&mut self, who: &Attachment, form: FormId, holds_back: bool) -> SlotKey {
        if self.forms.len() <= form.index() {
            self.forms = self.shared.forms.all();
        }
        self.n_attached += 1;
        let id = ConnectionId::new(u64::from(self.index) << 56 | self.n_attached);
        let tenant = self.tenant_index(&who.tenant);
        let now = self.millis();
        let expires_at = who.expires_at.map_or(u64::MAX, |at| self.shard_time(at));
        let slot = self.connections.insert(Connection {
            id,
            tenant,
            form,
            is_dirty: false,
            is_blocked: false,
            closing: None,
            given: 0,
            is_strict: false,
            beginning: Beginning {
                came_in: 0,
                has_sent: false,
                sent_after: 0,
                may_resume: who.resume.is_none_or(|resume| resume == ResumeFrom::Later),
            },
            n_dropped: 0,
            admitted_batch: 0,
            n_answers: 0,
            transport: None,
            outbox: Outbox::default(),
            heard_at: now,
            stirred_at: now,
            expires_at,
            subject: who.subject.clone(),
            names: None,
            catch_up: None,
            early: None,
            kept: Kept::Brought,
            record: ConnectionRecord::new(self.clock.now(), who.address),
        }) as u32;
        self.tenants[tenant as usize].insert(slot, who);
        self.shared.connection_counts.listen(&who.tenant, self.index, |interest| interest.join(&who.subject));
        if let Subject::User(user) = &who.subject {
            self.shared.connection_counts.add_user(&who.tenant, user);
        }
        self.shared.metrics.attached.inc();
        let key = SlotKey { slot, id };
        if let Some(names) = &who.subscription {
            // Whoever asked for the place has seen to it that they are not too many.
            let _bounded = self.subscribe(key, names);
        }
        self.come_in(key, who, holds_back);
        key
    }

    /// From here on the connection is given what is newer than history is now. Comes behind the note of what it
    /// listens to: whatever is recorded later finds that.
    fn come_in(&mut self, key: SlotKey, who: &Attachment, holds_back: bool) {
        let head = self.shared.history.head(&who.tenant, self.index).place;
        let behind = self.begin_behind(who.resume, head, holds_back);
        let Some(connection) = self.connection(key) else { return };
        (connection.given, connection.catch_up) = (head.seq, behind);
        (connection.beginning.came_in, connection.beginning.sent_after) = (head.seq, head.seq);
        if who.resume == Some(ResumeFrom::Here) {
            let position = head.position;
            let (recovered, reason) = (position.is_some(), position.is_none().then_some("degraded"));
            self.say_resumed(key, &Resumed { recovered, reason, replayed: 0, position });
        }
    }

    /// Hands the socket to its connection.
    pub(super) fn open(shard: &Rc<RefCell<Self>>, key: SlotKey, open: OpenTransport) {
        let opened = open(ConnectionHandle::new(shard, key)).map(HeldTransport);
        let mut this = shard.borrow_mut();
        let now = this.millis();
        match (opened, this.connection(key)) {
            (Ok(transport), Some(connection)) => {
                connection.transport = Some(transport);
                connection.heard_at = now;
                connection.stirred_at = now;
                this.mark_dirty(key.slot);
            }
            (Ok(transport), None) => {
                drop(this);
                drop(transport);
            }
            (Err(error), _) => {
                tracing::debug!(connection = %key.id, %error, "socket could not be opened");
                this.detach(key);
            }
        }
    }

    /// Takes a connection out of everything and drops its socket.
    pub(crate) fn detach(&mut self, key: SlotKey) {
        if self.connection(key).is_some() {
            drop(self.take_out(key));
        }
    }

    /// Takes a connection out of everything. The caller decides about its socket.
    pub(super) fn take_out(&mut self, key: SlotKey) -> Connection {
        let gone_after = self.appended_to(key);
        let mut connection = self.connections.remove(key.slot as usize);
        let is_admin = self.tenants[connection.tenant as usize].is_admin(key.slot);
        let table = &mut self.tenants[connection.tenant as usize];
        let tenant = table.tenant.clone();
        let (subject, names) = (&connection.subject, connection.names.as_deref());
        table.remove(key.slot, subject, names);
        self.shared.connection_counts.listen(&tenant, self.index, |interest| interest.leave(subject, names));
        self.tenant_forget_if_idle(connection.tenant);
        self.shared.metrics.detached.inc();
        if connection.closing.is_none() {
            self.count_user_out(&tenant, &connection.subject, 0);
        }
        self.shared.connection_counts.remove(&tenant, &connection.subject);
        connection.record.gone_after.get_or_insert(gone_after);
        self.remember(&tenant, &mut connection, is_admin);
        self.shared.disconnects.tenant(tenant);
        connection
    }

    /// The connection closes: from now on its user is not connected by it, as far as presence, receipts
    /// and kept messages go, however long it takes to be gone.
    pub(super) fn count_out(&self, key: SlotKey) {
        if let Some(connection) = self.connections.get(key.slot as usize).filter(|c| c.id == key.id) {
            let n_sent_away = u32::from(connection.closing == Some(CloseCode::Restarting));
            let tenant = &self.tenants[connection.tenant as usize].tenant;
            self.count_user_out(tenant, &connection.subject, n_sent_away);
        }
    }

    fn count_user_out(&self, tenant: &TenantId, subject: &Subject, n_sent_away: u32) {
        if let Subject::User(user) = subject {
            self.shared.connection_counts.remove_user(tenant, user);
            self.shared.disconnects.user(UserKey { tenant: tenant.clone(), user: user.clone() }, n_sent_away);
        }
    }

    pub(crate) fn subscribe(&mut self, key: SlotKey, names: &[SubscriptionName]) -> Result<(), TooManyNames> {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else {
            return Ok(());
        };
        let held = connection.names.as_deref().unwrap_or_default();
        let mut added: Vec<&SubscriptionName> = Vec::with_capacity(names.len());
        for name in names {
            if !held.contains(name) && !added.contains(&name) {
                added.push(name);
            }
        }
        let n_names = held.len() + added.len();
        if n_names > limits::SUBSCRIPTION_NAMES {
            return Err(TooManyNames { n_names, limit: limits::SUBSCRIPTION_NAMES });
        }
        let has_grown = !added.is_empty();
        let kept = held.iter().chain(added.iter().copied()).cloned().collect();
        let added: Vec<SubscriptionName> = added.into_iter().cloned().collect();
        let table = &mut self.tenants[connection.tenant as usize];
        connection.note_sent_under(table.appended().seq.max(connection.given));
        let is_first = connection.names.is_none();
        if has_grown || is_first {
            connection.record.note_subscription(table.appended().seq.max(connection.given), is_first);
        }
        if is_first {
            table.leave_everything(key.slot);
        }
        // A visitor is found by its session and asked for its names there.
        if matches!(connection.subject, Subject::User(_)) {
            for name in &added {
                table.interest.add(key.slot, name);
            }
            self.shared.connection_counts.listen(&table.tenant, self.index, |interest| {
                for name in &added {
                    interest.add(name);
                }
                if is_first {
                    interest.narrow();
                }
            });
        }
        connection.names = Some(kept);
        if let Subject::User(user) = &connection.subject
            && has_grown
            && std::mem::replace(&mut connection.kept, Kept::Brought) == Kept::LeftOut
        {
            self.shared.wanted_backlogs.note(UserKey { tenant: table.tenant.clone(), user: user.clone() });
        }
        Ok(())
    }

    /// What the shard's own clock will show at this time.
    fn shard_time(&self, at: Timestamp) -> u64 {
        self.millis() + at.since(self.clock.now()).as_millis() as u64
    }

    pub(crate) fn renew(&mut self, key: SlotKey, expires_at: Timestamp) {
        let expires_at = self.shard_time(expires_at);
        if let Some(connection) = self.connection(key) {
            connection.expires_at = expires_at;
        }
    }

    pub(crate) fn use_classes(&mut self, key: SlotKey, are_used: bool) {
        if let Some(connection) = self.connection(key) {
            connection.is_strict = !are_used;
        }
    }

    pub(crate) fn unsubscribe(&mut self, key: SlotKey, names: &[SubscriptionName]) {
        let Some(connection) = self.connections.get_mut(key.slot as usize).filter(|c| c.id == key.id) else {
            return;
        };
        let Some(held) = connection.names.take() else { return };
        let mut held = held.into_vec();
        let table = &mut self.tenants[connection.tenant as usize];
        let is_user = matches!(connection.subject, Subject::User(_));
        let mut removed: Vec<&SubscriptionName> = Vec::new();
        for name in names {
            let Some(at) = held.iter().position(|n| n == name) else { continue };
            held.swap_remove(at);
            if is_user {
                table.interest.remove(key.slot, name, &held);
                removed.push(name);
            }
        }
        if !removed.is_empty() {
            connection.record.note_subscription(table.appended().seq.max(connection.given), false);
            // All at once: others of the same stripe look here for every event.
            self.shared.connection_counts.listen(&table.tenant, self.index, |interest| {
                for name in removed {
                    interest.remove(name);
                }
            });
        }
        connection.names = Some(held.into_boxed_slice());
    }
}
