//! The seam for registrations: which webhooks a tenant has.

use hookswitch_protocol::{Retry, Secret, TenantId, Timestamp, WebhookId};

use crate::seam::BoxFuture;

/// A tenant's registration, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The row's number.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// For people.
    pub name: String,
    /// Where deliveries go.
    pub url: String,
    /// Event types (and patterns such as `call.*`) it wants.
    pub events: Vec<String>,
    /// Signs deliveries; without one they go unsigned.
    pub secret: Option<Secret>,
    /// An inactive webhook gets no new deliveries.
    pub is_active: bool,
    /// Retries after the first attempt, 0 to 20; 3 by default.
    pub retry_count: u32,
    /// Seconds one attempt may take, 1 to 120; 30 by default.
    pub timeout_secs: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A checked request to create a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// For people, 1 to 255 characters.
    pub name: String,
    /// Checked against the address rules.
    pub url: String,
    /// At least one.
    pub events: Vec<String>,
    /// 1 to 255 characters.
    pub secret: Option<Secret>,
    /// 0 to 20.
    pub retry_count: u32,
    /// 1 to 120 seconds.
    pub timeout_secs: u32,
}

/// A checked partial update: `None` leaves the column as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// New name.
    pub name: Option<String>,
    /// New address.
    pub url: Option<String>,
    /// New list.
    pub events: Option<Vec<String>>,
    /// New secret.
    pub secret: Option<Secret>,
    /// On or off.
    pub is_active: Option<bool>,
    /// New retry count.
    pub retry_count: Option<u32>,
    /// New time limit.
    pub timeout_secs: Option<u32>,
}

/// A window on a list: skip `offset`, give at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows to skip.
    pub offset: u64,
    /// Most rows to give.
    pub limit: u32,
}

/// One window of a list, with the size of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows of this window.
    pub rows: Vec<T>,
    /// Rows in the whole list.
    pub total: u64,
}

/// Keeps the registrations. A webhook is only ever found under its own tenant. A deleted webhook is
/// not found any more; its row and log rows stay for retention, and its waiting deliveries are
/// cancelled. Every call is atomic; a dropped future leaves the call done or not done.
pub trait WebhookDirectory: Send + Sync {
    /// Stores a new webhook.
    fn create<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>>;

    /// The tenant's webhooks, oldest first.
    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>>;

    /// One webhook, `None` when it is not this tenant's.
    fn get<'a>(&'a self, tenant: &'a TenantId, id: WebhookId)
    -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>>;

    /// Changes one webhook, `None` when it is not this tenant's.
    fn update<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>>;

    /// Deletes one webhook; whether it was this tenant's.
    fn delete<'a>(&'a self, tenant: &'a TenantId, id: WebhookId) -> BoxFuture<'a, Result<bool, DirectoryError>>;

    /// Every active webhook of every tenant, for the match table.
    fn active(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>>;

    /// Changes whenever a row may have changed, also by hand; cheap enough to ask every second.
    fn version(&self) -> BoxFuture<'_, Result<DirectoryVersion, DirectoryError>>;
}

/// A mark of the directory's content: equal marks, equal content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryVersion(pub String);

/// Why the directory could not do it.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The database is down, busy or did not answer in time; nothing was changed.
    #[error("webhook directory is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DirectoryError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(std::time::Duration::from_secs(1)),
        }
    }
}
