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
    let counted: Vec<(String, String, i64)> = messages::table
        .group_by((messages::tenant_id, messages::user_id))
        .select((messages::tenant_id, messages::user_id, diesel::dsl::count_star()))
        .load(conn)?;
    diesel::update(users::table).set(users::n_messages.eq(0)).execute(conn)?;
    for (tenant, user, n_messages) in &counted {
        let row = (users::tenant_id.eq(tenant), users::user_id.eq(user), users::n_messages.eq(n_messages));
        let n_rows =
            diesel::update(users::table.find((tenant, user))).set(users::n_messages.eq(n_messages)).execute(conn)?;
        if n_rows == 0 {
            diesel::insert_into(users::table).values(row).execute(conn)?;
        }
    }
    diesel::delete(users::table.filter(users::n_messages.eq(0).and(users::n_dropped.eq(0)))).execute(conn)?;
    let known: Vec<(String, String)> = users::table.select((users::tenant_id, users::user_id)).load(conn)?;
    Ok(known.iter().filter_map(|(tenant, user)| user_key(tenant, user)).collect())
}

fn user_key(tenant: &str, user: &str) -> Option<UserKey> {
    Some(UserKey { tenant: TenantId::parse(tenant).ok()?, user: UserId::parse(user).ok()? })
}
