//! What stands behind a row of the log: newest first, of equal moments the higher number first, attempts before skips.
//!
//! The moment to go on from is read from the row itself: in SQLite it is a text, which rows made by hand
//! spell otherwise than we do. Where the row is gone, the cursor's own moment is as good.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Timestamp as SqlMoment};
use hookswitch_webhooks::Cursor;

use super::dialect::Conn;
use crate::schema::{webhook_logs as logs, webhook_skips as skips};
use crate::time::SqlTime;

type Backend = <Conn as Connection>::Backend;

/// How a row's moment compares with that of a row of `$of`.
macro_rules! compared {
    ($table:literal, $is:literal, $of:literal, $id:expr, $at:expr) => {
        sql::<Bool>(concat!(
            $table,
            ".created_at ",
            $is,
            " COALESCE((SELECT place.created_at FROM ",
            $of,
            " place WHERE place.id = "
        ))
        .bind::<BigInt, _>($id)
        .sql("), ")
        .bind::<SqlMoment, _>(SqlTime($at))
        .sql(")")
    };
}

/// Whether a row stands behind another one of its table. The first condition alone is one that an index serves.
macro_rules! behind_row {
    ($table:literal, $id:expr, $at:expr) => {
        compared!($table, "<=", $table, $id, $at).and(
            compared!($table, "<", $table, $id, $at).or(sql::<Bool>(concat!($table, ".id < ")).bind::<BigInt, _>($id)),
        )
    };
}

/// Attempts behind the row that a cursor names.
pub(crate) fn attempts_behind(
    query: logs::BoxedQuery<'_, Backend>,
    after: Option<Cursor>,
) -> logs::BoxedQuery<'_, Backend> {
    match after {
        Some(Cursor::Attempt { at, id }) => query.filter(behind_row!("webhook_logs", id, at)),
        // All attempts of the moment came before it.
        Some(Cursor::Skip { at, id }) => query.filter(compared!("webhook_logs", "<", "webhook_skips", id, at)),
        Some(Cursor::Webhook(_)) | None => query,
    }
}

/// Skips behind the row that a cursor names.
pub(crate) fn skips_behind(
    query: skips::BoxedQuery<'_, Backend>,
    after: Option<Cursor>,
) -> skips::BoxedQuery<'_, Backend> {
    match after {
        Some(Cursor::Skip { at, id }) => query.filter(behind_row!("webhook_skips", id, at)),
        // All skips of the moment come behind it.
        Some(Cursor::Attempt { at, id }) => query.filter(compared!("webhook_skips", "<=", "webhook_logs", id, at)),
        Some(Cursor::Webhook(_)) | None => query,
    }
}
