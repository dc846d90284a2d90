//! Offline messages: waiting in line per user, bounded by count and age.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_hub::{Claim, ClaimedMessage, MessageNumber, OfflineMessage, UserKey};
use hookswitch_protocol::{TenantId, Timestamp, UserId};

use crate::dialect::{CHUNK, Conn};
use crate::schema::{offline_messages as messages, offline_users as users};

#[derive(Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
struct NewRow<'a> {
    tenant_id: &'a str,
    user_id: &'a str,
    event_id: &'a str,
    envelope: &'a [u8],
    accepted_at: i64,
}

/// A user as the tables spell it.
struct Key {
    tenant: String,
    user: String,
}

impl Key {
    fn new(user: &UserKey) -> Self {
        Self { tenant: user.tenant.as_str().to_owned(), user: user.user.to_string() }
    }
}

/// The messages of one user, as a filter.
macro_rules! of_user {
    ($key:expr) => {
        messages::tenant_id.eq(&$key.tenant).and(messages::user_id.eq(&$key.user))
    };
}

/// How much is kept for one user, and how much was dropped since the last claim.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    n_messages: i64,
    n_dropped: i64,
}

fn count(conn: &mut Conn, key: &Key) -> QueryResult<Count> {
    let row: Option<(i64, i64)> = users::table
        .find((&key.tenant, &key.user))
        .select((users::n_messages, users::n_dropped))
        .first(conn)
        .optional()?;
    Ok(row.map_or(Count::default(), |(n_messages, n_dropped)| Count { n_messages, n_dropped }))
}

/// Writes the count down; whether there is anything to tell this user.
fn set_count(conn: &mut Conn, key: &Key, count: Count) -> QueryResult<bool> {
    let is_empty = count.n_messages <= 0 && count.n_dropped <= 0;
    if is_empty {
        diesel::delete(users::table.find((&key.tenant, &key.user))).execute(conn)?;
    } else {
        diesel::replace_into(users::table)
            .values((
                users::tenant_id.eq(&key.tenant),
                users::user_id.eq(&key.user),
                users::n_messages.eq(count.n_messages),
                users::n_dropped.eq(count.n_dropped),
            ))
            .execute(conn)?;
    }
    Ok(!is_empty)
}

/// Keeps the messages, in order, and drops what is beyond the bounds. For which users there is
/// something to tell now.
pub(crate) fn put(
    conn: &mut Conn,
    new: &[OfflineMessage],
    per_user: usize,
    oldest: Timestamp,
) -> QueryResult<Vec<(UserKey, bool)>> {
    let mut in_order: Vec<(&UserKey, Vec<&OfflineMessage>)> = Vec::new();
    let mut places: HashMap<&UserKey, usize> = HashMap::new();
    for message in new {
        let place = *places.entry(&message.user).or_insert_with(|| {
            in_order.push((&message.user, Vec::new()));
            in_order.len() - 1
        });
        in_order[place].1.push(message);
    }
    in_order
        .into_iter()
        .map(|(user, new)| Ok((user.clone(), put_for(conn, &Key::new(user), &new, per_user, oldest)?)))
        .collect()
}

fn put_for(
    conn: &mut Conn,
    key: &Key,
    new: &[&OfflineMessage],
    per_user: usize,
    oldest: Timestamp,
) -> QueryResult<bool> {
    let mut count = count(conn, key)?;
    count.n_messages += insert(conn, key, new)?;
    drop_old(conn, key, &mut count, oldest)?;
    let excess = count.n_messages - per_user as i64;
    if excess > 0 {
        let line: Vec<i64> = messages::table
            .filter(of_user!(key).and(messages::is_claimed.eq(false)))
            .order(messages::id.asc())
            .limit(excess)
            .select(messages::id)
            .load(conn)?;
        drop_these(conn, &mut count, &line)?;
    }
    set_count(conn, key, count)
}

/// Inserts those that are not there yet; how many.
fn insert(conn: &mut Conn, key: &Key, new: &[&OfflineMessage]) -> QueryResult<i64> {
    let mut n_rows = 0;
    let mut seen = HashSet::with_capacity(new.len());
    for chunk in new.chunks(CHUNK) {
        let there: Vec<String> = messages::table
            .filter(of_user!(key))
            .filter(messages::event_id.eq_any(chunk.iter().map(|message| message.event_id.as_str())))
            .select(messages::event_id)
            .load(conn)?;
        seen.extend(there);
        let rows: Vec<NewRow<'_>> = chunk
            .iter()
            .filter(|message| seen.insert(message.event_id.as_str().to_owned()))
            .map(|message| NewRow {
                tenant_id: &key.tenant,
                user_id: &key.user,
                event_id: message.event_id.as_str(),
                envelope: &message.envelope,
                accepted_at: message.at.as_millis(),
            })
            .collect();
        n_rows += diesel::insert_into(messages::table).values(&rows).execute(conn)?;
    }
    Ok(n_rows as i64)
}

/// Drops this user's unclaimed messages that are too old.
fn drop_old(conn: &mut Conn, key: &Key, count: &mut Count, oldest: Timestamp) -> QueryResult<()> {
    // One look at the oldest message of all spares walking this user's whole line nearly always.
    let oldest_of_all: Option<i64> = messages::table.select(diesel::dsl::min(messages::accepted_at)).first(conn)?;
    if oldest_of_all.is_none_or(|at| at >= oldest.as_millis()) {
        return Ok(());
    }
    let old: Vec<i64> = messages::table
        .filter(of_user!(key).and(messages::is_claimed.eq(false)))
        .filter(messages::accepted_at.lt(oldest.as_millis()))
        .select(messages::id)
        .load(conn)?;
    drop_these(conn, count, &old)
}

fn drop_these(conn: &mut Conn, count: &mut Count, numbers: &[i64]) -> QueryResult<()> {
    for chunk in numbers.chunks(CHUNK) {
        let gone = diesel::delete(messages::table.filter(messages::id.eq_any(chunk))).execute(conn)? as i64;
        count.n_messages -= gone;
        count.n_dropped += gone;
    }
    Ok(())
}

/// Takes the oldest unclaimed messages; the claim, and whether there is still something to tell.
pub(crate) fn claim(conn: &mut Conn, user: &UserKey, limit: usize, oldest: Timestamp) -> QueryResult<(Claim, bool)> {
    let key = Key::new(user);
    let mut count = count(conn, &key)?;
    drop_old(conn, &key, &mut count, oldest)?;
    let rows: Vec<(i64, Vec<u8>)> = messages::table
        .filter(of_user!(key).and(messages::is_claimed.eq(false)))
        .order(messages::id.asc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((messages::id, messages::envelope))
        .load(conn)?;
    let numbers: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    for chunk in numbers.chunks(CHUNK) {
        let these = messages::table.filter(messages::id.eq_any(chunk));
        diesel::update(these).set(messages::is_claimed.eq(true)).execute(conn)?;
    }
    let n_dropped = std::mem::take(&mut count.n_dropped) as u64;
    let has_more = set_count(conn, &key, count)?;
    let messages = rows
        .into_iter()
        .map(|(id, envelope)| ClaimedMessage { number: MessageNumber(id), envelope: Bytes::from(envelope) })
        .collect();
    Ok((Claim { messages, n_dropped, held_elsewhere: None }, has_more))
}

/// Removes claimed messages; whether there is still something to tell this user.
pub(crate) fn confirm(conn: &mut Conn, user: &UserKey, numbers: &[MessageNumber]) -> QueryResult<bool> {
    let key = Key::new(user);
    let mut count = count(conn, &key)?;
    let numbers: Vec<i64> = numbers.iter().map(|number| number.0).collect();
    for chunk in numbers.chunks(CHUNK) {
        let claimed =
            messages::table.filter(messages::id.eq_any(chunk)).filter(of_user!(key).and(messages::is_claimed.eq(true)));
        count.n_messages -= diesel::delete(claimed).execute(conn)? as i64;
    }
    set_count(conn, &key, count)
}

pub(crate) fn give_back(conn: &mut Conn, user: &UserKey, numbers: &[MessageNumber]) -> QueryResult<()> {
    let key = Key::new(user);
    let numbers: Vec<i64> = numbers.iter().map(|number| number.0).collect();
    for chunk in numbers.chunks(CHUNK) {
        let claimed =
            messages::table.filter(messages::id.eq_any(chunk)).filter(of_user!(key).and(messages::is_claimed.eq(true)));
        diesel::update(claimed).set(messages::is_claimed.eq(false)).execute(conn)?;
    }
    Ok(())
}

/// Drops unclaimed messages of all users that are too old, at most `limit`; how many.
pub(crate) fn expire(conn: &mut Conn, oldest: Timestamp, limit: i64) -> QueryResult<usize> {
    let old: Vec<(i64, String, String)> = messages::table
        .filter(messages::accepted_at.lt(oldest.as_millis()).and(messages::is_claimed.eq(false)))
        .limit(limit)
        .select((messages::id, messages::tenant_id, messages::user_id))
        .load(conn)?;
    for (id, tenant, user) in &old {
        let key = Key { tenant: tenant.clone(), user: user.clone() };
        let mut count = count(conn, &key)?;
        drop_these(conn, &mut count, &[*id])?;
        set_count(conn, &key, count)?;
    }
    Ok(old.len())
}

/// At start: claims of the former process are void, and the counts are taken anew (an operator may
/// have removed rows). The users for whom there is something to tell.
pub(crate) fn recover(conn: &mut Conn) -> QueryResult<HashSet<UserKey>> {
    diesel::update(messages::table.filter(messages::is_claimed.eq(true)))
        .set(messages::is_claimed.eq(false))
        .execute(conn)?;
    let counted: Vec<(String, String, i64)> = messages::table
        .group_by((messages::tenant_id, messages::user_id))
        .select((messages::tenant_id, messages::user_id, diesel::dsl::count_star()))
        .load(conn)?;
    diesel::update(users::table).set(users::n_messages.eq(0)).execute(conn)?;
    for (tenant, user, n_messages) in counted {
        let key = Key { tenant, user };
        let n_dropped = count(conn, &key)?.n_dropped;
        set_count(conn, &key, Count { n_messages, n_dropped })?;
    }
    diesel::delete(users::table.filter(users::n_messages.eq(0).and(users::n_dropped.eq(0)))).execute(conn)?;
    let known: Vec<(String, String)> = users::table.select((users::tenant_id, users::user_id)).load(conn)?;
    Ok(known.iter().filter_map(|(tenant, user)| user_key(tenant, user)).collect())
}

fn user_key(tenant: &str, user: &str) -> Option<UserKey> {
    Some(UserKey { tenant: TenantId::parse(tenant).ok()?, user: UserId::parse(user).ok()? })
}
