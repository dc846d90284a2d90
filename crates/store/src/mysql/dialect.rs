//! Everything that MySQL and MariaDB say differently from SQLite, in one place; that one's `dialect` has the same names.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_query;
use diesel::sql_types::{self, BigInt, Binary, Bool, Double, Integer, Nullable, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use hookswitch_protocol::{NodeId, Timestamp};
use hookswitch_webhooks::Sweep;

use super::node_liveness::ObservedNodes;
pub(crate) use super::payload::{as_json_string, logged_text, payload};
pub(crate) use super::row_numbers::RowNumbers;
use super::timed::Timed;
use crate::backlog::{BacklogRow, PeerNodes};
use crate::time::SqlTime;

/// The connection that queries run on; only ever on a thread that may block.
pub(crate) type Conn = AsyncConnectionWrapper<Timed>;

/// Rows per statement for multi-row inserts and `IN` lists.
pub(crate) const CHUNK: usize = 500;

/// Most bytes per statement for multi-row inserts.
const CHUNK_BYTES: usize = 2 * 1024 * 1024;

/// What a statement holds beside its one large value.
const STATEMENT_HEAD: usize = 4 * 1024;

/// Bytes per statement for multi-row inserts, well below the server's `max_allowed_packet`.
pub(crate) fn chunk_bytes(conn: &Conn) -> usize {
    CHUNK_BYTES.min(conn.packet_bytes() / 2)
}

/// The largest row that the server takes at all.
pub(crate) fn row_bytes(conn: &Conn) -> usize {
    conn.packet_bytes().saturating_sub(STATEMENT_HEAD)
}

/// Runs `work` in a transaction.
pub(crate) fn write_transaction<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> QueryResult<T>) -> QueryResult<T> {
    conn.transaction(work)
}

/// Whether the transaction met another node's and would find what that one did when run again: a
/// deadlock, a lock that was not given up in time, or a row that the other one inserted first.
pub(crate) fn is_worth_repeating(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure, _) => true,
        // The driver does not tell errors 1213 and 1205 from others, but for their text, whose language
        // each connection sets.
        Error::DatabaseError(_, said) => said.message().contains("try restarting transaction"),
        _ => false,
    }
}

/// Whether a row stayed locked by somebody else.
pub(crate) fn is_lock_wait(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, said) if said.message().contains("Lock wait timeout exceeded"))
}

/// How it begins when the server went away.
const LOST: [&str; 2] = ["Input/output error", "Driver error"];

/// What a server says that takes nobody's changes, whatever they are: it only reads, as one does that was replaced by
/// another, it is full or ends, or the login or the tables are not what they were. The language is set with the connection.
const TAKES_NOTHING: [&str; 7] = [
    "read-only",
    "read only",
    " is full",
    "Got error 28 ",
    "command denied to user",
    "doesn't exist",
    "shutdown in progress",
];

/// Whether a failed transaction of many may have failed because of one of them: whenever the server
/// itself refused, and neither went away nor refuses everybody.
pub(crate) fn may_concern_one(error: &Error) -> bool {
    let Error::DatabaseError(DatabaseErrorKind::Unknown, said) = error else { return false };
    let said = said.message();
    !LOST.iter().any(|lost| said.starts_with(lost)) && !TAKES_NOTHING.iter().any(|words| said.contains(words))
}

/// Whether a log row may have been refused for its payload, which servers do with JSON that others
/// take. The transaction goes on after it.
pub(crate) fn may_refuse_payload(error: &Error) -> bool {
    may_concern_one(error) && !is_worth_repeating(error)
}

/// Locks the rows of a query until the transaction ends.
macro_rules! for_update {
    ($query:expr) => {
        $query.for_update()
    };
}

/// The same, passing over rows that another node has locked.
macro_rules! skip_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

pub(crate) use {for_update, skip_locked};

/// The id of the row that the last statement inserted.
pub(crate) fn last_insert_id(conn: &mut Conn) -> QueryResult<i64> {
    diesel::select(sql::<BigInt>("CAST(LAST_INSERT_ID() AS SIGNED)")).get_result(conn)
}

/// The first number for events that are stored now; those after it are very probably free as well.
#[expect(clippy::unnecessary_wraps, reason = "SQLite has to ask")]
pub(crate) fn next_event_row(_conn: &mut Conn, numbers: &RowNumbers, latest: Option<Timestamp>) -> QueryResult<i64> {
    Ok(numbers.choose(latest))
}

/// A sum over the marks that the database itself puts on every changed row, straight from an index:
/// triggers would need rights that hosted servers do not grant.
pub(crate) fn directory_version(conn: &mut Conn) -> QueryResult<String> {
    diesel::select(sql::<Text>(
        "(SELECT CONCAT(COUNT(*), '-', COALESCE(BIT_XOR(CRC32(CONCAT_WS('|', id, changed_at))), 0)) FROM webhooks)",
    ))
    .get_result(conn)
}

/// The marks of the last minute, a short piece of the same index: as long as it is the same, nothing else is new.
pub(crate) fn recent_changes(conn: &mut Conn) -> QueryResult<String> {
    diesel::select(sql::<Text>(
        "(SELECT CONCAT(COUNT(*), '-', COALESCE(BIT_XOR(CRC32(CONCAT_WS('|', id, changed_at))), 0)) FROM webhooks
          WHERE changed_at >= NOW(6) - INTERVAL 1 MINUTE)",
    ))
    .get_result(conn)
}

/// The first condition of a query that may walk over very many rows: nothing, for the server ends it.
pub(crate) fn in_time() -> SqlLiteral<Bool> {
    sql("TRUE")
}

/// Whether a query was ended because its time was over.
pub(crate) fn was_interrupted(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, said) if said.message().contains("Query execution was interrupted"))
}

/// Whether other processes write at the same time.
pub(crate) const IS_SHARED: bool = true;

/// How far apart two noted attempts at a webhook are at least: all nodes wait for each other at its row.
pub(crate) const TRIGGER_STEP: Duration = Duration::from_secs(1);

/// Notes a receiver's health and the last attempt. Neither `updated_at` nor the directory's version changes.
pub(crate) fn note_health(
    conn: &mut Conn,
    webhook: i64,
    failing_since: Option<SqlTime>,
    n_failures: i32,
    triggered: SqlTime,
) -> QueryResult<()> {
    sql_query(
        "UPDATE webhooks SET failing_since = ?, n_failures = ?, last_triggered_at = ?,
                updated_at = updated_at, changed_at = changed_at
         WHERE id = ?",
    )
    .bind::<Nullable<sql_types::Timestamp>, _>(failing_since)
    .bind::<Integer, _>(n_failures)
    .bind::<sql_types::Timestamp, _>(triggered)
    .bind::<BigInt, _>(webhook)
    .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Node {
    #[diesel(sql_type = Text)]
    node_id: String,
    #[diesel(sql_type = BigInt)]
    seen_at: i64,
}

/// What has been observed of other nodes, by observer: nearly always one.
pub(crate) type NodeLiveness = HashMap<String, ObservedNodes>;

/// Writes this node's heartbeat, and reads those of the others.
///
/// One that was silent itself judges nobody: the database was away then, and the others, who are only
/// about to say that they live, would lose what they are doing.
pub(crate) fn heartbeat(conn: &mut Conn, sweep: &Sweep, seen: &Mutex<NodeLiveness>) -> QueryResult<PeerNodes> {
    let (now, silent) = (sweep.now.as_millis(), sweep.now.before(sweep.dead_after).as_millis());
    let known: Vec<Node> = sql_query("SELECT node_id, seen_at FROM webhook_nodes").load(conn)?;
    sql_query(
        "INSERT INTO webhook_nodes (node_id, seen_at) VALUES (?, ?)
         ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at)",
    )
    .bind::<Text, _>(sweep.by.as_str())
    .bind::<BigInt, _>(now)
    .execute(conn)?;
    let (own, others): (Vec<Node>, Vec<Node>) = known.into_iter().partition(|node| node.node_id == sweep.by.as_str());
    let others: Vec<(String, i64)> = others.into_iter().map(|node| (node.node_id, node.seen_at)).collect();
    let mut liveness = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = liveness.entry(sweep.by.as_str().to_owned()).or_default();
    if own.iter().all(|node| node.seen_at < silent) {
        seen.begin_anew(sweep.now);
    }
    let nodes = seen.judge(&others, sweep.now, sweep.dead_after);
    drop(liveness);
    let forgotten = now - FORGET_MILLIS;
    if others.iter().any(|(node, seen_at)| *seen_at < forgotten && nodes.dead.contains(node)) {
        sql_query("DELETE FROM webhook_nodes WHERE seen_at < ?").bind::<BigInt, _>(forgotten).execute(conn)?;
    }
    Ok(nodes)
}

/// A node that has been dead for a day holds nothing any more.
const FORGET_MILLIS: i64 = 24 * 3_600 * 1_000;

/// From whom a starting node takes leases back: its own former self; others may be alive.
#[expect(clippy::unnecessary_wraps, reason = "SQLite takes back everybody's")]
pub(crate) fn reclaims_from(node: &NodeId) -> Option<&str> {
    Some(node.as_str())
}

/// Forgets at most `limit` chosen ids that are older; how many.
pub(crate) fn purge_ids(conn: &mut Conn, oldest: i64, limit: i64) -> QueryResult<usize> {
    sql_query("DELETE FROM event_ids WHERE accepted_at < ? LIMIT ?")
        .bind::<BigInt, _>(oldest)
        .bind::<BigInt, _>(limit)
        .execute(conn)
}

/// The bytes of a kept message. The column is the database's own sum: a text of this size would be read.
pub(crate) fn envelope_bytes() -> SqlLiteral<BigInt> {
    sql("offline_messages.n_bytes")
}

/// The same of all selected messages together.
pub(crate) fn sum_of_envelopes() -> SqlLiteral<BigInt> {
    sql("CAST(COALESCE(SUM(offline_messages.n_bytes), 0) AS SIGNED)")
}

/// The same of the kept message `m`.
pub(crate) const SIZE_OF_M: &str = "m.n_bytes";

/// The larger of two numbers, as a function.
pub(crate) const GREATEST: &str = "GREATEST";

/// What a query ends with that locks its rows and passes over those that somebody else has locked.
pub(crate) const SKIP_LOCKED: &str = "FOR UPDATE SKIP LOCKED";

/// Kept messages that may expire: what is claimed belongs to its claimer, as long as that one says so.
pub(crate) fn may_expire(now: i64) -> String {
    format!("(NOT m.is_claimed OR COALESCE(u.held_until, 0) < {now})")
}

/// What an insert into `offline_users` ends with that changes the counts of a user who is there.
pub(crate) const ADD_COUNTS: &str = "ON DUPLICATE KEY UPDATE n_messages = n_messages + VALUES(n_messages),
    n_dropped = n_dropped + VALUES(n_dropped), n_bytes = n_bytes + VALUES(n_bytes)";

/// The mean of the selected log rows' durations, as a `DOUBLE`; 0 without rows.
pub(crate) fn mean_duration() -> SqlLiteral<Double> {
    sql("COALESCE(AVG(webhook_logs.duration_ms), 0) + 0e0")
}

/// Bytes that were not there before, enough that a disk which takes them has room for an event too.
pub(crate) fn fresh_bytes() -> SqlLiteral<Binary> {
    sql("REPEAT(MD5(RAND()), 2048)")
}

/// Skips along the index from one webhook and kind to the next, however much waits for each: with many
/// rows the server does so only where the grouping names all columns of the index, the state as well.
const BACKLOG: &str = "
SELECT waiting.webhook_id AS webhook_id, waiting.is_retry AS is_retry,
       IF(waiting.first_due <= ?,
          (SELECT d.tenant_id FROM webhook_deliveries d
           WHERE d.state = 'due' AND d.webhook_id = waiting.webhook_id AND d.is_retry = waiting.is_retry
           ORDER BY d.due_at LIMIT 1), NULL) AS tenant_id,
       upcoming.next_due AS next_due
FROM (SELECT state, webhook_id, is_retry, MIN(due_at) AS first_due
      FROM webhook_deliveries WHERE state = 'due' GROUP BY state, webhook_id, is_retry) AS waiting
CROSS JOIN (SELECT MIN(due_at) AS next_due FROM webhook_deliveries WHERE state = 'due' AND due_at > ?) AS upcoming
ORDER BY waiting.webhook_id, waiting.is_retry";

/// What waits, per webhook and kind, ordered by webhook. Each row tells the next one of all.
pub(crate) fn backlog(conn: &mut Conn, now: i64) -> QueryResult<Vec<BacklogRow>> {
    sql_query(BACKLOG).bind::<BigInt, _>(now).bind::<BigInt, _>(now).load(conn)
}
