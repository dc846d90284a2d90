//! Registrations: the table that operators also write by hand.

#![expect(clippy::option_option, reason = "diesel's changesets tell so what is left alone from what becomes NULL")]

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{DisableReason, NewWebhook, Webhook, WebhookChange};

use super::deliveries::{self, DELETED, END_BESIDE};
use super::dialect::{self, CHUNK, Conn, for_update, skip_locked};
use super::webhook_row::WebhookRow;
use crate::schema::webhooks;
use crate::time::SqlTime;
use crate::webhook_columns::{Column, SecretColumns, WebhookColumns};

#[derive(Insertable)]
#[diesel(table_name = webhooks, treat_none_as_default_value = false)]
struct NewRow<'a> {
    tenant_id: &'a str,
    name: &'a str,
    url: &'a str,
    events: String,
    secret: Option<String>,
    secret_sealed: Option<String>,
    is_active: bool,
    retry_count: i32,
    timeout: i32,
    options: Option<String>,
    created_at: SqlTime,
    updated_at: SqlTime,
}

#[derive(AsChangeset)]
#[diesel(table_name = webhooks)]
struct Change<'a> {
    name: Option<&'a str>,
    url: Option<&'a str>,
    events: Option<String>,
    secret: Option<Option<String>>,
    secret_sealed: Option<Option<String>>,
    previous_secret: Option<Option<String>>,
    previous_secret_sealed: Option<Option<String>>,
    previous_secret_until: Option<Option<SqlTime>>,
    is_active: Option<bool>,
    retry_count: Option<i32>,
    timeout: Option<i32>,
    options: Option<Option<String>>,
    failing_since: Option<Option<SqlTime>>,
    n_failures: Option<i32>,
    disabled_reason: Option<Option<String>>,
    disabled_at: Option<Option<SqlTime>>,
    receiver_version: Option<i32>,
}

/// One row of a tenant that is not deleted.
macro_rules! of_tenant {
    ($tenant:expr) => {
        webhooks::tenant_id.eq($tenant.as_str()).and(webhooks::deleted_at.is_null())
    };
}

/// `None` when the tenant has as many as it may.
pub(crate) fn create(
    conn: &mut Conn,
    columns: &WebhookColumns,
    tenant: &TenantId,
    (new, most): (&NewWebhook, u32),
    now: Timestamp,
) -> QueryResult<Option<Webhook>> {
    if most < u32::MAX {
        let n_webhooks: i64 = webhooks::table.filter(of_tenant!(tenant)).count().get_result(conn)?;
        if n_webhooks >= i64::from(most) {
            return Ok(None);
        }
    }
    let SecretColumns { clear, sealed } = columns.write_secret(tenant.as_str(), Column::Secret, new.secret.as_ref());
    let row = NewRow {
        tenant_id: tenant.as_str(),
        name: &new.name,
        url: &new.url,
        events: json(&new.events),
        secret: clear,
        secret_sealed: sealed,
        is_active: true,
        retry_count: new.retry_count as i32,
        timeout: new.timeout_secs as i32,
        options: columns.write_options(tenant, &new.options),
        created_at: SqlTime(now),
        updated_at: SqlTime(now),
    };
    diesel::insert_into(webhooks::table).values(row).execute(conn)?;
    let id = dialect::last_insert_id(conn)?;
    get(conn, columns, tenant, WebhookId(id))?.ok_or(diesel::result::Error::NotFound).map(Some)
}

fn json(events: &[String]) -> String {
    serde_json::to_string(events).expect("a list of strings always serialises")
}

fn read_all(rows: Vec<WebhookRow>, columns: &WebhookColumns) -> Vec<Webhook> {
    rows.into_iter().filter_map(|row| row.read(columns)).collect()
}

pub(crate) fn get(
    conn: &mut Conn,
    columns: &WebhookColumns,
    tenant: &TenantId,
    id: WebhookId,
) -> QueryResult<Option<Webhook>> {
    let row: Option<WebhookRow> =
        webhooks::table.find(id.0).filter(of_tenant!(tenant)).select(WebhookRow::as_select()).first(conn).optional()?;
    Ok(row.and_then(|row| row.read(columns)))
}

/// The same, which nobody else changes until the transaction ends.
fn get_locked(
    conn: &mut Conn,
    columns: &WebhookColumns,
    tenant: &TenantId,
    id: WebhookId,
) -> QueryResult<Option<Webhook>> {
    let row = webhooks::table.find(id.0).filter(of_tenant!(tenant)).select(WebhookRow::as_select());
    let row: Option<WebhookRow> = for_update!(row).first(conn).optional()?;
    Ok(row.and_then(|row| row.read(columns)))
}

pub(crate) fn update(
    conn: &mut Conn,
    columns: &WebhookColumns,
    tenant: &TenantId,
    id: WebhookId,
    change: &WebhookChange,
    now: Timestamp,
) -> QueryResult<Option<Webhook>> {
    let Some(before) = get_locked(conn, columns, tenant, id)? else { return Ok(None) };
    if *change != WebhookChange::default() {
        let columns = columns_of(columns, &before, change);
        // The tenant stays: a change that names nothing new must still be a statement.
        diesel::update(webhooks::table.find(id.0))
            .set((columns, webhooks::tenant_id.eq(webhooks::tenant_id)))
            .execute(conn)?;
        stamp(conn, id, now)?;
    }
    get(conn, columns, tenant, id)
}

fn columns_of<'a>(columns: &WebhookColumns, before: &Webhook, change: &'a WebhookChange) -> Change<'a> {
    let tenant = before.tenant.as_str();
    // Whatever is changed, what stands there in clear or under a former key is sealed with the present one.
    let is_sealed_anew = columns.seals();
    let secret = change.secret.as_ref().or(before.secret.as_ref().filter(|_| is_sealed_anew));
    let secret = secret.map(|secret| columns.write_secret(tenant, Column::Secret, Some(secret)));
    // A new secret leaves none before it any time.
    let former = before.previous_secret.as_ref().filter(|_| is_sealed_anew && change.secret.is_none());
    let former = former.map(|former| columns.write_secret(tenant, Column::PreviousSecret, Some(&former.secret)));
    let former = former.or_else(|| change.secret.as_ref().map(|_| SecretColumns::default()));
    let mut options = before.options.clone();
    options.apply(change.options.clone());
    let are_options_written = options != before.options || (is_sealed_anew && !options.headers.is_empty());
    let (secret, secret_sealed) = secret.map(|columns| (columns.clear, columns.sealed)).unzip();
    let (previous_secret, previous_secret_sealed) = former.map(|columns| (columns.clear, columns.sealed)).unzip();
    // Switching on forgets failures and why it was disabled; another URL forgets failures.
    let is_switched_on = change.is_active == Some(true);
    let is_anew = is_switched_on || change.url.as_ref().is_some_and(|url| *url != before.url);
    Change {
        name: change.name.as_deref(),
        url: change.url.as_deref(),
        events: change.events.as_deref().map(json),
        secret,
        secret_sealed,
        previous_secret,
        previous_secret_sealed,
        previous_secret_until: change.secret.is_some().then_some(None),
        is_active: change.is_active,
        retry_count: change.retry_count.map(|n| n as i32),
        timeout: change.timeout_secs.map(|n| n as i32),
        options: are_options_written.then(|| columns.write_options(&before.tenant, &options)),
        failing_since: is_anew.then_some(None),
        n_failures: is_anew.then_some(0),
        disabled_reason: is_switched_on.then_some(None),
        disabled_at: is_switched_on.then_some(None),
        receiver_version: is_anew.then(|| before.receiver_version.saturating_add(1) as i32),
    }
}

/// By itself, because the trigger for changes by hand would take an unchanged time for a forgotten one.
fn stamp(conn: &mut Conn, id: WebhookId, now: Timestamp) -> QueryResult<()> {
    diesel::update(webhooks::table.find(id.0)).set(webhooks::updated_at.eq(SqlTime(now))).execute(conn)?;
    Ok(())
}

/// The new secret is the present one.
pub(crate) struct IsPresent;

/// The present secret becomes the former one, sealed anew: a seal is bound to its column.
pub(crate) fn rotate_secret(
    conn: &mut Conn,
    columns: &WebhookColumns,
    tenant: &TenantId,
    id: WebhookId,
    secret: &Secret,
    times: (Timestamp, Timestamp),
) -> QueryResult<Result<Option<Webhook>, IsPresent>> {
    let (valid_until, now) = times;
    let Some(before) = get_locked(conn, columns, tenant, id)? else { return Ok(Ok(None)) };
    if before.secret.as_ref() == Some(secret) {
        return Ok(Err(IsPresent));
    }
    let new = columns.write_secret(tenant.as_str(), Column::Secret, Some(secret));
    let former = columns.write_secret(tenant.as_str(), Column::PreviousSecret, before.secret.as_ref());
    diesel::update(webhooks::table.find(id.0))
        .set((
            webhooks::secret.eq(new.clear),
            webhooks::secret_sealed.eq(new.sealed),
            webhooks::previous_secret.eq(former.clear),
            webhooks::previous_secret_sealed.eq(former.sealed),
            webhooks::previous_secret_until.eq(before.secret.map(|_| SqlTime(valid_until))),
        ))
        .execute(conn)?;
    stamp(conn, id, now)?;
    get(conn, columns, tenant, id).map(Ok)
}

/// Switches an active webhook off. The one of many callers that did it gets the webhook.
pub(crate) fn disable(
    conn: &mut Conn,
    columns: &WebhookColumns,
    id: WebhookId,
    reason: DisableReason,
    at: Timestamp,
) -> QueryResult<Option<Webhook>> {
    let active = webhooks::table.find(id.0).filter(webhooks::is_active.eq(true).and(webhooks::deleted_at.is_null()));
    let n_rows = diesel::update(active)
        .set((
            webhooks::is_active.eq(false),
            webhooks::disabled_reason.eq(reason.label()),
            webhooks::disabled_at.eq(SqlTime(at)),
        ))
        .execute(conn)?;
    if n_rows == 0 {
        return Ok(None);
    }
    stamp(conn, id, at)?;
    let row: Option<WebhookRow> = webhooks::table.find(id.0).select(WebhookRow::as_select()).first(conn).optional()?;
    Ok(row.and_then(|row| row.read(columns)))
}

/// Everything that a webhook knows and nobody else may: gone with its deletion. The rest of the row stays
/// for the log's reports.
macro_rules! no_secrets {
    () => {
        (
            webhooks::secret.eq(None::<String>),
            webhooks::secret_sealed.eq(None::<String>),
            webhooks::previous_secret.eq(None::<String>),
            webhooks::previous_secret_sealed.eq(None::<String>),
            webhooks::previous_secret_until.eq(None::<SqlTime>),
            webhooks::options.eq(None::<String>),
        )
    };
}

/// Forgets the secrets of at most `limit` deleted webhooks that still have some; how many.
pub(crate) fn forget_secrets(conn: &mut Conn, limit: i64) -> QueryResult<usize> {
    let has_some = webhooks::secret
        .is_not_null()
        .or(webhooks::secret_sealed.is_not_null())
        .or(webhooks::previous_secret.is_not_null())
        .or(webhooks::previous_secret_sealed.is_not_null())
        .or(webhooks::options.is_not_null());
    let rows =
        webhooks::table.filter(webhooks::deleted_at.is_not_null().and(has_some)).limit(limit).select(webhooks::id);
    let found: Vec<i64> = rows.load(conn)?;
    let ids = unlocked(conn, found)?;
    for chunk in ids.chunks(CHUNK) {
        diesel::update(webhooks::table.filter(webhooks::id.eq_any(chunk))).set(no_secrets!()).execute(conn)?;
    }
    Ok(ids.len())
}

/// Removes those of these rows that nobody has locked; how many.
pub(crate) fn remove(conn: &mut Conn, ids: Vec<i64>) -> QueryResult<usize> {
    let ids = unlocked(conn, ids)?;
    for chunk in ids.chunks(CHUNK) {
        diesel::delete(webhooks::table.filter(webhooks::id.eq_any(chunk))).execute(conn)?;
    }
    Ok(ids.len())
}

/// Those of `ids` that nobody else has locked, locked. Found before without a lock, so that no row is locked
/// that is only looked at: every node's log refers to these.
fn unlocked(conn: &mut Conn, mut ids: Vec<i64>) -> QueryResult<Vec<i64>> {
    let locked = locked(conn, &ids)?;
    ids.retain(|id| !locked.contains(id));
    Ok(ids)
}

/// Marks the row as deleted, forgets its secrets and cancels its first waiting deliveries; the rest is a
/// chore's.
pub(crate) fn delete(conn: &mut Conn, tenant: &TenantId, id: WebhookId, now: Timestamp) -> QueryResult<bool> {
    let marks =
        (webhooks::deleted_at.eq(SqlTime(now)), webhooks::is_active.eq(false), webhooks::updated_at.eq(SqlTime(now)));
    let row = webhooks::table.find(id.0).filter(of_tenant!(tenant));
    let n_rows = diesel::update(row).set((marks, no_secrets!())).execute(conn)?;
    if n_rows > 0 {
        deliveries::end_waiting(conn, id, i64::MAX, DELETED, now, END_BESIDE)?;
    }
    Ok(n_rows > 0)
}

/// Those of `ids` that may be sent to: active and not deleted.
pub(crate) fn sendable(conn: &mut Conn, columns: &WebhookColumns, ids: &[i64]) -> QueryResult<Vec<Webhook>> {
    let mut sendable = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<WebhookRow> = webhooks::table
            .filter(webhooks::id.eq_any(chunk))
            .filter(webhooks::is_active.eq(true).and(webhooks::deleted_at.is_null()))
            .select(WebhookRow::as_select())
            .load(conn)?;
        sendable.extend(read_all(rows, columns));
    }
    Ok(sendable)
}

/// Those of `ids` whose rows somebody else has locked; the others stay ours until the transaction ends.
pub(crate) fn locked(conn: &mut Conn, ids: &[i64]) -> QueryResult<HashSet<i64>> {
    let mut locked = HashSet::new();
    for chunk in ids.chunks(CHUNK) {
        locked.extend(existing(conn, chunk)?);
        let free = webhooks::table.filter(webhooks::id.eq_any(chunk)).order(webhooks::id.asc()).select(webhooks::id);
        let free: Vec<i64> = skip_locked!(free).load(conn)?;
        for id in free {
            locked.remove(&id);
        }
    }
    Ok(locked)
}

/// Waits until nobody else has the row locked; then it is ours until the transaction ends.
pub(crate) fn lock(conn: &mut Conn, id: WebhookId) -> QueryResult<()> {
    let row = webhooks::table.find(id.0).select(webhooks::id);
    for_update!(row).first::<i64>(conn).optional().map(drop)
}

/// Whose the webhooks with these ids are. Locked rows can be looked at all the same.
pub(crate) fn tenants(conn: &mut Conn, ids: &HashSet<i64>) -> QueryResult<HashMap<i64, String>> {
    let ids: Vec<i64> = ids.iter().copied().collect();
    let mut tenants = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let rows = webhooks::table.filter(webhooks::id.eq_any(chunk)).select((webhooks::id, webhooks::tenant_id));
        tenants.extend(rows.load::<(i64, String)>(conn)?);
    }
    Ok(tenants)
}

/// Those of `ids` that have a row at all; operators may have deleted rows by hand.
pub(crate) fn existing(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<i64>> {
    webhooks::table.filter(webhooks::id.eq_any(ids)).select(webhooks::id).load(conn)
}
