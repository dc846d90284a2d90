//! Everything that SQLite says differently from other databases, in one place.
//!
//! The query modules speak diesel's DSL and take a [`Conn`]; a second database gives them another
//! `Conn` and another copy of this file.

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::sql_types::{BigInt, Binary, Bool, Double, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};

/// The connection that queries run on.
pub(crate) type Conn = SqliteConnection;

/// Rows per statement for multi-row inserts and `IN` lists: SQLite allows 32,766 parameters, and the
/// time to prepare a longer statement is not won back.
pub(crate) const CHUNK: usize = 500;

/// Runs `work` in a transaction that takes the write lock at once. A plain one would take it at the
/// first write and fail, without waiting, when another program wrote since its first read.
pub(crate) fn write_transaction<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> QueryResult<T>) -> QueryResult<T> {
    conn.immediate_transaction(work)
}

/// `state = 'due'` as literal text: a partial index is used only when the query repeats its condition
/// word for word, which a bound parameter does not.
pub(crate) fn is_due() -> SqlLiteral<Bool> {
    sql("webhook_deliveries.state = 'due'")
}

/// `state = 'leased'`, likewise.
pub(crate) fn is_leased() -> SqlLiteral<Bool> {
    sql("webhook_deliveries.state = 'leased'")
}

/// Whether a log row's answer was 2xx; `NULL` answers count as no.
pub(crate) fn is_success() -> SqlLiteral<Bool> {
    sql("COALESCE(webhook_logs.response_code BETWEEN 200 AND 299, FALSE)")
}

/// How many of the selected log rows have a 2xx.
pub(crate) fn n_successes() -> SqlLiteral<BigInt> {
    sql("COUNT(CASE WHEN webhook_logs.response_code BETWEEN 200 AND 299 THEN 1 END)")
}

/// The mean of the selected log rows' durations; 0 without rows.
pub(crate) fn mean_duration() -> SqlLiteral<Double> {
    sql("COALESCE(AVG(webhook_logs.duration_ms), 0.0)")
}

/// Bytes that were not there before, enough that a disk which takes them has room for an event too.
pub(crate) fn fresh_bytes() -> SqlLiteral<Binary> {
    sql("randomblob(65536)")
}

/// One webhook's share of the backlog.
#[derive(Debug, QueryableByName)]
pub(crate) struct BacklogRow {
    /// Which webhook.
    #[diesel(sql_type = BigInt)]
    pub(crate) webhook_id: i64,
    /// First attempts or retries.
    #[diesel(sql_type = Bool)]
    pub(crate) is_retry: bool,
    /// Whose; `None` when nothing of this kind is due now.
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) tenant_id: Option<String>,
    /// The first one that is not due yet.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) next_due: Option<i64>,
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
pub(crate) fn backlog(conn: &mut Conn, now_millis: i64) -> QueryResult<Vec<BacklogRow>> {
    sql_query(format!("{BACKLOG} ORDER BY waiting.webhook_id, kinds.is_retry")).bind::<BigInt, _>(now_millis).load(conn)
}
