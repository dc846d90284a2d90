//! The claim of a user's offline messages: one node's at a time.
//!
//! A node that claims holds the user's messages for [`CLAIM_LEASE`], and renews all its claims while it lives.
//! Where it does not any more, the next node that asks takes the claim over, claimed messages included.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use hookswitch_protocol::Timestamp;

use super::dialect::Conn;
use crate::ended_nodes::EndedNodes;
use crate::offline_claim::{Acquired, Holder, Key};
use crate::schema::offline_messages as messages;

/// How long a claim lasts that is not renewed.
const CLAIM_LEASE: Duration = Duration::from_secs(45);

/// How often a node renews its claims; several times within [`CLAIM_LEASE`].
pub(crate) const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Nullable<Text>)]
    held_by: Option<String>,
    #[diesel(sql_type = BigInt)]
    held_until: i64,
    #[diesel(sql_type = Bool)]
    has_claims: bool,
}

/// Locks the user's row and reads it; `None` when nothing is kept for this user.
fn look(conn: &mut Conn, key: &Key) -> QueryResult<Option<Held>> {
    sql_query(
        "SELECT held_by, held_until,
                EXISTS (SELECT 1 FROM offline_messages m
                        WHERE m.tenant_id = u.tenant_id AND m.user_id = u.user_id AND m.is_claimed) AS has_claims
         FROM offline_users u WHERE tenant_id = ? AND user_id = ? FOR UPDATE",
    )
    .bind::<Text, _>(&key.tenant)
    .bind::<Text, _>(&key.user)
    .get_result(conn)
    .optional()
}

pub(crate) fn acquire(conn: &mut Conn, key: &Key, holder: &Holder, now: Timestamp) -> QueryResult<Acquired> {
    let Some(held) = look(conn, key)? else { return Ok(Acquired::Empty) };
    if let Some(other) = held.held_by.filter(|other| **other != **holder) {
        let left = held.held_until - now.as_millis();
        if held.has_claims && left > 0 {
            return Ok(Acquired::HeldElsewhere(Duration::from_millis(left as u64)));
        }
        tracing::debug!(%other, "takes over the offline messages of a user");
        let claimed = messages::table
            .filter(messages::tenant_id.eq(&key.tenant).and(messages::user_id.eq(&key.user)))
            .filter(messages::is_claimed.eq(true));
        diesel::update(claimed).set(messages::is_claimed.eq(false)).execute(conn)?;
    }
    sql_query("UPDATE offline_users SET held_by = ?, held_until = ? WHERE tenant_id = ? AND user_id = ?")
        .bind::<Text, _>(&**holder)
        .bind::<BigInt, _>(now.after(CLAIM_LEASE).as_millis())
        .bind::<Text, _>(&key.tenant)
        .bind::<Text, _>(&key.user)
        .execute(conn)?;
    Ok(Acquired::Yes)
}

/// Whether this process may still say what became of the messages it claimed.
pub(crate) fn is_held(conn: &mut Conn, key: &Key, holder: &Holder) -> QueryResult<bool> {
    let held = look(conn, key)?;
    Ok(held.and_then(|held| held.held_by).is_some_and(|by| *by == **holder))
}

/// Releases the claim once none of the messages is claimed.
pub(crate) fn release(conn: &mut Conn, key: &Key) -> QueryResult<()> {
    if look(conn, key)?.is_some_and(|held| !held.has_claims) {
        sql_query("UPDATE offline_users SET held_by = NULL, held_until = 0 WHERE tenant_id = ? AND user_id = ?")
            .bind::<Text, _>(&key.tenant)
            .bind::<Text, _>(&key.user)
            .execute(conn)?;
    }
    Ok(())
}

/// Locks the user's row, made when missing, so that counts stay right between nodes.
pub(crate) fn lock_user(conn: &mut Conn, key: &Key) -> QueryResult<()> {
    sql_query(
        "INSERT INTO offline_users (tenant_id, user_id, n_messages) VALUES (?, ?, 0)
         ON DUPLICATE KEY UPDATE n_messages = n_messages",
    )
    .bind::<Text, _>(&key.tenant)
    .bind::<Text, _>(&key.user)
    .execute(conn)?;
    Ok(())
}

/// Lets the claims of nodes that have certainly ended run out now.
pub(crate) fn free_of_ended(conn: &mut Conn, ended: &EndedNodes) -> QueryResult<usize> {
    #[derive(QueryableByName)]
    struct Held {
        #[diesel(sql_type = Text)]
        held_by: String,
    }
    let holders: Vec<Held> =
        sql_query("SELECT DISTINCT held_by FROM offline_users WHERE held_by IS NOT NULL").load(conn)?;
    let mut n_users = 0;
    for Held { held_by } in holders.into_iter().filter(|held| ended.contain(&held.held_by)) {
        n_users += sql_query("UPDATE offline_users SET held_until = 0 WHERE held_by = ?")
            .bind::<Text, _>(held_by)
            .execute(conn)?;
    }
    Ok(n_users)
}

/// Renews every claim of this process.
pub(crate) fn renew(conn: &mut Conn, holder: &Holder, now: Timestamp) -> QueryResult<usize> {
    sql_query("UPDATE offline_users SET held_until = ? WHERE held_by = ?")
        .bind::<BigInt, _>(now.after(CLAIM_LEASE).as_millis())
        .bind::<Text, _>(&**holder)
        .execute(conn)
}
