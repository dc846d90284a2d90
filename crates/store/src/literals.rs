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

/// What the texts of a log row weigh, in bytes. SQLite tells it without reading them.
pub(crate) fn attempt_bytes() -> SqlLiteral<BigInt> {
    sql("OCTET_LENGTH(webhook_logs.payload) + COALESCE(OCTET_LENGTH(webhook_logs.response_body), 0)
         + COALESCE(OCTET_LENGTH(webhook_logs.error), 0)")
}

/// What the texts of a registration weigh, in bytes.
pub(crate) fn webhook_bytes() -> SqlLiteral<BigInt> {
    sql("OCTET_LENGTH(webhooks.name) + OCTET_LENGTH(webhooks.url) + OCTET_LENGTH(webhooks.events)
         + COALESCE(OCTET_LENGTH(webhooks.options), 0)")
}

/// How many of the selected log rows have a 2xx.
pub(crate) fn n_successes() -> SqlLiteral<BigInt> {
    sql("COUNT(CASE WHEN webhook_logs.response_code BETWEEN 200 AND 299 THEN 1 END)")
}
