//! Live public chat sessions.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Text;
use hookswitch_hub::{ChatSession, SessionStart};
use hookswitch_protocol::{SessionKey, TenantId, Timestamp};

use super::dialect::{self, CHUNK, Conn, for_update, skip_locked};
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

/// Most sessions in one statement.
pub(crate) const TOUCHED: usize = CHUNK;

/// Notes the activity of at most [`TOUCHED`] sessions, in one statement. Activity never goes back.
pub(crate) fn touch(conn: &mut Conn, seen: &[(SessionKey, Timestamp)]) -> QueryResult<()> {
    if seen.is_empty() {
        return Ok(());
    }
    let head = format!("UPDATE chat_sessions SET last_active = {}(last_active, CASE session_key", dialect::GREATEST);
    let mut update = sql_query(head).into_boxed();
    for (key, at) in seen {
        update = update.sql(format!(" WHEN ? THEN {}", at.as_millis())).bind::<Text, _>(key.as_str());
    }
    update = update.sql(" ELSE 0 END) WHERE session_key IN (");
    for (index, (key, _)) in seen.iter().enumerate() {
        update = update.sql(if index == 0 { "?" } else { ", ?" }).bind::<Text, _>(key.as_str());
    }
    update.sql(")").execute(conn)?;
    Ok(())
}

/// Forgets at most `limit` silent sessions; how many. One that a node is busy with is left for later.
pub(crate) fn forget_silent(conn: &mut Conn, silent_before: Timestamp, limit: i64) -> QueryResult<usize> {
    let silent = sessions::table
        .filter(sessions::last_active.lt(silent_before.as_millis()))
        .order(sessions::last_active.asc())
        .limit(limit)
        .select(sessions::session_key);
    let keys: Vec<String> = skip_locked!(silent).load(conn)?;
    for chunk in keys.chunks(CHUNK) {
        diesel::delete(sessions::table.filter(sessions::session_key.eq_any(chunk))).execute(conn)?;
    }
    Ok(keys.len())
}

/// The sessions that live, ordered by their keys: at most `limit` of those behind `after`.
pub(crate) fn live(
    conn: &mut Conn,
    silent_before: Timestamp,
    after: &str,
    limit: i64,
) -> QueryResult<(Vec<ChatSession>, Option<String>)> {
    let rows: Vec<SessionRow> = sessions::table
        .filter(sessions::session_key.gt(after))
        .filter(sessions::last_active.ge(silent_before.as_millis()))
        .order(sessions::session_key.asc())
        .limit(limit)
        .select(SessionRow::as_select())
        .load(conn)?;
    let last = rows.last().map(|row| row.session_key.clone()).filter(|_| rows.len() as i64 == limit);
    Ok((rows.into_iter().filter_map(SessionRow::read).collect(), last))
}
