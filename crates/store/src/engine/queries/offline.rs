//! Offline messages: in order per user, bounded by count and age.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use diesel::prelude::*;
use hookswitch_hub::{Claim, ClaimedMessage, MessageNumber, OfflineMessage, UserKey};
use hookswitch_protocol::Timestamp;

use super::chunks::chunks;
use super::dialect::{CHUNK, Conn};
use super::offline_claim;
use crate::offline_claim::{Acquired, Holder, Key};
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
        return Ok(false);
    }
    let counts = (users::n_messages.eq(count.n_messages), users::n_dropped.eq(count.n_dropped));
    let n_rows = diesel::update(users::table.find((&key.tenant, &key.user))).set(counts).execute(conn)?;
    if n_rows == 0 {
        diesel::insert_into(users::table)
            .values((users::tenant_id.eq(&key.tenant), users::user_id.eq(&key.user), counts))
            .execute(conn)?;
    }
    Ok(true)
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
    offline_claim::lock_user(conn, key)?;
    let mut count = count(conn, key)?;
    count.n_messages += insert(conn, key, new)?;
    drop_old(conn, key, &mut count, oldest)?;
    let excess = count.n_messages - per_user as i64;
    if excess > 0 {
        let oldest_ids: Vec<i64> = messages::table
            .filter(of_user!(key).and(messages::is_claimed.eq(false)))
            .order(messages::id.asc())
            .limit(excess)
            .select(messages::id)
            .load(conn)?;
        drop_these(conn, &mut count, &oldest_ids)?;
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
        for piece in chunks(&rows, |row| row.envelope.len()) {
            n_rows += diesel::insert_into(messages::table).values(piece).execute(conn)?;
        }
    }
    Ok(n_rows as i64)
}

/// Drops this user's unclaimed messages that are too old.
fn drop_old(conn: &mut Conn, key: &Key, count: &mut Count, oldest: Timestamp) -> QueryResult<()> {
    // One look at the oldest message of all spares walking all of this user's messages nearly always.
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
pub(crate) fn claim(
    conn: &mut Conn,
    user: &UserKey,
    holder: &Holder,
    limit: usize,
    now: Timestamp,
    oldest: Timestamp,
) -> QueryResult<(Claim, bool)> {
    let key = Key::new(user);
    match offline_claim::acquire(conn, &key, holder, now)? {
        Acquired::Yes => {}
        Acquired::Empty => return Ok((Claim::default(), false)),
        Acquired::HeldElsewhere(wait) => {
            return Ok((Claim { held_elsewhere: Some(wait), ..Claim::default() }, true));
        }
    }
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
    offline_claim::release(conn, &key)?;
    let messages = rows
        .into_iter()
        .map(|(id, envelope)| ClaimedMessage { number: MessageNumber(id), envelope: Bytes::from(envelope) })
        .collect();
    Ok((Claim { messages, n_dropped, held_elsewhere: None }, has_more))
}

/// Removes claimed messages; whether there is still something to tell this user.
pub(crate) fn confirm(
    conn: &mut Conn,
    user: &UserKey,
    holder: &Holder,
    numbers: &[MessageNumber],
) -> QueryResult<bool> {
    let key = Key::new(user);
    if !offline_claim::is_held(conn, &key, holder)? {
        return Ok(true);
    }
    let mut count = count(conn, &key)?;
    let numbers: Vec<i64> = numbers.iter().map(|number| number.0).collect();
    for chunk in numbers.chunks(CHUNK) {
        let claimed =
            messages::table.filter(messages::id.eq_any(chunk)).filter(of_user!(key).and(messages::is_claimed.eq(true)));
        count.n_messages -= diesel::delete(claimed).execute(conn)? as i64;
    }
    let has_more = set_count(conn, &key, count)?;
    offline_claim::release(conn, &key)?;
    Ok(has_more)
}

pub(crate) fn give_back(
    conn: &mut Conn,
    user: &UserKey,
    holder: &Holder,
    numbers: &[MessageNumber],
) -> QueryResult<()> {
    let key = Key::new(user);
    if !offline_claim::is_held(conn, &key, holder)? {
        return Ok(());
    }
    let numbers: Vec<i64> = numbers.iter().map(|number| number.0).collect();
    for chunk in numbers.chunks(CHUNK) {
        let claimed =
            messages::table.filter(messages::id.eq_any(chunk)).filter(of_user!(key).and(messages::is_claimed.eq(true)));
        diesel::update(claimed).set(messages::is_claimed.eq(false)).execute(conn)?;
    }
    offline_claim::release(conn, &key)
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
        offline_claim::lock_user(conn, &key)?;
        let mut count = count(conn, &key)?;
        drop_these(conn, &mut count, &[*id])?;
        set_count(conn, &key, count)?;
    }
    Ok(old.len())
}
