//! Tells of a user's connections, and what became of an event for each; and remembers what is told of a closed one.

use hookswitch_protocol::TenantId;

use super::{Shard, SlotKey};
use crate::attachment::Subject;
use crate::seams::user_key::UserKey;
use crate::shard::catch_up::CatchUp;
use crate::shard::connection::Connection;
use crate::shard::tenant_table::TenantTable;
use crate::trace::judged::{AskedEvent, Behind, Judged};
use crate::trace::past_connections::PastConnection;
use crate::trace::report::ConnectionReport;

/// Connections of one user that are told of.
pub(crate) const MOST_CONNECTIONS: usize = 100;

impl Shard {
    /// The user's open connections here.
    pub(super) fn describe(&self, user: &UserKey, asked: Option<&AskedEvent>) -> Vec<ConnectionReport> {
        let Some(index) = self.by_tenant.get(&user.tenant) else { return Vec::new() };
        let table = &self.tenants[*index as usize];
        let slots = table.user(&user.user).iter().take(MOST_CONNECTIONS);
        slots.map(|slot| self.report(table, *slot, asked)).collect()
    }

    fn report(&self, table: &TenantTable, slot: u32, asked: Option<&AskedEvent>) -> ConnectionReport {
        let connection = &self.connections[slot as usize];
        let judged = Judged {
            record: &connection.record,
            subject: &connection.subject,
            names: connection.names.as_deref(),
            is_admin: table.is_admin(slot),
            came_in: connection.beginning.came_in,
            appended: self.appended_to(SlotKey { slot, id: connection.id }),
            behind: connection.catch_up.as_deref().map(behind),
            n_unwritten: connection.outbox.n_frames(),
        };
        ConnectionReport {
            id: connection.id.to_string(),
            since: connection.record.since,
            until: None,
            address: connection.record.address,
            transport: self.forms[connection.form.index()].name().to_owned(),
            outcome: asked.map(|asked| judged.outcome(asked, || self.n_later(table, &judged, asked.seq))),
        }
    }

    /// How many events behind this one were handed to the connection, as far as they are kept.
    fn n_later(&self, table: &TenantTable, judged: &Judged<'_>, seq: u64) -> usize {
        let up_to = judged.behind.map_or(judged.appended, |behind| behind.cursor);
        let mut n_later = 0;
        self.shared.history.for_each_between(&table.tenant, (seq, up_to), |recorded| {
            n_later += usize::from(judged.is_given(&recorded.event));
        });
        n_later
    }

    /// The last event that was handed to the connection, or passed over: whatever is behind it is not.
    pub(super) fn appended_to(&self, key: SlotKey) -> u64 {
        let Some(connection) = self.connections.get(key.slot as usize).filter(|c| c.id == key.id) else { return 0 };
        let table = &self.tenants[connection.tenant as usize];
        let given = table.appended().seq.max(connection.given);
        // What came behind it for nobody here counts as passed over.
        let head = self.shared.history.head(&table.tenant, self.index);
        if given >= head.handed_over { head.place.seq.max(given) } else { given }
    }

    /// What can be told later of a connection that was just taken out, of which only its socket is used any more.
    pub(super) fn remember(&self, tenant: &TenantId, connection: &mut Connection, is_admin: bool) {
        if !matches!(connection.subject, Subject::User(_)) {
            return;
        }
        let record = connection.record.take();
        let past = PastConnection {
            id: connection.id.to_string(),
            subject: connection.subject.clone(),
            until: self.clock.now(),
            transport: self.forms[connection.form.index()].name(),
            record,
            names: connection.names.take(),
            is_admin,
            came_in: connection.beginning.came_in,
            behind: connection.catch_up.as_deref().map(behind),
            n_unwritten: connection.outbox.n_frames(),
        };
        self.shared.traces.past_connections.push(tenant, past);
    }
}

fn behind(behind: &CatchUp) -> Behind {
    let CatchUp { began, cursor, is_broadcast_live, .. } = behind;
    Behind { began: *began, cursor: cursor.seq, is_broadcast_live: *is_broadcast_live }
}
