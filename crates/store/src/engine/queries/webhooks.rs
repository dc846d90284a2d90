//! Registrations: the table that operators also write by hand.

use diesel::prelude::*;
use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{Listed, NewWebhook, Page, Webhook, WebhookChange};

use super::deliveries;
use super::dialect::{self, Conn};
use crate::schema::webhooks;
use crate::time::SqlTime;

const MAX_RETRIES: i32 = 20;
const MAX_TIMEOUT_SECS: i32 = 120;

/// A row as it stands, possibly made by hand.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = webhooks)]
pub(crate) struct WebhookRow {
    id: i64,
    tenant_id: String,
    name: String,
    url: String,
    events: String,
    secret: Option<String>,
    is_active: Option<bool>,
    retry_count: Option<i32>,
    timeout: Option<i32>,
    created_at: SqlTime,
    updated_at: SqlTime,
}

impl WebhookRow {
    /// The registration. Figures out of bounds count as the nearest bound, an unreadable list of
    /// events as empty; `None` when no tenant can have that `tenant_id`. One odd row must not make
    /// the others unusable.
    fn read(self) -> Option<Webhook> {
        let tenant = TenantId::parse(&self.tenant_id)
            .inspect_err(|error| tracing::warn!(webhook = self.id, %error, "webhook row ignored"))
            .ok()?;
        let events = serde_json::from_str(&self.events)
            .inspect_err(|error| tracing::warn!(webhook = self.id, %tenant, %error, "webhook's events are no list"))
            .unwrap_or_default();
        Some(Webhook {
            id: WebhookId(self.id),
            tenant,
            name: self.name,
            url: self.url,
            events,
            secret: self.secret.filter(|secret| !secret.is_empty()).map(Secret::new),
            is_active: self.is_active.unwrap_or(false),
            retry_count: self.retry_count.unwrap_or(3).clamp(0, MAX_RETRIES) as u32,
            timeout_secs: self.timeout.unwrap_or(30).clamp(1, MAX_TIMEOUT_SECS) as u32,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = webhooks, treat_none_as_default_value = false)]
struct NewRow<'a> {
    tenant_id: &'a str,
    name: &'a str,
    url: &'a str,
    events: String,
    secret: Option<String>,
    is_active: bool,
    retry_count: i32,
    timeout: i32,
    created_at: SqlTime,
    updated_at: SqlTime,
}

#[derive(AsChangeset)]
#[diesel(table_name = webhooks)]
struct Change<'a> {
    name: Option<&'a str>,
    url: Option<&'a str>,
    events: Option<String>,
    secret: Option<&'a str>,
    is_active: Option<bool>,
    retry_count: Option<i32>,
    timeout: Option<i32>,
}

pub(crate) fn create(conn: &mut Conn, tenant: &TenantId, new: &NewWebhook, now: Timestamp) -> QueryResult<Webhook> {
    let row = NewRow {
        tenant_id: tenant.as_str(),
        name: &new.name,
        url: &new.url,
        events: json(&new.events),
        secret: new.secret.as_ref().map(|secret| secret.reveal().to_owned()),
        is_active: true,
        retry_count: new.retry_count as i32,
        timeout: new.timeout_secs as i32,
        created_at: SqlTime(now),
        updated_at: SqlTime(now),
    };
    diesel::insert_into(webhooks::table).values(row).execute(conn)?;
    let id = dialect::last_insert_id(conn)?;
    let row: WebhookRow = webhooks::table.find(id).select(WebhookRow::as_select()).first(conn)?;
    row.read().ok_or(diesel::result::Error::NotFound)
}

fn json(events: &[String]) -> String {
    serde_json::to_string(events).expect("a list of strings always serialises")
}

pub(crate) fn list(conn: &mut Conn, tenant: &TenantId, page: Page) -> QueryResult<Listed<Webhook>> {
    let of_tenant = || webhooks::tenant_id.eq(tenant.as_str()).and(webhooks::deleted_at.is_null());
    let total: i64 = webhooks::table.filter(of_tenant()).count().get_result(conn)?;
    let rows: Vec<WebhookRow> = webhooks::table
        .filter(of_tenant())
        .order(webhooks::id.asc())
        .limit(i64::from(page.limit))
        .offset(page.offset as i64)
        .select(WebhookRow::as_select())
        .load(conn)?;
    Ok(Listed { rows: rows.into_iter().filter_map(WebhookRow::read).collect(), total: total as u64 })
}

pub(crate) fn get(conn: &mut Conn, tenant: &TenantId, id: WebhookId) -> QueryResult<Option<Webhook>> {
    let row: Option<WebhookRow> = webhooks::table
        .find(id.0)
        .filter(webhooks::tenant_id.eq(tenant.as_str()).and(webhooks::deleted_at.is_null()))
        .select(WebhookRow::as_select())
        .first(conn)
        .optional()?;
    Ok(row.and_then(WebhookRow::read))
}

pub(crate) fn update(
    conn: &mut Conn,
    tenant: &TenantId,
    id: WebhookId,
    change: &WebhookChange,
    now: Timestamp,
) -> QueryResult<Option<Webhook>> {
    if get(conn, tenant, id)?.is_none() {
        return Ok(None);
    }
    if *change != WebhookChange::default() {
        let columns = Change {
            name: change.name.as_deref(),
            url: change.url.as_deref(),
            events: change.events.as_deref().map(json),
            secret: change.secret.as_ref().map(Secret::reveal),
            is_active: change.is_active,
            retry_count: change.retry_count.map(|n| n as i32),
            timeout: change.timeout_secs.map(|n| n as i32),
        };
        diesel::update(webhooks::table.find(id.0)).set(columns).execute(conn)?;
        // By itself, because the trigger for changes by hand would take an unchanged time for a
        // forgotten one.
        diesel::update(webhooks::table.find(id.0)).set(webhooks::updated_at.eq(SqlTime(now))).execute(conn)?;
    }
    get(conn, tenant, id)
}

/// Marks the row as deleted and cancels its waiting deliveries: at most [`deliveries::CANCEL_LIMIT`]
/// of them at once, the lease cancels the rest.
pub(crate) fn delete(conn: &mut Conn, tenant: &TenantId, id: WebhookId, now: Timestamp) -> QueryResult<bool> {
    let row =
        webhooks::table.find(id.0).filter(webhooks::tenant_id.eq(tenant.as_str()).and(webhooks::deleted_at.is_null()));
    let marks =
        (webhooks::deleted_at.eq(SqlTime(now)), webhooks::is_active.eq(false), webhooks::updated_at.eq(SqlTime(now)));
    let n_rows = diesel::update(row).set(marks).execute(conn)?;
    if n_rows > 0 {
        deliveries::cancel(conn, id, i64::MAX, now, deliveries::DELETED)?;
    }
    Ok(n_rows > 0)
}

pub(crate) fn active(conn: &mut Conn) -> QueryResult<Vec<Webhook>> {
    let rows: Vec<WebhookRow> = webhooks::table
        .filter(webhooks::is_active.eq(true).and(webhooks::deleted_at.is_null()))
        .order(webhooks::id.asc())
        .select(WebhookRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().filter_map(WebhookRow::read).collect())
}

/// Those of `ids` that may be sent to: active and not deleted.
pub(crate) fn sendable(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<Webhook>> {
    let rows: Vec<WebhookRow> = webhooks::table
        .filter(webhooks::id.eq_any(ids))
        .filter(webhooks::is_active.eq(true).and(webhooks::deleted_at.is_null()))
        .select(WebhookRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().filter_map(WebhookRow::read).collect())
}

/// Whether a webhook exists and is only switched off.
pub(crate) fn is_switched_off(conn: &mut Conn, id: WebhookId) -> QueryResult<bool> {
    let row = webhooks::table.find(id.0).filter(webhooks::deleted_at.is_null());
    diesel::select(diesel::dsl::exists(row)).get_result(conn)
}

/// Those of `ids` that have a row at all; operators may have deleted rows by hand.
pub(crate) fn existing(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<i64>> {
    webhooks::table.filter(webhooks::id.eq_any(ids)).select(webhooks::id).load(conn)
}
