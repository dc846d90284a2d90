//! Pieces of SQL that both databases read alike and that diesel has no words for.

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::sql_types::{BigInt, Bool};

/// `state = 'due'` as literal text: a partial index is used only when the query repeats its condition
/// word for word, which a bound parameter does not.
pub(crate) fn is_due() -> SqlLiteral<Bool> {
    sql("webhook_deliveries.state = 'due'")
}

/// `state = 'leased'`, likewise.
pub(crate) fn is_leased() -> SqlLiteral<Bool> {
    sql("webhook_deliveries.state = 'leased'")
}

/// Whether no earlier delivery of the same webhook and order key runs, or waits and is not too late at `now`.
pub(crate) fn is_next_in_order(now: i64) -> SqlLiteral<Bool> {
    sql(&format!(
        "(webhook_deliveries.order_key IS NULL OR NOT EXISTS (
            SELECT 1 FROM webhook_deliveries earlier
            WHERE earlier.webhook_id = webhook_deliveries.webhook_id
              AND earlier.order_key = webhook_deliveries.order_key
              AND earlier.id < webhook_deliveries.id AND earlier.order_key IS NOT NULL
              AND earlier.state IN ('due', 'leased')
              AND (earlier.state = 'leased' OR earlier.expires_at IS NULL OR earlier.expires_at >= {now})))"
    ))
}

/// `state = 'failed'`, likewise.
pub(crate) fn is_failed() -> SqlLiteral<Bool> {
    sql("webhook_deliveries.state = 'failed'")
}

/// `state = 'missed'`, likewise.
pub(crate) fn is_missed() -> SqlLiteral<Bool> {
    sql("webhook_deliveries.state = 'missed'")
}

/// Whether a log row's answer was 2xx; `NULL` answers count as no.
pub(crate) fn is_success() -> SqlLiteral<Bool> {
    sql("COALESCE(webhook_logs.response_code BETWEEN 200 AND 299, FALSE)")
}

/// How many of the selected log rows have a 2xx.
pub(crate) fn n_successes() -> SqlLiteral<BigInt> {
    sql("COUNT(CASE WHEN webhook_logs.response_code BETWEEN 200 AND 299 THEN 1 END)")
}
