//! One registration as it stands in its row.

use diesel::prelude::*;
use hookswitch_protocol::{TenantId, WebhookId};
use hookswitch_webhooks::{DisableReason, Disabled, PreviousSecret, Webhook, WebhookHealth};

use crate::schema::webhooks;
use crate::secret_keys::BadSeal;
use crate::time::SqlTime;
use crate::webhook_columns::{Column, SecretColumns, WebhookColumns};

const MAX_RETRIES: i32 = 20;
const MAX_TIMEOUT_SECS: i32 = 120;

/// A row as it stands, possibly made by hand. Does not print: its secrets may stand in clear.
#[derive(Queryable, Selectable)]
#[diesel(table_name = webhooks)]
pub(crate) struct WebhookRow {
    id: i64,
    tenant_id: String,
    name: String,
    url: String,
    events: String,
    secret: Option<String>,
    secret_sealed: Option<String>,
    previous_secret: Option<String>,
    previous_secret_sealed: Option<String>,
    previous_secret_until: Option<SqlTime>,
    is_active: Option<bool>,
    retry_count: Option<i32>,
    timeout: Option<i32>,
    options: Option<String>,
    failing_since: Option<SqlTime>,
    n_failures: i32,
    disabled_reason: Option<String>,
    disabled_at: Option<SqlTime>,
    receiver_version: i32,
    last_triggered_at: Option<SqlTime>,
    created_at: SqlTime,
    updated_at: SqlTime,
}

impl WebhookRow {
    /// The registration. Figures out of bounds count as the nearest bound, an unreadable list of
    /// events as empty. `None` when no tenant can have that `tenant_id`, or when a seal cannot be
    /// opened, for nothing goes out unsigned. One odd row must not make the others unusable.
    pub(crate) fn read(self, columns: &WebhookColumns) -> Option<Webhook> {
        let (webhook, sealed) = self.opened(columns)?;
        sealed.is_none().then_some(webhook)
    }

    /// The same for matching events. A row that is sealed with a key that only other nodes have is
    /// there without what is sealed: its events are theirs to send, and none is lost for it.
    pub(crate) fn read_to_match(self, columns: &WebhookColumns) -> Option<Webhook> {
        let (webhook, sealed) = self.opened(columns)?;
        (sealed != Some(BadSeal::Forged)).then_some(webhook)
    }

    /// Whether everything that is sealed in it can be opened.
    pub(crate) fn can_be_read(self, columns: &WebhookColumns) -> bool {
        let Ok(tenant) = TenantId::parse(&self.tenant_id) else { return true };
        self.open(columns, tenant).1.is_none()
    }

    fn opened(self, columns: &WebhookColumns) -> Option<(Webhook, Option<BadSeal>)> {
        let id = self.id;
        let Ok(tenant) = TenantId::parse(&self.tenant_id) else {
            columns.warn_once(id, &self.tenant_id, "tenant_id", "no tenant can have it, the row is passed over");
            return None;
        };
        let (webhook, sealed) = self.open(columns, tenant);
        if let Some(why) = sealed {
            columns.report_sealed(&webhook, why);
        }
        Some((webhook, sealed))
    }

    /// The registration without what cannot be opened, and why it cannot.
    fn open(self, columns: &WebhookColumns, tenant: TenantId) -> (Webhook, Option<BadSeal>) {
        let health = self.health();
        let events = columns.read_events(self.id, &tenant, &self.events);
        let secret = SecretColumns { clear: self.secret, sealed: self.secret_sealed };
        let former = SecretColumns { clear: self.previous_secret, sealed: self.previous_secret_sealed };
        let secret = columns.read_secret(&tenant, Column::Secret, secret);
        let former = columns.read_secret(&tenant, Column::PreviousSecret, former);
        let (options, headers) = columns.read_options(self.id, &tenant, self.options.as_deref());
        let why = [secret.as_ref().err(), former.as_ref().err(), headers.as_ref().err()].into_iter().flatten().copied();
        // Worst last: what was changed is nobody's to send.
        let why = why.max();
        let former = former.unwrap_or_default().zip(self.previous_secret_until);
        let webhook = Webhook {
            id: WebhookId(self.id),
            name: self.name,
            url: self.url,
            events,
            secret: secret.unwrap_or_default(),
            previous_secret: former.map(|(secret, until)| PreviousSecret { secret, valid_until: until.0 }),
            is_active: self.is_active.unwrap_or(false),
            retry_count: self.retry_count.unwrap_or(3).clamp(0, MAX_RETRIES) as u32,
            timeout_secs: self.timeout.unwrap_or(30).clamp(1, MAX_TIMEOUT_SECS) as u32,
            options,
            health,
            receiver_version: self.receiver_version.max(0) as u32,
            last_triggered_at: self.last_triggered_at.map(|at| at.0),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            tenant,
        };
        (webhook, why)
    }

    fn health(&self) -> WebhookHealth {
        // Who switches it on by hand leaves the reason standing.
        let reason = self.disabled_reason.as_deref().filter(|_| self.is_active != Some(true));
        let reason = reason.and_then(DisableReason::parse);
        WebhookHealth {
            failing_since: self.failing_since.map(|at| at.0),
            n_failures: self.n_failures.max(0) as u32,
            disabled: reason.zip(self.disabled_at).map(|(reason, at)| Disabled { reason, at: at.0 }),
        }
    }
}
