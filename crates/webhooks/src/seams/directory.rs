//! The seam for registrations: which webhooks a tenant has.

use std::time::Duration;

use hookswitch_protocol::{Retry, Secret, TenantId, Timestamp, WebhookId};

use crate::health::{DisableReason, WebhookHealth};
use crate::options::{OptionsChange, WebhookOptions};
use hookswitch_runtime::BoxFuture;

pub use super::paging::{Cursor, DEEPEST_OFFSET, Listed, PAGE_BYTES, Page};

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
    /// The secret before the last rotation, while it still signs beside the new one.
    pub previous_secret: Option<PreviousSecret>,
    /// An inactive webhook gets no new deliveries; what it misses is kept for a later
    /// [`Requeue::MissedSince`](crate::Requeue::MissedSince).
    pub is_active: bool,
    /// Retries after the first attempt, 0 to 20; 3 by default.
    pub retry_count: u32,
    /// Seconds one attempt may take, 1 to 120; 30 by default.
    pub timeout_secs: u32,
    /// Everything else that can be set, each with a default.
    pub options: WebhookOptions,
    /// How its receiver has been doing.
    pub health: WebhookHealth,
    /// Rises when the URL becomes another one and when the webhook is switched on: what an attempt made
    /// before says is not about this receiver.
    pub receiver_version: u32,
    /// The end of its last attempt.
    pub last_triggered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// A webhook as it is right after it was made.
    pub fn new(id: WebhookId, tenant: TenantId, new: NewWebhook, at: Timestamp) -> Self {
        let NewWebhook { name, url, events, secret, retry_count, timeout_secs, options } = new;
        Self {
            id,
            tenant,
            name,
            url,
            events,
            secret,
            previous_secret: None,
            is_active: true,
            retry_count,
            timeout_secs,
            options,
            health: WebhookHealth::default(),
            receiver_version: 0,
            last_triggered_at: None,
            created_at: at,
            updated_at: at,
        }
    }
}

/// What a webhook weighs in a list beside its texts, about.
const WEBHOOK_BYTES: usize = 400;

impl Webhook {
    /// What it weighs in a list.
    pub(crate) fn weight(&self) -> usize {
        let events = self.events.iter().map(String::len);
        let headers = self.options.headers.iter().map(|header| header.name.len() + header.value.reveal().len());
        let expiry = self.options.expiry.keys().map(String::len);
        let texts: usize = events.chain(headers).chain(expiry).sum();
        texts + self.name.len() + self.url.len() + WEBHOOK_BYTES
    }
}

/// A secret that was replaced and is still valid for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: Secret,
    /// Until when deliveries are signed with it too.
    pub valid_until: Timestamp,
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
    /// Everything else.
    pub options: WebhookOptions,
}

/// A checked partial update: `None` leaves the column as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// New name.
    pub name: Option<String>,
    /// New address. Where it is another one, its failures begin to count anew.
    pub url: Option<String>,
    /// New list.
    pub events: Option<Vec<String>>,
    /// New secret, in force at once and by itself: one that was still valid from a rotation no longer is.
    /// [`WebhookDirectory::rotate_secret`] keeps the old one valid for a while.
    pub secret: Option<Secret>,
    /// On or off. Switching on forgets failures and why it was disabled.
    pub is_active: Option<bool>,
    /// New retry count.
    pub retry_count: Option<u32>,
    /// New time limit.
    pub timeout_secs: Option<u32>,
    /// Everything else.
    pub options: OptionsChange,
}

/// Keeps the registrations. A webhook is only ever found under its own tenant. A deleted webhook is
/// not found any more; its row and log rows stay for retention, and its waiting deliveries are
/// cancelled, each with a skip row. Every call is atomic; a dropped future leaves the call done or not
/// done. Secrets and custom headers come back as they were given, however the keeper stores them.
pub trait WebhookDirectory: Send + Sync {
    /// Stores a new webhook; [`DirectoryError::TooMany`] when the tenant has `most` already. Nodes that do so at
    /// the same moment may come to a few more.
    fn create_within<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
        most: u32,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>>;

    /// Stores a new webhook, however many there are.
    fn create<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        self.create_within(tenant, webhook, u32::MAX)
    }

    /// The tenant's webhooks, oldest first, in windows of at most [`PAGE_BYTES`].
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

    /// Replaces the secret; the former one, if there was one, stays valid until `valid_until`. One
    /// that was valid from an earlier rotation no longer is. `None` when it is not this tenant's.
    /// [`DirectoryError::PresentSecret`], and nothing changed, when it is the present secret already: of two
    /// that ask for the same at once, the second must not push the really former secret out.
    fn rotate_secret<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        secret: Secret,
        valid_until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>>;

    /// Switches an active webhook off for this reason; gives it as it is then. `None` when it was not
    /// active: of many callers, on any node, one gets the webhook.
    fn disable(
        &self,
        id: WebhookId,
        reason: DisableReason,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Webhook>, DirectoryError>>;

    /// Every webhook of every tenant that is not deleted, inactive ones included, for the match table. A
    /// keeper that cannot read the secrets of one, which others can, gives it without them.
    fn all(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>>;

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
    /// The tenant has as many reads running and waiting as it may; those of others go on.
    #[error("too much is being read for this tenant, no room in time to {operation}")]
    Busy {
        /// What was tried.
        operation: &'static str,
    },
    /// It took longer than a read may, and was ended.
    #[error("it took longer than {limit:?} to {operation}")]
    TooLong {
        /// What was tried.
        operation: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The tenant has as many webhooks as it may.
    #[error("the tenant has {most} webhooks already")]
    TooMany {
        /// How many it may have.
        most: u32,
    },
    /// A secret was to be replaced by itself.
    #[error("the secret is the present one already")]
    PresentSecret,
}

impl DirectoryError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } | Self::Busy { .. } => Retry::After(Duration::from_secs(1)),
            // The same question takes as long again.
            Self::TooLong { .. } | Self::TooMany { .. } | Self::PresentSecret => Retry::Never,
        }
    }
}
