//! Offline messages after a restart.

use std::collections::HashSet;

use diesel::prelude::*;
use hookswitch_hub::UserKey;
use hookswitch_protocol::{TenantId, UserId};

use super::dialect::Conn;
use crate::schema::{offline_messages as messages, offline_users as users};

/// Claims of the former process are void, and the counts are taken anew (an operator may have removed
/// rows). The users for whom there is something to tell.
pub(crate) fn recover(conn: &mut Conn) -> QueryResult<HashSet<UserKey>> {
    diesel::update(messages::table.filter(messages::is_claimed.eq(true)))
        .set(messages::is_claimed.eq(false))
        .execute(conn)?;
    diesel::update(users::table).set((users::n_messages.eq(0), users::n_bytes.eq(0))).execute(conn)?;
    diesel::sql_query(
        "INSERT INTO offline_users (tenant_id, user_id, n_messages, n_bytes)
         SELECT tenant_id, user_id, COUNT(*), SUM(length(envelope)) FROM offline_messages WHERE true
         GROUP BY tenant_id, user_id
         ON CONFLICT (tenant_id, user_id) DO UPDATE SET n_messages = excluded.n_messages, n_bytes = excluded.n_bytes",
    )
    .execute(conn)?;
    diesel::delete(users::table.filter(users::n_messages.eq(0).and(users::n_dropped.eq(0)))).execute(conn)?;
    let known: Vec<(String, String)> = users::table.select((users::tenant_id, users::user_id)).load(conn)?;
    Ok(known.iter().filter_map(|(tenant, user)| user_key(tenant, user)).collect())
}

fn user_key(tenant: &str, user: &str) -> Option<UserKey> {
    Some(UserKey { tenant: TenantId::parse(tenant).ok()?, user: UserId::parse(user).ok()? })
}
