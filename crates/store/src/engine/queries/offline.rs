//! Offline messages: in order per user, bounded by count, bytes and age.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use hookswitch_hub::{
    Claim, ClaimedMessage, MessageNumber, OFFLINE_PAGE_BYTES, OfflineLimits, OfflineMessage, UserKey,
};
use hookswitch_protocol::Timestamp;

use super::chunks::chunks;
use super::dialect::{self, CHUNK, Conn};
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

/// How much is kept for one user, and how many were dropped since the last claim.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    n_messages: i64,
    n_bytes: i64,
    n_dropped: i64,
}

/// A message by its number, with the bytes of its envelope.
type MessageSize = (i64, i64);

/// Messages looked at in one statement to find those that are over the bound.
const OLDEST: usize = 500;

fn count(conn: &mut Conn, key: &Key) -> QueryResult<Count> {
    let row: Option<(i64, i64, i64)> = users::table
        .find((&key.tenant, &key.user))
        .select((users::n_messages, users::n_bytes, users::n_dropped))
        .first(conn)
        .optional()?;
    Ok(row.map_or(Count::default(), |(n_messages, n_bytes, n_dropped)| Count { n_messages, n_bytes, n_dropped }))
}

/// Writes the count down; whether there is anything to tell this user.
fn set_count(conn: &mut Conn, key: &Key, count: Count) -> QueryResult<bool> {
    let is_empty = count.n_messages <= 0 && count.n_dropped <= 0;
    if is_empty {
        diesel::delete(users::table.find((&key.tenant, &key.user))).execute(conn)?;
        return Ok(false);
    }
    let counts = (
        users::n_messages.eq(count.n_messages),
        users::n_bytes.eq(count.n_bytes.max(0)),
        users::n_dropped.eq(count.n_dropped),
    );
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
    limits: &OfflineLimits,
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
        .map(|(user, new)| Ok((user.clone(), put_for(conn, &Key::new(user), &new, limits, oldest)?)))
        .collect()
}

fn put_for(
    conn: &mut Conn,
    key: &Key,
    new: &[&OfflineMessage],
    limits: &OfflineLimits,
    oldest: Timestamp,
) -> QueryResult<bool> {
    offline_claim::lock_user(conn, key)?;
    let mut count = count(conn, key)?;
    let new = left_in(conn, key, new, &mut count);
    let (n_messages, n_bytes) = insert(conn, key, &new)?;
    count.n_messages += n_messages;
    count.n_bytes += n_bytes;
    drop_old(conn, key, &mut count, oldest)?;
    drop_excess(conn, key, &mut count, limits)?;
    set_count(conn, key, count)
}

/// Without those that the database takes in no statement: they count as dropped, which their user is told. An error
/// would come again with every try, and keep back those of others.
fn left_in<'a>(conn: &Conn, key: &Key, new: &[&'a OfflineMessage], count: &mut Count) -> Vec<&'a OfflineMessage> {
    let most_bytes = dialect::row_bytes(conn);
    let (fitting, too_large): (Vec<_>, Vec<_>) =
        new.iter().copied().partition(|message| message.envelope.len() <= most_bytes);
    for OfflineMessage { event_id, envelope, .. } in &too_large {
        let (tenant, user, n_bytes) = (&key.tenant, &key.user, envelope.len());
        tracing::error!(%tenant, %user, %event_id, n_bytes, most_bytes, "a message is too large for the database and not kept");
    }
    count.n_dropped += too_large.len() as i64;
    fitting
}

/// Drops the oldest waiting messages until the rest is within the bounds, but never the newest one.
fn drop_excess(conn: &mut Conn, key: &Key, count: &mut Count, limits: &OfflineLimits) -> QueryResult<()> {
    let most_messages = i64::try_from(limits.per_user).unwrap_or(i64::MAX);
    let most_bytes = i64::try_from(limits.per_user_bytes).unwrap_or(i64::MAX);
    let is_over =
        |n_messages: i64, n_bytes: i64| n_messages > most_messages || (n_bytes > most_bytes && n_messages > 1);
    if dialect::IS_SHARED && count.n_messages <= most_messages && is_over(count.n_messages, count.n_bytes) {
        // Nodes of the version before change the number of messages only: what the bytes say may be long gone.
        count.n_bytes = messages::table.filter(of_user!(key)).select(dialect::sum_of_envelopes()).first(conn)?;
    }
    while is_over(count.n_messages, count.n_bytes) {
        let oldest: Vec<MessageSize> = messages::table
            .filter(of_user!(key).and(messages::is_claimed.eq(false)))
            .order(messages::id.asc())
            .limit(OLDEST as i64)
            .select((messages::id, dialect::envelope_bytes()))
            .load(conn)?;
        let (mut n_messages, mut n_bytes) = (count.n_messages, count.n_bytes);
        let excess = oldest.iter().take_while(|(_, size)| {
            let is_over = is_over(n_messages, n_bytes);
            n_messages -= 1;
            n_bytes -= size;
            is_over
        });
        let n_excess = excess.count();
        drop_these(conn, count, &oldest[..n_excess])?;
        if n_excess < OLDEST {
            break;
        }
    }
    Ok(())
}

/// Inserts those that are not there yet; how many, and of how many bytes.
fn insert(conn: &mut Conn, key: &Key, new: &[&OfflineMessage]) -> QueryResult<(i64, i64)> {
    let (mut n_rows, mut n_bytes) = (0, 0);
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
        for piece in chunks(&rows, dialect::chunk_bytes(conn), |row| row.envelope.len()) {
            n_rows += diesel::insert_into(messages::table).values(piece).execute(conn)?;
        }
        n_bytes += rows.iter().map(|row| row.envelope.len()).sum::<usize>();
    }
    Ok((n_rows as i64, n_bytes as i64))
}

/// Drops this user's unclaimed messages that are too old.
fn drop_old(conn: &mut Conn, key: &Key, count: &mut Count, oldest: Timestamp) -> QueryResult<()> {
    // One look at the oldest message of all spares walking all of this user's messages nearly always.
    let oldest_of_all: Option<i64> = messages::table.select(diesel::dsl::min(messages::accepted_at)).first(conn)?;
    if oldest_of_all.is_none_or(|at| at >= oldest.as_millis()) {
        return Ok(());
    }
    let old: Vec<MessageSize> = messages::table
        .filter(of_user!(key).and(messages::is_claimed.eq(false)))
        .filter(messages::accepted_at.lt(oldest.as_millis()))
        .select((messages::id, dialect::envelope_bytes()))
        .load(conn)?;
    drop_these(conn, count, &old)
}

fn drop_these(conn: &mut Conn, count: &mut Count, these: &[MessageSize]) -> QueryResult<()> {
    for chunk in these.chunks(CHUNK) {
        let numbers = chunk.iter().map(|(number, _)| *number);
        let gone = diesel::delete(messages::table.filter(messages::id.eq_any(numbers))).execute(conn)? as i64;
        count.n_messages -= gone;
        count.n_bytes -= chunk.iter().map(|(_, size)| size).sum::<i64>();
        count.n_dropped += gone;
    }
    Ok(())
}

/// The numbers of the oldest waiting messages that go out together.
fn page(conn: &mut Conn, key: &Key, limit: usize) -> QueryResult<Vec<i64>> {
    // Sizes first: two hundred envelopes may be two hundred megabytes.
    let oldest: Vec<MessageSize> = messages::table
        .filter(of_user!(key).and(messages::is_claimed.eq(false)))
        .order(messages::id.asc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((messages::id, dialect::envelope_bytes()))
        .load(conn)?;
    let (mut n_bytes, mut numbers) = (0, Vec::new());
    for (number, size) in oldest {
        n_bytes += size;
        if !numbers.is_empty() && n_bytes > OFFLINE_PAGE_BYTES as i64 {
            break;
        }
        numbers.push(number);
    }
    Ok(numbers)
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
    let numbers = page(conn, &key, limit)?;
    let mut rows: Vec<(i64, Vec<u8>)> = Vec::with_capacity(numbers.len());
    for chunk in numbers.chunks(CHUNK) {
        let these = || messages::table.filter(messages::id.eq_any(chunk));
        let envelopes = these().order(messages::id.asc()).select((messages::id, messages::envelope));
        rows.extend(envelopes.load::<(i64, Vec<u8>)>(conn)?);
        diesel::update(these()).set(messages::is_claimed.eq(true)).execute(conn)?;
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
        let sizes: Vec<MessageSize> = claimed.select((messages::id, dialect::envelope_bytes())).load(conn)?;
        let numbers = sizes.iter().map(|(number, _)| *number);
        count.n_messages -= diesel::delete(messages::table.filter(messages::id.eq_any(numbers))).execute(conn)? as i64;
        count.n_bytes -= sizes.iter().map(|(_, size)| size).sum::<i64>();
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

#[derive(QueryableByName)]
struct Old {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    tenant_id: String,
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = BigInt)]
    n_bytes: i64,
}

/// Drops messages of all users that are too old and belong to no claim, at most `limit`; how many. A few
/// statements for all of them; who is busy with his messages is passed over.
pub(crate) fn expire(conn: &mut Conn, oldest: Timestamp, now: Timestamp, limit: i64) -> QueryResult<usize> {
    // Joined to the user's row and not looked up beside it: with that one locked the message is passed over.
    let of_users = format!(
        "JOIN offline_users u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id WHERE {} AND",
        dialect::may_expire(now.as_millis())
    );
    let mut old = older(conn, &of_users, oldest, limit)?;
    if (old.len() as i64) < limit {
        let of_nobody = "WHERE NOT EXISTS (SELECT 1 FROM offline_users u
             WHERE u.tenant_id = m.tenant_id AND u.user_id = m.user_id) AND";
        old.extend(older(conn, of_nobody, oldest, limit - old.len() as i64)?);
    }
    let numbers: Vec<i64> = old.iter().map(|message| message.id).collect();
    for chunk in numbers.chunks(CHUNK) {
        diesel::delete(messages::table.filter(messages::id.eq_any(chunk))).execute(conn)?;
    }
    let mut counts: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    for message in &old {
        let count = counts.entry((&message.tenant_id, &message.user_id)).or_default();
        count.n_messages -= 1;
        count.n_dropped += 1;
        count.n_bytes -= message.n_bytes;
    }
    let counts: Vec<_> = counts.into_iter().collect();
    counts.chunks(CHUNK).try_for_each(|chunk| add_counts(conn, chunk))?;
    Ok(old.len())
}

fn older(conn: &mut Conn, which: &str, oldest: Timestamp, limit: i64) -> QueryResult<Vec<Old>> {
    let found = format!(
        "SELECT m.id AS id, m.tenant_id AS tenant_id, m.user_id AS user_id, {} AS n_bytes
         FROM offline_messages m {which} m.accepted_at < ? ORDER BY m.accepted_at LIMIT ? {}",
        dialect::SIZE_OF_M,
        dialect::SKIP_LOCKED
    );
    sql_query(found).bind::<BigInt, _>(oldest.as_millis()).bind::<BigInt, _>(limit).load(conn)
}

/// Changes the counts of many users in one statement.
fn add_counts(conn: &mut Conn, counts: &[((&str, &str), Count)]) -> QueryResult<()> {
    let mut statement =
        sql_query("INSERT INTO offline_users (tenant_id, user_id, n_messages, n_dropped, n_bytes) VALUES ")
            .into_boxed();
    for (index, ((tenant, user), count)) in counts.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let Count { n_messages, n_dropped, n_bytes } = count;
        statement = statement
            .sql(format!("{comma}(?, ?, {n_messages}, {n_dropped}, {n_bytes})"))
            .bind::<Text, _>(*tenant)
            .bind::<Text, _>(*user);
    }
    statement.sql(format!(" {}", dialect::ADD_COUNTS)).execute(conn)?;
    Ok(())
}
