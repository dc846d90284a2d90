//! Everything that SQLite says differently from MySQL, in one place; that one's `dialect` has the same names.

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Bool, Double};
use hookswitch_protocol::{NodeId, Timestamp};
use hookswitch_webhooks::Sweep;

use crate::backlog::{BacklogRow, PeerNodes};
use crate::schema::{webhook_events, webhook_revision, webhooks};
use crate::time::SqlTime;

/// The connection that queries run on.
pub(crate) type Conn = SqliteConnection;

/// Rows per statement for multi-row inserts and `IN` lists: SQLite allows 32,766 parameters, and the
/// time to prepare a longer statement is not won back.
pub(crate) const CHUNK: usize = 500;

/// Bytes per statement for multi-row inserts: SQLite has no bound that matters.
pub(crate) fn chunk_bytes(_conn: &Conn) -> usize {
    64 * 1024 * 1024
}

/// The largest row: none that is accepted is too large.
pub(crate) fn row_bytes(_conn: &Conn) -> usize {
    usize::MAX
}

/// Runs `work` in a transaction that takes the write lock at once. A plain one would take it at the
/// first write and fail, without waiting, when another program wrote since its first read.
pub(crate) fn write_transaction<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> QueryResult<T>) -> QueryResult<T> {
    conn.immediate_transaction(work)
}

/// Whether the transaction is worth running again at once: never, for nobody else writes beside it.
pub(crate) fn is_worth_repeating(_error: &diesel::result::Error) -> bool {
    false
}

/// Whether a row stayed locked by somebody else: here it is the file, which concerns all.
pub(crate) fn is_lock_wait(_error: &diesel::result::Error) -> bool {
    false
}

/// Whether a failed transaction of many may have failed because of one of them, although the error is
/// none of data.
pub(crate) fn may_concern_one(_error: &diesel::result::Error) -> bool {
    false
}

/// The body sent, as the log takes it.
pub(crate) fn payload(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

/// Whether a log row may have been refused for its payload: never, it is a text like others.
pub(crate) fn may_refuse_payload(_error: &diesel::result::Error) -> bool {
    false
}

/// A text as JSON.
pub(crate) fn as_json_string(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// As much of a text as the log takes.
pub(crate) fn logged_text(text: &str) -> &str {
    text
}

/// Locks the rows of a query until the transaction ends; here the transaction has the file anyway.
macro_rules! for_update {
    ($query:expr) => {
        $query
    };
}

/// The same, passing over rows that somebody else has locked.
macro_rules! skip_locked {
    ($query:expr) => {
        $query
    };
}

pub(crate) use {for_update, skip_locked};

define_sql_function! {
    /// The id of the row this connection inserted last.
    fn last_insert_rowid() -> BigInt;
}

/// The id of the row that the last statement inserted.
pub(crate) fn last_insert_id(conn: &mut Conn) -> QueryResult<i64> {
    diesel::select(last_insert_rowid()).get_result(conn)
}

/// The first number for events that are stored now; those after it are free as well.
pub(crate) fn next_event_row(conn: &mut Conn, _numbers: &RowNumbers, _latest: Option<Timestamp>) -> QueryResult<i64> {
    let last: Option<i64> = webhook_events::table.select(diesel::dsl::max(webhook_events::id)).first(conn)?;
    Ok(last.unwrap_or(0) + 1)
}

/// How numbers are chosen without asking: here the database is asked.
#[derive(Debug)]
pub(crate) struct RowNumbers;

/// The revision that triggers keep, whoever changes a row: one look-up by key.
pub(crate) fn directory_version(conn: &mut Conn) -> QueryResult<String> {
    let revision: i64 = webhook_revision::table.select(webhook_revision::revision).first(conn)?;
    Ok(revision.to_string())
}

/// What is new since a while: the revision knows everything.
pub(crate) fn recent_changes(conn: &mut Conn) -> QueryResult<String> {
    directory_version(conn)
}

/// The function that tells whether a query may go on, see `interrupt`.
pub(super) const IN_TIME: &str = "hookswitch_in_time";

/// What it says when not.
pub(super) const TIME_IS_OVER: &str = "the time of this query is over";

/// The first condition of a query that may walk over very many rows; holds for all of them. By chance, because
/// the rows that it is asked about have no order; one in 128 costs nothing that shows.
pub(crate) fn in_time() -> SqlLiteral<Bool> {
    sql("((random() & 127) <> 0 OR hookswitch_in_time())")
}

/// Whether a query was ended because its time was over, or its caller gone.
pub(crate) fn was_interrupted(error: &diesel::result::Error) -> bool {
    matches!(error, diesel::result::Error::DatabaseError(_, said) if said.message().contains(TIME_IS_OVER))
}

/// Whether other processes write at the same time.
pub(crate) const IS_SHARED: bool = false;

/// How far apart two noted attempts at a webhook are at least: nobody else waits for its row.
pub(crate) const TRIGGER_STEP: Duration = Duration::ZERO;

/// Notes a receiver's health and the last attempt.
pub(crate) fn note_health(
    conn: &mut Conn,
    webhook: i64,
    failing_since: Option<SqlTime>,
    n_failures: i32,
    triggered: SqlTime,
) -> QueryResult<()> {
    diesel::update(webhooks::table.find(webhook))
        .set((
            webhooks::failing_since.eq(failing_since),
            webhooks::n_failures.eq(n_failures),
            webhooks::last_triggered_at.eq(triggered),
        ))
        .execute(conn)?;
    Ok(())
}

/// Who lives: this process, for the file is its own.
#[expect(clippy::unnecessary_wraps, reason = "other databases have to ask")]
pub(crate) fn heartbeat(_conn: &mut Conn, _sweep: &Sweep, _seen: &Mutex<NodeLiveness>) -> QueryResult<PeerNodes> {
    Ok(PeerNodes::default())
}

/// What it sees of others: there are none.
pub(crate) type NodeLiveness = ();

/// From whom a starting node takes leases back: everybody, for the file belongs to one process, so
/// whoever held one is this process or dead.
pub(crate) fn reclaims_from(_node: &NodeId) -> Option<&str> {
    None
}

/// Forgets at most `limit` chosen ids that are older; how many.
pub(crate) fn purge_ids(conn: &mut Conn, oldest: i64, limit: i64) -> QueryResult<usize> {
    sql_query(
        "DELETE FROM event_ids WHERE (tenant_id, event_id) IN
         (SELECT tenant_id, event_id FROM event_ids WHERE accepted_at < ? LIMIT ?)",
    )
    .bind::<BigInt, _>(oldest)
    .bind::<BigInt, _>(limit)
    .execute(conn)
}

/// The bytes of a kept message, which SQLite knows without reading it.
pub(crate) fn envelope_bytes() -> SqlLiteral<BigInt> {
    sql("length(offline_messages.envelope)")
}

/// The same of all selected messages together.
pub(crate) fn sum_of_envelopes() -> SqlLiteral<BigInt> {
    sql("COALESCE(SUM(length(offline_messages.envelope)), 0)")
}

/// The same of the kept message `m`.
pub(crate) const SIZE_OF_M: &str = "length(m.envelope)";

/// The larger of two numbers, as a function.
pub(crate) const GREATEST: &str = "MAX";

/// What a query ends with that locks its rows: the transaction has the file anyway.
pub(crate) const SKIP_LOCKED: &str = "";

/// Kept messages that may expire: what is claimed belongs to its claimer.
pub(crate) fn may_expire(_now: i64) -> String {
    "m.is_claimed = 0".to_owned()
}

/// What an insert into `offline_users` ends with that changes the counts of a user who is there.
pub(crate) const ADD_COUNTS: &str = "ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    n_messages = n_messages + excluded.n_messages, n_dropped = n_dropped + excluded.n_dropped,
    n_bytes = n_bytes + excluded.n_bytes";

/// The mean of the selected log rows' durations; 0 without rows.
pub(crate) fn mean_duration() -> SqlLiteral<Double> {
    sql("COALESCE(AVG(webhook_logs.duration_ms), 0.0)")
}

/// Bytes that were not there before, enough that a disk which takes them has room for an event too.
pub(crate) fn fresh_bytes() -> SqlLiteral<Binary> {
    sql("randomblob(65536)")
}

/// The backlog in a few index look-ups per webhook, however much waits for each: the recursion jumps
/// from one webhook's entries to the next instead of walking over them, which SQLite's `GROUP BY` does.
const BACKLOG: &str = "
WITH RECURSIVE waiting (webhook_id) AS (
    SELECT MIN(webhook_id) FROM webhook_deliveries WHERE state = 'due'
    UNION ALL
    SELECT (SELECT MIN(d.webhook_id) FROM webhook_deliveries d
            WHERE d.state = 'due' AND d.webhook_id > waiting.webhook_id)
    FROM waiting WHERE waiting.webhook_id IS NOT NULL
), kinds (is_retry) AS (VALUES (0), (1))
SELECT waiting.webhook_id AS webhook_id, kinds.is_retry AS is_retry,
       (SELECT d.tenant_id FROM webhook_deliveries d
        WHERE d.state = 'due' AND d.webhook_id = waiting.webhook_id AND d.is_retry = kinds.is_retry AND d.due_at <= ?1
        ORDER BY d.due_at LIMIT 1) AS tenant_id,
       (SELECT MIN(d.due_at) FROM webhook_deliveries d
        WHERE d.state = 'due' AND d.webhook_id = waiting.webhook_id AND d.is_retry = kinds.is_retry AND d.due_at > ?1
       ) AS next_due
FROM waiting JOIN kinds WHERE waiting.webhook_id IS NOT NULL";

/// What waits, per webhook and kind, ordered by webhook.
pub(crate) fn backlog(conn: &mut Conn, now: i64) -> QueryResult<Vec<BacklogRow>> {
    sql_query(format!("{BACKLOG} ORDER BY waiting.webhook_id, kinds.is_retry")).bind::<BigInt, _>(now).load(conn)
}
