//! The directory of registrations, kept in `webhooks`.

use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    BoxFuture, DirectoryError, DirectoryVersion, DisableReason, Listed, NewWebhook, Page, Webhook, WebhookChange,
    WebhookDirectory,
};

use super::queries::{webhook_lists, webhooks};
use super::{Store, dialect};
use crate::error::Failure;

impl WebhookDirectory for Store {
    fn create_within<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
        most: u32,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        let (tenant, codec, clock) = (tenant.clone(), self.inner.codec.clone(), self.inner.clock.clone());
        let created = self.inner.acceptance.call_as(Failure::directory, "create a webhook", move |conn| {
            webhooks::create(conn, &codec, &tenant, (&webhook, most), clock.now())
        });
        Box::pin(async move { created.await?.ok_or(DirectoryError::TooMany { most }) })
    }

    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>> {
        let (asker, tenant, codec) = (Some(tenant.clone()), tenant.clone(), self.inner.codec.clone());
        let query = move |conn: &mut _| webhook_lists::list(conn, &codec, &tenant, page);
        self.inner.readers.reports.read_as(Failure::directory, "list webhooks", asker, query)
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (asker, tenant, codec) = (Some(tenant.clone()), tenant.clone(), self.inner.codec.clone());
        let query = move |conn: &mut _| webhooks::get(conn, &codec, &tenant, id);
        self.inner.readers.ownership.read_as(Failure::directory, "read a webhook", asker, query)
    }

    fn update<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, codec, clock) = (tenant.clone(), self.inner.codec.clone(), self.inner.clock.clone());
        self.inner.acceptance.call_as(Failure::directory, "update a webhook", move |conn| {
            webhooks::update(conn, &codec, &tenant, id, &change, clock.now())
        })
    }

    fn delete<'a>(&'a self, tenant: &'a TenantId, id: WebhookId) -> BoxFuture<'a, Result<bool, DirectoryError>> {
        let (tenant, clock) = (tenant.clone(), self.inner.clock.clone());
        self.inner.acceptance.call_as(Failure::directory, "delete a webhook", move |conn| {
            webhooks::delete(conn, &tenant, id, clock.now())
        })
    }

    fn rotate_secret<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        secret: Secret,
        valid_until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, codec, clock) = (tenant.clone(), self.inner.codec.clone(), self.inner.clock.clone());
        let rotated = self.inner.acceptance.call_as(Failure::directory, "rotate a secret", move |conn| {
            webhooks::rotate_secret(conn, &codec, &tenant, id, &secret, (valid_until, clock.now()))
        });
        Box::pin(async move { rotated.await?.map_err(|webhooks::IsPresent| DirectoryError::PresentSecret) })
    }

    fn disable(
        &self,
        id: WebhookId,
        reason: DisableReason,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Webhook>, DirectoryError>> {
        let codec = self.inner.codec.clone();
        self.inner.acceptance.call_as(Failure::directory, "disable a webhook", move |conn| {
            webhooks::disable(conn, &codec, id, reason, at)
        })
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>> {
        let codec = self.inner.codec.clone();
        let query = move |conn: &mut _| webhook_lists::all(conn, &codec);
        self.inner.readers.upkeep.read_as(Failure::directory, "list all webhooks", None, query)
    }

    /// Whoever changes a row, the database makes another mark of it.
    fn version(&self) -> BoxFuture<'_, Result<DirectoryVersion, DirectoryError>> {
        let query = |conn: &mut _| dialect::directory_version(conn).map(DirectoryVersion);
        self.inner.readers.upkeep.read_as(Failure::directory, "read the directory's version", None, query)
    }
}
