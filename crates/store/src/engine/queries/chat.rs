//! Live public chat sessions.

use diesel::prelude::*;
use hookswitch_hub::{ChatSession, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

use super::dialect::{Conn, for_update};
use crate::schema::chat_sessions as sessions;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
struct SessionRow {
    session_key: String,
    tenant_id: String,
    alias: Option<String>,
    last_active: i64,
}

impl SessionRow {
    fn new(session: &ChatSession) -> Self {
        Self {
            session_key: session.key.as_str().to_owned(),
            tenant_id: session.tenant.as_str().to_owned(),
            alias: session.alias.as_ref().map(|alias| alias.as_str().to_owned()),
            last_active: session.last_active.as_millis(),
        }
    }

    /// `None` for a row that we cannot have written.
    fn read(self) -> Option<ChatSession> {
        Some(ChatSession {
            key: SessionKey::parse(&self.session_key).ok()?,
            tenant: TenantId::parse(&self.tenant_id).ok()?,
            alias: self.alias.and_then(|alias| SessionKey::parse(&alias).ok()),
            last_active: Timestamp::from_millis(self.last_active),
        })
    }
}

pub(crate) fn start(conn: &mut Conn, session: &ChatSession, silent_before: Timestamp) -> QueryResult<SessionStart> {
    let there = sessions::table.find(session.key.as_str()).select(SessionRow::as_select());
    let before: Option<SessionRow> = for_update!(there).first(conn).optional()?;
    let is_there = before.is_some();
    let mut row = SessionRow::new(session);
    if let Some(before) = before.filter(|before| before.last_active >= silent_before.as_millis()) {
        if before.tenant_id != row.tenant_id {
            return Ok(SessionStart::Taken);
        }
        // Starts may arrive out of order; activity never goes back.
        row.last_active = row.last_active.max(before.last_active);
    }
    if is_there {
        diesel::delete(sessions::table.find(session.key.as_str())).execute(conn)?;
    }
    // Where another node starts the same session at this moment, the later of the two fails, is run
    // again and finds it.
    diesel::insert_into(sessions::table).values(row).execute(conn)?;
    Ok(SessionStart::Live)
}

pub(crate) fn end(conn: &mut Conn, tenant: &TenantId, key: &SessionKey) -> QueryResult<()> {
    let row = sessions::table.find(key.as_str()).filter(sessions::tenant_id.eq(tenant.as_str()));
    diesel::delete(row).execute(conn)?;
    Ok(())
}

pub(crate) fn touch(conn: &mut Conn, seen: &[(SessionKey, Timestamp)]) -> QueryResult<()> {
    for (key, at) in seen {
        let row = sessions::table.find(key.as_str()).filter(sessions::last_active.lt(at.as_millis()));
        diesel::update(row).set(sessions::last_active.eq(at.as_millis())).execute(conn)?;
    }
    Ok(())
}

pub(crate) fn live(conn: &mut Conn, silent_before: Timestamp) -> QueryResult<Vec<ChatSession>> {
    diesel::delete(sessions::table.filter(sessions::last_active.lt(silent_before.as_millis()))).execute(conn)?;
    let rows: Vec<SessionRow> = sessions::table.select(SessionRow::as_select()).load(conn)?;
    Ok(rows.into_iter().filter_map(SessionRow::read).collect())
}
