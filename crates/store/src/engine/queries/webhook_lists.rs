//! Registrations by the list: a tenant's in windows, and everybody's.

use std::collections::HashMap;

use diesel::prelude::*;
use hookswitch_protocol::{TenantId, WebhookId};
use hookswitch_webhooks::{Cursor, DEEPEST_OFFSET, Listed, Page, Webhook};

use super::dialect::{CHUNK, Conn};
use super::webhook_row::WebhookRow;
use super::windows::{COUNTED, CountOf, ROW_BYTES, fill, total};
use crate::literals::webhook_bytes;
use crate::schema::webhooks;
use crate::webhook_columns::WebhookColumns;

/// Chunks of all rows that one read looks at: it has a few seconds, whatever the number of webhooks.
const MOST_AT_ONCE: usize = 10;

/// A tenant's rows that are not deleted.
macro_rules! of_tenant {
    ($tenant:expr) => {
        webhooks::table.filter(webhooks::tenant_id.eq($tenant.as_str())).filter(webhooks::deleted_at.is_null())
    };
}

pub(crate) fn list(
    conn: &mut Conn,
    columns: &WebhookColumns,
    tenant: &TenantId,
    page: Page,
) -> QueryResult<Listed<Webhook>> {
    let after = match page.after {
        Some(Cursor::Webhook(id)) => id.0,
        _ => i64::MIN,
    };
    let n_wanted = page.n_wanted() as usize;
    let ids: Vec<i64> = of_tenant!(tenant)
        .filter(webhooks::id.gt(after))
        .order(webhooks::id.asc())
        .limit(n_wanted as i64 + 1)
        .offset(page.offset.min(DEEPEST_OFFSET) as i64)
        .select(webhooks::id)
        .load(conn)?;
    let wanted = &ids[..ids.len().min(n_wanted)];
    let (rows, n_taken) = fill(conn, wanted, weigh, |conn, ids| load(conn, columns, ids))?;
    let next = (n_taken < ids.len()).then(|| wanted[..n_taken].last()).flatten();
    let counted = CountOf(of_tenant!(tenant).select(webhooks::id).limit(COUNTED));
    Ok(Listed { rows, total: total(counted.get_result(conn)?), next: next.map(|id| Cursor::Webhook(WebhookId(*id))) })
}

/// What the registrations weigh, without reading them.
fn weigh(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<usize>> {
    let rows: Vec<(i64, i64)> =
        webhooks::table.filter(webhooks::id.eq_any(ids)).select((webhooks::id, webhook_bytes())).load(conn)?;
    let weights: HashMap<i64, i64> = rows.into_iter().collect();
    Ok(ids.iter().map(|id| weights.get(id).map_or(0, |bytes| (*bytes).max(0) as usize) + ROW_BYTES).collect())
}

fn load(conn: &mut Conn, columns: &WebhookColumns, ids: &[i64]) -> QueryResult<Vec<Webhook>> {
    let rows: Vec<WebhookRow> = webhooks::table
        .filter(webhooks::id.eq_any(ids))
        .order(webhooks::id.asc())
        .select(WebhookRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|row| row.read(columns)).collect())
}

/// Of those that are not deleted, some behind this number, and the number behind which the next ones are.
pub(crate) fn some_of_all(
    conn: &mut Conn,
    columns: &WebhookColumns,
    after: i64,
) -> QueryResult<(Vec<Webhook>, Option<i64>)> {
    let mut some = Vec::new();
    let next = each(conn, (after, MOST_AT_ONCE), |row| some.extend(row.read_to_match(columns)))?;
    Ok((some, next))
}

/// How many rows hold something sealed that no key opens.
pub(crate) fn n_unreadable(conn: &mut Conn, columns: &WebhookColumns) -> QueryResult<usize> {
    let mut n_unreadable = 0;
    each(conn, (i64::MIN, usize::MAX), |row| n_unreadable += usize::from(!row.can_be_read(columns)))?;
    Ok(n_unreadable)
}

/// Shows every row behind `after` that is not deleted, in chunks: no statement takes long, however many there are.
/// After so many chunks it ends, and gives the last row's number.
fn each(
    conn: &mut Conn,
    (after, n_chunks): (i64, usize),
    mut show: impl FnMut(WebhookRow),
) -> QueryResult<Option<i64>> {
    let mut last = after;
    for _ in 0..n_chunks {
        let rows: Vec<(i64, WebhookRow)> = webhooks::table
            .filter(webhooks::deleted_at.is_null())
            .filter(webhooks::id.gt(last))
            .order(webhooks::id.asc())
            .limit(CHUNK as i64)
            .select((webhooks::id, WebhookRow::as_select()))
            .load(conn)?;
        let Some((id, _)) = rows.last() else { return Ok(None) };
        last = *id;
        for (_, row) in rows {
            show(row);
        }
    }
    Ok(Some(last))
}
