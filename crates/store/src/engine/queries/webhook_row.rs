//! One registration as it stands in its row.

use diesel::prelude::*;
use hookswitch_protocol::{TenantId, WebhookId};
use hookswitch_webhooks::{DisableReason, Disabled, PreviousSecret, Webhook, WebhookHealth};

use crate::codec::{Codec, Column, SecretColumns};
use crate::schema::webhooks;
use crate::secret_keys::BadSeal;
use crate::time::SqlTime;

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
    last_triggered_at: Option<SqlTime>,
    created_at: SqlTime,
    updated_at: SqlTime,
}

impl WebhookRow {
    /// The registration. Figures out of bounds count as the nearest bound, an unreadable list of
    /// events as empty. `None` when no tenant can have that `tenant_id`, or when a seal cannot be
    /// opened, for nothing goes out unsigned. One odd row must not make the others unusable.
    pub(crate) fn read(self, codec: &Codec) -> Option<Webhook> {
        let id = self.id;
        let Ok(tenant) = TenantId::parse(&self.tenant_id) else {
            codec.complain(id, "tenant_id", "no tenant can have it, the row is passed over");
            return None;
        };
        let read = self.open(codec, tenant);
        read.inspect_err(|error| tracing::error!(webhook = id, %error, "the webhook's secret cannot be opened")).ok()
    }

    /// Whether everything that is sealed in it can be opened.
    pub(crate) fn can_be_read(self, codec: &Codec) -> bool {
        TenantId::parse(&self.tenant_id).ok().is_none_or(|tenant| self.open(codec, tenant).is_ok())
    }

    fn open(self, codec: &Codec, tenant: TenantId) -> Result<Webhook, BadSeal> {
        let health = self.health();
        let events = serde_json::from_str(&self.events).unwrap_or_else(|_| {
            codec.complain(self.id, "events", "no list of texts");
            Vec::new()
        });
        let secret = SecretColumns { clear: self.secret, sealed: self.secret_sealed };
        let former = SecretColumns { clear: self.previous_secret, sealed: self.previous_secret_sealed };
        let former = codec.read_secret(&tenant, Column::PreviousSecret, former)?.zip(self.previous_secret_until);
        Ok(Webhook {
            id: WebhookId(self.id),
            name: self.name,
            url: self.url,
            events,
            secret: codec.read_secret(&tenant, Column::Secret, secret)?,
            previous_secret: former.map(|(secret, until)| PreviousSecret { secret, valid_until: until.0 }),
            is_active: self.is_active.unwrap_or(false),
            retry_count: self.retry_count.unwrap_or(3).clamp(0, MAX_RETRIES) as u32,
            timeout_secs: self.timeout.unwrap_or(30).clamp(1, MAX_TIMEOUT_SECS) as u32,
            options: codec.read_options(self.id, &tenant, self.options.as_deref())?,
            health,
            last_triggered_at: self.last_triggered_at.map(|at| at.0),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            tenant,
        })
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
