//! Event ids chosen by publishers, remembered for a day.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;
use hookswitch_protocol::{EventId, TenantId, Timestamp};
use hookswitch_webhooks::{Fingerprint, Seen};

use super::dialect::{CHUNK, Conn};
use crate::schema::event_ids;

/// How long an id is remembered.
pub(crate) const ID_RETENTION: Duration = Duration::from_hours(24);

/// One remembered id.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = event_ids, treat_none_as_default_value = false)]
pub(crate) struct IdRow {
    pub(crate) tenant_id: String,
    pub(crate) event_id: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) accepted_at: i64,
}

/// What is remembered, by tenant and id.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownIds(HashMap<TenantId, HashMap<EventId, (Vec<u8>, i64)>>);

impl KnownIds {
    /// Reads what is remembered of these ids.
    pub(crate) fn load(conn: &mut Conn, tenant: &TenantId, ids: &[&EventId]) -> QueryResult<Self> {
        let mut known = Self::default();
        known.load_more(conn, tenant, ids)?;
        Ok(known)
    }

    pub(crate) fn load_more(&mut self, conn: &mut Conn, tenant: &TenantId, ids: &[&EventId]) -> QueryResult<()> {
        for chunk in ids.chunks(CHUNK) {
            let rows: Vec<IdRow> = event_ids::table
                .filter(event_ids::tenant_id.eq(tenant.as_str()))
                .filter(event_ids::event_id.eq_any(chunk.iter().map(|id| id.as_str())))
                .load(conn)?;
            let of_tenant = self.0.entry(tenant.clone()).or_default();
            for row in rows {
                if let Ok(id) = EventId::parse(&row.event_id) {
                    of_tenant.insert(id, (row.fingerprint, row.accepted_at));
                }
            }
        }
        Ok(())
    }

    /// What is known of one id at `now`.
    pub(crate) fn look_up(&self, tenant: &TenantId, id: &EventId, content: Fingerprint, now: Timestamp) -> Seen {
        let oldest = now.before(ID_RETENTION).as_millis();
        match self.0.get(tenant).and_then(|ids| ids.get(id)) {
            Some((_, accepted_at)) if *accepted_at < oldest => Seen::New,
            Some((fingerprint, _)) if fingerprint[..] == content.0 => Seen::Repeated,
            Some(_) => Seen::Conflict,
            None => Seen::New,
        }
    }

    /// Whether there is a row of this id, outdated or not.
    pub(crate) fn has(&self, tenant: &TenantId, id: &EventId) -> bool {
        self.0.get(tenant).is_some_and(|ids| ids.contains_key(id))
    }

    /// Remembers one more, without storing it.
    pub(crate) fn add(&mut self, tenant: &TenantId, id: &EventId, content: Fingerprint, at: Timestamp) {
        self.0.entry(tenant.clone()).or_default().insert(id.clone(), (content.0.to_vec(), at.as_millis()));
    }

    /// Takes back what [`KnownIds::add`] added; ids that were outdated before simply count as new again.
    pub(crate) fn remove(&mut self, tenant: &TenantId, id: &EventId) {
        if let Some(ids) = self.0.get_mut(tenant) {
            ids.remove(id);
        }
    }
}

/// Stores ids that are new. Where another node stores one of them at the same moment, the later of
/// the two fails, is run again and finds it.
pub(crate) fn store(conn: &mut Conn, rows: &[IdRow]) -> QueryResult<()> {
    for chunk in rows.chunks(CHUNK) {
        diesel::insert_into(event_ids::table).values(chunk).execute(conn)?;
    }
    Ok(())
}

/// Forgets outdated ids, so that they can be stored again.
pub(crate) fn forget<'a>(
    conn: &mut Conn,
    outdated: impl Iterator<Item = (&'a TenantId, &'a EventId)>,
) -> QueryResult<()> {
    let mut by_tenant: HashMap<&TenantId, Vec<&str>> = HashMap::new();
    for (tenant, id) in outdated {
        by_tenant.entry(tenant).or_default().push(id.as_str());
    }
    for (tenant, ids) in by_tenant {
        for chunk in ids.chunks(CHUNK) {
            let rows = event_ids::table
                .filter(event_ids::tenant_id.eq(tenant.as_str()))
                .filter(event_ids::event_id.eq_any(chunk));
            diesel::delete(rows).execute(conn)?;
        }
    }
    Ok(())
}
